"""A lab for the tests that need real clouds: one for the whole session, kept in the cache between sessions so that it starts warm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from decamp import lab as labs
from decamp.lab.health import port_is_open
from decamp.lab.layout import CLOUDS, cache_folder
from decamp.lab.mounts import mounted_below
from decamp.lab.prepared import PRISTINE, exists
from decamp.lab.progress import StepEvent, StepState

TEST_PORT_BASE = 27000
"""Not the default: a lab of the developer's own may be up at the same time."""


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[labs.Lab]:
    """All three clouds, up. DECAMP_TEST_LAB names the folder of a lab to use as it is, and to leave running; else it is a pristine one."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        named = os.environ.get("DECAMP_TEST_LAB")
        if named:
            yield labs.up(Path(named).absolute(), report=show)
            return
        folder = cache_folder() / "test-lab"
        known = labs.layout.exists(folder) and exists(labs.load(folder))
        made = labs.up(folder, labs.Settings(port_base=TEST_PORT_BASE), restore=PRISTINE if known else None, report=show)
    yield made
    labs.down(folder)
    assert not mounted_below(folder)
    assert not [port for cloud in CLOUDS for service in CLOUDS[cloud].services if port_is_open(port := made.port(cloud, service))]


def show(event: StepEvent) -> None:
    """Minutes without a word look like a test that hangs."""
    if event.state in {StepState.DONE, StepState.FAILED}:
        print(f"\nlab: {event.step}: {event.state} after {event.seconds:.1f} s", end="", flush=True)
