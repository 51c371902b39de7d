"""The policy: what the operator allows, in numbers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    concurrency: int = 4
    """Actions of one run at a time."""
    spare_hosts: int = 0
    """Keep free what the largest N hosts can hold."""
    spare_fraction: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0
    """Keep free this share of what the hosts that take servers can hold."""
    stopped_servers: Literal["refuse", "shelve"] = "refuse"
    """What becomes of stopped servers that are not to be migrated: they keep their host, or are shelved."""
    leaves_within_days: Annotated[float, msgspec.Meta(ge=0)] = 0
    """A host whose servers all leave by themselves within so many days of the survey is left alone."""
    never_touch_hosts: tuple[str, ...] = ()
    never_move_servers: tuple[str, ...] = ()
    migration_timeout_seconds: float = 3600
    stack_timeout_seconds: float = 7200
    node_timeout_seconds: float = 7200
    join_timeout_seconds: float = 1800
    copy_timeout_seconds: float = 86400
