"""Load balancers (Octavia), with what is below them: found and told."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls, seen_only
from decamp.resources.attributes import refused
from decamp.resources.calls import Json
from decamp.resources.neutron import owner
from decamp.resources.seen_only import create, find, remove, verify

__all__ = ["ATTRIBUTES", "NAME", "create", "export", "find", "read", "remove", "verify"]

NAME = "load_balancer"

WHY = "make it anew in front of the copies of its members, by its template or by hand"

ATTRIBUTES = refused("name", "vip_address", "listeners", "pools", why="load balancers are not copied")

_PATH = "/lbaas/loadbalancers"


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    if not cloud.has("load-balancer"):
        return
    mine = owner(cloud, project)
    query = {"project_id": mine} if mine else {}
    yield from (told(one) for one in calls.listed(cloud, "load_balancer", _PATH, "loadbalancers", query))


def read(cloud: Cloud, id: str) -> Resource | None:
    found = calls.got(cloud, "load_balancer", f"{_PATH}/{id}", "loadbalancer") if cloud.has("load-balancer") else None
    return told(found) if found else None


def told(balancer: Json) -> Resource:
    below = {name: len(balancer.get(name) or []) for name in ("listeners", "pools")}
    shown = {"vip_address": balancer["vip_address"], "status": balancer["provisioning_status"], **below}
    return seen_only.told(NAME, balancer["id"], balancer["name"], balancer["project_id"], WHY, **shown)
