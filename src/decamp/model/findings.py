"""What is found out about clouds before a plan is applied to them."""

from __future__ import annotations

import enum

import msgspec

from decamp.model.refs import Ref


class Check(enum.StrEnum):
    """What was looked at."""

    MICROVERSIONS = "microversions"
    """Whether the services know what the plan asks of them."""
    RIGHTS = "rights"
    """Whether the credentials may do it."""
    SERVICES = "services"
    """Whether the hosts' compute services report, and take servers."""
    HYPERVISORS = "hypervisors"
    """Whether those of source and target go together."""
    CPUS = "cpus"
    """Whether the target's CPU has what the source's has."""
    STORAGE = "storage"
    """Whether local disks have to be copied."""
    MIGRATIONS = "migrations"
    """Whether others migrate something there already."""
    STOP = "stop"
    """Whether there is a way to stop nova-compute."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    check: Check
    ref: Ref
    """The host, server or cloud that it is about."""
    blocking: bool
    """With one of these the plan is not applied; the others are warnings."""
    text: str
