"""What a cloud's services say of themselves, and what is made of it while they do not answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from decamp.clouds import connect
from decamp.lab import Lab
from decamp.lab.layout import CloudName
from decamp.lab.weather import Proxy, Weather, write_clouds
from decamp.model.errors import Unreachable
from decamp.resources import KINDS, image_data

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("weather", [Weather.UNAVAILABLE, Weather.BUSY, Weather.UNREACHED])
def test_versions_are_never_guessed_while_a_service_does_not_answer(lab: Lab, tmp_path: Path, weather: Weather) -> None:
    with Proxy(lab.url(CloudName.OLD, "nova")) as proxy:
        write_clouds(lab.clouds_yaml, tmp_path / "clouds.yaml", "old", {"compute": f"{proxy.url}/v2.1"})
        cloud = connect("old", tmp_path / "clouds.yaml")
        with proxy.during(weather), pytest.raises(Unreachable):
            cloud.at_least("compute", "2.53")
        assert proxy.seen[weather]
        assert cloud.at_least("compute", "2.53")
        assert not cloud.at_least("compute", "2.999")


def test_an_address_without_a_version_is_good_for_every_thread_and_project(lab: Lab, tmp_path: Path) -> None:
    """As `image_endpoint_override` in somebody's clouds.yaml."""
    write_clouds(lab.clouds_yaml, tmp_path / "clouds.yaml", "old", {"image": lab.url(CloudName.OLD, "glance")})
    cloud = connect("old", tmp_path / "clouds.yaml")
    assert image_data.got(cloud, "00000000-0000-0000-0000-000000000000") is None
    with ThreadPoolExecutor() as threads:
        assert threads.submit(image_data.got, cloud, "00000000-0000-0000-0000-000000000000").result() is None
    identity = cloud.connection.identity
    other = identity.find_project("service", ignore_missing=False)
    KINDS["project"].admit(cloud, other.id)  # type: ignore[attr-defined]
    assert image_data.got(cloud.as_project(other.id), "00000000-0000-0000-0000-000000000000") is None
