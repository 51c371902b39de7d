"""Connections to the lab's clouds as their administrator, for the lab's own use."""

from __future__ import annotations

from typing import Any

import openstack
import yaml
from openstack.connection import Connection

from decamp.lab.layout import CLOUDS, CloudName, Lab, write_private

DEFAULT_DOMAIN = "default"


def cloud_entry(lab: Lab, cloud: CloudName) -> dict[str, Any]:
    """The administrator's entry of clouds.yaml."""
    return {
        "auth_type": "password",
        "auth": {
            "auth_url": f"{lab.url(cloud, 'keystone')}/v3",
            "username": "admin",
            "password": lab.passwords.admin,
            "project_name": "admin",
            "user_domain_id": DEFAULT_DOMAIN,
            "project_domain_id": DEFAULT_DOMAIN,
        },
        "region_name": CLOUDS[cloud].region,
        "interface": "public",
        "identity_api_version": 3,
    }


def connect(lab: Lab, cloud: CloudName) -> Connection:
    entry = cloud_entry(lab, cloud)
    region = entry["region_name"]
    return openstack.connect(load_yaml_config=False, load_envvars=False, **entry["auth"], region_name=region, interface="public")


def connect_to_system(lab: Lab, cloud: CloudName) -> Connection:
    """With a system-scoped token, which Ironic asks for where a project has no say: drivers and conductors."""
    auth = {name: value for name, value in cloud_entry(lab, cloud)["auth"].items() if not name.startswith("project_")}
    region = CLOUDS[cloud].region
    return openstack.connect(load_yaml_config=False, load_envvars=False, **auth, system_scope="all", region_name=region, interface="public")


def read_clouds_yaml(lab: Lab) -> dict[str, Any]:
    """Entry name -> entry; empty where there is no file yet."""
    if not lab.clouds_yaml.exists():
        return {}
    return (yaml.safe_load(lab.clouds_yaml.read_text()) or {}).get("clouds", {})


def write_clouds_yaml(lab: Lab, entries: dict[str, Any]) -> None:
    """Only its owner can read it: it holds passwords."""
    write_private(lab.clouds_yaml, yaml.safe_dump({"clouds": entries}, sort_keys=False))
