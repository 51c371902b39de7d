"""A cloud: a connection with its name, its rights, and the newest microversions that both sides know."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from keystoneauth1.access import AccessInfo
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session
from openstack import utils
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.proxy import Proxy

from decamp.clouds.errors import translated
from decamp.model.errors import BadInput, Unreachable

MICROVERSIONS = {"compute": "2.96", "block_storage": "3.70", "placement": "1.39", "baremetal": "1.90"}
"""The newest that this code was written for. A service that knows less is spoken to at the newest it knows; features ask `at_least`."""
SEARCH_PATH = ("$OS_CLIENT_CONFIG_FILE", "./clouds.yaml", "~/.config/openstack", "/etc/openstack")
"""Where openstacksdk looks for clouds.yaml (its reference, "Configuring OpenStack SDK Applications")."""


ANSWER_SECONDS = 300.0
"""How long a service may take to answer, unless `api_timeout` in clouds.yaml says it: one that never does counts as unreachable then."""


class SharedSession(Session):
    """For requests of several threads at a time, whose token expires for all of them at once.

    After an answer 401 keystoneauth asks again, with another token, only where there is a token to be given up: whoever comes second, while
    the first is getting the new one, would fail with credentials that are good. Here both ask again, once.
    """

    def __init__(self, *, timeout: float | None = None, **options: Any) -> None:
        super().__init__(timeout=timeout or ANSWER_SECONDS, **options)

    def invalidate(self, auth: BaseAuthPlugin | None = None) -> bool:
        super().invalidate(auth)
        return True


class Cloud:
    """Opened at first use. Safe to share between threads: each has a connection of its own, over one session (and so one token)."""

    def __init__(self, name: str, opened: Callable[[], Connection]) -> None:
        self.name = name
        self._open = opened
        self._opening = threading.Lock()
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"<Cloud {self.name}>"

    @property
    def connection(self) -> Connection:
        """openstacksdk's; wrap what you call in `self.calling(...)`."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._another()
        return self._local.connection

    def _another(self) -> Connection:
        """With a configuration of its own: the SDK writes the versioned address of a service into it, where an override in clouds.yaml
        names the unversioned one, and another connection would look for the service's versions there in vain."""
        with self._opening, translated(self.name):
            first = self._first
            config = copy.copy(first.config)
            config.config = dict(first.config.config)
            return Connection(session=first.session, config=config)

    def service(self, name: str) -> Proxy:
        """The client of a service, as `connection.<name>`, that speaks the newest microversion that both sides know.

        Raises Unreachable where it does not tell its versions: whoever guesses them while it does not answer gets wrong answers after.
        """
        with self.calling(f"read the versions of {name}"):
            client: Proxy = getattr(self.connection, name)
            newest = MICROVERSIONS.get(name)
            if newest and client.default_microversion is None:
                client.default_microversion = utils.maximum_supported_microversion(client, newest)
                if client.default_microversion is None:
                    raise Unreachable(f"{self.name}: {name} does not say which versions it knows: it does not answer now, or is too old")
            return client

    @cached_property
    def _first(self) -> Connection:
        return self._open()

    def calling(self, what: str):
        """Context manager that translates errors: `with cloud.calling("list servers"): ...`."""
        return translated(f"{self.name}: {what}")

    @cached_property
    def project_id(self) -> str:
        with self.calling("authenticate"):
            return self.connection.current_project_id or ""

    @cached_property
    def user_id(self) -> str:
        with self.calling("authenticate"):
            return self.connection.current_user_id or ""

    @cached_property
    def roles(self) -> frozenset[str]:
        return frozenset(self._access().role_names or ())

    @property
    def by_application_credential(self) -> bool:
        """Whether the credentials are an application's, which may not let others act for it everywhere (by a trust)."""
        return bool(getattr(self._access(), "application_credential_id", None))

    def _access(self) -> AccessInfo:
        with self.calling("authenticate"):
            session = self.connection.session
            return session.auth.get_access(session)  # pyright: ignore

    @property
    def admin(self) -> bool:
        """Whether the credentials carry the role `admin`: then other projects' things may be read."""
        return "admin" in self.roles

    def has(self, service_type: str) -> bool:
        """Whether the catalogue lists the service, under any of its official aliases."""
        with self.calling("read the catalogue"):
            return bool(self.connection.endpoint_for(service_type))

    def at_least(self, service: str, microversion: str) -> bool:
        """Whether `service` (compute, block_storage, placement, baremetal) is spoken to at `microversion` or newer."""
        return _version(self.service(service).default_microversion or "0") >= _version(microversion)

    def as_project(self, project_id: str) -> Cloud:
        """The same user, acting in another project; needs a role there."""
        if project_id == self.project_id:
            return self
        return Cloud(self.name, lambda: self._another().connect_as(project_id=project_id, project_name=None))


def connect(name: str, clouds_file: Path | None = None) -> Cloud:
    """The cloud of that name in clouds.yaml (at `clouds_file`, else on the standard search path).

    The file is read at first use, which raises BadInput if there is no such entry or it cannot be used.
    """

    def opened() -> Connection:
        if clouds_file and not clouds_file.is_file():
            raise BadInput(f"{clouds_file}: there is no such file; it should hold the entry {name!r}")
        config = OpenStackConfig(config_files=[str(clouds_file)] if clouds_file else None, session_constructor=SharedSession)
        if name not in config.get_cloud_names():
            where = config.config_filename or f"No clouds.yaml was found (in {', '.join(SEARCH_PATH)}): it"
            raise BadInput(
                f"{where} has no entry {name!r}: `clouds` in decamp.yaml says which entries are the old cloud, the new, the undercloud"
            )
        return Connection(config=config.get_one(cloud=name))

    return Cloud(name, opened)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
