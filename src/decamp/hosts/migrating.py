"""What live and cold migration share: asking, taking up what a crash left, telling failures apart, and the proof of arrival."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.hosts import api, migrations, placement
from decamp.hosts.migrations import Gone, Stage, watched
from decamp.hosts.reading import HOST, TASK, is_down, read_server, show_server
from decamp.hosts.waiting import FIRST_SECONDS, TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Error, Failed
from decamp.model.plan import Action
from decamp.model.policy import Policy
from decamp.model.setbacks import Failure, Setback

Json = dict[str, Any]

DOWN_SECONDS = 60.0
"""A nova-compute that Nova calls down has been silent for service_down_time (60 s) already; as long again, and nobody goes on."""
LOOK_SECONDS = 15.0
"""Between two looks at the services."""
SETTLES_SECONDS = 60.0
"""A record that has ended is older than what Nova still does with the server, by seconds."""
ROLLS_BACK_SECONDS = 900.0
"""Where it has ended badly, by more: Nova disconnects volume after volume, and waits a minute for each answer of a host that hangs."""
DELETING = "deleting"
"""Task state of a server that its owner deletes meanwhile: its end is waited for."""

NO_VALID_HOST = "No valid host was found"
"""How nova.exception.NoValidHost begins."""

ADVICE: dict[Failure, str] = {
    Failure.NO_VALID_HOST: "It has to go to another host.",
    Failure.REJECTED: "It has to go to another host.",
    Failure.ROLLED_BACK: "It is on {source} as before, and may go to another host.",
    Failure.TARGET_DOWN: "nova-compute on {target} does not report: it has to go to another host.",
    Failure.SOURCE_DOWN: "nova-compute on {source} does not report: start it, then resume. It ends by itself what it was at.",
    Failure.ABORTED: "It is on {source} as before.",
    Failure.SERVER_ERROR: "Look at what the guest does on both hosts before you set its state "
    "(`openstack server set --state active {server}`): Decamp resets nothing.",
    Failure.SERVER_STUCK: "Nobody works on it any more: restart nova-compute on its host, or have an admin reset its state. "
    "Decamp resets nothing.",
    Failure.SERVER_CHANGED: "Plan again.",
}


class Journey(msgspec.Struct, kw_only=True):
    """One server's way from a host to another, asked for or taken up."""

    cloud: Cloud
    policy: Policy
    attempt: Attempt
    server: str
    source: str
    target: str
    options: Json
    """What else the plan says of it."""
    after: int
    """Records of migrations with a higher id are its own."""
    consumer: str | None = None
    """The migration's own id, in whose name Placement holds the source's side; null: no record was seen so far."""

    def record(self) -> Json | None:
        record = migrations.between(migrations.of_server(self.cloud, self.server), self.source, self.target, after=self.after)
        # with its server, Nova forgets the record
        self.consumer = record["uuid"] if record else self.consumer
        return record

    def setback(self, failure: Failure) -> Setback:
        host = self.source if failure is Failure.SOURCE_DOWN else self.target
        return Setback(failure=failure, servers=(self.server,), host=host)

    def failed(self, failure: Failure, text: str) -> Failed:
        """`text` is what happened, with its full stop; what to do about it is added."""
        advice = ADVICE.get(failure, "").format(server=self.server, source=self.source, target=self.target)
        return Failed(f"{text} {advice}".strip(), setback=self.setback(failure))


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What live and cold migration differ in."""

    act: str
    """What Nova's list of a server's actions calls it."""
    states: frozenset[str]
    """In which it is accepted."""
    tasks: frozenset[str]
    """Task states of a server from the moment that Nova accepts the request until it is over; any other is somebody else's doing."""
    request: Callable[[Journey], Json]
    """The body of the request. Raises Failed where the cloud is too old for it."""
    follow: Callable[[Journey], Outcome]
    """Waits for its end. Raises Failed or Changed, with a setback; Gone where the server was deleted meanwhile."""


class Migrate:
    """LIVE_MIGRATE, COLD_MIGRATE. A server that its owner deletes meanwhile is a host's load less: that is told, and no failure."""

    def __init__(self, old: Cloud, policy: Policy, means: Means) -> None:
        self._old = old
        self._policy = policy
        self._means = means

    def fingerprint(self, action: Action) -> str | None:
        server = read_server(self._old, action.target.id)
        return server and server.placement_fingerprint()

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Whatever a crash left on its way is taken up: also what Nova has accepted and not recorded yet."""

        def look() -> Way | Journey | None:
            server = show_server(self._old, action.target.id)
            if server is None:
                return Way.NONE
            records = migrations.of_server(self._old, server["id"])
            seen = way(server, records, action.args["from"], action.args["to"], self._means.tasks)
            if isinstance(seen, Way):
                return None if seen is Way.UNCLEAR else seen
            return self._journey(action, attempt, after=seen["id"] - 1)

        try:
            what = f"a record of the migration of server {action.target.id}"
            found = wait(look, what, seconds=SETTLES_SECONDS, cancelled=attempt.leaving, longest_seconds=FIRST_SECONDS)
        except TooLate:
            found = self._rolling_back(action, attempt)
        return self._end(found) if isinstance(found, Journey) else None

    def _rolling_back(self, action: Action, attempt: Attempt) -> Journey | None:
        """Nova works on the server, no record came, and the last one failed a moment ago: that is what is taken back."""
        record = migrations.between(migrations.of_server(self._old, action.target.id), action.args["from"], action.args["to"])
        if record is None or not has_just_failed(record, datetime.now(UTC)):
            return None
        return self._journey(action, attempt, after=record["id"] - 1)

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        journey = self._journey(action, attempt, after=migrations.newest(migrations.of_server(self._old, action.target.id)))
        try:
            self._ask(journey)
        except Gone as gone:
            return _gone(journey, gone)
        return self._end(journey)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        server = show_server(self._old, action.target.id)
        if server is None:
            return ()
        record = migrations.between(migrations.of_server(self._old, server["id"]), action.args["from"], action.args["to"])
        return missing(server, record, action.args["to"], self._means.tasks)

    def _journey(self, action: Action, attempt: Attempt, *, after: int) -> Journey:
        source, target = action.args["from"], action.args["to"]
        return Journey(
            cloud=self._old,
            policy=self._policy,
            attempt=attempt,
            server=action.target.id,
            source=source,
            target=target,
            options=action.args,
            after=after,
        )

    def _ask(self, journey: Journey) -> None:
        body = self._means.request(journey)
        try:
            api.call(self._old, "compute", "POST", f"/servers/{journey.server}/action", json=body)
        except (Changed, Failed) as error:
            raise self._refusal(journey, error) from error

    def _refusal(self, journey: Journey, error: Error) -> Error:
        """Why Nova did not accept the request: the server is not what it was, a host is down, or the target will not do."""
        server = watched(self._old, journey.server)
        if server[HOST] != journey.source or server["status"] not in self._means.states or server[TASK] is not None:
            now = f"{server['status']} on {server[HOST]}{f', {server[TASK]}' if server[TASK] else ''}"
            text = f"Server {server['name']} is {now} by now, and not migrated: {error.message}"
            return Changed(text, setback=journey.setback(Failure.SERVER_CHANGED))
        why = blamed(journey, error.message, otherwise=Failure.REJECTED)
        return journey.failed(why, f"Nova does not migrate {server['name']} from {journey.source} to {journey.target}: {error.message}.")

    def _end(self, journey: Journey) -> Outcome:
        try:
            return self._means.follow(journey)
        except Gone as gone:
            return _gone(journey, gone)


class Way(enum.Enum):
    """What of a server's way to its target is known before there is a record to go by."""

    NONE = enum.auto()
    """Nobody takes it there."""
    UNCLEAR = enum.auto()
    """Nova works on the server: its conductor has not written the record yet, or has ended one between two looks."""


def way(server: Json, records: list[Json], source: str, target: str, tasks: frozenset[str]) -> Json | Way:
    """The record of a migration that is under way from `source` to `target`, or has arrived.

    `server` was looked at before `records`, and either may be older than what the other says. `tasks` are those of Means.
    """
    record = migrations.between(records, source, target)
    stage = record and migrations.stage(record)
    if record and server[HOST] == target and stage in {Stage.UNDER_WAY, Stage.UNCONFIRMED, Stage.DONE}:
        return record
    if server[TASK] not in tasks:
        return Way.NONE
    if record and stage in migrations.OPEN:
        return record
    # records that stay queued are of conductors that died
    elsewhere = any(migrations.stage(other) in migrations.OPEN - {Stage.QUEUED} for other in records)
    return Way.NONE if elsewhere else Way.UNCLEAR


def has_just_failed(record: Json, now: datetime) -> bool:
    """So that Nova may still be rolling it back."""
    if migrations.stage(record) is not Stage.BROKEN:
        return False
    ended = datetime.fromisoformat(record["updated_at"]).replace(tzinfo=UTC)
    return (now - ended).total_seconds() < ROLLS_BACK_SECONDS


def _gone(journey: Journey, gone: Gone) -> Outcome:
    """What the migration of a server that is deleted meanwhile holds of the source, Nova never gives back."""
    if journey.consumer:
        placement.release(journey.cloud, journey.consumer)
    return Outcome(said=f"{gone.message}: nothing is left to migrate", facts={"gone": True})


def blamed(journey: Journey, why: str, *, otherwise: Failure) -> Failure:
    """Who is to blame for a migration that Nova did not do, by the services and by Nova's own words."""
    if is_down(journey.cloud, journey.source):
        return Failure.SOURCE_DOWN
    if is_down(journey.cloud, journey.target):
        return Failure.TARGET_DOWN
    return Failure.NO_VALID_HOST if NO_VALID_HOST in why else otherwise


def broken(journey: Journey, server: Json, record: Json | None, act: str, tasks: frozenset[str]) -> Failed | None:
    """The failure, where the migration is over and did not succeed; null: it may still."""
    in_error = server["status"] == "ERROR"
    if server[TASK] in {*tasks, DELETING} or not (in_error or (record and migrations.stage(record) is Stage.BROKEN)):
        return None
    status = record["status"] if record else "without a record"
    fault = (server.get("fault") or {}).get("message") if in_error else None
    why = migrations.reason(journey.cloud, journey.server, act) or fault or "Nova gives no reason"
    if in_error:
        failure = Failure.SERVER_ERROR
    elif status == "cancelled":
        failure = Failure.ABORTED
    else:
        failure = blamed(journey, why, otherwise=Failure.ROLLED_BACK)
    return journey.failed(
        failure,
        f"The {act.replace('-', ' ')} of {server['name']} from {journey.source} to {journey.target} ended as {status}, "
        f"with the server {server['status']}: {why}.",
    )


class Vigil:
    """Notices during a migration that nova-compute on either end is gone, or that its record has ended and the server has not."""

    def __init__(self, journey: Journey, act: str, tasks: frozenset[str]) -> None:
        self._journey = journey
        self._act = act
        self._tasks = tasks
        self._looked_at = float("-inf")
        self._down_since: dict[str, float] = {}
        self._over_since: float | None = None

    def look(self, server: Json, record: Json | None) -> None:
        """Raises Failed for what will not end by itself."""
        if failure := broken(self._journey, server, record, self._act, self._tasks):
            raise failure
        self._look_at_services()
        self._look_at_end(server, record)

    def _look_at_services(self) -> None:
        now, journey = time.monotonic(), self._journey
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        for host, failure in ((journey.source, Failure.SOURCE_DOWN), (journey.target, Failure.TARGET_DOWN)):
            if not is_down(journey.cloud, host):
                self._down_since.pop(host, None)
            elif now - self._down_since.setdefault(host, now) >= DOWN_SECONDS:
                text = f"{host} went down during the migration of server {journey.server} from {journey.source} to {journey.target}."
                raise journey.failed(failure, text)

    def _look_at_end(self, server: Json, record: Json | None) -> None:
        stage = record and migrations.stage(record)
        if record is None or stage not in {Stage.DONE, Stage.BROKEN}:
            self._over_since = None
            return
        self._over_since = self._over_since or time.monotonic()
        if time.monotonic() - self._over_since > (SETTLES_SECONDS if stage is Stage.DONE else ROLLS_BACK_SECONDS):
            left = "; ".join(missing(server, record, self._journey.target, self._tasks))
            failure = Failure.SERVER_STUCK if server[TASK] in {*self._tasks, DELETING} else Failure.WRONG_HOST
            raise self._journey.failed(failure, f"The migration {record['id']} of {server['name']} is {record['status']}, but {left}.")


def missing(server: Json, record: Json | None, target: str, tasks: frozenset[str]) -> tuple[str, ...]:
    """Why it is not moved yet; `tasks` are those of Means.

    A completed record whose server still is at the source has been seen, and so has the reverse.
    """
    return tuple(
        sentence
        for holds, sentence in (
            (
                record is not None and migrations.stage(record) is Stage.DONE,
                f"its migration record says {record['status'] if record else 'nothing'}",
            ),
            (server[HOST] == target, f"its host is {server[HOST]}"),
            (server[TASK] not in tasks, f"its task state is {server[TASK]}"),
            (server["status"] not in {"ERROR", "VERIFY_RESIZE"}, f"its status is {server['status']}"),
        )
        if not holds
    )
