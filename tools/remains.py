"""Whether a project has left a cloud, or is in it as it was, for verify.py."""

from __future__ import annotations

from collections.abc import Iterator

import network_kinds
import operator_kinds
from clouds import Cloud, Facts
from findings import Findings
from looks import Ground
from moved import comparable, differences
from portraits import KINDS, OF_STACK, Portrait

OTHERS = frozenset({"project", "user", "group", "role_assignment", "quota", "keypair", "flavor", "volume_type"})
"""Kinds that outlive what a project has: its operator's, its users', the cloud's."""
NOT_READ = frozenset({"sha256", "root_sha256", "image_sha256", "fresh_sha256", OF_STACK})
"""Bytes, and what only the tenant's own credentials tell."""
DEFAULT = "default"
"""The security group that a project cannot be without."""


def remains(cloud: Cloud, project: str, tenant: Cloud | None) -> list[str]:
    """All that it has, of whatever state and origin, but the default security group; a sentence's beginning each."""
    return [
        f"{kind} {one.get('name') or one.get('stack_name') or ''} ({one['id']})"
        for kind, one in _things(Ground(cloud, project, False, tenant))
    ]


def _things(ground: Ground) -> Iterator[tuple[str, Facts]]:
    born_with = {group["id"] for group in network_kinds.listed(ground, "security_group") if group["name"] == DEFAULT}
    for kind in KINDS.keys() - OTHERS:
        found = network_kinds.listed(ground, kind) if kind == "port" else KINDS[kind].listed(ground)
        yield from ((kind, one) for one in found if born_with.isdisjoint((one["id"], one.get("security_group_id"))))


def keys(cloud: Cloud, project: str) -> list[str]:
    """Of everybody who has a role in it."""
    users = {user["id"] for user in operator_kinds.users(Ground(cloud, project, False))}
    listed = (cloud.get("compute", f"/os-keypairs?user_id={user}")["keypairs"] for user in users)
    return [f"keypair {entry['keypair']['name']}" for entries in listed for entry in entries]


def check_emptied(findings: Findings, name: str, left: list[str]) -> None:
    findings.add(f"{name}: emptied", [f"{one}: still in the old cloud" for one in left], "nothing of it is left in the old cloud")


def check_undone(findings: Findings, name: str, before: Portrait, now: Portrait, there_before: list[str], there: list[str]) -> None:
    """The old project is as it was, its bytes aside, and the new one has nothing that was not there before. Stacks: if both tell them."""
    wrong: list[str] = []
    kinds = [kind for kind in KINDS if kind != "stack" or (before[kind] and now[kind])]
    for kind in kinds:
        was, is_now, _ = comparable(before[kind], now[kind], NOT_READ)
        wrong += differences(kind, was, is_now)
    findings.add(f"{name}: undone, old cloud", wrong, f"{sum(len(now[kind]) for kind in kinds)} things as they were before the move")
    extra = [f"{one}: left over in the new cloud" for one in there if one not in there_before]
    findings.add(f"{name}: undone, new cloud", extra, "nothing of the copy is left")
