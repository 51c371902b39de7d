"""What a cloud's services say of themselves, and what is made of it while they do not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from decamp.clouds import connect
from decamp.lab import Lab
from decamp.lab.layout import CloudName
from decamp.lab.weather import Proxy, Weather, write_clouds
from decamp.model.errors import Unreachable

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
