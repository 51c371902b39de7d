"""What keeps a server on its host, or a host in the cloud, whatever room there is elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from decamp.model.plan import Reason, VacateGoal
from decamp.model.policy import Policy, StoppedServers
from decamp.model.survey import Group, Server, Survey
from decamp.planning.constraints import groups, pinned

STOPPED = "SHUTOFF"

HELP: dict[Reason, str] = {
    Reason.PCI_DEVICE: "has a passed-through device, which stays in its host: have its owner detach it, or move it to the new cloud",
    Reason.ACCELERATOR: "has an accelerator, which stays in its host: have its owner move the server to the new cloud",
    Reason.CPU_PINNING: "has dedicated CPUs, which may not be found elsewhere: have its owner move it to the new cloud",
    Reason.NUMA: "has a NUMA topology or huge pages, which may not be found elsewhere: have its owner move it to the new cloud",
    Reason.ENCRYPTED_MEMORY: "has encrypted memory, which cannot be migrated: have its owner move it to the new cloud",
    Reason.LOCKED: "is locked: have whoever locked it unlock it (openstack server unlock)",
    Reason.TASK_IN_PROGRESS: "is busy, Nova is doing something with it: wait until that is done, then make the plan anew",
    Reason.STATE: "is in a state that neither live nor cold migration accepts: have its owner start, stop or delete it",
    Reason.RESIZE_UNCONFIRMED: "has a resize that waits to be confirmed: confirm or revert it (openstack server resize confirm)",
    Reason.POLICY: "must not be moved by policy (never_move_servers): take it off that list",
}
"""What keeps a server on its host, and what would help."""


class Obstacles:
    """What is known of a cloud's servers before room is asked for."""

    def __init__(self, old: Survey, policy: Policy, goal: VacateGoal) -> None:
        self.policy, self.goal = policy, goal
        self.groups: Mapping[str, Group] = {group.id: group for group in old.groups}
        self.members: dict[str, list[str]] = {}
        for server in old.servers:
            if server.group is not None and server.host is not None:
                self.members.setdefault(server.group, []).append(server.id)

    def is_shelved(self, server: Server) -> bool:
        """Whether it leaves a host that is freed for nowhere."""
        return self.goal.keep_stopped and server.status == STOPPED and self.policy.stopped_servers is StoppedServers.SHELVE

    def of(self, server: Server) -> tuple[Reason, str] | None:
        """Why the server stays where it is; the text goes on from its name. Null: nothing is known against moving it."""
        if (pin := self.policy.pins(server)) is not None:
            reason = Reason(pin)
            return reason, HELP[reason]
        if server.id in self.policy.never_move_servers:
            return Reason.POLICY, HELP[Reason.POLICY]
        if (why := self.goal.stay.get(server.id)) is not None:
            return Reason.MIGRATION_FAILED, f"is not tried again: {why.rstrip('.')}"
        if pinned.verb_for(server) is None:
            text = f"is {server.status}, which neither live nor cold migration accepts: have its owner start, stop or delete it"
            return Reason.STATE, text
        if self.goal.keep_stopped and server.status == STOPPED and not self.is_shelved(server):
            text = "is stopped, and policy keeps stopped servers where they are (stopped_servers): have its owner start or delete it"
            return Reason.POLICY, text
        if not server.allocations:
            return (
                Reason.INCOMPLETE,
                "has no allocations in Placement, so nobody knows what room it needs: heal them (nova-manage placement)",
            )
        return self._of_group(server)

    def _of_group(self, server: Server) -> tuple[Reason, str] | None:
        if server.group is None:
            return None
        group = self.groups.get(server.group)
        if group is None:
            return Reason.INCOMPLETE, f"is in group {server.group}, which the survey does not have, so nobody knows its policy"
        others = len(self.members[group.id]) - 1
        if group.policy == groups.AFFINITY and others:
            told = "another" if others == 1 else f"{others} others"
            text = f"is in affinity group {group.id} with {told}, and Nova migrates none of them alone: have their owner move them all"
            return Reason.GROUP_POLICY, text
        return None


def empties_itself(servers: Collection[Server], taken_at: str, within_days: float) -> datetime | None:
    """When the last of a host's servers has left by itself, where all of them do so within that many days of the survey; else null."""
    if within_days <= 0 or not servers:
        return None
    last = _latest(server.leaves_at for server in servers)
    taken = _instant(taken_at)
    if last is None or taken is None:
        return None
    return last if last <= taken + timedelta(days=within_days) else None


def _latest(instants: Iterable[str | None]) -> datetime | None:
    """Null as soon as one of them is unknown."""
    found = [_instant(one) for one in instants]
    known = [one for one in found if one is not None]
    return max(known) if len(known) == len(found) else None


def _instant(text: str | None) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
