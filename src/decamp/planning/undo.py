"""Planning an undo: what a run made is removed, in reverse, and the old servers that it stopped are started again; hosts take servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import msgspec

from decamp.model.documents import sha256
from decamp.model.errors import BadInput, Refused
from decamp.model.ledger import Entry
from decamp.model.plan import Action, ConfirmGoal, ExpandGoal, MoveGoal, Plan, Reason, Refusal, UndoGoal, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning import fields
from decamp.planning.drafts import Draft, ordered
from decamp.planning.ordering import ancestors
from decamp.planning.undo_vacate import Stage, undo_vacate

BEFORE_THEIR_STACK = ("server", "container")
"""Members that are removed before their stack is: what became of them is not taken apart unseen, and Heat deletes no container that has
objects."""

MAKING = (Verb.CREATE, Verb.TAKE_MEMBER)
"""Verbs of what a run makes in the new cloud."""


def plan_undo(
    plan: Plan,
    entries: tuple[Entry, ...],
    run: str,
    *,
    followed_by: Sequence[tuple[str, Plan]] = (),
    old: Survey | None = None,
    policy: Policy | None = None,
    move_back: bool = False,
) -> Plan:
    """The way back from `run`, which applied `plan`; `entries` are its rows of the ledger, or the rows of every run.

    What other runs build upon stays, and is said. A vacate is undone with the runs that took up its rest (`followed_by`, with their
    plans); it needs `old`, how the cloud is now, and with `move_back` its servers return.
    Raises Refused where there is no way back, and BadInput for a vacate without a survey.
    """
    own = _own(entries, run)
    match plan.goal:
        case MoveGoal():
            drafts, refusals = _undo_move(plan, own, [entry for entry in entries if entry.run != run])
        case VacateGoal():
            if old is None:
                raise BadInput(f"Run {run} freed hosts: its undo needs a survey of the old cloud as it is now.")
            stages = [Stage(plan=one, own=_own(entries, name)) for name, one in ((run, plan), *followed_by)]
            drafts, refusals = undo_vacate(stages, run, old=old, policy=policy or Policy(), move_back=move_back)
        case ExpandGoal():
            drafts, refusals = [], _undo_expand(plan, own)
        case UndoGoal():
            raise Refused(f"Run {run} is an undo: to move again, make a new plan.")
        case ConfirmGoal():
            raise Refused(f"Run {run} deleted what it was asked to delete in the old cloud: there is no way back from that.")
    if not drafts and not refusals:
        raise Refused(f"Run {run} has nothing that could be undone: it made nothing, or it is undone already.")
    return Plan(
        goal=UndoGoal(run=run),
        made_from={"plan": plan.id, "ledger": sha256(entries)} | ({"old": sha256(old)} if old else {}),
        actions=ordered(drafts),
        refusals=tuple(sorted(refusals, key=lambda refusal: (refusal.ref, refusal.reason, refusal.text))),
    ).sealed()


SERVING = ("volume", "volume_snapshot", "port", "trunk")
"""Kinds that serve one server alone, and are made for it."""


def take_back(plan: Plan, entries: tuple[Entry, ...], run: str, server: Ref) -> tuple[tuple[Action, ...], tuple[Refusal, ...]]:
    """What takes back all that `run` has done so far for one server alone, or for the stack that it belongs to, so that the old ones
    run again; and what stays all the same."""
    made = {action.target: made_of(action) for action in plan.actions if action.verb in MAKING}
    whole = _stack_with(
        made, next((one.args["member"]["stack"] for one in plan.actions if one.target == server and "member" in one.args), None)
    )
    part = {server, Ref("server_snapshot", server.id)}
    for one in (server, *whole):
        if one in made and one.kind == "server":
            part |= {*fields.ports(made[one]), *(disk.volume for disk in fields.disks(made[one]))}
    part |= {ref for ref, resource in made.items() if ref.kind == "trunk" and fields.as_ref(resource.spec.get("port")) in part}
    part |= {need for ref in tuple(part) if ref.kind == "trunk" for need in made[ref].needs}
    part |= {ref for ref, resource in made.items() if ref.kind == "volume_snapshot" and part.intersection(resource.needs)}
    part = {ref for ref in part if ref.kind in {"server", "server_snapshot", *SERVING}} | whole
    ours = {action.id for action in plan.actions if action.target in part}
    own = {action: entry for action, entry in _own(entries, run).items() if action in ours}
    drafts, refusals = _undo_move(plan, own, [entry for entry in entries if entry.run != run])
    return ordered(drafts), tuple(refusals)


def _stack_with(made: Mapping[Ref, Resource], stack: str | None) -> set[Ref]:
    """The stack with all that hangs on it, directly or not: its members, and what was made beside it on these; null: nothing."""
    found = {Ref("stack", stack)} if stack else set[Ref]()
    while more := {ref for ref, resource in made.items() if ref not in found and not found.isdisjoint(resource.needs)}:
        found |= more
    return found


def _own(entries: Sequence[Entry], run: str) -> dict[str, Entry]:
    return {entry.action: entry for entry in entries if entry.run == run}


def _undo_move(plan: Plan, own: Mapping[str, Entry], others: Sequence[Entry]) -> tuple[list[Draft], list[Refusal]]:
    """A copy goes only when its old server is unlocked, which proves that this is there, and before it is started: they share addresses.

    A stack goes when its servers are gone, which may have changed since, and takes the rest of its members along: of each it is proved.
    """
    living = {entry.run for entry in others if _is_copy(entry)}
    before = ancestors({action.id: action.after for action in plan.actions})
    removals: dict[str, Action] = {}
    refusals: list[Refusal] = []
    for action in plan.actions:
        entry = own.get(action.id)
        if action.verb not in MAKING or entry is None or entry.new_id is None or entry.adopted or entry.removed_at:
            continue
        if stays := _stays(entry, others, living):
            text = f"{entry.ref.kind} {entry.new_id}, the copy of {fields.label(made_of(action))}, stays: {stays}"
            refusals.append(Refusal(ref=entry.ref, reason=Reason.CONFLICT, text=text))
        else:
            removals[action.id] = removal(entry.ref, "new", entry.new_id, str(entry.fingerprint), f"run {entry.run} made it")
    _keep_whole(plan, own, removals, refusals)
    makers = {one.id: f"{Verb.CREATE}/stack/{one.args['member']['stack']}" for one in plan.actions if one.verb is Verb.TAKE_MEMBER}
    with_stacks = {one for one, by in makers.items() if by in removals and one in removals and _goes_after(removals[one])}
    drafts: dict[str, Draft] = {}
    for made, action in removals.items():
        maker = makers.get(made)
        along = with_stacks if made not in with_stacks else set[str]()
        waits = {removals[later].id for later in removals if made in before[later] and later not in along}
        if maker in removals and _goes_after(action):
            waits.add(removals[maker].id)
        elif maker in removals:
            action = of_stack(action, removals[maker])
        drafts[action.id] = (action, waits)
    kept = {refusal.ref for refusal in refusals} | {entry.ref for entry in others if _is_copy(entry)}
    for action in plan.actions:
        if action.id in own and action.target not in kept:
            _put_back(action, own[action.id], drafts)
    return list(drafts.values()), refusals


def _keep_whole(plan: Plan, own: Mapping[str, Entry], removals: dict[str, Action], refusals: list[Refusal]) -> None:
    """A stack stays where a member of it does, and then all of its members stay."""
    staying = {refusal.ref for refusal in refusals}
    members = {action.id: Ref("stack", action.args["member"]["stack"]) for action in plan.actions if action.verb is Verb.TAKE_MEMBER}
    refs = {action.id: action.target for action in plan.actions}
    kept = {stack for made, stack in members.items() if refs[made] in staying}
    for made in list(removals):
        if (stack := members.get(made, refs[made])) in kept:
            del removals[made]
            text = f"{refs[made]} stays, because something else of {stack} does."
            refusals.append(Refusal(ref=refs[made], reason=Reason.CONFLICT, text=text))


def _goes_after(member: Action) -> bool:
    """Whether this removal proves that its stack took it along."""
    return member.target.kind not in BEFORE_THEIR_STACK


def _is_copy(entry: Entry) -> bool:
    return entry.new_id is not None and not entry.adopted and not entry.removed_at


def _stays(entry: Entry, others: Sequence[Entry], living: Set[str]) -> str | None:
    """Why the copy cannot be removed. `living`: runs of whose own making something is left, so that they use what they adopted."""
    for other in others:
        if other.run in living and other.adopted and (other.ref.kind, other.new_id) == (entry.ref.kind, entry.new_id):
            return f"run {other.run} uses it too. Undo that one first, then this one again."
        if other.ref == entry.ref and other.gave_up:
            return f"run {other.run} has deleted the old one, so this is all that there is of it."
    if entry.fingerprint is None:
        return "the ledger does not say what it looked like, so nothing shows that it has not changed since. Remove it by hand."
    return None


def made_of(action: Action) -> Resource:
    """The resource that a create action copies, or that a stack's member is the copy of."""
    return msgspec.convert(action.args["resource"], Resource)


def removal(ref: Ref, cloud: str, id: str, expects: str, why: str) -> Action:
    return Action(
        id=f"{Verb.REMOVE}/{ref.kind}/{ref.id}",
        verb=Verb.REMOVE,
        target=ref,
        args={"cloud": cloud, "id": id},
        locks=(f"{ref.kind}:{ref.id}",),
        expects=expects,
        why=why,
    )


def of_stack(action: Action, stack: Action) -> Action:
    """The removal of a server or container that a stack made, which is to be as the stack's own removal expects it."""
    return msgspec.structs.replace(action, args={**action.args, "stack": stack.args["id"], "stack_expects": stack.expects})


def _put_back(action: Action, entry: Entry, drafts: dict[str, Draft]) -> None:
    """Unlock and start the old server, as far as the run locked and stopped it."""
    server = f"{action.target.kind}/{action.target.id}"
    remove, unlock = f"{Verb.REMOVE}/{server}", f"{Verb.UNLOCK_SERVER}/{server}"
    if action.verb is Verb.LOCK_SERVER and not entry.facts.get("locked"):
        drafts[unlock] = (_on_old(Verb.UNLOCK_SERVER, action, {"locked": (True, False)}, "the run locked it"), set())
        if remove in drafts:
            drafts[remove][1].add(unlock)
    status = str(entry.facts.get("status") or "ACTIVE")
    if action.verb is Verb.STOP_SERVER and status == "ACTIVE":
        start = _on_old(Verb.START_SERVER, action, {"status": ("SHUTOFF", status)}, "the run stopped it")
        drafts[start.id] = (msgspec.structs.replace(start, args={"status": status}), {unlock, remove})


def _on_old(verb: Verb, action: Action, changes: dict[str, tuple[object, object]], why: str) -> Action:
    return Action(
        id=f"{verb}/{action.target.kind}/{action.target.id}",
        verb=verb,
        target=action.target,
        locks=action.locks,
        expects=action.expects,
        changes=changes,
        why=why,
    )


def _undo_expand(plan: Plan, own: Mapping[str, Entry]) -> list[Refusal]:
    """Machines are not taken back: the new cloud may have placed servers on them since."""
    furthest: dict[Ref, Verb] = {action.target: action.verb for action in plan.actions if action.id in own}
    return [
        Refusal(
            ref=ref,
            reason=Reason.UNSUPPORTED,
            text=f"{ref} got as far as {verb}. This version does not take machines back: empty the host, lower the role's count in the "
            "overcloud's stack with a removal policy for it, then undeploy and delete the node with Ironic.",
        )
        for ref, verb in sorted(furthest.items())
    ]
