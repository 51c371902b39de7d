"""The verbs that make, adopt and remove resources, over every kind, and beside them the verbs of servers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.errors import BadInput, Bug, Changed, Failed
from decamp.model.hooks import Hook, When
from decamp.model.ledger import REMOVED_FROM
from decamp.model.limits import project_of
from decamp.model.members import Member
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import (
    KINDS,
    container,
    flavor,
    group,
    hooks,
    image,
    image_copy,
    keypair,
    project,
    quota,
    role_assignment,
    security_group,
    security_group_rule,
    server_snapshot,
    server_verbs,
    stack,
    stack_member,
    user,
    volume,
    volume_snapshot,
    volume_type,
)
from decamp.resources.carriage import Carriage, Carrier, Detached, InThisProcess
from decamp.resources.kind import Kind, Passage

OUTSIDE_PROJECTS = frozenset(kind.NAME for kind in (project, user, group, role_assignment, quota, flavor, keypair, volume_type))
"""Kinds whose objects no project owns, or none makes for itself."""

ALREADY_THERE: Mapping[str, Callable[[Passage, Resource], str | None]] = {
    keypair.NAME: keypair.adopt,
    role_assignment.NAME: role_assignment.adopt,
    security_group.NAME: security_group.adopt,
    security_group_rule.NAME: security_group_rule.adopt,
}
"""Kinds of which the new cloud can have the very object already, without a plan that says so: the default group of a project that the
same plan makes, the rules it is born with, a key, a role."""

UNMARKED = frozenset(kind.NAME for kind in (keypair, role_assignment))
"""Kinds with no room for a mark, of which nobody can tell what an attempt made that a crash ended from what was there before: undo leaves
it, because it may be somebody's own."""

ABANDON: Mapping[str, Callable[[Passage, Resource], None]] = {
    **{kind.NAME: lambda passage, _: image_copy.abandon(passage) for kind in (image, server_snapshot, volume)},
    volume_snapshot.NAME: volume_snapshot.abandon,
    container.NAME: container.abandon,
}
"""Kinds that leave halves for the next attempt: what cleans up where there will be none."""

IS_THERE: Mapping[str, Callable[[Cloud, str], bool]] = {kind.NAME: kind.is_there for kind in (volume, volume_snapshot)}
"""Kinds that `read` takes for gone as soon as they are being deleted: what tells when they are."""

Hidden = Callable[[Resource], Mapping[str, str]]
"""Values of the parameters that Heat hides of a stack. Raises Refused where one is not known."""

AS_MAPPED = frozenset({"mapping", "exists", "credentials", "moved_earlier", "named"})
"""Reasons to adopt an object that need not be equal: someone said that it stands for the old one."""


class _Way:
    """From the one cloud to the other, with one session for each project in the new one."""

    def __init__(self, old: Cloud, new: Cloud, hidden: Hidden, carrier: Carrier | None) -> None:
        self.old, self.new = old, new
        self._hidden, self._carrier = hidden, carrier
        self._inside = functools.cache(new.as_project)

    def passage(self, action: Action, attempt: Attempt, progress: Callable[[int, int], None] | None = None) -> Passage:
        """An operator reads the old cloud as itself, which sees everything, and makes the copy acting in the copy's project."""
        return Passage(
            old=self.old,
            new=self._acting(action, attempt),
            ids=attempt.ids,
            admin=self.new if self.new.admin else None,
            mark=attempt.mark,
            progress=progress or attempt.progress,
            cancelled=attempt.cancelled,
            pace=attempt.pace,
            carriage=self._carriage(action, attempt),
            hidden=self._hidden,
        )

    def _carriage(self, action: Action, attempt: Attempt) -> Carriage:
        if self._carrier is None:
            return InThisProcess()
        return Detached(self._carrier, attempt.limits, project_of(action), attempt.leaving)

    def _acting(self, action: Action, attempt: Attempt) -> Cloud:
        """Images that many projects use may belong to one that does not move: their copies belong to the operator's own."""
        resource = _resource(action)
        if not self.new.admin or resource.kind in OUTSIDE_PROJECTS or resource.project is None:
            return self.new
        copy_project = attempt.ids.get(Ref(project.NAME, resource.project))
        if copy_project:
            return self._inside(copy_project)
        if action.verb in (Verb.CREATE, Verb.TAKE_MEMBER) and resource.project != self.old.project_id and resource.kind != image.NAME:
            raise Bug(f"{action.id}: no earlier action made or adopted the project {resource.project} of this {resource.kind}")
        return self.new


class _Creating:
    def __init__(self, way: _Way) -> None:
        self._way = way

    def fingerprint(self, action: Action) -> str | None:
        return _fingerprint(self._way.old, action.target)

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        resource, passage = _resource(action), self._way.passage(action, attempt)
        found = _kind(resource.kind).find(passage, resource)
        if not found and attempt.settling and resource.kind in ABANDON:
            ABANDON[resource.kind](passage, resource)
        if found and resource.kind in UNMARKED:
            return _copied(passage, resource, found, "is there, from before or from an earlier attempt", adopted=True)
        return _copied(passage, resource, found, "found the copy that an earlier attempt made") if found else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        sizes, counting = _counting(attempt)
        resource, passage = _resource(action), self._way.passage(action, attempt, progress=counting)
        adopt = ALREADY_THERE.get(resource.kind)
        there = adopt(passage, resource) if adopt else None
        if there:
            return _copied(passage, resource, there, "was there already", adopted=True)
        made = _kind(resource.kind).create(passage, resource)
        return _copied(passage, resource, made, "made", moved=max(sizes, default=0))

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        resource, passage = _resource(action), self._way.passage(action, attempt)
        return _kind(resource.kind).verify(passage, resource, _made(action, outcome))


class _Taking:
    """Everything in it may be done again: what was found and completed once is so already."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def fingerprint(self, action: Action) -> str | None:
        return _fingerprint(self._way.old, action.target)

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """The stack made it; an earlier attempt completes what it began when it is performed again."""
        if attempt.settling and _resource(action).kind == volume.NAME:
            image_copy.abandon(self._way.passage(action, attempt))
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        sizes, counting = _counting(attempt)
        resource, passage = _resource(action), self._way.passage(action, attempt, progress=counting)
        member = _member(action)
        made = stack_member.found(passage, resource, member)
        stack_member.completed(passage, resource, member, made, with_data=action.args.get("manner") == "copy")
        return _copied(passage, resource, made, "Heat made it", moved=max(sizes, default=0))

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        resource, passage, made = _resource(action), self._way.passage(action, attempt), _made(action, outcome)
        kind = _kind(resource.kind)
        return kind.verify(passage, stack_member.expected(passage, resource, _member(action), kind.read(passage.new, made)), made)


class _Adopting:
    def __init__(self, way: _Way) -> None:
        self._way = way

    def fingerprint(self, action: Action) -> str | None:
        return _fingerprint(self._way.old, action.target)

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Nothing is made that could be found."""

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        """Of projects, the acting user is let in; of private flavors and volume types, the projects that are moving. Raises Failed if it
        is not there."""
        resource, passage = _resource(action), self._way.passage(action, attempt)
        chosen, because = _argument(action, "id"), _argument(action, "because")
        copy = _kind(resource.kind).read(passage.new, chosen)
        if copy is None:
            raise Failed(
                f"{passage.new.name}: {resource.kind} {chosen}, which was to stand for {resource.name or resource.id}, is not there"
            )
        if passage.new.admin and because not in ("credentials", "named"):
            if resource.kind == project.NAME:
                project.admit(passage.new, chosen)
            if resource.kind == flavor.NAME:
                flavor.admit(passage, resource, chosen)
            if resource.kind == volume_type.NAME:
                volume_type.admit(passage, resource, chosen)
        said = f"{resource.kind} {copy.name or chosen} of {passage.new.name} stands for {resource.name or resource.id} ({because})"
        return Outcome(id=chosen, fingerprint=copy.fingerprint, adopted=True, said=said)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        resource, passage = _resource(action), self._way.passage(action, attempt)
        kind, chosen = _kind(resource.kind), _made(action, outcome)
        if _argument(action, "because") not in AS_MAPPED:
            return kind.verify(passage, resource, chosen)
        return () if kind.read(passage.new, chosen) else (f"{resource.kind} {chosen} is not there",)


class _Removing:
    def __init__(self, old: Cloud, new: Cloud) -> None:
        self._old, self._new = old, new

    def fingerprint(self, action: Action) -> str | None:
        """As expected: the kind itself compares, because it knows what a removal that a crash cut short looks like, and gone is fine."""
        return action.expects

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """One that is still being deleted is not removed yet: performed again, it is waited for."""
        cloud, kind = self._cloud(action), _kind(action.target.kind)
        is_there = IS_THERE.get(kind.NAME, kind.read)
        return None if is_there(cloud, _argument(action, "id")) else self._outcome(action, cloud)

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        """Raises Changed if it is no longer as the plan expects."""
        if action.expects is None:
            raise Bug(f"{action.id}: a removal has to say what it expects")
        cloud, kind, doomed = self._cloud(action), _kind(action.target.kind), _argument(action, "id")
        old = kind.read(cloud, doomed) if cloud is self._old else None
        if old and old.spec.get("power") == "running":
            raise Changed(f"{cloud.name}: {old.kind} {old.name or doomed} runs again, so somebody uses it: it is not deleted")
        if "stack" in action.args:
            there = stack.read(cloud, _argument(action, "stack"))
            if there and there.fingerprint != _argument(action, "stack_expects"):
                raise Changed(f"{cloud.name}: stack {there.name} has changed since, so its {action.target.kind} {doomed} is not deleted")
        kind.remove(cloud, doomed, action.expects)
        return self._outcome(action, cloud)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        cloud, gone = self._cloud(action), _argument(action, "id")
        still = _kind(action.target.kind).read(cloud, gone)
        return (f"{cloud.name}: {action.target.kind} {gone} is still there",) if still else ()

    def _cloud(self, action: Action) -> Cloud:
        match _argument(action, "cloud"):
            case "old" | self._old.name:
                return self._old
            case "new" | self._new.name:
                return self._new
            case other:
                raise Bug(f"{action.id}: neither old nor new: {other!r}")

    def _outcome(self, action: Action, cloud: Cloud) -> Outcome:
        facts = {REMOVED_FROM: "old" if cloud is self._old else "new"}
        return Outcome(said=f"removed: {action.target.kind} {_argument(action, 'id')} from {cloud.name}", facts=facts)


def performers(
    old: Cloud,
    new: Cloud,
    hidden: Hidden = lambda _: {},
    own_hooks: Mapping[When, Hook] | None = None,
    carrier: Carrier | None = None,
) -> dict[Verb, Performer]:
    """For every verb of a move, an undo and a confirm; only the owner's own hooks are ever run.

    Without a `carrier` no copy outlives this process.
    """
    way = _Way(old, new, hidden, carrier)
    return {
        Verb.CREATE: _Creating(way),
        Verb.TAKE_MEMBER: _Taking(way),
        Verb.ADOPT: _Adopting(way),
        Verb.REMOVE: _Removing(old, new),
        Verb.RUN_HOOK: hooks.RunHook(old, new, own_hooks or {}),
        **server_verbs.performers(old),
    }


def _resource(action: Action) -> Resource:
    try:
        return msgspec.convert(action.args["resource"], Resource)
    except (KeyError, msgspec.ValidationError) as error:
        raise Bug(f"{action.id}: its argument `resource` is missing or wrong: {error}") from error


def _member(action: Action) -> Member:
    try:
        return msgspec.convert(action.args["member"], Member)
    except (KeyError, msgspec.ValidationError) as error:
        raise Bug(f"{action.id}: its argument `member` is missing or wrong: {error}") from error


def _copied(passage: Passage, resource: Resource, id: str, how: str, *, adopted: bool = False, moved: int = 0) -> Outcome:
    copy = _kind(resource.kind).read(passage.new, id)
    if copy is None:
        raise Failed(f"{passage.new.name}: {resource.kind} {id} was there a moment ago and is not there any more")
    said = f"{how}: {resource.kind} {resource.name or resource.id} is {id} in {passage.new.name}"
    return Outcome(id=id, fingerprint=copy.fingerprint, adopted=adopted, bytes=moved, said=said)


def _counting(attempt: Attempt) -> tuple[list[int], Callable[[int, int], None]]:
    """A progress that keeps what it is told, and the list of that."""
    sizes: list[int] = []

    def counting(done: int, total: int) -> None:
        sizes.append(done)
        attempt.progress(done, total)

    return sizes, counting


def _argument(action: Action, name: str) -> str:
    value: Any = action.args.get(name)
    if not isinstance(value, str):
        raise Bug(f"{action.id}: its argument `{name}` is missing or wrong: {value!r}")
    return value


def _made(action: Action, outcome: Outcome) -> str:
    if outcome.id is None:
        raise Bug(f"{action.id}: it was done, and no id is known of what it made")
    return outcome.id


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise BadInput(f"{name!r} is no kind that this version knows")
    return KINDS[name]


def _fingerprint(cloud: Cloud, target: Ref) -> str | None:
    found = _kind(target.kind).read(cloud, target.id)
    return found.fingerprint if found else None
