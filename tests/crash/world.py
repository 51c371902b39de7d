"""A small world of files and performers that act on it: a create is not idempotent, and can be seen half-made. To test the executor."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.refs import Ref, fingerprint


class World:
    """Folder `old` holds servers with a host and a status, `new` the copies; `calls` counts every effect, one line each."""

    def __init__(self, folder: Path, midway: Callable[[str], None] = lambda _what: None) -> None:
        """`midway` is called where an effect has begun and is not complete."""
        self.folder, self.midway = folder, midway
        for sub in ("old", "new"):
            (folder / sub).mkdir(parents=True, exist_ok=True)

    def read(self, side: str, name: str) -> dict | None:
        try:
            return json.loads((self.folder / side / name).read_text())
        except FileNotFoundError:
            return None

    def write(self, side: str, name: str, thing: dict) -> None:
        scratch = self.folder / f".{uuid.uuid4().hex}"
        scratch.write_text(json.dumps(thing))
        scratch.replace(self.folder / side / name)

    def all(self, side: str) -> dict[str, dict]:
        return {path.name: json.loads(path.read_text()) for path in sorted((self.folder / side).iterdir())}

    def count(self, what: str) -> None:
        handle = os.open(self.folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, f"{what}\n".encode())
        os.close(handle)

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


class Create:
    """Makes a copy in two halves, with the mark in the first, as a cloud does with a server that builds."""

    def __init__(self, world: World) -> None:
        self.world = world

    def fingerprint(self, action: Action) -> str | None:
        thing = self.world.read("old", action.target.id)
        return thing and fingerprint(thing)

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        for copy, thing in self.world.all("new").items():
            if thing["mark"] == attempt.mark:
                return self._complete(copy, thing)
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        parents = [attempt.ids[Ref(*ref)] for ref in action.args.get("needs", [])]
        copy = f"new-{uuid.uuid4().hex[:12]}"
        thing = {"of": action.target.id, "mark": attempt.mark, "parents": parents, "status": "building"}
        self.world.count(f"create {action.target.id}")
        self.world.write("new", copy, thing)
        if action.target.kind == "server":
            self.world.midway(f"{action.id} half-made")
        return self._complete(copy, thing)

    def _complete(self, copy: str, thing: dict) -> Outcome:
        self.world.write("new", copy, thing | {"status": "ready"})
        return Outcome(id=copy, fingerprint=fingerprint(thing["of"]), bytes=7, said=f"made {copy}", facts={"of": thing["of"]})

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        thing = self.world.read("new", outcome.id or "")
        if thing is None:
            return (f"{outcome.id} is not there",)
        return () if thing["status"] == "ready" else (f"it is {thing['status']}",)


class Migrate:
    """Moves a server between hosts; asking twice is an error, as in Nova."""

    def __init__(self, world: World) -> None:
        self.world = world

    def fingerprint(self, action: Action) -> str | None:
        thing = self.world.read("old", action.target.id)
        return thing and fingerprint(thing)

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        thing = self.world.read("old", action.target.id)
        return Outcome(said="it had moved") if thing and thing["host"] == action.args["to"] else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        thing = self.world.read("old", action.target.id)
        if thing is None:
            raise Changed
        if thing["host"] != action.args["from"]:
            raise Failed(f"it is on {thing['host']}")
        self.world.count(f"migrate {action.target.id}")
        self.world.write("old", action.target.id, thing | {"host": action.args["to"]})
        return Outcome(said=f"moved to {action.args['to']}", facts={"from": thing["host"]})

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        thing = self.world.read("old", action.target.id)
        return () if thing and thing["host"] == action.args["to"] else ("it is elsewhere",)


class Stop:
    """Stops a server and remembers what it was."""

    def __init__(self, world: World) -> None:
        self.world = world

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        thing = self.world.read("old", action.target.id)
        return Outcome(said="it was stopped") if thing and thing["status"] == "SHUTOFF" else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        thing = self.world.read("old", action.target.id)
        assert thing is not None
        self.world.count(f"stop {action.target.id}")
        self.world.write("old", action.target.id, thing | {"status": "SHUTOFF"})
        return Outcome(said="stopped", facts={"status": thing["status"]})

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        thing = self.world.read("old", action.target.id)
        return () if thing and thing["status"] == "SHUTOFF" else ("it runs",)


def performers(folder: Path, midway: Callable[[str], None] = lambda _what: None) -> dict[Verb, Performer]:
    return _acting_on(World(folder, midway))


def _acting_on(world: World) -> dict[Verb, Performer]:
    return {Verb.CREATE: Create(world), Verb.LIVE_MIGRATE: Migrate(world), Verb.STOP_SERVER: Stop(world)}


def example(folder: Path, servers: int = 2) -> Plan:
    """Fills the old world, and plans: copy a network; migrate each server, stop it, and copy it with the network's copy as its parent."""
    world = World(folder)
    world.write("old", "net", {"host": "", "status": "ACTIVE"})
    actions = [Action(id="create/network/net", verb=Verb.CREATE, target=Ref("network", "net"))]
    for number in range(1, servers + 1):
        name = f"s{number}"
        thing = {"host": "cmp-1", "status": "ACTIVE"}
        world.write("old", name, thing)
        migrate = Action(
            id=f"live_migrate/server/{name}",
            verb=Verb.LIVE_MIGRATE,
            target=Ref("server", name),
            args={"from": "cmp-1", "to": "cmp-2"},
            locks=("host:cmp-1", "host:cmp-2"),
            expects=fingerprint(thing),
        )
        stop = Action(id=f"stop_server/server/{name}", verb=Verb.STOP_SERVER, target=Ref("server", name), after=(migrate.id,))
        create = Action(
            id=f"create/server/{name}",
            verb=Verb.CREATE,
            target=Ref("server", name),
            args={"needs": [["network", "net"]]},
            after=(stop.id, actions[0].id),
            expects=fingerprint({"host": "cmp-2", "status": "SHUTOFF"}),
        )
        actions += [migrate, stop, create]
    return Plan(goal=VacateGoal(hosts=("cmp-1",)), made_from={}, actions=tuple(actions)).sealed()


def state(folder: Path) -> dict:
    """What there is, without ids and marks, which differ from run to run."""
    world = World(folder)
    named = {copy: thing["of"] for copy, thing in world.all("new").items()}
    new = [
        {"of": thing["of"], "status": thing["status"], "parents": [named[parent] for parent in thing["parents"]]}
        for thing in world.all("new").values()
    ]
    return {"old": world.all("old"), "new": sorted(new, key=lambda thing: thing["of"])}


GATE_SECONDS = 120
"""A gate that nobody opens for so long opens by itself, so that no process stays behind."""


def gated(folder: Path, midway: Callable[[str], None] = lambda _what: None) -> dict[Verb, Performer]:
    """The copy of a server stays half-made until somebody touches `open` in the folder; who waits writes its pid to `waits`."""

    def gate(what: str) -> None:
        _await_gate(folder)
        midway(what)

    return performers(folder, gate)


def gated_before(folder: Path, midway: Callable[[str], None] = lambda _what: None) -> dict[Verb, Performer]:
    """The same, but it waits before it makes anything."""
    return performers(folder, midway) | {Verb.CREATE: _Late(World(folder, midway))}


UNHURRIED_SECONDS = 5
"""How long each effect waits for another process. One that works alone needs a minute for an example that several do in seconds."""


class _Unhurried(World):
    def count(self, what: str) -> None:
        super().count(what)
        at_work = self.folder / "at_work"
        at_work.mkdir(exist_ok=True)
        (at_work / str(os.getpid())).touch()
        deadline = time.monotonic() + UNHURRIED_SECONDS
        while len(list(at_work.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)


def unhurried(folder: Path, midway: Callable[[str], None] = lambda _what: None) -> dict[Verb, Performer]:
    """Until two processes have begun an effect, each effect takes a while: the first who wakes up does not do all before the second has."""
    return _acting_on(_Unhurried(folder, midway))


class _Late(Create):
    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        if action.target.kind == "server":
            _await_gate(self.world.folder)
        return super().perform(action, attempt)


def _await_gate(folder: Path) -> None:
    if (folder / "open").exists():
        return
    scratch = folder / f".{uuid.uuid4().hex}"
    scratch.write_text(str(os.getpid()))
    scratch.replace(folder / "waits")
    deadline = time.monotonic() + GATE_SECONDS
    while not (folder / "open").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
