"""The proof that a host is empty: Nova in every status, migrations, Placement. Never the absence of known servers."""

from __future__ import annotations

from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import migrations, placement
from decamp.hosts.reading import HOST, Service, list_servers, read_service, show_server
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action
from decamp.model.setbacks import Failure, Setback

Json = dict[str, Any]

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
            left = tuple(sorted(servers_on(self._old, host)))
            raise Failed(
                f"Host {host} is not empty: {'; '.join(held)}. Move or end these, then resume.",
                setback=Setback(failure=Failure.HOST_NOT_EMPTY, servers=left, host=host),
            ) from late
        return Outcome(said=f"proved empty: no server in any status, no migration, no allocation of provider {service.provider}")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        service = read_service(self._old, action.target.id)
        return what_is_left(self._old, service) if service else ()


def what_is_left(cloud: Cloud, service: Service) -> tuple[str, ...]:
    """Everything that still holds the host, a clause each; empty: it is free."""
    return (*_servers(cloud, service.host), *_migrations(cloud, service.host), *_allocations(cloud, service))


def servers_on(cloud: Cloud, host: str) -> dict[str, Json]:
    """Those in every status, by id: Nova's own filter may be a pattern."""
    return {server["id"]: server for server in list_servers(cloud, host=host) if server[HOST] == host}


def _servers(cloud: Cloud, host: str) -> list[str]:
    there = servers_on(cloud, host)
    return [f"server {server_id} ({server['name']}) is on it, {server['status']}" for server_id, server in sorted(there.items())]


def _migrations(cloud: Cloud, host: str) -> list[str]:
    return [
        f"migration {record['id']} of server {record['instance_uuid']} from {record['source_compute']} to {record.get('dest_compute')} "
        f"is {record['status']}"
        for record in migrations.open_on(cloud, host)
    ]


def _allocations(cloud: Cloud, service: Service) -> list[str]:
    if service.provider is None:
        return [f"Nova names no single hypervisor for host {service.host}, so that Placement cannot be asked"]
    held = placement.held(cloud, service.provider) or {}
    amounts = {consumer: ", ".join(f"{name} {amount}" for name, amount in sorted(one.items())) for consumer, one in sorted(held.items())}
    return [f"{_told(cloud, consumer)} holds {what} of it in Placement" for consumer, what in amounts.items()]


def _told(cloud: Cloud, consumer: str) -> str:
    return f"consumer {consumer}" if show_server(cloud, consumer) else f"consumer {consumer} (no server: see nova-manage placement audit)"
