"""Keystone's content: the service users that every service signs in with, the roles, Heat's domain, and the catalogue."""

from __future__ import annotations

from typing import Any

from decamp.lab.connections import DEFAULT_DOMAIN, connect
from decamp.lab.layout import CLOUDS, CloudName, Lab

ENDPOINTS: dict[str, tuple[tuple[str, str], ...]] = {
    "keystone": (),  # `keystone-manage bootstrap` made it
    "glance": (("image", ""),),
    "placement": (("placement", ""),),
    "nova": (("compute", "/v2.1"),),
    "neutron": (("network", ""),),
    # volumev3 is what 2023.1's own services look for
    "cinder": (("block-storage", "/v3"), ("volumev3", "/v3/%(project_id)s")),
    "heat": (("orchestration", "/v1/%(tenant_id)s"),),
    "swift": (("object-store", "/v1/AUTH_%(project_id)s"),),
    "ironic": (("baremetal", ""),),
}
"""Service -> its types in the catalogue, with what follows host and port in their URLs."""


def create(lab: Lab, cloud: CloudName) -> None:
    """On a Keystone that was just bootstrapped."""
    layout = CLOUDS[cloud]
    identity: Any = connect(lab, cloud).identity  # version 3; the SDK's type allows version 2 too
    roles = {role.name: role for role in identity.roles()}
    for name in ("service", "heat_stack_owner", "heat_stack_user"):
        if name not in roles:
            roles[name] = identity.create_role(name=name)
    project = identity.create_project(name="service", domain_id=DEFAULT_DOMAIN)
    for service in layout.services[1:]:
        user = identity.create_user(name=service, password=lab.passwords.service, domain_id=DEFAULT_DOMAIN, default_project_id=project.id)
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project, user, roles[role])
    admin, admin_project = identity.find_user("admin"), identity.find_project("admin")
    identity.assign_project_role_to_user(admin_project, admin, roles["heat_stack_owner"])
    domain = identity.create_domain(name="heat")
    heat_admin = identity.create_user(name="heat_domain_admin", password=lab.passwords.heat_domain, domain_id=domain.id)
    identity.assign_domain_role_to_user(domain, heat_admin, roles["admin"])
    for service in layout.services:
        for service_type, suffix in ENDPOINTS[service]:
            entry = identity.create_service(name=service, type=service_type)
            for interface in ("public", "internal", "admin"):
                url = f"{lab.url(cloud, service)}{suffix}"
                identity.create_endpoint(service_id=entry.id, interface=interface, url=url, region_id=layout.region)
