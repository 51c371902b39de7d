"""Heat stacks that move: each is made anew from its template, and what it makes by that is taken for the copies of what the old one made.

A stack needs all that its members use and that it does not make itself; each member needs its stack. So stacks have their place in the
order of a plan like everything else, and a stack is refused where one of its members is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from decamp.model import mapping as mapping_module
from decamp.model.errors import BadInput
from decamp.model.members import Member
from decamp.model.plan import MoveGoal, Reason, Refusal
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields
from decamp.planning.manners import COPY, Asked

STACK = "stack"

STEADY = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "ADOPT_COMPLETE", "CHECK_COMPLETE", "RESUME_COMPLETE", "ROLLBACK_COMPLETE")
STEADY_TOO = ("SNAPSHOT_COMPLETE", "RESTORE_COMPLETE")
"""States in which a stack is as its template says."""

LEFT_TO_HEAT = ("load_balancer", "dns_zone")
"""Kinds that this version does not carry by themselves, and that a stack makes anew."""

NOT_NAMED_ANEW = ("volume_snapshot", "floating_ip")
"""Kinds of which a template cannot name the copy, because that is another thing than the old one."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_OF_ITS_SERVER = re.compile(r".+-port-\d+")
"""Name of a port that Heat made for a server whose template names a subnet."""


class Stacking(msgspec.Struct, frozen=True, kw_only=True):
    """The stacks that move, and what each of their members is to them."""

    members: dict[Ref, Member]
    refusals: dict[Ref, tuple[Refusal, ...]]
    """Stack -> what stands in its way; its members' own hindrances aside."""

    def of(self, stack: Ref) -> list[Ref]:
        return [ref for ref, member in self.members.items() if member.stack == stack.id]


def moving_stacks(resources: Mapping[Ref, Resource], project: Resource, goal: MoveGoal) -> list[Resource]:
    """In the manner recreate alone: who wants the old disks wants no new stack. Raises BadInput for a name that several have."""
    own = [one for ref, one in sorted(resources.items()) if ref.kind == STACK and one.project == project.id]
    if goal.manner != "recreate":
        return []
    if goal.is_whole_project:
        return own
    chosen: dict[Ref, Resource] = {}
    for name in goal.stacks:
        found = [one for one in own if one.id == name] or [one for one in own if one.name == name]
        if len(found) > 1:
            raise BadInput(f"stack {name!r}: {fields.label(project)} has several of that name: give the id.")
        chosen |= {one.ref: one for one in found}
    return list(chosen.values())


def stacked(asked: Asked, stacks: Iterable[Resource], mapping: mapping_module.Mapping) -> Stacking:
    """Puts the stacks and their members into `asked` as they are to be made. All other stacks are left out of it."""
    stacking = Stacking(members={}, refusals={})
    moving = list(stacks)
    for stack in [one for ref, one in asked.resources.items() if ref.kind == STACK]:
        if stack not in moving:
            del asked.resources[stack.ref]
    called: defaultdict[tuple[str, str], list[Resource]] = defaultdict(list)
    for one in asked.resources.values():
        for word in {one.id, one.name}:
            called[one.kind, word].append(one)
    for stack in moving:
        _put(_Look(asked, stack, called, mapping), asked, stacking)
    return stacking


def _put(look: _Look, asked: Asked, stacking: Stacking) -> None:
    stack = look.stack
    needs = {*stack.needs, *look.used()}
    spec = {**stack.spec, "wanted": look.wanted(), "fills": any(asked.manners.get(ref) == COPY for ref in look.members)}
    stacking.members.update(look.members)
    stacking.refusals[stack.ref] = tuple(look.refusals)
    asked.resources[stack.ref] = msgspec.structs.replace(stack, needs=tuple(sorted(needs)), spec=spec)
    if stack.spec["hidden"]:
        asked.changes.setdefault(stack.ref, {})["hidden_parameters"] = (", ".join(stack.spec["hidden"]), "asked for when it is applied")
    for ref in look.left_to_heat:
        del asked.resources[ref]
    for ref in look.members:
        resource = asked.resources[ref]
        info = {name: value for name, value in resource.info.items() if name not in ("stack", "stack_id")}
        asked.resources[ref] = msgspec.structs.replace(resource, needs=tuple(sorted({*resource.needs, stack.ref})), info=info)
        if ref.kind == "port":
            told = ", ".join(address for _, address in fields.fixed_addresses(resource))
            asked.changes.setdefault(ref, {})["address"] = (told, "as its template says, else a new one")
        elif ref.kind == "floating_ip":
            asked.changes.setdefault(ref, {})["address"] = (resource.name, "a new one, which the new cloud gives it")


class _Look:
    """One stack: its members among the survey's resources, what they use besides, and what is wrong with that."""

    def __init__(
        self,
        asked: Asked,
        stack: Resource,
        called: Mapping[tuple[str, str], Sequence[Resource]],
        mapping: mapping_module.Mapping,
    ) -> None:
        self.stack = stack
        self.refusals: list[Refusal] = []
        self.members: dict[Ref, Member] = {}
        self.left_to_heat: list[Ref] = []
        self._beside: set[Ref] = set()
        self._resources = asked.resources
        self._called = called
        self._mapping = mapping
        self._check_state()
        self._find_members()
        self._named = dict(self._find_named())
        self._find_what_servers_have()
        self._check_what_is_used()

    def used(self) -> set[Ref]:
        """What has to be in the new cloud before the stack is made."""
        needs = {need for ref in self.members for need in self._resources[ref].needs}
        return {ref for ref in {*needs, *self._named.values()} - self.members.keys() - self._beside if ref.kind != STACK}

    def wanted(self) -> list[list[Any]]:
        """[kind, what the template calls it, what stands for it]: a ref, or the new name of what has names only."""
        found: list[list[Any]] = [[kind, value, [ref.kind, ref.id]] for (kind, value), ref in sorted(self._named.items())]
        zones = [value for kind, value in self._namings() if kind == "zone" and value in self._mapping.zone]
        return found + [["zone", value, self._mapping.zone[value]] for value in zones]

    def _refuse(self, reason: Reason, text: str) -> None:
        self.refusals.append(Refusal(ref=self.stack.ref, reason=reason, text=f"{fields.label(self.stack)} {text}"))

    def _check_state(self) -> None:
        status = fields.status(self.stack)
        if status.endswith("_IN_PROGRESS"):
            self._refuse(Reason.STACK_STATE, f"is {status}: wait until Heat has ended, then plan again.")
        elif status.endswith("_FAILED"):
            how = "delete it" if status.startswith("DELETE") else "repair it with a stack update that succeeds, or delete it"
            self._refuse(Reason.STACK_STATE, f"is {status}, so that its template does not tell what is there: {how}, then plan again.")
        elif status not in (*STEADY, *STEADY_TOO):
            self._refuse(Reason.STACK_STATE, f"is {status or 'in an unknown state'}: resume it first.")

    def _find_members(self) -> None:
        for one in self.stack.spec["members"]:
            path, kind, made = (one[name] for name in ("path", "kind", "id"))
            if kind is None or not made:
                self.left_to_heat += [ref for ref in (Ref(other, str(made)) for other in LEFT_TO_HEAT) if ref in self._resources]
                continue
            ref = self._ref(kind, made)
            if ref is None:
                text = f"has lost its {path} ({kind} {made}): update it, so that it has again what its template says."
                self._refuse(Reason.NOT_FOUND, text)
            else:
                self.members[ref] = Member(stack=self.stack.id, path=path)

    def _ref(self, kind: str, id: str) -> Ref | None:
        """Keypairs have names for ids, after their users' where they are others'."""
        ref = Ref(kind, id)
        if ref in self._resources:
            return ref
        others = [one for one in self._resources if kind == "keypair" == one.kind and one.id.endswith(f"/{id}")]
        return others[0] if len(others) == 1 else None

    def _namings(self) -> Iterator[tuple[str, str]]:
        yield from self.stack.spec["namings"]

    def _find_named(self) -> Iterator[tuple[tuple[str, str], Ref]]:
        """What is named and not there by that name is left to the new Heat to find, but for ids, which are the old cloud's."""
        for kind, value in self._namings():
            found = self._called.get((kind, value), ())
            own = [one for one in found if one.project == self.stack.project] or found
            exact = [one.ref for one in found if one.id == value] or [one.ref for one in own]
            if len(exact) == 1 and exact[0] not in self.members:
                if kind in NOT_NAMED_ANEW:
                    self._refuse(Reason.UNSUPPORTED, f"names {kind} {value}, whose copy is another thing: take it out of its template.")
                else:
                    yield (kind, value), exact[0]
            elif not exact and _UUID.fullmatch(value) and kind != "zone":
                self._refuse(Reason.NOT_FOUND, f"names {kind} {value}, which is gone, or hidden from these credentials.")

    def _find_what_servers_have(self) -> None:
        """Ports that Nova or Heat made for a server go with it. What was attached by hand, no template tells."""
        named = set(self._named.values())
        servers = [(self._resources[ref], member) for ref, member in list(self.members.items()) if ref.kind == "server"]
        for server, member in servers:
            for nic, ref in enumerate(fields.ports(server)):
                port = self._resources.get(ref)
                if ref in self.members or ref in named or port is None:
                    continue
                if fields.field(port, "made_by") == "nova" or _OF_ITS_SERVER.fullmatch(port.name):
                    self.members[ref] = Member(stack=self.stack.id, path=member.path, nic=nic)
                else:
                    self._refuse_attached(server, port)
            for disk in fields.disks(server):
                volume = self._resources.get(disk.volume)
                if volume and disk.volume in self.members and not disk.root:
                    self.members[disk.volume] = msgspec.structs.replace(
                        self.members[disk.volume], server=member.path, attachment=disk.attachment
                    )
                elif volume and disk.volume not in self.members and disk.volume not in named:
                    self._refuse_attached(server, volume)

    def _refuse_attached(self, server: Resource, one: Resource) -> None:
        text = f"does not know {fields.label(one)} of its {fields.label(server)}: it is neither made nor named by its template. Detach it"
        self._refuse(Reason.UNSUPPORTED, f"{text}, or bring it into the template.")

    def _check_what_is_used(self) -> None:
        """What hangs on the stack cannot be there before it."""
        for ref in sorted(self.used()):
            reached, waiting = set[Ref](), [ref]
            while waiting:
                one = waiting.pop()
                if one in reached or one not in self._resources:
                    continue
                reached.add(one)
                waiting.extend(self._resources[one].needs)
            if inside := sorted(reached & self.members.keys()):
                needing, needed = fields.label(self._resources[ref]), fields.label(self._resources[inside[0]])
                self._refuse(Reason.UNSUPPORTED, f"uses {needing}, which was made beside it and needs {needed}, which the stack makes.")
                self._beside.add(ref)
