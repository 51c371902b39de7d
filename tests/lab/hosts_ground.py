"""What the lab tests of hosts stand on: the three clouds, their performers, and servers that go when the test ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from decamp import hosts, settings
from decamp.clouds import connect
from decamp.hosts.reading import list_servers, read_service, read_services, show_server
from decamp.lab import layout, machines
from decamp.lab.content import MIB, create_image
from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref

MARK = "decamp-00000000000000aa"
FLAVOR = "m1.tiny"
WAIT_SECONDS = 120.0


class Ground:
    """A lab, and one run in it whose actions are done by hand."""

    def __init__(self, folder: Path) -> None:
        self.lab = layout.load(folder)
        self.settings = settings.load(folder / "decamp.yaml")
        self.old, self.new, self.undercloud = (connect(name, folder / "clouds.yaml") for name in ("old", "new", "undercloud"))
        self.performers: dict[Verb, Performer] = hosts.performers(self.old, self.new, self.undercloud, settings=self.settings)
        self.facts: dict[str, dict[str, Any]] = {}

    def attempt(self, mark: str = MARK) -> Attempt:
        return Attempt(run="t-1", mark=mark, ids={}, facts=self.facts, progress=lambda done, total: None, cancelled=lambda: False)

    def perform(self, verb: Verb, target: Ref, *, mark: str = MARK, after: tuple[str, ...] = (), **args: Any) -> Outcome:
        """As the executor does it: perform, journal, verify. Another mark is another run's, whose facts are not this one's."""
        action, attempt = _action(verb, target, after, args), self.attempt(mark)
        outcome = self.performers[verb].perform(action, attempt)
        if mark == MARK:
            self.facts[action.id] = outcome.facts
        assert self.performers[verb].verify(action, outcome, attempt) == ()
        return outcome

    def find(self, verb: Verb, target: Ref, *, mark: str = MARK, after: tuple[str, ...] = (), **args: Any) -> Outcome | None:
        """As the executor does it after a crash."""
        action, attempt = _action(verb, target, after, args), self.attempt(mark)
        outcome = self.performers[verb].find(action, attempt)
        if outcome is not None:
            assert self.performers[verb].verify(action, outcome, attempt) == ()
        return outcome

    @cached_property
    def image(self) -> str:
        """One of our own in the old cloud, gone with `close`."""
        return create_image(self.old.connection, "hosts-test", MIB)

    def close(self) -> None:
        if "image" in self.__dict__:
            self.old.connection.image.delete_image(self.image)

    def two_hosts(self) -> tuple[str, str]:
        """Hosts of the old cloud that take servers."""
        return tuple(one.host for one in read_services(self.old) if one.state == "up" and one.status == "enabled")[:2]  # pyright: ignore

    @contextmanager
    def server_on(self, host: str, *, stopped: bool = False, group: str | None = None) -> Iterator[Ref]:
        compute = self.old.connection.compute
        flavor = compute.find_flavor(FLAVOR, ignore_missing=False)
        body = {"name": "hosts-test", "imageRef": self.image, "flavorRef": flavor.id, "networks": "none", "host": host}
        hints = {"os:scheduler_hints": {"group": group}} if group else {}
        answer = compute.post("/servers", json={"server": body, **hints})
        assert answer.status_code == 202, answer.text
        server = answer.json()["server"]["id"]
        try:
            self.until(lambda: self.server(server)["status"] == "ACTIVE")
            if stopped:
                compute.stop_server(server)
                self.until(lambda: self.server(server)["status"] == "SHUTOFF")
            yield Ref("server", server)
        finally:
            compute.delete_server(server)
            self.until(lambda: show_server(self.old, server) is None)

    def server(self, id: str) -> dict[str, Any]:
        server = show_server(self.old, id)
        assert server is not None
        assert server["status"] != "ERROR", server.get("fault")
        return server

    def act(self, server: Ref, body: dict[str, Any]) -> None:
        answer = self.old.service("compute").post(f"/servers/{server.id}/action", json=body)
        assert answer.status_code < 300, answer.text

    def sweep(self, *hosts: str) -> None:
        """Take away what migrations that broke hold on hosts: Nova forgets some of it (`nova-manage placement audit --delete`)."""
        servers = {server["id"] for server in list_servers(self.old)}
        placement = self.old.connection.placement
        for host in hosts:
            service = read_service(self.old, host)
            assert service is not None
            held = placement.get(f"/resource_providers/{service.provider}/allocations").json()["allocations"]
            for consumer in held.keys() - servers:
                assert placement.delete(f"/allocations/{consumer}").status_code == 204

    def until(self, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def fail(self, machine: str, **fails: str) -> None:
        """Let the machine's hardware fail at these verbs of Ironic from now on, and at no others."""
        machines.shared().change(self.lab.machines_folder, machine, lambda one: one.update(fails=fails))

    def give_back(self, machine: str, size: dict[str, int]) -> None:
        """The machine runs its host of the old cloud again, as if its disk had been put back."""
        system = {"cloud": "old", "host": machine}
        fresh = {"system": system, "size": size, "power": "on", "compute_enabled": True, "ramdisk": False, "fails": {}}
        machines.shared().change(self.lab.machines_folder, machine, lambda one: one.update(fresh))
        self.until(
            lambda: (service := read_service(self.old, machine)) is not None and service.state == "up" and service.provider is not None
        )


def _action(verb: Verb, target: Ref, after: tuple[str, ...], args: dict[str, Any]) -> Action:
    return Action(id=f"{verb}/{target.kind}/{target.id}", verb=verb, target=target, after=after, args=args)
