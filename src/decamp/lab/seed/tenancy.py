"""The tenants themselves: projects, users, quotas and application credentials, and the configuration with which each runs Decamp."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openstack
import yaml
from openstack.connection import Connection

from decamp.lab import content
from decamp.lab.connections import DEFAULT_DOMAIN, connect, read_clouds_yaml, write_clouds_yaml
from decamp.lab.layout import CLOUDS, CloudName, Lab, write_private
from decamp.model.errors import BadInput

MEMBER, READER, ADMIN = "member", "reader", "admin"
CREDENTIAL = "decamp"
COMPUTE_QUOTA = {"instances": 40, "cores": 80, "ram": 81920}
VOLUME_QUOTA = {"volumes": 40, "gigabytes": 400, "snapshots": 40}
REVOCATION_SECONDS = 1.1
"""Keystone's revocations count in whole seconds: a token of the same second would be revoked too."""


def secret(lab: Lab, *label: str) -> str:
    """Always the same for this lab and label, and not to be guessed: so a repeated seed needs to remember nothing."""
    return hmac.new(lab.passwords.admin.encode(), "/".join(label).encode(), hashlib.sha256).hexdigest()[:32]


def ensure_project(identity: Any, name: str, description: str) -> str:
    """Raises BadInput where a project of that name is there for another reason."""
    found = next(iter(identity.projects(name=name, domain_id=DEFAULT_DOMAIN)), None)
    if found is None:
        return identity.create_project(name=name, domain_id=DEFAULT_DOMAIN, description=description).id
    if found.description != description:
        raise BadInput(
            f"There is a project {name} with the description {found.description!r}, where {description!r} was to be made: "
            "begin with a fresh lab (`decamp lab up --fresh`), or seed with the same number."
        )
    return found.id


def ensure_user(lab: Lab, cloud: CloudName, identity: Any, name: str, project_id: str, role: str) -> str:
    found = next(iter(identity.users(name=name, domain_id=DEFAULT_DOMAIN)), None)
    user = found or identity.create_user(
        name=name, domain_id=DEFAULT_DOMAIN, password=secret(lab, cloud, name), default_project_id=project_id, email=f"{name}@lab.example"
    )
    identity.assign_project_role_to_user(project_id, user.id, _role(identity, role))
    return user.id


def set_quotas(connection: Connection, project_id: str) -> None:
    compute: Any = connection.compute
    block_storage: Any = connection.block_storage
    compute.update_quota_set(project_id, **COMPUTE_QUOTA)
    block_storage.update_quota_set(project_id, **VOLUME_QUOTA)


def connect_as(lab: Lab, cloud: CloudName, tenant: str) -> Connection:
    """With the password of the tenant's user, in the tenant's project."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=f"{lab.url(cloud, 'keystone')}/v3",
        username=tenant,
        password=secret(lab, cloud, tenant),
        project_name=tenant,
        user_domain_id=DEFAULT_DOMAIN,
        project_domain_id=DEFAULT_DOMAIN,
        region_name=CLOUDS[cloud].region,
        interface="public",
    )


@contextmanager
def naming_hosts(lab: Lab, identity: Any, tenant: str, project_id: str, user_id: str) -> Iterator[Connection]:
    """The tenant's user with the role `admin` in its project: keypairs are a user's own, and only admins may say where a server boots.

    Taking the role away deletes the user's application credentials there (Keystone's rule), so they are made afterwards.
    """
    admin_role = _role(identity, ADMIN)
    identity.assign_project_role_to_user(project_id, user_id, admin_role)
    try:
        yield connect_as(lab, CloudName.OLD, tenant)
    finally:
        identity.unassign_project_role_from_user(project_id, user_id, admin_role)
        time.sleep(REVOCATION_SECONDS)


def lower(identity: Any, project_id: str, user_id: str) -> None:
    """Take the role `admin` away if an interrupted seed left it."""
    admin_role = _role(identity, ADMIN)
    if identity.validate_user_has_project_role(project_id, user_id, admin_role):
        identity.unassign_project_role_from_user(project_id, user_id, admin_role)
        time.sleep(REVOCATION_SECONDS)


def ensure_credential(lab: Lab, cloud: CloudName, tenant: str) -> dict[str, Any]:
    """An application credential of the tenant's user. Returns its entry for clouds.yaml."""
    connection = connect_as(lab, cloud, tenant)
    identity: Any = connection.identity
    user_id = connection.current_user_id or ""
    value = secret(lab, cloud, tenant, CREDENTIAL)
    if CREDENTIAL not in {one.name for one in identity.application_credentials(user_id)}:
        # it has the roles that it names and none that they imply, and Nova's defaults ask for `reader` to list servers
        roles = [{"name": MEMBER}, {"name": READER}]
        identity.create_application_credential(
            user_id, CREDENTIAL, secret=value, roles=roles, description="Moves the project to the new cloud"
        )
    return {
        "auth_type": "v3applicationcredential",
        "auth": {
            "auth_url": f"{lab.url(cloud, 'keystone')}/v3",
            # by name, so that the entry stays good where the credential had to be made again
            "application_credential_name": CREDENTIAL,
            "username": tenant,
            "user_domain_id": DEFAULT_DOMAIN,
            "application_credential_secret": value,
        },
        "region_name": CLOUDS[cloud].region,
        "interface": "public",
        "identity_api_version": 3,
    }


def write_configuration(lab: Lab, tenant: str, entries: dict[CloudName, dict[str, Any]]) -> None:
    """Entries old-<tenant> and new-<tenant> of clouds.yaml, and where both are, tenants/<tenant>/decamp.yaml that uses them."""
    named = {f"{cloud}-{tenant}": entry for cloud, entry in entries.items()}
    write_clouds_yaml(lab, {**read_clouds_yaml(lab), **named})
    if set(entries) != {CloudName.OLD, CloudName.NEW}:
        return
    folder = lab.folder / "tenants" / tenant
    folder.mkdir(parents=True, exist_ok=True)
    external = {cloud: _external_network(lab, cloud) for cloud in entries}
    settings = {
        "clouds": {str(cloud): f"{cloud}-{tenant}" for cloud in entries},
        "clouds_file": str(lab.clouds_yaml),
        "state": "sqlite:///decamp.sqlite",
        "mapping": {
            "network": {external[CloudName.OLD]: external[CloudName.NEW]},
            "volume_type": {content.VOLUME_TYPE: content.VOLUME_TYPE},
        },
    }
    write_private(folder / "decamp.yaml", yaml.safe_dump(settings, sort_keys=False))


def _external_network(lab: Lab, cloud: CloudName) -> str:
    return next(iter(connect(lab, cloud).network.networks(name=content.PUBLIC_NETWORK, is_router_external=True))).id


def _role(identity: Any, name: str) -> str:
    return next(iter(identity.roles(name=name))).id
