"""Every tenant of the seed leaves the old cloud with its own credentials: recreated, taken back, moved with its disks, confirmed, gone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract import clear
from desk import Desk

from decamp import clouds
from decamp.lab import Lab, machines, seed
from decamp.lab.connections import connect
from decamp.lab.content import FLAVORS
from decamp.lab.layout import CloudName
from decamp.lab.seed import DEFAULT_SEED, DEFAULT_TENANTS, blueprint, tenancy
from decamp.lab.seed.blueprint import Tenant

pytestmark = [pytest.mark.lab, pytest.mark.long]

VERIFY = Path(__file__).parents[2] / "tools" / "verify.py"
SIZES = [flavor.name for flavor in FLAVORS[CloudName.OLD]]
UNSEEN = "user_data_sha256"
"""Shown to administrators only: the plans say that it stays behind."""


class Leaving(Desk):
    """A tenant with its own credentials in both clouds, and the configuration that the lab gives to tenants."""

    def __init__(self, lab: Lab, path: Path, tenant: Tenant, given: dict[str, Any]) -> None:
        path.mkdir()
        super().__init__(lab, path)
        self.tenant = tenant
        entries = {str(cloud): tenancy.ensure_credential(lab, cloud, tenant.name) for cloud in (CloudName.OLD, CloudName.NEW)}
        self.clouds = {"clouds": entries}
        self.settings = {"clouds_file": "clouds.yaml", "state": f"sqlite:///{path}/state.sqlite", "mapping": given["mapping"]}
        self.write()

    def move(self, manner: str) -> None:
        self.run("plan", "move", "--manner", manner, "-o", f"{manner}.json")
        self.run("apply", f"{manner}.json", "--yes")

    def end(self, verb: str) -> None:
        """Undo or confirm the latest run."""
        out, _ = self.run("runs", "-f", "json")
        self.run(verb, json.loads(out)[0]["Run"], "--yes")


class Tenants:
    """All of them, side by side."""

    def __init__(self, lab: Lab, folder: Path, desks: list[Leaving]) -> None:
        self.lab, self.desks, self._folder = lab, desks, folder
        self._verify("record", *self._each("--project"), "-o", "before.json")

    def do(self, what: Callable[[Leaving], None]) -> None:
        _side_by_side(what, self.desks)

    def move(self, manner: str) -> None:
        """Who has the largest server goes first: when the others have filled the new cloud, no host of it has room for that."""
        by_size: dict[int, list[Leaving]] = {}
        for desk in self.desks:
            by_size.setdefault(max(SIZES.index(server.flavor) for server in desk.tenant.servers), []).append(desk)
        for _, desks in sorted(by_size.items(), reverse=True):
            _side_by_side(lambda desk: desk.move(manner), desks)

    def check(self, option: str, *more: str) -> None:
        """`option` is said of every tenant."""
        by_operator = [one for desk in self.desks if not desk.tenant.in_new for one in ("--by-operator", desk.tenant.name)]
        self._verify("check", "before.json", *self._each(option), *by_operator, "--not-carried", UNSEEN, *more)

    def _each(self, option: str) -> list[str]:
        return [one for desk in self.desks for one in (option, desk.tenant.name)]

    def _verify(self, *arguments: str) -> None:
        command = [sys.executable, str(VERIFY), "--clouds-file", str(self.lab.clouds_yaml), *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _side_by_side(what: Callable[[Leaving], None], desks: list[Leaving]) -> None:
    with ThreadPoolExecutor(len(desks)) as pool:
        list(pool.map(what, desks))


@pytest.fixture(scope="module")
def tenants(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """The lab is left without them: they are gone from the old cloud, and what they have in the new one is deleted."""
    drawn = blueprint.draw(DEFAULT_SEED, DEFAULT_TENANTS, machines.running_hosts(lab, CloudName.OLD)).tenants
    seed.seed(lab)
    _make_room(lab)
    folder = tmp_path_factory.mktemp("tenants")
    _prepare(lab, folder, (tenant for tenant in drawn if not tenant.in_new))
    given = yaml.safe_load((lab.folder / "tenants" / drawn[0].name / "decamp.yaml").read_text())
    desks = [Leaving(lab, folder / tenant.name, tenant, given) for tenant in drawn]
    try:
        yield Tenants(lab, folder, desks)
    finally:
        admin = clouds.connect("new", lab.clouds_yaml)
        for desk in desks:
            clear(admin, clouds.connect("new", desk.path / "clouds.yaml"))


def _make_room(lab: Lab) -> None:
    """All three fill two hosts to the brim: the new cloud promises more memory than there is, as operators let theirs."""
    placement = connect(lab, CloudName.NEW).placement
    for provider in placement.get("/resource_providers").json()["resource_providers"]:
        inventory = f"/resource_providers/{provider['uuid']}/inventories/MEMORY_MB"
        placement.put(inventory, json=placement.get(inventory).json() | {"allocation_ratio": 2.0}).raise_for_status()


def _prepare(lab: Lab, folder: Path, unknown: Iterable[Tenant]) -> None:
    """What an operator does for a tenant that the new cloud does not know: all that takes an operator, and a password."""
    operator = Desk(lab, folder)
    for tenant in unknown:
        operator.run("plan", "move", "--project", tenant.name, "--prepare", "-o", "prepare.json")
        operator.run("apply", "prepare.json", "--yes")
        identity = connect(lab, CloudName.NEW).identity
        user = identity.find_user(tenant.name, ignore_missing=False)
        identity.update_user(user, password=tenancy.secret(lab, CloudName.NEW, tenant.name))
        time.sleep(1.1)  # a password takes older tokens along, and those of the same second


def test_a_recreated_project_is_proved_and_its_undo_leaves_both_clouds_as_they_were(tenants: Tenants) -> None:
    tenants.move("recreate")
    tenants.check("--moved")
    tenants.do(lambda desk: desk.end("undo"))
    tenants.check("--undone")


def test_a_project_moved_with_its_disks_is_proved_and_its_confirm_leaves_nothing_in_the_old_cloud(tenants: Tenants) -> None:
    tenants.move("snapshot")
    names = sorted({server.name for desk in tenants.desks for server in desk.tenant.servers})
    tenants.check("--moved", *(one for name in names for one in ("--with-disk", name)))
    tenants.do(lambda desk: desk.end("confirm"))
    tenants.check("--emptied")
