"""Cold migration of one stopped server to one host, confirmed at once: a server that waits for confirmation holds both hosts."""

from __future__ import annotations

import time
from typing import Any

from decamp.hosts import api, migrations, pinning
from decamp.hosts.migrating import Journey, Means, Vigil
from decamp.hosts.migrations import Stage, watched
from decamp.hosts.reading import HOST, TASK
from decamp.hosts.waiting import wait
from decamp.model.effects import Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.setbacks import Failure

Json = dict[str, Any]

ACT = "migrate"
AIMED = "2.56"
"""Compute API: from here on a cold migration may name its target."""
MOVED = "VERIFY_RESIZE"
TASKS = frozenset({"resize_prep", "resize_migrating", "resize_migrated", "resize_finish", "resize_reverting"})


def _request(journey: Journey) -> Json:
    if not journey.cloud.at_least("compute", AIMED):
        raise Failed(
            f"{journey.cloud.name}: its compute API ends before {AIMED}, so that a cold migration cannot be told its target. "
            f"Start server {journey.server}, so that it is live-migrated, and make a new plan."
        )
    return {"migrate": {"host": journey.target}}


def _follow(journey: Journey) -> Outcome:
    """A cancelled run waits as well: what cannot be aborted would be left holding both hosts."""
    # a cloud with resize_confirm_window confirms by itself
    server = _until(journey, frozenset({Stage.UNCONFIRMED, Stage.DONE}), "the cold migration")
    if server[HOST] != journey.target:
        text = f"Server {server['name']} was migrated to {server[HOST]}, not to {journey.target}."
        raise journey.failed(Failure.WRONG_HOST, f"{text} Revert that (`openstack server resize revert {journey.server}`).")
    if server["status"] == MOVED:
        _confirm(journey, server)
    _until(journey, frozenset({Stage.DONE}), "the confirmation of the cold migration")
    facts = {"from": journey.source, "to": journey.target}
    return Outcome(said=f"cold-migrated from {journey.source} to {journey.target} and confirmed", facts=facts)


COLD = Means(act=ACT, states=pinning.COLD, tasks=TASKS, request=_request, follow=_follow)


def has_come_to(server: Json, record: Json | None, wanted: frozenset[Stage]) -> bool:
    """Whether its task is over and its record is at one of these stages. Nova writes into the record that it is confirmed before the server
    ceases to wait for that."""
    if record is None or server["status"] == "ERROR":
        return False
    stage = migrations.stage(record)
    if server[TASK] in TASKS or (stage is Stage.UNCONFIRMED and server[TASK] is not None):
        return False
    return stage in wanted and not (stage is Stage.DONE and server["status"] == MOVED)


def _until(journey: Journey, wanted: frozenset[Stage], what: str) -> Json:
    """The server, once it has come to one of these stages. Raises Failed, and Gone."""
    vigil = Vigil(journey, ACT, TASKS)
    deadline = time.monotonic() + journey.policy.migration_timeout_seconds

    def look() -> Json | None:
        record = journey.record()
        server = watched(journey.cloud, journey.server)
        if has_come_to(server, record, wanted):
            return server
        vigil.look(server, record)
        if time.monotonic() > deadline:
            status = record["status"] if record else "not recorded"
            raise journey.failed(
                Failure.TIMED_OUT,
                f"{what.capitalize()} of {server['name']} to {journey.target} did not end within "
                f"{journey.policy.migration_timeout_seconds:.0f} s: it is {status}, and the server {server['status']}, {server[TASK]}. "
                "Nova goes on with it: wait and resume.",
            )
        return None

    return wait(look, f"{what} of server {journey.server}", seconds=float("inf"), cancelled=journey.attempt.leaving)


def _confirm(journey: Journey, server: Json) -> None:
    try:
        api.call(journey.cloud, "compute", "POST", f"/servers/{journey.server}/action", json={"confirmResize": None})
    except (Changed, Failed) as error:
        # refused as well where it is being confirmed already: by Nova itself, after resize_confirm_window
        record = journey.record()
        if watched(journey.cloud, journey.server)["status"] == MOVED and record and migrations.stage(record) is Stage.UNCONFIRMED:
            text = f"The cold migration of {server['name']} to {journey.target} was not confirmed: {error.message}. "
            what = f"Confirm it (`openstack server resize confirm {journey.server}`), then resume."
            raise journey.failed(Failure.CONFIRM_FAILED, text + what) from error
