"""The proof that a host is empty: Nova in every status, migrations, Placement. Never the absence of known servers."""

from __future__ import annotations

from decamp.clouds import Cloud
from decamp.hosts import migrations, placement
from decamp.hosts.migrations import Stage
from decamp.hosts.reading import HOST, TASK, Service, list_servers, read_service, show_server
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action

SETTLES_SECONDS = 90.0
"""Nova's resource tracker frees what a migration held when it next runs: update_resources_interval is 60 s by default."""


class ProveEmpty:
    """PROVE_EMPTY. It changes nothing, so there is nothing to find."""

    def __init__(self, old: Cloud) -> None:
        self._old = old

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        host = action.target.id
        service = read_service(self._old, host)
        if service is None:
            raise Changed(f"{self._old.name}: there is no compute service on host {host} any more")
        held: tuple[str, ...] = ()

        def look() -> bool | None:
            nonlocal held
            held = what_is_left(self._old, service)
            return None if held else True

        try:
            wait(look, f"host {host} to be empty", seconds=SETTLES_SECONDS, cancelled=attempt.cancelled)
        except TooLate as late:
            raise Failed(f"Host {host} is not empty: {'; '.join(held)}. Move or end these, then resume.") from late
        return Outcome(said=f"proved empty: no server in any status, no migration, no allocation of provider {service.provider}")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        service = read_service(self._old, action.target.id)
        return what_is_left(self._old, service) if service else ()


def what_is_left(cloud: Cloud, service: Service) -> tuple[str, ...]:
    """Everything that still holds the host, a clause each; empty: it is free."""
    return (*_servers(cloud, service.host), *_migrations(cloud, service.host), *_allocations(cloud, service))


def _servers(cloud: Cloud, host: str) -> list[str]:
    there = {server["id"]: server for server in list_servers(cloud, host=host) if server[HOST] == host}
    return [f"server {server_id} ({server['name']}) is on it, {server['status']}" for server_id, server in sorted(there.items())]


def _migrations(cloud: Cloud, host: str) -> list[str]:
    left = []
    for record in migrations.of_host(cloud, host):
        stage = migrations.stage(record)
        if stage is Stage.QUEUED:
            # a record stays like this where the conductor died: the server's task state tells whether anybody works on it
            server = show_server(cloud, record["instance_uuid"])
            if server is None or server[TASK] is None:
                continue
        if stage in {Stage.QUEUED, Stage.UNDER_WAY, Stage.UNCONFIRMED}:
            way = f"{record['source_compute']} to {record.get('dest_compute')}"
            left.append(f"migration {record['id']} of server {record['instance_uuid']} from {way} is {record['status']}")
    return left


def _allocations(cloud: Cloud, service: Service) -> list[str]:
    if service.provider is None:
        return [f"Nova names no single hypervisor for host {service.host}, so that Placement cannot be asked"]
    held = placement.held(cloud, service.provider) or {}
    amounts = {consumer: ", ".join(f"{name} {amount}" for name, amount in sorted(one.items())) for consumer, one in sorted(held.items())}
    return [f"consumer {consumer} holds {what} of it in Placement" for consumer, what in amounts.items()]
