"""Which servers Heat stacks own: one that is moved out from under its stack would be destroyed by a later delete of the stack."""

from __future__ import annotations

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.resources import calls

SERVER_TYPE = "OS::Nova::Server"

NESTED_DEPTH = 5
"""Stacks within stacks (resource groups are such) that are looked into: Heat's own default limit (max_nested_stack_depth)."""


def owners_of_servers(cloud: Cloud, project: str | None) -> dict[str, str] | None:
    """Server id -> name of the outermost stack; empty where there is no Heat, null where these credentials may not ask it."""
    if not cloud.has("orchestration"):
        return {}
    everybodys = cloud.admin and project != cloud.project_id
    owners: dict[str, str] = {}
    try:
        for stack in calls.listed(cloud, "orchestration", "/stacks", "stacks", {"global_tenant": "true"} if everybodys else {}):
            if project and stack.get("project", project) != project:
                continue
            path = f"/stacks/{stack['stack_name']}/{stack['id']}/resources"
            for resource in calls.got(cloud, "orchestration", path, "resources", {"nested_depth": NESTED_DEPTH}) or []:
                if resource["resource_type"] == SERVER_TYPE and resource.get("physical_resource_id"):
                    owners[resource["physical_resource_id"]] = stack["stack_name"]
    except Refused:
        return None
    return owners
