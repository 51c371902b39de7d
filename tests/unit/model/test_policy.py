import pytest

from decamp.model.policy import LockedServers, Policy
from decamp.model.survey import Pinned
from small_clouds import server


@pytest.mark.parametrize(
    ("locked_servers", "pinned", "why"),
    [
        (LockedServers.REFUSE, Pinned.LOCKED, Pinned.LOCKED),
        (LockedServers.MIGRATE, Pinned.LOCKED, None),
        (LockedServers.MIGRATE, Pinned.NUMA, Pinned.NUMA),
        (LockedServers.REFUSE, None, None),
    ],
)
def test_policy_passes_over_locks_and_over_nothing_else(locked_servers: LockedServers, pinned: Pinned | None, why: Pinned | None) -> None:
    assert Policy(locked_servers=locked_servers).pins(server("s", "a", pinned=pinned)) is why
