"""A small old cloud in one folder, performers of a vacate on it, and what follows a run there: planned and checked by the real planner."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from decamp.following import Means, follow
from decamp.model.documents import sha256
from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.setbacks import Failure, Setback
from decamp.model.survey import Survey
from decamp.planning.replay import replay
from decamp.planning.vacate import plan_vacate
from decamp.run.succession import Follow
from small_clouds import host, server, survey

POLICY = Policy(drain_share=1.0, retry_seconds=0.1)


class Estate:
    """A file for each host and for each server; `calls` counts every effect."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for sub in ("hosts", "servers"):
            (folder / sub).mkdir(parents=True, exist_ok=True)

    def read(self, kind: str, name: str) -> dict | None:
        try:
            return json.loads((self.folder / kind / name).read_text())
        except FileNotFoundError:
            return None

    def write(self, kind: str, name: str, thing: dict) -> None:
        scratch = self.folder / f".{uuid.uuid4().hex}"
        scratch.write_text(json.dumps(thing))
        scratch.replace(self.folder / kind / name)

    def all(self, kind: str) -> dict[str, dict]:
        return {path.name: json.loads(path.read_text()) for path in sorted((self.folder / kind).iterdir())}

    def count(self, what: str) -> None:
        with (self.folder / "calls").open("a") as file:
            file.write(f"{what}\n")

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def survey(self) -> Survey:
        hosts = [host(name, status=one["status"], state=one["state"]) for name, one in self.all("hosts").items()]
        return survey(hosts, [self.server(name) for name in self.all("servers")])

    def server(self, name: str):
        one = self.read("servers", name)
        return one and server(name, one["host"], status=one["status"])


def fill(folder: Path) -> Plan:
    """Three hosts to be freed: s1 moves, s2 is rolled back the first time, s3 goes into ERROR."""
    estate = Estate(folder)
    for name in ("h1", "h2", "h3", "keep1", "keep2"):
        estate.write("hosts", name, {"status": "enabled", "state": "up"})
    for name, on, fails in (("s1", "h1", ""), ("s2", "h2", "once"), ("s3", "h3", "error")):
        estate.write("servers", name, {"host": on, "status": "ACTIVE", "fails": fails})
    return plan(VacateGoal(hosts=("h1", "h2", "h3")), estate.survey())


def fill_beside_a_host_that_lets_nobody_in(folder: Path) -> Plan:
    """Two hosts to be freed onto a third, which nobody gets into: one of them has to take the other's server."""
    estate = Estate(folder)
    for name in ("h1", "h2", "keep"):
        estate.write("hosts", name, {"status": "enabled", "state": "up"})
    for name, on in (("s1", "h1"), ("s2", "h2"), ("s3", "keep"), ("s4", "keep")):
        estate.write("servers", name, {"host": on, "status": "ACTIVE", "fails": "keep"})
    return plan(VacateGoal(max=True), estate.survey())


def plan(goal: VacateGoal, old: Survey) -> Plan:
    made = plan_vacate(old, POLICY, goal=goal, made_from={"old": sha256(old), "policy": sha256(POLICY)})
    assert not replay(made, {"old": old}, POLICY)
    return made


def following(folder: Path, midway: Callable[[str], None]) -> Follow:
    def look() -> Survey:
        midway("before survey")
        return Estate(folder).survey()

    def planned(goal: VacateGoal, old: Survey) -> Plan:
        midway("after survey")
        made = plan(goal, old)
        midway("after plan")
        return made

    return partial(follow, Means(survey=look, plan=planned, policy=POLICY))


class Host:
    """DISABLE_SERVICE, ENABLE_SERVICE, STOP_COMPUTE: one attribute of a host gets another value."""

    def __init__(self, estate: Estate, attribute: str, value: str) -> None:
        self.estate, self.attribute, self.value = estate, attribute, value

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        there = self.estate.read("hosts", action.target.id)
        return Outcome(said="found") if there and there[self.attribute] == self.value else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        there = self.estate.read("hosts", action.target.id)
        assert there
        if there[self.attribute] != self.value:
            self.estate.count(f"{action.verb} {action.target.id}")
            self.estate.write("hosts", action.target.id, there | {self.attribute: self.value})
        return Outcome(said=f"is {self.value}")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        there = self.estate.read("hosts", action.target.id)
        return () if there and there[self.attribute] == self.value else ("it is not",)


class Prove:
    def __init__(self, estate: Estate) -> None:
        self.estate = estate

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        if any(one["host"] == action.target.id for one in self.estate.all("servers").values()):
            raise Failed("it is not empty")
        return Outcome(said="empty")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        return ()


class Delete(Prove):
    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        return None if self.estate.read("hosts", action.target.id) else Outcome(said="gone")

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        self.estate.count(f"delete {action.target.id}")
        (self.estate.folder / "hosts" / action.target.id).unlink()
        return Outcome(said="gone")


class Migrate(Prove):
    def fingerprint(self, action: Action) -> str | None:
        there = self.estate.server(action.target.id)
        return there and there.placement_fingerprint()

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        there = self.estate.read("servers", action.target.id)
        return Outcome(said="had moved") if there and there["host"] == action.args["to"] else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        name, there = action.target.id, self.estate.read("servers", action.target.id)
        if there is None or there["host"] != action.args["from"]:
            raise Changed
        if there["fails"] == "error":
            self.estate.write("servers", name, there | {"status": "ERROR"})
            raise Failed("in ERROR", setback=Setback(failure=Failure.SERVER_ERROR, servers=(name,)))
        if there["fails"] in {"once", action.args["to"]}:
            if there["fails"] == "once":
                self.estate.write("servers", name, there | {"fails": ""})
            raise Failed("rolled back", setback=Setback(failure=Failure.ROLLED_BACK, servers=(name,), host=action.args["to"]))
        self.estate.count(f"migrate {name}")
        self.estate.write("servers", name, there | {"host": action.args["to"]})
        return Outcome(said="moved")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        there = self.estate.read("servers", action.target.id)
        return () if there and there["host"] == action.args["to"] else ("it is elsewhere",)


def performers(folder: Path, _midway: Callable[[str], None] = lambda _what: None) -> dict[Verb, Performer]:
    estate = Estate(folder)
    return {
        Verb.DISABLE_SERVICE: Host(estate, "status", "disabled"),
        Verb.ENABLE_SERVICE: Host(estate, "status", "enabled"),
        Verb.STOP_COMPUTE: Host(estate, "state", "down"),
        Verb.PROVE_EMPTY: Prove(estate),
        Verb.DELETE_SERVICE: Delete(estate),
        Verb.LIVE_MIGRATE: Migrate(estate),
    }


def state(folder: Path) -> dict:
    estate = Estate(folder)
    servers = {name: one["status"] if one["host"] == f"h{name[1:]}" else "moved" for name, one in estate.all("servers").items()}
    return {"hosts": {name: one["status"] for name, one in estate.all("hosts").items()}, "servers": servers}
