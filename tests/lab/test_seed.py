"""The seed on real clouds: an interrupted one can be repeated, a repeated one adds nothing, and the disks hold what they should."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml

from decamp.lab import Lab, machines, seed
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName
from decamp.lab.seed import blueprint, guest_bytes, guests
from decamp.lab.seed.blueprint import Blueprint
from decamp.model.errors import BadInput

pytestmark = pytest.mark.lab

NUMBER, TENANTS = 1, 2
VERIFY = Path(__file__).parents[2] / "tools" / "verify.py"


@pytest.fixture(scope="module")
def drawn(lab: Lab) -> Blueprint:
    return blueprint.draw(NUMBER, TENANTS, machines.running_hosts(lab, CloudName.OLD))


@pytest.fixture(scope="module")
def seeded(lab: Lab) -> Lab:
    """Seeded after a seed that was killed in the middle of its servers."""
    options = ["--dir", str(lab.folder), "--seed", str(NUMBER), "--tenants", str(TENANTS)]
    first = subprocess.Popen([sys.executable, "-m", "decamp.cli.main", "lab", "seed", *options])
    old = connect(lab, CloudName.OLD)
    while first.poll() is None and len(_assets(old)) < 2:
        time.sleep(0.5)
    first.kill()
    first.wait()
    seed.seed(lab, number=NUMBER, tenants=TENANTS)
    return lab


def _assets(old: openstack.connection.Connection) -> list[Any]:
    return [server for server in old.compute.servers(all_projects=True) if "asset" in server.metadata]


def _counts(lab: Lab) -> dict[str, int]:
    counts = {}
    for cloud in (CloudName.OLD, CloudName.NEW):
        connection = connect(lab, cloud)
        for kind, listed in {
            "projects": connection.identity.projects(),
            "users": connection.identity.users(),
            "images": connection.image.images(),
            "servers": connection.compute.servers(all_projects=True),
            "volumes": connection.block_storage.volumes(all_projects=True),
            "networks": connection.network.networks(),
            "ports": connection.network.ports(),
            "rules": connection.network.security_group_rules(),
            "floating IPs": connection.network.ips(),
        }.items():
            counts[f"{cloud} {kind}"] = len(list(listed))
    return counts


def test_an_interrupted_seed_is_completed_without_doubles(seeded: Lab, drawn: Blueprint) -> None:
    wanted = Counter(server.name for tenant in drawn.tenants for server in tenant.servers)
    found = [server for server in _assets(connect(seeded, CloudName.OLD)) if server.metadata["asset"].rsplit("-", 1)[0] in _names(drawn)]
    assert Counter(server.name for server in found) == wanted
    assert len({server.metadata["asset"] for server in found}) == len(found)


def _names(drawn: Blueprint) -> set[str]:
    return {tenant.name for tenant in drawn.tenants}


def test_a_second_seed_adds_nothing(seeded: Lab) -> None:
    before = _counts(seeded)
    again = seed.seed(seeded, number=NUMBER, tenants=TENANTS)
    assert [tenant.servers_made for tenant in again] == [0] * TENANTS
    assert _counts(seeded) == before


def test_another_number_is_refused_before_anything_is_made(seeded: Lab) -> None:
    before = _counts(seeded)
    with pytest.raises(BadInput, match=r"seed 1\).*seed 2\)"):
        seed.seed(seeded, number=2, tenants=TENANTS)
    assert _counts(seeded) == before


def test_disks_hold_what_their_guests_wrote_upon_the_base_image(seeded: Lab, drawn: Blueprint) -> None:
    servers = {server.metadata["asset"]: server for server in _assets(connect(seeded, CloudName.OLD))}
    images = {image.name: image for image in drawn.images} | {tenant.image.name: tenant.image for tenant in drawn.tenants}
    for server in (server for tenant in drawn.tenants for server in tenant.servers if server.patch and server.image):
        there = servers[server.asset]
        disk = guests.root_disk(seeded, there.compute_host, there.id).read_bytes()
        image = images[server.image or ""]
        assert server.patch
        expected = bytearray(guest_bytes.image(image.name, image.size_bytes))
        for offset, data in guest_bytes.patches(server.patch.label, image.size_bytes, server.patch.amount_bytes):
            expected[offset : offset + len(data)] = data
        assert disk == expected, server.asset


def test_tenants_work_with_their_own_credentials_where_they_have_a_project(seeded: Lab, drawn: Blueprint) -> None:
    clouds = yaml.safe_load(seeded.clouds_yaml.read_text())["clouds"]
    assert seeded.clouds_yaml.stat().st_mode & 0o777 == 0o600
    for tenant in drawn.tenants:
        entry = openstack.config.OpenStackConfig([str(seeded.clouds_yaml)]).get_one(f"old-{tenant.name}")
        connection = openstack.connection.Connection(config=entry)
        assert sorted(server.name for server in connection.compute.servers()) == sorted(server.name for server in tenant.servers)
        assert (f"new-{tenant.name}" in clouds) == tenant.in_new
        assert (seeded.folder / "tenants" / tenant.name / "decamp.yaml").exists() == tenant.in_new


def test_the_verifier_passes_untouched_clouds_and_fails_on_one_change(seeded: Lab, tmp_path: Path) -> None:
    def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(VERIFY), "--clouds-file", str(seeded.clouds_yaml), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    record = str(tmp_path / "before.json")
    assert verify("record", "-o", record).returncode == 0
    untouched = verify("check", record).stdout
    # what other tests' runs may have left in Placement is not this test's
    for passed in ("old: everybody else's servers", "old: nothing left over", "new: nothing left over"):
        assert f"✓ {passed}" in untouched, untouched
    compute = connect(seeded, CloudName.OLD).compute
    server = next(server for server in compute.servers(all_projects=True) if server.name == "gate")
    compute.lock_server(server)
    try:
        tampered = verify("check", record)
    finally:
        compute.unlock_server(server)
    assert tampered.returncode == 1
    assert f"gate ({server.id}): locked was False, is True" in tampered.stdout
