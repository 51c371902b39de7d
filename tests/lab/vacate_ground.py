"""What the tests of a whole vacate stand on: 120 servers on 20 hosts, the command line, and a check that knows nothing of Decamp."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from steps import show

from decamp import lab as labs
from decamp.lab import prepared, seed
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName
from decamp.lab.prepared import PRISTINE
from decamp.lab.seed import Scenario

FEWEST_HOSTS = 20
SEEDED = "vacate"
VERIFY = Path(__file__).parents[2] / "tools" / "verify_vacate.py"
MIGRATIONS = ("live_migrate", "cold_migrate")
REFUSED = 3
"""Exit status of a plan in which nothing can be done."""
WAIT_SECONDS = 1200.0
"""For a whole vacate, which takes some minutes by itself, on a machine that has much else to do."""
TEST_SECONDS = 1500.0
"""For a test of it: more than that, so that what it waited for is said."""
Json = dict[str, Any]

_seeded: set[Path] = set()


def put_back(lab: labs.Lab) -> labs.Lab:
    """The lab as the seed left it: seeded by the first who asks, copied back for the others.

    A lab of the developer's own (DECAMP_TEST_LAB) that has a kept state of that name is trusted with it.
    """
    if lab.settings.old_hosts < FEWEST_HOSTS:
        pytest.skip(f"the lab in {lab.folder} has {lab.settings.old_hosts} old hosts, and a vacate is tried on {FEWEST_HOSTS}")
    trusted = lab.folder in _seeded or ("DECAMP_TEST_LAB" in os.environ and prepared.fits(lab, SEEDED))
    if trusted:
        return labs.up(lab.folder, restore=SEEDED, report=show)
    made = labs.up(lab.folder, restore=PRISTINE, report=show)
    seed.seed(made, scenario=Scenario.VACATE, report=show)
    labs.keep(lab.folder, SEEDED, report=show)
    _seeded.add(lab.folder)
    return made


class Estate(Desk):
    """The seeded lab, and a Decamp with a state of its own."""

    def __init__(self, lab: labs.Lab, path: Path) -> None:
        super().__init__(lab, path)
        self.lab = lab
        self.compute: Any = connect(lab, CloudName.OLD).compute
        self.policy(retry_seconds=5, migration_timeout_seconds=300)

    def policy(self, **choices: object) -> None:
        self.settings["policy"] = {**self.settings.get("policy", {}), **choices}
        self.write()

    # Decamp

    def plan(self, name: str = "plan.json", *, status: int = 0) -> Json:
        self.run("plan", "vacate", "--max", "-o", name, "-f", "json", status=status)
        return json.loads((self.path / name).read_text())

    def run_of(self, plan: Json) -> str:
        """The first run of the plan, once it has begun."""
        name = f"{plan['id'][:8]}-1"
        self.until(lambda: any(row["Run"] == name for row in json.loads(self.run("runs", "-f", "json")[0])), "a run of the plan")
        return name

    def outcomes(self, run: str, of: str) -> list[Json]:
        """What Decamp says became of each of its `hosts`, or `servers`."""
        return json.loads(self.run("status", run, "--show", of, "-f", "json")[0])

    # Nova

    def servers(self) -> dict[str, Any]:
        return {server.id: server for server in self.compute.servers(all_projects=True)}

    def hosts(self) -> dict[str, Any]:
        return {service.host: service for service in self.compute.services(binary="nova-compute")}

    def arrived(self) -> int:
        """Migrations that have ended well."""
        return sum(one.status in {"completed", "confirmed"} for one in self.compute.migrations())

    # The independent check

    def record(self) -> Path:
        before = self.path / "before.json"
        self.verify("record", "-o", str(before))
        return before

    def verify(self, *arguments: str) -> str:
        options = ["--clouds-file", str(self.lab.clouds_yaml), "--disks", str(self.lab.cloud_folder(CloudName.OLD) / "nova" / "disks")]
        done = subprocess.run([sys.executable, str(VERIFY), *options, *arguments], capture_output=True, text=True, check=False)
        print(done.stdout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def until(self, holds: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
            time.sleep(0.5)


def options(name: str, values: object) -> list[str]:
    """The same option for each value."""
    return [word for value in values for word in (name, str(value))]  # type: ignore[attr-defined]


def migrations_of(plan: Json) -> list[Json]:
    return [action for action in plan["actions"] if action["verb"] in MIGRATIONS]
