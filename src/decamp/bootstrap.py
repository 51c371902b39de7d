"""From configuration to real objects: the only file that chooses adapters."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from decamp import hosts
from decamp.clouds import Cloud, connect
from decamp.hidden import HiddenValues
from decamp.hosts import preflight
from decamp.hosts.machines import load_instackenv
from decamp.model.effects import Performer
from decamp.model.errors import BadInput
from decamp.model.findings import Finding
from decamp.model.machines import Machine
from decamp.model.plan import Plan, Verb
from decamp.planning.undo import take_back
from decamp.resources import carriage, performing
from decamp.run.runs import Runs, open_runs
from decamp.settings import Settings

if TYPE_CHECKING:
    from decamp.run.engine import Engine
    from decamp.run.succession import Follow

ROLES = ("old", "new", "undercloud")


class Place:
    """One deployment of Decamp: its settings, and what is opened from them when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.hidden = HiddenValues(settings.hidden_parameters)
        self._clouds: dict[str, Cloud] = {}

    def cloud(self, word: str) -> Cloud:
        """`old`, `new`, `undercloud`, or the name of any entry in clouds.yaml."""
        name = getattr(self.settings.clouds, word) if word in ROLES else word
        if name not in self._clouds:
            self._clouds[name] = connect(name, self.settings.clouds_file)
        return self._clouds[name]

    def is_undercloud(self, word: str) -> bool:
        return word in {"undercloud", self.settings.clouds.undercloud}

    @cached_property
    def machines(self) -> dict[str, Machine]:
        """By name. Raises BadInput where the configuration names no instackenv file."""
        path = self.settings.expand.instackenv
        if path is None:
            raise BadInput("The configuration names no instackenv file: set expand.instackenv in decamp.yaml")
        return load_instackenv(path)

    def performers(self) -> dict[Verb, Performer]:
        """Those of a move, which tenants may use too, and those of hosts and machines. None opens a connection before it is used."""
        return {
            **performing.performers(self.cloud("old"), self.cloud("new"), self.hidden.of, self.settings.the_hooks, self._carrier),
            **hosts.performers(self.cloud("old"), self.cloud("new"), self.cloud("undercloud"), settings=self.settings),
        }

    def copies_under_way(self) -> int:
        """Images that are being carried on this machine by processes of their own."""
        return carriage.under_way(self.settings.copies_folder)

    @property
    def _carrier(self) -> carriage.Carrier:
        return carriage.Carrier(self.settings.copies_folder, self.settings.clouds_file, self.settings.state_url)

    def preflight(self, plan: Plan) -> tuple[Finding, ...]:
        """What the old cloud says against a plan that touches its hosts, before it is applied."""
        settings = self.settings
        undercloud = self.cloud("undercloud") if settings.expand.instackenv else None
        return preflight.preflight(self.cloud("old"), plan, settings.the_policy, stop=settings.stop_compute, undercloud=undercloud)

    def runs(self) -> Runs:
        """The state database, for reading and cancelling; a context manager. Needs neither clouds nor DBOS."""
        return open_runs(self.settings.state_url)

    def engine(self, follow: Follow | None = None) -> Engine:
        """What applies plans; a context manager, for one use. Importing DBOS takes most of a second, so it is done here."""
        from decamp.run import engine

        clouds, policy = self.settings.clouds, self.settings.the_policy
        return engine.Engine(
            self.settings.state_url,
            self.performers(),
            old=clouds.old,
            new=clouds.new,
            policy=policy,
            follow=follow,
            take_back=take_back,
        )
