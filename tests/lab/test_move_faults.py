"""Moves of one tenant, with application credentials, on clouds that go wrong: each ends as it should, and goes on when that is over."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from contract import EXTERNAL, Ground, ground
from contract_servers import MIB, boot, image, volume
from desk import Desk, told
from tenant_application import belongings, with_application_credentials
from wire import Wire

from decamp.lab import Lab
from decamp.lab.layout import CloudName
from decamp.lab.weather import Proxy, Weather
from decamp.model.refs import Ref
from decamp.resources import KINDS, image_data
from decamp.resources.tagging import UNFINISHED

pytestmark = pytest.mark.lab

WAIT_SECONDS = 300
FAILED, REFUSED, CHANGED = 1, 3, 4
STORMS = (Weather.EXPIRED, Weather.BUSY, Weather.UNAVAILABLE, Weather.CUT, Weather.UNREACHED)


class Mover:
    """The tenant: his things in the old cloud, his desk, and the way to the clouds."""

    def __init__(self, lab: Lab, here: Ground, folder: Path) -> None:
        self.lab, self.here = lab, here
        self.desk = Desk(lab, folder)
        self.desk.clouds = with_application_credentials(here, folder)
        self.desk.settings = {
            "clouds_file": "clouds.yaml",
            "state": "sqlite:///state/decamp.sqlite",
            "mapping": {"network": {EXTERNAL: EXTERNAL}},
        }
        self.desk.write()

    def plan(self, *options: str) -> list[dict[str, Any]]:
        """The plan's actions."""
        self.desk.run("plan", "move", *options, "-o", "plan.json")
        return self.document["actions"]

    @property
    def document(self) -> dict[str, Any]:
        return json.loads((self.desk.path / "plan.json").read_text())

    def apply(self, *options: str, status: int = 0) -> str:
        """What it said."""
        return "".join(self.desk.run("apply", "plan.json", "--yes", *options, status=status))

    @property
    def last_run(self) -> str:
        return json.loads(self.desk.run("runs", "-f", "json")[0])[0]["Run"]

    def created(self) -> list[str]:
        """Kinds of what is still to be made for this project."""
        return [action["target"][0] for action in self.plan() if action["verb"] == "create"]

    def copies(self, kind: str, name: str) -> list[str]:
        found = KINDS[kind].export(self.here.new, self.here.new.project_id)
        return [one.id for one in found if one.name == name and one.project == self.here.new.project_id]

    @contextmanager
    def elsewhere(self, cloud: str, **urls: str) -> Iterator[None]:
        """With services of that cloud at other addresses."""
        entry, names = self.desk.clouds["clouds"][cloud], [f"{service}_endpoint_override" for service in urls]
        entry |= dict(zip(names, urls.values(), strict=True))
        self.desk.write()
        try:
            yield
        finally:
            for name in names:
                del entry[name]
            self.desk.write()

    @contextmanager
    def settings(self, **values: Any) -> Iterator[None]:
        whole, self.desk.settings = self.desk.settings, self.desk.settings | values
        self.desk.write()
        try:
            yield
        finally:
            self.desk.settings = whole
            self.desk.write()


@pytest.fixture(scope="module")
def mover(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mover]:
    folder = tmp_path_factory.mktemp("mover")
    with ground(lab.folder / "clouds.yaml", folder, "tenant") as here:
        yield Mover(lab, here, folder)


@pytest.fixture(autouse=True)
def nothing_twice(mover: Mover) -> Iterator[None]:
    """Whatever happened: no half is left, and nothing bears the same mark as another."""
    yield
    images = list(image_data.listed(mover.here.new, owner=mover.here.new.project_id))
    assert not [one["name"] for one in images if UNFINISHED in one["tags"]]
    marks = Counter(tag for one in images for tag in one["tags"] if tag.startswith("decamp-"))
    assert not [mark for mark, number in marks.items() if number > 1]


def test_expired_tokens_busy_services_and_cut_connections_everywhere_do_not_end_a_move(mover: Mover) -> None:
    """Of each service some requests meet a storm each; those that are cut have had their effect."""
    here, client = mover.here, mover.here.tenant.network
    net = client.create_network(name="storm")
    subnet = client.create_subnet(name="storm", network_id=net.id, ip_version=4, cidr="10.70.0.0/24")
    client.add_interface_to_router(client.create_router(name="storm"), subnet=subnet.id)
    group = client.create_security_group(name="storm")
    for port in range(8001, 8004):
        client.create_security_group_rule(
            security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=port, port_range_max=port
        )
    here.tenant.compute.create_server_group(name="storm", policy="anti-affinity")
    image(here.tenant, secrets.token_bytes(MIB), name="storm")
    mover.plan()
    with ExitStack() as stack:
        proxies = {
            service: stack.enter_context(Proxy(mover.lab.url(CloudName.NEW, name), retry_after_seconds=1))
            for service, name in (("network", "neutron"), ("image", "glance"), ("compute", "nova"))
        }
        urls = {service: proxy.url + ("/v2.1" if service == "compute" else "") for service, proxy in proxies.items()}
        for service, proxy in proxies.items():
            calm = 5 if service == "network" else 1
            proxy.once(*[Weather.CLEAR] * 4, *(weather for storm in STORMS for weather in (storm, *[Weather.CLEAR] * calm)))
        with mover.elsewhere("new", **urls):
            mover.apply()
        seen = {service: {storm for storm in STORMS if proxy.seen[storm]} for service, proxy in proxies.items()}
    assert seen["network"] == set(STORMS)
    assert seen["image"] >= {Weather.EXPIRED, Weather.BUSY, Weather.UNAVAILABLE}
    assert {kind: len(mover.copies(kind, "storm")) for kind in ("network", "subnet", "router", "security_group", "image")} == dict.fromkeys(
        ("network", "subnet", "router", "security_group", "image"), 1
    )
    assert len(list(here.new.connection.compute.server_groups())) == 1
    assert mover.created() == []


def test_an_upload_that_is_cut_begins_anew_by_itself(mover: Mover) -> None:
    data = secrets.token_bytes(8 * MIB)
    image(mover.here.tenant, data, name="cut")
    mover.plan()
    with Wire(mover.lab.url(CloudName.NEW, "glance"), cut_requests=[3 * MIB, 5 * MIB]) as wire, mover.elsewhere("new", image=wire.url):
        mover.apply()
        assert wire.requested_bytes > 8 * MIB + 7 * MIB
    (copy,) = mover.copies("image", "cut")
    there = image_data.got(mover.here.new, copy)
    assert there is not None
    assert there["size"] == len(data)
    assert mover.created() == []


def test_an_upload_whose_token_has_expired_begins_anew_by_itself(mover: Mover) -> None:
    """The token was good for the call that made the image."""
    image(mover.here.tenant, secrets.token_bytes(MIB), name="expired")
    mover.plan()
    with Proxy(mover.lab.url(CloudName.NEW, "glance")) as proxy, mover.elsewhere("new", image=proxy.url):
        proxy.once_for("PUT", Weather.EXPIRED)
        mover.apply()
        assert proxy.seen[Weather.EXPIRED] == 1
    assert len(mover.copies("image", "expired")) == 1


def test_a_quota_that_is_full_ends_its_branch_at_once_and_resume_goes_on_when_it_is_not(mover: Mover) -> None:
    """Lowered to what is in use after the plan was made: else the plan would be refused."""
    here, project, new = mover.here, mover.here.new.project_id, mover.here.new.connection
    network = here.tenant.network.create_network(name="quota")
    here.tenant.network.create_subnet(name="quota", network_id=network.id, ip_version=4, cidr="10.71.0.0/24")
    here.tenant.compute.create_server_group(name="quota", policy="affinity")
    volume(here.tenant)
    image(here.tenant, b"q" * MIB, name="quota")
    mover.plan()
    networks, volumes = len(list(new.network.networks(project_id=project))), len(list(new.block_storage.volumes()))
    _limit(here, project, networks=networks, volumes=volumes, server_groups=len(list(new.compute.server_groups())))
    began = time.monotonic()
    said = mover.apply(status=FAILED)
    assert time.monotonic() - began < WAIT_SECONDS, "it was asked for again and again"
    assert said.lower().count("quota") + said.count("VolumeLimitExceeded") >= 3, said
    assert len(mover.copies("image", "quota")) == 1, "no branch of its own ends with the others"
    _limit(here, project, networks=100, volumes=100, server_groups=100)
    mover.desk.run("resume", mover.last_run, "--yes")
    assert len(mover.copies("network", "quota")) == 1
    assert mover.created() == []


def _limit(here: Ground, project: str, *, networks: int, volumes: int, server_groups: int) -> None:
    assert here.new_admin.network.put(f"/quotas/{project}", json={"quota": {"network": networks}}).ok
    here.new_admin.block_storage.update_quota_set(project, volumes=volumes)
    here.new_admin.compute.update_quota_set(project, server_groups=server_groups)


def test_an_image_whose_bytes_are_not_what_its_hash_says_is_not_taken_over(mover: Mover) -> None:
    source = image(mover.here.tenant, secrets.token_bytes(3 * MIB), name="rotten")
    mover.plan()
    file = mover.lab.folder / "old" / "glance" / "images" / source
    whole = file.read_bytes()
    file.write_bytes(whole[:MIB] + bytes([whole[MIB] ^ 1]) + whole[MIB + 1 :])
    said = mover.apply(status=FAILED)
    assert "have not the hash that Glance keeps of them" in said
    assert mover.copies("image", "rotten") == []
    file.write_bytes(whole)
    mover.desk.run("resume", mover.last_run, "--yes")
    assert len(mover.copies("image", "rotten")) == 1


def test_names_that_are_taken_are_left_to_who_has_them(mover: Mover) -> None:
    """Names are not identity."""
    here = mover.here
    mine, theirs = here.tenant.network, here.new.connection.network
    mine.create_network(name="taken", is_admin_state_up=False)
    mine.create_router(name="taken", description="ours")
    mine.create_security_group(name="taken", description="ours")
    before = {
        Ref("network", theirs.create_network(name="taken").id),
        Ref("router", theirs.create_router(name="taken", description="theirs").id),
        Ref("security_group", theirs.create_security_group(name="taken", description="theirs").id),
    }
    prints = {ref: KINDS[ref.kind].read(here.new, ref.id) for ref in before}
    mover.plan()
    mover.apply()
    for kind in ("network", "router", "security_group"):
        assert len(mover.copies(kind, "taken")) == 2
    assert {ref: KINDS[ref.kind].read(here.new, ref.id) for ref in before} == prints
    mover.desk.run("undo", mover.last_run, "--yes")
    for kind in ("network", "router", "security_group"):
        assert {Ref(kind, one) for one in mover.copies(kind, "taken")} <= before
    assert {ref: KINDS[ref.kind].read(here.new, ref.id) for ref in before} == prints


def test_an_external_network_that_nobody_mapped_is_refused_by_its_name_until_somebody_does(mover: Mover) -> None:
    client = mover.here.tenant.network
    outside = client.find_network(EXTERNAL, ignore_missing=False)
    client.create_router(name="edge", external_gateway_info={"network_id": outside.id})
    with mover.settings(mapping={}):
        mover.plan()
        refusals = {tuple(one["ref"]): one["text"] for one in mover.document["refusals"]}
        assert EXTERNAL in refusals["network", outside.id]
        mover.apply(status=REFUSED)
    assert mover.copies("router", "edge") == []
    mover.plan()
    mover.apply()
    assert len(mover.copies("router", "edge")) == 1


WAITS = """#!/bin/sh
touch waits
while ! test -e goes-on; do sleep 0.2; done
"""


def test_a_server_that_its_owner_deletes_meanwhile_ends_its_own_branch_and_leaves_nothing(mover: Mover) -> None:
    here, folder = mover.here, mover.desk.path
    hook = folder / "hook"
    hook.write_text(WAITS)
    hook.chmod(stat.S_IRWXU)
    server = boot(here, imageRef=image(here.tenant, b"d" * MIB, name="deleted"), networks="none", name="deleted")
    with mover.settings(hooks={"before_stop": {"command": [str(hook)]}}):
        before = belongings(here)
        mover.plan("--manner", "snapshot", "--server", server)
        applying = mover.desk.start("apply", "plan.json", "--yes")
        deadline = time.monotonic() + WAIT_SECONDS
        while not (folder / "waits").exists() and time.monotonic() < deadline:
            assert applying.poll() is None
            time.sleep(0.2)
        doomed = here.tenant.compute.get_server(server)
        here.tenant.compute.delete_server(doomed)
        here.tenant.compute.wait_for_delete(doomed, wait=WAIT_SECONDS)
        (folder / "goes-on").touch()
        out, err = told(applying, WAIT_SECONDS)
        assert applying.returncode in {FAILED, CHANGED}, out + err
        assert "not there any more" in out + err
        assert "Traceback" not in out + err
        mover.desk.run("resume", mover.last_run, "--yes", status=applying.returncode)
    assert belongings(here) == before
    assert "server" not in mover.created()


LARGE_MIB = 500
NOT_SO_LARGE_MIB = 160
"""More than a worker carries by itself."""
SOME_MIB = 8
"""Of what is not so large: most of it has still to go."""


class Large:
    """A large image in the old cloud, and the upload that the next apply sends."""

    def __init__(self, mover: Mover, folder: Path, mib: int) -> None:
        self.mover, self.mib, self._digest = mover, mib, hashlib.sha512()
        self.name = folder.name
        if mover.created():  # by tests before this one: what is uploaded below is this image alone
            mover.apply()
        file, block = folder / "large", secrets.token_bytes(MIB)
        with file.open("wb") as written:
            for number in range(mib):
                piece = number.to_bytes(8, "big") + block[8:]
                self._digest.update(piece)
                written.write(piece)
        with file.open("rb") as read:
            self.old_id = image(mover.here.tenant, read, name=self.name)
        file.unlink()
        mover.plan()

    @contextmanager
    def under_way(self, mib: int) -> Iterator[tuple[Wire, subprocess.Popen[str]]]:
        """Its upload, and the apply that asked for it, when so much of it has gone."""
        mover = self.mover
        with Wire(mover.lab.url(CloudName.NEW, "glance")) as wire, mover.elsewhere("new", image=wire.url):
            applying = mover.desk.start("apply", "plan.json", "--yes")
            deadline = time.monotonic() + WAIT_SECONDS
            while wire.requested_bytes < mib * MIB:
                assert applying.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield wire, applying

    def assert_copied(self) -> str:
        (copy,) = self.mover.copies("image", self.name)
        there = image_data.got(self.mover.here.new, copy)
        assert there is not None
        assert (there["status"], there["size"], there["os_hash_value"]) == ("active", self.mib * MIB, self._digest.hexdigest())
        assert UNFINISHED not in there["tags"]
        assert self.mover.created() == []
        return copy


@pytest.fixture
def large(mover: Mover, tmp_path: Path) -> Iterator[Large]:
    made = Large(mover, tmp_path, LARGE_MIB)
    yield made
    mover.here.tenant.image.delete_image(made.old_id, ignore_missing=True)


@pytest.fixture
def slow(mover: Mover, tmp_path: Path) -> Iterator[Large]:
    """It takes its time, however busy this machine is."""
    with mover.settings(policy={"copy_rate": "3MB/s"}):
        made = Large(mover, tmp_path, NOT_SO_LARGE_MIB)
        yield made
    mover.here.tenant.image.delete_image(made.old_id, ignore_missing=True)


def carriers(mover: Mover) -> list[int]:
    """Process ids."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            if arguments[1:3] == [b"-m", b"decamp.carrier"] and (process / "cwd").resolve() == mover.desk.path.resolve():
                found.append(int(process.name))
    return found


def kill_carriers(mover: Mover) -> None:
    """Those of an upload that is under way: there are some."""
    found = carriers(mover)
    assert found
    for carrier in found:
        os.kill(carrier, signal.SIGKILL)


def test_a_large_copy_outlives_the_process_that_asked_for_it_and_no_byte_is_sent_again(large: Large) -> None:
    mover = large.mover
    with large.under_way(LARGE_MIB // 2) as (wire, applying):
        applying.kill()
        applying.communicate()
        (half,) = mover.copies("image", large.name)
        mover.desk.run("resume", mover.last_run, "--yes")
        assert wire.uploads == 1
        assert wire.requested_bytes < (LARGE_MIB + 1) * MIB
    assert large.assert_copied() == half
    assert wait_for_no(mover)


def test_a_large_copy_whose_own_process_is_killed_too_is_sent_again_once(slow: Large) -> None:
    """Glance cannot go on with an upload: the half is deleted."""
    mover = slow.mover
    with slow.under_way(SOME_MIB) as (wire, applying):
        applying.kill()
        applying.communicate()
        kill_carriers(mover)
        (half,) = mover.copies("image", slow.name)
        mover.desk.run("resume", mover.last_run, "--yes")
        assert wire.uploads == 2
    assert slow.assert_copied() != half


def test_a_large_copy_whose_own_process_is_killed_alone_is_begun_anew_by_itself(slow: Large) -> None:
    with slow.under_way(SOME_MIB) as (wire, applying):
        kill_carriers(slow.mover)
        out, err = told(applying, WAIT_SECONDS)
        assert applying.returncode == 0, out + err
        assert wire.uploads == 2
    slow.assert_copied()


@pytest.mark.parametrize("interrupted", [None, signal.SIGINT, signal.SIGKILL])
def test_cancel_ends_a_large_copy_also_one_that_outlived_its_worker_and_leaves_nothing(
    slow: Large, interrupted: signal.Signals | None
) -> None:
    mover = slow.mover
    with slow.under_way(SOME_MIB) as (wire, applying):
        if interrupted:
            applying.send_signal(interrupted)
            _, err = told(applying, WAIT_SECONDS)
            assert ("1 large image is still being copied" in err) == (interrupted is signal.SIGINT)
        assert carriers(mover)
        mover.desk.run("cancel", mover.last_run)
        told(applying, WAIT_SECONDS)
        assert mover.copies("image", slow.name) == []
        assert wire.requested_bytes < slow.mib * MIB
    assert wait_for_no(mover)


def wait_for_no(mover: Mover) -> bool:
    """Whether all carriers end by themselves."""
    deadline = time.monotonic() + WAIT_SECONDS
    while carriers(mover) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not carriers(mover)
