"""A lab for the tests that need real clouds: one for the whole session, kept in the cache between sessions so that it starts warm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from steps import show

from decamp import lab as labs
from decamp.lab.health import port_is_open
from decamp.lab.layout import CLOUDS, cache_folder
from decamp.lab.mounts import mounted_below
from decamp.lab.prepared import PRISTINE, exists

OLD_HOSTS = 20
"""As many as the tests of the vacate need. In a lab, a host costs a hundredth of a core: one lab for all tests is quicker than two."""
TEST_PORT_BASE = 27000
"""Not the default: a lab of the developer's own may be up at the same time."""
FIRST_TEST_SECONDS = 2700
"""For the first test of the lab: the time in which the lab is made counts as its own."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """When it is known which tests are run, and in which order."""
    # other tests have a fixture of that name too
    in_the_lab = (item for item in items if item.get_closest_marker("lab"))
    first = next((item for item in in_the_lab if "lab" in getattr(item, "fixturenames", ())), None)
    if first:
        first.add_marker(pytest.mark.timeout(FIRST_TEST_SECONDS), append=False)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[labs.Lab]:
    """All three clouds, up. DECAMP_TEST_LAB names the folder of a lab to use as it is, and to leave running; else it is a pristine one."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        named = os.environ.get("DECAMP_TEST_LAB")
        if named:
            yield labs.up(Path(named).absolute(), report=show)
            return
        folder, settings = cache_folder() / "test-lab", labs.Settings(port_base=TEST_PORT_BASE, old_hosts=OLD_HOSTS)
        if labs.layout.exists(folder) and labs.load(folder).settings != settings:
            labs.down(folder, purge=True, report=show)
        known = labs.layout.exists(folder) and exists(labs.load(folder))
        made = labs.up(folder, settings, restore=PRISTINE if known else None, report=show)
    yield made
    labs.down(folder)
    assert not mounted_below(folder)
    assert not [port for cloud in CLOUDS for service in CLOUDS[cloud].services if port_is_open(port := made.port(cloud, service))]
