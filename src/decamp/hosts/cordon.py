"""A host's cordon: its nova-compute takes no more servers, who is on it is looked at again, and the way back."""

from __future__ import annotations

import re
from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api, placement
from decamp.hosts.compute_service import known_service, noted
from decamp.hosts.emptiness import servers_on
from decamp.hosts.reading import Service, aggregates_of, read_service, show_server
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed
from decamp.model.plan import Action
from decamp.model.setbacks import Failure, Setback

Json = dict[str, Any]

REASON_LENGTH = 255
"""Of disabled_reason (compute API reference)."""

MARKED = re.compile(r"\[decamp-[0-9a-f]{16}\]$")
"""How the reasons of our cordons end."""

TOLD = 5
"""So many servers that came are told by name."""


class DisableService:
    """DISABLE_SERVICE. The mark in the reason tells our cordon from an operator's, which is left as it is.

    Who is on the host is compared with the plan only when no more can come; a cordon that finds more stands, and is journaled.
    """

    def __init__(self, old: Cloud) -> None:
        self._old = old

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        service = read_service(self._old, action.target.id)
        ours = service is not None and service.status == "disabled" and (service.disabled_reason or "").endswith(_marked("", attempt))
        return self._outcome(service, "enabled") if service and ours else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        service = known_service(self._old, action)
        if service.status == "enabled":
            _disable(self._old, service, _marked(action.args.get("reason") or "decamp", attempt))
        return self._outcome(service, service.status)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        """Raises Changed where servers have come since the plan was made."""
        service = known_service(self._old, action)
        if service.status != "disabled":
            return (f"the compute service of {service.host} is {service.status}",)
        if "servers" in action.args and (came := _came(self._old, service, frozenset(action.args["servers"]))):
            raise _changed(service.host, came)
        return ()

    def _outcome(self, service: Service, status: str) -> Outcome:
        """What was cordoned by an earlier run counts as enabled before: an undo of this one releases it."""
        reason = service.disabled_reason if status == "disabled" else None
        said = "takes no more servers" if status == "enabled" else f"was disabled already ({reason or 'without a reason'})"
        if MARKED.search(reason or ""):
            status, reason = "enabled", None
        return Outcome(said=said, facts={**noted(self._old, service), "status": status, "disabled_reason": reason})


class EnableService:
    """ENABLE_SERVICE. It undoes our cordon only: a host that was disabled before the run, or by somebody else since, stays so."""

    def __init__(self, old: Cloud) -> None:
        self._old = old

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Doing it again does no harm."""
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        service = known_service(self._old, action)
        joined = self._rejoin(service.host, action.args.get("aggregates") or [])
        back = f", and is back in {', '.join(joined)}" if joined else ""
        status, said = self._restore(service, action.args)
        return Outcome(said=said + back, facts={"status": status, "joined": joined})

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        service = known_service(self._old, action)
        return () if service.status == outcome.facts["status"] else (f"the compute service of {service.host} is {service.status}",)

    def _restore(self, service: Service, before: Json) -> tuple[str, str]:
        """The status that it has now, and what was done."""
        if before.get("status") == "disabled":
            if service.status == "enabled":
                _disable(self._old, service, before.get("disabled_reason") or "")
            return "disabled", "was disabled before the run, and stays so"
        if service.status == "disabled" and not MARKED.search(service.disabled_reason or ""):
            return "disabled", f"was disabled by somebody else since ({service.disabled_reason or 'without a reason'}), and stays so"
        _set_status(self._old, service, {"status": "enabled"})
        return "enabled", "takes servers again"

    def _rejoin(self, host: str, aggregates: list[Json]) -> list[str]:
        """Names of those that the host was in before the run, is in no more, and is in now; one that is gone is passed over."""
        here = {aggregate["id"] for aggregate in aggregates_of(self._old, host)}
        joined: list[str] = []
        for aggregate in aggregates:
            path = f"/os-aggregates/{aggregate['id']}/action"
            if aggregate["id"] not in here and api.call(
                self._old, "compute", "POST", path, json={"add_host": {"host": host}}, missing=True
            ):
                joined.append(aggregate["name"])
        return joined


def _came(cloud: Cloud, service: Service, known: frozenset[str]) -> dict[str, Json]:
    """Servers on the host, or with room claimed on it by the scheduler, that are not known."""
    there = servers_on(cloud, service.host)
    claims = placement.held(cloud, service.provider) if service.provider else None
    for consumer in (claims or {}).keys() - known - there.keys():
        # consumers that are no servers are migrations
        if (server := show_server(cloud, consumer)) is not None:
            there[consumer] = server
    return {one: there[one] for one in sorted(there.keys() - known)}


def _changed(host: str, came: dict[str, Json]) -> Changed:
    told = ", ".join(f"{server['name']} ({server['id']}, {server['status']})" for server in list(came.values())[:TOLD])
    more = f" and {len(came) - TOLD} more" if len(came) > TOLD else ""
    verb = "has come" if len(came) == 1 else "have come"
    return Changed(
        f"{told}{more} {verb} to {host} since the plan was made. {host} takes no more servers now: plan again, with what is on it.",
        setback=Setback(failure=Failure.SERVER_CAME, servers=tuple(came), host=host),
    )


def _disable(cloud: Cloud, service: Service, reason: str) -> None:
    _set_status(cloud, service, {"status": "disabled"} | ({"disabled_reason": reason} if reason else {}))


def _set_status(cloud: Cloud, service: Service, body: dict[str, str]) -> None:
    api.call(cloud, "compute", "PUT", f"/os-services/{service.id}", json=body)


def _marked(reason: str, attempt: Attempt) -> str:
    mark = f" [{attempt.mark}]"
    return reason[: REASON_LENGTH - len(mark)] + mark
