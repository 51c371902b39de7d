"""The policy: what the operator allows, in numbers."""

from __future__ import annotations

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    concurrency: int = 4
    """Actions of one run at a time."""
    spare_hosts: int = 0
    """Keep free what the largest N hosts can hold."""
    never_touch_hosts: tuple[str, ...] = ()
    never_move_servers: tuple[str, ...] = ()
    migration_timeout_seconds: float = 3600
    stack_timeout_seconds: float = 7200
    node_timeout_seconds: float = 7200
    join_timeout_seconds: float = 1800
    copy_timeout_seconds: float = 86400
