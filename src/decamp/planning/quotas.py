"""Whether the new project's quotas hold what a plan makes there, beside all that it has already: both copies exist until a confirm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from decamp.model.plan import Reason, Refusal
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields

COUNTED = {
    "server": ("compute", "instances"),
    "server_group": ("compute", "server_groups"),
    "volume": ("block_storage", "volumes"),
    "volume_snapshot": ("block_storage", "snapshots"),
    "network": ("network", "network"),
    "subnet": ("network", "subnet"),
    "subnet_pool": ("network", "subnetpool"),
    "port": ("network", "port"),
    "router": ("network", "router"),
    "floating_ip": ("network", "floatingip"),
    "security_group": ("network", "security_group"),
    "security_group_rule": ("network", "security_group_rule"),
    "rbac_policy": ("network", "rbac_policy"),
    "trunk": ("network", "trunk"),
}
"""Kind -> the service that counts it, and what it calls it."""


def exceeded(quota: Resource, made: Iterable[Resource], resources: Mapping[Ref, Resource]) -> tuple[Refusal, ...]:
    """One refusal with all the numbers, if some of the limits of `quota`, which is the new project's, would be passed."""
    told: list[str] = []
    for (service, name), count in sorted(_demand(made, resources).items()):
        limit, used = fields.limits(quota, service).get(name, -1), fields.used(quota, service).get(name, 0)
        if 0 <= limit < used + count:
            told.append(f"{name}: {used} of {limit} are used, and {count} would be added")
    if not told:
        return ()
    text = f"The quota of project {quota.id} in the new cloud does not hold it. {'; '.join(told)}. Have it raised, or move in parts."
    return (Refusal(ref=quota.ref, reason=Reason.QUOTA, text=text),)


def _demand(made: Iterable[Resource], resources: Mapping[Ref, Resource]) -> Counter[tuple[str, str]]:
    """Amounts of a flavor are those of the old one: what stands for it is equal."""
    demand: Counter[tuple[str, str]] = Counter()
    for one in made:
        if one.kind in COUNTED:
            demand[COUNTED[one.kind]] += 1
        if one.kind == "server":
            for flavor in (resources[need] for need in one.needs if need.kind == "flavor" and need in resources):
                amounts = fields.flavor_amounts(flavor)
                demand["compute", "cores"] += amounts["vcpus"]
                demand["compute", "ram"] += amounts["ram_mib"]
        elif one.kind == "volume":
            demand["block_storage", "gigabytes"] += int(fields.field(one, "size_gib") or 0)
        elif one.kind == "volume_snapshot":
            # and the volume that it is of
            demand["block_storage", "volumes"] += 1
            demand["block_storage", "gigabytes"] += 2 * int(fields.field(one, "size_gib") or 0)
        elif one.kind == "router":
            demand["network", "port"] += len(one.spec.get("interfaces", ()))
    return demand
