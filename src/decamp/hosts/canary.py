"""The canary: a server that is booted on exactly one new host and deleted again, before tenants' servers come."""

from __future__ import annotations

from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api
from decamp.hosts.reading import DELETED, HOST, SOFT_DELETED, TASK, list_servers, read_service, show_server
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import BadInput, Bug, Failed, Refused
from decamp.model.plan import Action
from decamp.model.policy import Policy

Json = dict[str, Any]

AIMED = "2.74"
"""Compute API: from here on an admin may ask for one host, and the scheduler still checks it."""
FAULT_SECONDS = 3.0
DELETED_SECONDS = 300.0
CORDON = "decamp: the canary failed"
"""Begins the disabled_reason of a host on which it did."""


class Canary:
    """CANARY. A host on which it fails is cordoned: no tenant's server may find out what is wrong with it."""

    def __init__(self, new: Cloud, policy: Policy) -> None:
        self._new = new
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """What a crash left is deleted: a canary proves nothing that nobody watched."""
        for server in self._left(attempt):
            self._delete(server)
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        host = _host(action, attempt)
        if not self._new.at_least("compute", AIMED):
            raise Refused(
                f"{self._new.name}: its compute API ends before {AIMED}, so that no server can be booted on one host and checked."
            )
        self._lift_cordon(host)
        try:
            self._boot(action, host, attempt)
        except Failed as failure:
            self._cordon(host, attempt)
            raise Failed(
                f"The canary on {host} failed: {failure.message.rstrip('. ')}. The host was disabled, so that it takes no servers. "
                "Remove the cause, then resume: the canary is tried again, and the host enabled for it."
            ) from failure
        return Outcome(said=f"a server became ACTIVE on {host} and was deleted", facts={"host": host})

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        left = self._left(attempt)
        service = read_service(self._new, outcome.facts["host"])
        wrong = [f"the canary {server} is still there" for server in left]
        if service is None or service.status != "enabled":
            wrong.append(f"the compute service of {outcome.facts['host']} is {service.status if service else 'gone'}")
        return tuple(wrong)

    def _boot(self, action: Action, host: str, attempt: Attempt) -> None:
        args = action.args
        network = args.get("network")
        body: Json = {
            "name": f"decamp-canary-{host}",
            "imageRef": _resolved(self._new, "image", "/images", "images", args["image"]),
            "flavorRef": _resolved(self._new, "compute", "/flavors/detail", "flavors", args["flavor"], is_public="None"),
            "networks": [{"uuid": _resolved(self._new, "network", "/networks", "networks", network)}] if network else "none",
            "host": host,
            "tags": [attempt.mark],
        }
        server = api.call(self._new, "compute", "POST", "/servers", json={"server": body})["server"]["id"]
        try:
            self._prove_active(server, host, attempt)
        finally:
            self._delete(server)

    def _prove_active(self, id: str, host: str, attempt: Attempt) -> None:
        def look() -> Json | None:
            server = show_server(self._new, id)
            if server is None:
                raise Failed(f"server {id} was deleted by somebody else.")
            if server["status"] == "ERROR":
                raise Failed(f"server {id} became ERROR: {self._fault(id)}.")
            return server if server["status"] == "ACTIVE" and server[TASK] is None else None

        server = wait(
            look, f"the canary on {host} to become ACTIVE", seconds=self._policy.join_timeout_seconds, cancelled=attempt.cancelled
        )
        if server[HOST] != host:
            raise Failed(f"server {id} became ACTIVE on {server[HOST]}, not on {host}.")

    def _fault(self, id: str) -> str:
        """Nova writes it a moment after the state."""

        def look() -> str | None:
            return ((show_server(self._new, id) or {}).get("fault") or {}).get("message")

        try:
            return wait(look, f"the fault of server {id}", seconds=FAULT_SECONDS)
        except TooLate:
            return "Nova gives no reason"

    def _left(self, attempt: Attempt) -> list[str]:
        """Canaries that are there."""
        return [server["id"] for server in list_servers(self._new, tags=attempt.mark) if server["status"] != DELETED]

    def _delete(self, id: str) -> None:
        if (canary := show_server(self._new, id)) is not None and canary["status"] != SOFT_DELETED:
            api.call(self._new, "compute", "DELETE", f"/servers/{id}", missing=True)

        def look() -> bool | None:
            server = show_server(self._new, id)
            if server is not None and server["status"] == SOFT_DELETED and server[TASK] is None:
                # a cloud that keeps deleted servers for a while would keep this one on the host
                api.call(self._new, "compute", "POST", f"/servers/{id}/action", json={"forceDelete": None}, missing=True)
            return True if server is None else None

        try:
            wait(look, f"canary {id} to be deleted", seconds=DELETED_SECONDS)
        except TooLate as late:
            raise Failed(f"{late.message} Delete it with `openstack server delete --all-projects {id}`.") from late

    def _cordon(self, host: str, attempt: Attempt) -> None:
        service = read_service(self._new, host)
        if service and service.status == "enabled":
            body = {"status": "disabled", "disabled_reason": f"{CORDON} [{attempt.mark}]"}
            api.call(self._new, "compute", "PUT", f"/os-services/{service.id}", json=body)

    def _lift_cordon(self, host: str) -> None:
        service = read_service(self._new, host)
        if service and service.status == "disabled" and (service.disabled_reason or "").startswith(CORDON):
            api.call(self._new, "compute", "PUT", f"/os-services/{service.id}", json={"status": "enabled"})


def _host(action: Action, attempt: Attempt) -> str:
    """The host that the machine became, as the action before this one found."""
    if action.target.kind == "host":
        return action.target.id
    for before in action.after:
        facts = attempt.facts.get(before, {})
        if facts.get("machine") == action.target.id and facts.get("host"):
            return facts["host"]
    raise Bug(f"{action.id}: no action before it says which host machine {action.target.id} became")


def _resolved(cloud: Cloud, service: str, path: str, key: str, wanted: str, **params: str) -> str:
    """The id of the object with this id or, where there is just one, this name. Raises BadInput."""
    found = [one for one in api.pages(cloud, service, path, key, **params) if wanted in {one["id"], one["name"]}]
    exact = [one for one in found if one["id"] == wanted] or found
    if len(exact) != 1:
        raise BadInput(f"{cloud.name}: the canary's {key.removesuffix('s')} {wanted!r} names {len(exact)} objects: correct expand.canary")
    return exact[0]["id"]
