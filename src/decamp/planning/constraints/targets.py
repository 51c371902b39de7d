"""What an action is and touches: its verb belongs to the goal, its arguments to the verb, its target and what it expects to the survey."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from decamp.model.documents import sha256
from decamp.model.plan import LEAVES_ITS_HOST, MIGRATIONS, ConfirmGoal, ExpandGoal, MoveGoal, UndoGoal, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.planning.constraints.scene import Rule, Scene, Violation, source, takes_away, whereto

VERBS: dict[type, frozenset[Verb]] = {
    MoveGoal: frozenset(
        {
            Verb.CREATE,
            Verb.ADOPT,
            Verb.TAKE_MEMBER,
            Verb.STOP_SERVER,
            Verb.LOCK_SERVER,
            Verb.START_SERVER,
            Verb.UNLOCK_SERVER,
            Verb.RUN_HOOK,
        }
    ),
    VacateGoal: LEAVES_ITS_HOST | {Verb.DISABLE_SERVICE, Verb.PROVE_EMPTY, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE},
    ExpandGoal: frozenset(
        {Verb.ENROLL, Verb.MANAGE, Verb.INSPECT, Verb.PROVIDE, Verb.SCALE_OUT, Verb.JOIN_HOST, Verb.CANARY},
    ),
    UndoGoal: MIGRATIONS | {Verb.REMOVE, Verb.UNLOCK_SERVER, Verb.START_SERVER, Verb.ENABLE_SERVICE, Verb.UNSHELVE},
    ConfirmGoal: frozenset({Verb.REMOVE, Verb.UNLOCK_SERVER}),
}
"""What each goal may do: nothing is deleted in a move, nothing is made in an undo."""

ARGUMENTS: dict[Verb, tuple[str, ...]] = {
    Verb.CREATE: ("resource",),
    Verb.ADOPT: ("id", "because", "resource"),
    Verb.TAKE_MEMBER: ("resource", "member"),
    Verb.REMOVE: ("cloud", "id"),
    Verb.RUN_HOOK: ("hook", "command"),
    Verb.LIVE_MIGRATE: ("from", "to"),
    Verb.COLD_MIGRATE: ("from", "to"),
    Verb.SHELVE: ("from",),
    Verb.ENROLL: ("machine",),
    Verb.INSPECT: ("declared",),
    Verb.SCALE_OUT: ("stack", "parameter", "from", "to"),
    Verb.JOIN_HOST: ("machine", "expected"),
    Verb.CANARY: ("image", "flavor"),
}

DELETES_IN: dict[type, str] = {UndoGoal: "new", ConfirmGoal: "old"}
"""In which cloud a goal may delete."""

NEEDED: dict[type, tuple[str, ...]] = {MoveGoal: ("old",), VacateGoal: ("old",), ExpandGoal: ("undercloud", "old")}
"""Surveys without which a plan of this goal cannot be checked."""

HOST_VERBS = frozenset({Verb.DISABLE_SERVICE, Verb.ENABLE_SERVICE, Verb.PROVE_EMPTY, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE})
SERVER_VERBS = MIGRATIONS | {
    Verb.SHELVE,
    Verb.UNSHELVE,
    Verb.STOP_SERVER,
    Verb.LOCK_SERVER,
    Verb.UNLOCK_SERVER,
    Verb.START_SERVER,
    Verb.RUN_HOOK,
}


def check_made_from(scene: Scene) -> Iterator[Violation]:
    """The surveys are those that the plan was made from; a survey that is needed and missing proves nothing."""
    for role in NEEDED.get(type(scene.plan.goal), ()):
        if role not in scene.surveys:
            yield scene.violation(None, Rule.MADE_FROM, f"It cannot be checked without a survey of the {role} cloud.")
    for role, survey in sorted(scene.surveys.items()):
        made_from = scene.plan.made_from.get(role)
        if made_from is None:
            yield scene.violation(None, Rule.MADE_FROM, f"It was not made from a survey of the {role} cloud.")
        elif made_from != sha256(survey):
            yield scene.violation(None, Rule.MADE_FROM, f"It was made from another survey of the {role} cloud than this one.")


def check_verb(scene: Scene, at: int) -> Iterator[Violation]:
    action, goal = scene.actions[at], scene.plan.goal
    if action.verb not in VERBS[type(goal)]:
        yield scene.violation(at, Rule.VERBS, f"{action.verb} does not belong to this goal.")
    for name in ARGUMENTS.get(action.verb, ()):
        if action.args.get(name) is None:
            yield scene.violation(at, Rule.VERBS, f"{action.verb} needs the argument {name}.")
    kind = "host" if action.verb in HOST_VERBS else "server" if action.verb in SERVER_VERBS else action.target.kind
    if action.target.kind != kind:
        yield scene.violation(at, Rule.VERBS, f"{action.verb} has nothing to do with a {action.target.kind}.")
    if action.verb is Verb.REMOVE:
        if action.expects is None:
            yield scene.violation(at, Rule.EXPECTS, "It deletes without expecting anything.")
        allowed = DELETES_IN.get(type(goal))
        if allowed and action.args.get("cloud") != allowed:
            yield scene.violation(at, Rule.VERBS, f"It deletes in the {action.args.get('cloud')} cloud, and may in the {allowed} one only.")


def check_target(scene: Scene, at: int) -> Iterator[Violation]:
    """What the survey of the old cloud has to have; the machines of an expansion are no part of it."""
    action = scene.actions[at]
    if "old" not in scene.surveys or isinstance(scene.plan.goal, ExpandGoal | UndoGoal | ConfirmGoal):
        return
    names = [action.target]
    if takes_away(action):
        names += [Ref("host", name) for name in (source(action), whereto(action)) if name is not None]
    for name in names:
        if not _is_there(scene, name):
            yield scene.violation(at, Rule.TARGETS, f"The survey has no {name}.")


def check_expects(scene: Scene, at: int) -> Iterator[Violation]:
    """A move expects the server as the survey has it, but for the host, which an earlier migration may have changed."""
    action = scene.actions[at]
    if takes_away(action):
        server = scene.servers.get(action.target.id)
        if server is None:
            return
        expected = msgspec.structs.replace(server, host=source(action)).placement_fingerprint()
        if action.expects != expected:
            yield scene.violation(at, Rule.EXPECTS, "It does not expect the server as the survey has it.")
        return
    resource = scene.resources.get(action.target)
    if action.verb in (Verb.CREATE, Verb.TAKE_MEMBER) and resource and action.expects not in {None, resource.fingerprint}:
        yield scene.violation(at, Rule.EXPECTS, f"It does not expect the {resource.kind} as the survey has it.")


def _is_there(scene: Scene, ref: Ref) -> bool:
    match ref.kind:
        case "host":
            return ref.id in scene.hosts
        case "server_snapshot":
            return Ref("server", ref.id) in scene.resources or ref.id in scene.servers
        case "server":
            return ref.id in scene.servers or ref in scene.resources
        case "project":
            return ref in scene.resources or ref.id == scene.surveys["old"].project
        case "flavor":
            # one that was deleted lives on in its servers
            return ref in scene.resources or any(ref in one.needs for one in scene.resources.values() if one.kind == "server")
        case _:
            return ref in scene.resources
