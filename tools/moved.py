"""A project's copy against the project as it was, for verify.py: what differs, in sentences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Set
from typing import Any

from clouds import Facts
from findings import Findings
from looks import by_content
from portraits import KINDS, OF_STACK, Portrait

PARTS = {
    "networks, subnets, routers": ("network", "subnet", "router"),
    "address scopes, pools, policies": ("address_scope", "subnet_pool", "qos_policy", "rbac_policy"),
    "security groups and rules": ("security_group", "security_group_rule", "address_group"),
    "ports and trunks": ("port", "trunk"),
    "floating IPs and forwardings": ("floating_ip", "port_forwarding"),
    "server groups and keys": ("server_group", "keypair"),
    "volumes and snapshots": ("volume", "volume_snapshot"),
    "stacks": ("stack",),
    "containers and objects": ("container",),
}
"""What is checked together, of a project's kinds; servers and images are checked by themselves."""
BY_OPERATORS = {
    "project, users, groups, roles": ("project", "user", "group", "role_assignment"),
    "quotas": ("quota",),
    "flavors and volume types": ("flavor", "volume_type"),
}
KNOWN_TO_BOTH = frozenset({"quota", "flavor", "volume_type"})
"""Kinds of which the rest of a cloud is its own affair."""
BESIDE = frozenset({OF_STACK, "id", "macs", "made", "holds", "copied", "image_id", "image_sha256", "root_sha256", "fresh_sha256"})
"""What is no attribute, or is checked by itself."""


def check_moved(
    findings: Findings,
    name: str,
    before: Portrait,
    now: Portrait,
    with_disk: set[str],
    not_carried: set[str],
    hashes: set[str],
    *,
    by_operator: bool = False,
) -> None:
    """A project's copy against the project as it was. `hashes`: of all images of the new cloud."""
    beside = BESIDE | not_carried
    stacks = (
        set() if "stack" in not_carried else {one["stack_name"] for one in before["stack"]} & {one["stack_name"] for one in now["stack"]}
    )
    before, now = ({kind: outside(portrait[kind], stacks) for kind in KINDS} for portrait in (before, now))
    now |= {"volume": root_volumes_may_be_fresh(before, now["volume"], with_disk)}
    for what, kinds in (PARTS | BY_OPERATORS if by_operator else PARTS).items():
        wrong: list[str] = []
        hidden: set[str] = set()
        for kind in (kind for kind in kinds if kind not in not_carried):
            was, copy, unseen = comparable(*copied(kind, before[kind], now[kind]), beside)
            wrong += differences(kind, was, copy)
            hidden |= {f"{kind}.{attribute}" for attribute in unseen}
        left = "".join(f"; not compared: {kind}" for kind in kinds if kind in not_carried)
        findings.add(f"{name}: {what}", wrong, f"{sum(len(now[kind]) for kind in kinds)} equal{left}{unseen_in_one(hidden)}")
    old_servers, new_servers = by_macs(before["server"]), by_macs(now["server"])
    wrong = [f"{server['name']}: not in the new cloud" for macs, server in old_servers.items() if macs not in new_servers]
    wrong += [
        f"{server['name']}: no server of the old cloud had its MACs" for macs, server in new_servers.items() if macs not in old_servers
    ]
    if len(new_servers) != len(now["server"]):
        wrong.append("the new cloud has two servers with the same MACs")
    pairs = [(server, new_servers[macs]) for macs, server in old_servers.items() if macs in new_servers]
    hidden = set()
    for server, copy in pairs:
        (was,), (is_now,), unseen = comparable([server], [copy], beside)
        wrong += differences(server["name"], was, is_now)
        hidden |= unseen
    left = f"equal, but for what stays behind: {', '.join(sorted(not_carried - KINDS.keys())) or 'nothing'}"
    findings.add(f"{name}: servers", wrong, f"{len(pairs)} {left}{unseen_in_one(hidden)}")
    check_disks(findings, name, pairs, with_disk)
    check_images(findings, name, before, now, beside, hashes)


def outside(things: list[Facts], stacks: Set[str]) -> list[Facts]:
    """What a stack made is made anew with its copy, and told by it."""
    return [one for one in things if one.get(OF_STACK) not in stacks]


def copied(kind: str, before: list[Facts], now: list[Facts]) -> tuple[list[Facts], list[Facts]]:
    """What has to be equal: not the volumes that snapshots' copies are of, nor limits that one cloud alone knows, nor flavors and types
    that the new cloud had of its own."""
    there = [one for one in now if not one.get("holds") and one.get("copied", True)]
    if kind not in KNOWN_TO_BOTH:
        return before, there
    both = {one["name"] for one in before} & {one["name"] for one in there}
    return [one for one in before if one["name"] in both], [one for one in there if one["name"] in both]


def comparable(before: list[Facts], now: list[Facts], beside: Set[str]) -> tuple[list[Facts], list[Facts], set[str]]:
    """Both with those attributes that both clouds show, and the others."""
    old, new = ({attribute for one in things for attribute in one} - beside for things in (before, now))
    both = old & new if before and now else old | new
    kept = [sorted(({key: one[key] for key in one if key in both} for one in things), key=by_content) for things in (before, now)]
    return kept[0], kept[1], (old | new) - both


def unseen_in_one(attributes: set[str]) -> str:
    return f"; shown by one cloud alone: {', '.join(sorted(attributes))}" if attributes else ""


def by_macs(servers: list[Facts]) -> dict[frozenset[str], Facts]:
    """MACs move with the servers and are unique, names are not."""
    return {frozenset(server["macs"] or [server["name"]]): server for server in servers}


def check_disks(findings: Findings, name: str, pairs: list[tuple[Facts, Facts]], with_disk: set[str]) -> None:
    """The root disk is the old one's, byte for byte, or fresh from the same base image."""
    wrong, carried, fresh = [], 0, 0
    for server, copy in pairs:
        if not server["image"]:
            continue
        if copy["root_sha256"] == server["root_sha256"]:
            carried += 1
        elif server["name"] in with_disk or server["id"] in with_disk:
            wrong.append(f"{server['name']}: its root disk was to be carried over, and has other bytes")
        elif copy["root_sha256"] == server["image_sha256"]:
            fresh += 1
        else:
            wrong.append(f"{server['name']}: its root disk is neither the old one nor the base image")
    findings.add(f"{name}: root disks", wrong, f"{carried} carried over byte for byte, {fresh} fresh from the same base image")


def root_volumes_may_be_fresh(before: Portrait, copies: list[Facts], with_disk: set[str]) -> list[Facts]:
    """The copies, with the old bytes' digest where one boots a server that may start afresh, and holds what the old one was made of."""
    afresh = [server for server in before["server"] if with_disk.isdisjoint((server["name"], server["id"]))]
    roots = {disk["name"] for server in afresh for disk in server["os-extended-volumes:volumes_attached"] if disk["boots"]}
    old = {(one["name"], one.get("fresh_sha256")): one["sha256"] for one in before["volume"] if one["name"] in roots}
    return [one | {"sha256": old.get((one["name"], one["sha256"]), one["sha256"])} for one in copies]


def check_images(findings: Findings, name: str, before: Portrait, now: Portrait, beside: Set[str], hashes: Set[str]) -> None:
    """Every image of the old project is in the new cloud, maybe another's; every one of the copy is one of these, or a server's base."""
    old_images = {image["sha256"]: image for image in before["image"]}
    bases = {server["image_id"] for server in now["server"]}
    wrong = [f"{image['name']}: not in the new cloud" for image in before["image"] if image["os_hash_value"] not in hashes]
    equal = 0
    for digest, count in Counter(image["sha256"] for image in now["image"]).items():
        if count > 1:
            wrong.append(f"the same bytes are {count} images of the project: SHA-256 {digest}")
    for image in now["image"]:
        if image["status"] != "active":
            wrong.append(f"{image['name']}: {image['status']}")
        twin = old_images.get(image["sha256"])
        if twin:
            equal += 1
            (was,), (is_now,), _ = comparable([twin], [image], beside)
            wrong += differences(image["name"], was, is_now)
        elif image["id"] not in bases:
            wrong.append(f"{image['name']} ({image['id']}): neither an image of the old project nor a server's base: left over")
    findings.add(f"{name}: images", wrong, f"{equal} equal, {len(now['image']) - equal} are bases of servers")


def differences(where: str, before: Any, now: Any) -> Iterator[str]:
    """One sentence for each leaf that differs. Of things that differ, those of one name are compared with each other."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from differences(f"{where} / {key}", before.get(key), now.get(key))
    elif isinstance(before, list) and isinstance(now, list) and before != now:
        missing, extra = without(before, now), without(now, before)
        if not missing and not extra:
            yield f"{where}: another order: {json.dumps(before)} became {json.dumps(now)}"
        for one in list(missing):
            twin = next((other for other in extra if alike(one, other)), None)
            if twin or (len(missing) == len(extra) == 1 and isinstance(one, dict)):
                other = twin or extra[0]
                yield from differences(f"{where} / {one['name']}" if one.get("name") else where, one, other)
                missing.remove(one)
                extra.remove(other)
        for one in missing:
            yield f"{where}: missing in the new cloud: {json.dumps(one)}"
        for one in extra:
            yield f"{where}: not in the old cloud: {json.dumps(one)}"
    elif before != now:
        yield f"{where}: {json.dumps(before)} became {json.dumps(now)}"


def alike(one: Any, other: Any) -> bool:
    return isinstance(one, dict) and isinstance(other, dict) and bool(one.get("name")) and one["name"] == other.get("name")


def without(these: list[Any], those: list[Any]) -> list[Any]:
    """`these`, less one for each equal one of `those`."""
    rest = list(those)
    left = []
    for one in these:
        if one in rest:
            rest.remove(one)
        else:
            left.append(one)
    return left
