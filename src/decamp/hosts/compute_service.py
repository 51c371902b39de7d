"""The end of a host's nova-compute: stopped on its host, deleted, and proved gone with all that Nova, Placement and Neutron keep."""

from __future__ import annotations

import re
import subprocess
import time
from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api, baremetal, placement
from decamp.hosts.reading import Service, aggregates_of, nodes_by_host, read_service
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import BadInput, Changed, Failed, Refused
from decamp.model.plan import Action
from decamp.model.policy import Policy
from decamp.settings import StopCompute as StopSettings

HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What Nova allows as a host's name, less a dash at either end: as an argument it could be read as an option."""

QUIET_INTERVALS = 1.2
"""Of reports: without one for so long, nova-compute has stopped."""
QUIET_TIMEOUT_SECONDS = 120.0
"""At the least. Longer than service_down_time (60 s), after which Nova itself says that it is down."""

GONE_SECONDS = 60.0
"""How long Nova and Placement may take to drop what a deleted service leaves."""

TAIL = 400
"""Characters of a failed command's last words."""


class StopCompute:
    """STOP_COMPUTE: by the configured command, else by powering the machine off through a BMC that the undercloud knows."""

    def __init__(self, old: Cloud, undercloud: Cloud, settings: StopSettings | None, policy: Policy) -> None:
        self._old = old
        self._undercloud = undercloud
        self._settings = settings
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Only where the service is gone: stopping what has stopped does no harm, so that a half-done stop is done again."""
        gone = read_service(self._old, action.target.id) is None
        return Outcome(said="its compute service is gone already") if gone else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        service = known_service(self._old, action)
        if service.status != "disabled":
            raise Changed(f"The compute service of {service.host} was enabled again since it was cordoned: it is not stopped.")
        if self._settings and self._settings.command:
            run_command(self._settings, service.host)
            way = "stopped by the configured command"
        else:
            baremetal.power_off(self._undercloud, service.host, self._policy, attempt)
            way = "powered off through its BMC"
        self._prove_quiet(service.host, attempt)
        return Outcome(said=f"nova-compute was {way}, and no longer reports", facts={"host": service.host, "way": way})

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        return ()

    def _prove_quiet(self, host: str, attempt: Attempt) -> None:
        """An exit status is a claim; that no report comes is a proof. Raises Failed where reports go on."""
        quiet_seconds = QUIET_INTERVALS * (self._settings or StopSettings()).report_seconds
        last: str | None = ""
        since = 0.0

        def look() -> bool | None:
            nonlocal last, since
            service = read_service(self._old, host)
            if service is None or service.state == "down":
                return True
            if service.updated_at != last:
                last, since = service.updated_at, time.monotonic()
            return True if time.monotonic() - since > quiet_seconds else None

        try:
            seconds = max(QUIET_TIMEOUT_SECONDS, 3 * quiet_seconds)
            wait(look, f"the reports of host {host} to end", seconds=seconds, cancelled=attempt.cancelled, longest_seconds=2)
        except TooLate as late:
            raise Failed(
                f"nova-compute of {host} was stopped, and still reports ({last}): see whether something starts it again."
            ) from late


class DeleteService:
    """DELETE_SERVICE: with it Nova drops the host's hypervisor, its cell mapping, its place in aggregates and its resource provider.

    What stays all the same is taken away or told: places in aggregates, and network agents that are dead.
    """

    def __init__(self, old: Cloud) -> None:
        self._old = old

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        gone = read_service(self._old, action.target.id) is None
        return self._finish(action, _remembered(action.target.id, attempt)) if gone else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        service = known_service(self._old, action)
        if service.status != "disabled":
            raise Changed(f"The compute service of {service.host} was enabled again since it was cordoned: it is not deleted.")
        known = noted(self._old, service)
        try:
            api.call(self._old, "compute", "DELETE", f"/os-services/{service.id}", missing=True)
        except Failed as error:
            raise Failed(
                f"Nova keeps the compute service of {service.host}: {error.message} Migrate, confirm or delete what holds it, then resume."
            ) from error
        return self._finish(action, known)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        known = {**_remembered(action.target.id, attempt), **outcome.facts}
        return self._remains(action.target.id, known)

    def _finish(self, action: Action, known: dict[str, Any]) -> Outcome:
        host = action.target.id
        left: tuple[str, ...] = ()

        def look() -> bool | None:
            nonlocal left
            left = self._remains(host, known)
            return None if left else True

        try:
            wait(look, f"what Nova and Placement keep of host {host} to go", seconds=GONE_SECONDS)
        except TooLate as late:
            raise Failed(
                f"The compute service of {host} is deleted, but {'; '.join(left)}. Is nova-compute really stopped? If so, remove the "
                f"provider with `openstack resource provider delete {known.get('provider')}`, then resume."
            ) from late
        _leave_aggregates(self._old, host)
        agents = _bury_network_agents(self._old, host)
        said = ["deleted; hypervisor and resource provider are gone"]
        if agents["deleted"]:
            said.append(f"dead network agents deleted: {', '.join(agents['deleted'])}")
        if agents["alive"]:
            said.append(f"network agents still report, delete them when the machine is off: {', '.join(agents['alive'])}")
        return Outcome(said="; ".join(said), facts={**known, "host": host, "network_agents": agents})

    def _remains(self, host: str, known: dict[str, Any]) -> tuple[str, ...]:
        remains = []
        if read_service(self._old, host) is not None:
            remains.append(f"the compute service of {host} is there (again)")
        provider = known.get("provider") or placement.by_name(self._old, known.get("hypervisor") or host)
        if provider and placement.exists(self._old, provider):
            remains.append(f"resource provider {provider} is still in Placement")
        if host in nodes_by_host(self._old):
            remains.append(f"the hypervisor of {host} is still there")
        return tuple(remains)


def run_command(settings: StopSettings, host: str) -> None:
    """The configured command with the host's name in place of `{host}`, without a shell. Raises BadInput or Failed, with its last words."""
    if not HOST_NAME.fullmatch(host):
        raise Refused(f"{host!r} is no host name that a command can be given: stop its nova-compute by hand, then resume.")
    command = [part.replace("{host}", host) for part in settings.command]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=settings.timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"The command that stops nova-compute on {host} did not end within {settings.timeout_seconds:.0f} s.") from late
    except OSError as error:
        raise BadInput(
            f"The command that stops nova-compute cannot be run: {command[0]}: {error.strerror}. Correct stop_compute."
        ) from error
    if done.returncode != 0:
        last_words = " ".join(done.stdout.decode(errors="replace").split())[-TAIL:]
        raise Failed(
            f"The command that stops nova-compute on {host} ended with status {done.returncode}: {last_words or 'it said nothing'}"
        )


def known_service(cloud: Cloud, action: Action) -> Service:
    """The nova-compute that the action is about. Raises Changed where there is none."""
    service = read_service(cloud, action.target.id)
    if service is None:
        raise Changed(f"{cloud.name}: there is no compute service on host {action.target.id}")
    return service


def noted(cloud: Cloud, service: Service) -> dict[str, Any]:
    """What an undo has to know of a host, and nobody could find out when its service is deleted."""
    return {
        "host": service.host,
        "provider": service.provider,
        "hypervisor": service.hypervisor,
        "zone": service.zone,
        "aggregates": aggregates_of(cloud, service.host),
        "agents": [{"id": agent["id"], "binary": agent["binary"]} for agent in _network_agents(cloud, service.host)],
    }


def _remembered(host: str, attempt: Attempt) -> dict[str, Any]:
    """What an earlier action of this run noted about the host, before its service was deleted."""
    return next((dict(facts) for facts in attempt.facts.values() if facts.get("host") == host and facts.get("provider")), {})


def _leave_aggregates(cloud: Cloud, host: str) -> None:
    """What older releases of Nova leave behind when a service is deleted."""
    for aggregate in aggregates_of(cloud, host):
        api.call(cloud, "compute", "POST", f"/os-aggregates/{aggregate['id']}/action", json={"remove_host": {"host": host}}, missing=True)


def _network_agents(cloud: Cloud, host: str) -> list[dict[str, Any]]:
    return [agent for agent in (api.look(cloud, "network", "/agents", host=host) or {"agents": []})["agents"] if agent["host"] == host]


def _bury_network_agents(cloud: Cloud, host: str) -> dict[str, list[str]]:
    """Deletes the agents of the host that Neutron says are dead; those that still report are told."""
    agents: dict[str, list[str]] = {"deleted": [], "alive": []}
    for agent in _network_agents(cloud, host):
        if not agent["alive"]:
            api.call(cloud, "network", "DELETE", f"/agents/{agent['id']}", missing=True)
        agents["alive" if agent["alive"] else "deleted"].append(agent["binary"])
    return agents
