"""Ironic's provision states, and the ways that Decamp takes between them: the table is the machine, docs/ draws its picture from it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from itertools import pairwise

import msgspec

from decamp.model.plan import Verb


class State(enum.StrEnum):
    """Of ironic/common/states.py, those that a machine on its way into the new cloud can be in."""

    ENROLL = "enroll"
    """Known by name; nobody has tried its BMC."""
    VERIFYING = "verifying"
    """Ironic signs in to the BMC."""
    MANAGEABLE = "manageable"
    """The BMC answers; nothing may be deployed."""
    INSPECTING = "inspecting"
    """Its hardware is being read."""
    INSPECT_WAIT = "inspect wait"
    """The ramdisk reads the hardware, Ironic waits for its word."""
    INSPECT_FAILED = "inspect failed"
    """What it has could not be read: last_error says why."""
    CLEANING = "cleaning"
    """Its disks are being wiped."""
    CLEAN_WAIT = "clean wait"
    """The ramdisk wipes the disks, Ironic waits for its word."""
    CLEAN_FAILED = "clean failed"
    """Its disks may be half wiped; Ironic has set it to maintenance."""
    AVAILABLE = "available"
    """Clean, and free for whoever asks the compute service for a node."""
    DEPLOYING = "deploying"
    """Somebody got it: an image is being written."""
    DEPLOY_WAIT = "wait call-back"
    """The ramdisk writes the image, Ironic waits for its word."""
    DEPLOY_FAILED = "deploy failed"
    """The image could not be written."""
    ACTIVE = "active"
    """It runs what was deployed."""
    DELETING = "deleting"
    """It is being taken back."""
    ERROR = "error"
    """Taking it back failed."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One of Ironic's verbs: from where, through which waiting states, to where, and how it looks when it failed."""

    target: str
    """What is put to /nodes/{id}/states/provision."""
    begins: frozenset[State]
    through: frozenset[State]
    ends: State
    fails: frozenset[State]
    beyond: frozenset[State] = frozenset()
    """States that are only reached after `ends`: whoever finds one of these need not go this way again."""


_TAKEN = frozenset({State.DEPLOYING, State.DEPLOY_WAIT, State.ACTIVE})

WAYS: Mapping[Verb, Way] = {
    Verb.MANAGE: Way(
        target="manage",
        begins=frozenset({State.ENROLL}),
        through=frozenset({State.VERIFYING}),
        ends=State.MANAGEABLE,
        fails=frozenset({State.ENROLL}),
        beyond=frozenset({State.INSPECTING, State.INSPECT_WAIT, State.INSPECT_FAILED}),
    ),
    Verb.INSPECT: Way(
        target="inspect",
        begins=frozenset({State.MANAGEABLE, State.INSPECT_FAILED}),
        through=frozenset({State.INSPECTING, State.INSPECT_WAIT}),
        ends=State.MANAGEABLE,
        fails=frozenset({State.INSPECT_FAILED}),
    ),
    Verb.PROVIDE: Way(
        target="provide",
        begins=frozenset({State.MANAGEABLE}),
        through=frozenset({State.CLEANING, State.CLEAN_WAIT}),
        ends=State.AVAILABLE,
        fails=frozenset({State.CLEAN_FAILED}),
        beyond=_TAKEN,
    ),
}


class Standing(enum.Enum):
    """How a node in some state stands to a way that was begun."""

    ENDED = "ended"
    WAITING = "waiting"
    FAILED = "failed"
    ASTRAY = "astray"
    """Somebody else did something with the node meanwhile."""


def standing(way: Way, state: str) -> Standing:
    if state == way.ends or state in way.beyond:
        return Standing.ENDED
    if state in way.through:
        return Standing.WAITING
    if state in way.fails:
        return Standing.FAILED
    return Standing.ASTRAY


def drawn() -> str:
    """The table as a Mermaid state diagram, for docs/."""
    names = {state: state.name.lower() for state in State}
    used = {state for way in WAYS.values() for state in (*way.begins, *way.through, way.ends, *way.fails)}
    lines = ["stateDiagram-v2"]
    lines += [f"    {names[state]}: {state}" for state in State if state in used and names[state] != state]
    for way in WAYS.values():
        steps = [state for state in State if state in way.through]
        lines += [f"    {names[begin]} --> {names[steps[0]]}: {way.target}" for begin in State if begin in way.begins]
        lines += [f"    {names[one]} --> {names[other]}" for one, other in pairwise(steps)]
        lines += [f"    {names[step]} --> {names[way.ends]}" for step in steps]
        lines += [f"    {names[step]} --> {names[fail]}: failed" for step in steps for fail in State if fail in way.fails]
    return "\n".join(lines)
