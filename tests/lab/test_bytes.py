"""Bytes on their way from cloud to cloud, and the servers that hang on them: what a crash, an error or a full host leaves behind."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contract import Ground, ground, moved_group, moved_network
from contract_servers import MIB, act_on_volume, boot, data_volume, image, moved_port, stop, volume
from tenant_application import configured
from test_kinds_contract import dying_after
from wire import Wire

from decamp.clouds import connect
from decamp.copy.stream import CHUNK_BYTES, digests_of
from decamp.lab import Lab
from decamp.lab.layout import CloudName
from decamp.lab.weather import Proxy, Weather, write_clouds
from decamp.model.effects import Attempt
from decamp.model.errors import Failed, Refused, Unreachable
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import KINDS, image_bytes, image_data, server, server_snapshot, server_verbs
from decamp.resources import volume as volumes
from decamp.resources.kind import Passage

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the tenant's credentials in it."""
    return tmp_path_factory.mktemp("tenants")


@pytest.fixture(scope="module")
def here(lab: Lab, folder: Path) -> Iterator[Ground]:
    with ground(lab.folder / "clouds.yaml", folder, "tenant") as tenant:
        yield tenant


@pytest.fixture(scope="module")
def root(here: Ground) -> bytes:
    """What is on the root disks of the servers here."""
    return secrets.token_bytes(4 * MIB)


@pytest.fixture(scope="module")
def stopped(here: Ground, root: bytes) -> str:
    base = image(here.tenant, root, hw_firmware_type="uefi", min_disk=1)
    made = boot(here, imageRef=base, networks="none")
    stop(here, made)
    return made


def snapshot_of(server_id: str) -> Resource:
    """As a plan asks for it."""
    return Resource(kind=server_snapshot.NAME, id=server_id, name="web", spec={"server": ["server", server_id]})


def sha512(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


def left_behind(passage: Passage) -> list[str]:
    """Images that were only on the way."""
    old = [f"old: {one['name']}" for one in image_data.with_name(passage.old, passage.mark)]
    return old + [f"new: {one['name']}" for one in image_data.with_name(passage.new, passage.mark)]


def test_a_snapshot_has_the_bytes_of_the_root_disk_and_the_properties_that_it_boots_with(here: Ground, stopped: str, root: bytes) -> None:
    passage = here.passage(server_snapshot.NAME)
    copy = server_snapshot.create(passage, snapshot_of(stopped))
    there = image_data.got(here.new, copy)
    assert there is not None
    assert there["os_hash_value"] == sha512(root)
    assert there["hw_firmware_type"] == "uefi"
    assert "base_image_ref" not in there
    assert server_snapshot.verify(passage, snapshot_of(stopped), copy) == ()
    assert left_behind(passage) == []


def test_a_running_server_is_no_source_for_a_snapshot(here: Ground) -> None:
    running = boot(here, imageRef=image(here.tenant, b"x" * MIB), networks="none")
    passage = here.passage(server_snapshot.NAME)
    with pytest.raises(Refused, match="is ACTIVE: stop it"):
        server_snapshot.create(passage, snapshot_of(running))
    assert left_behind(passage) == []


def test_a_server_that_boots_from_a_volume_is_no_source_for_a_snapshot(here: Ground) -> None:
    boot_volume = volume(here.tenant, image_id=image(here.tenant, b"x" * MIB))
    disk = {"uuid": boot_volume, "source_type": "volume", "destination_type": "volume", "boot_index": 0, "delete_on_termination": True}
    booted = boot(here, networks="none", block_device_mapping_v2=[disk])
    stop(here, booted)
    with pytest.raises(Refused, match="boots from a volume"):
        server_snapshot.create(here.passage(server_snapshot.NAME), snapshot_of(booted))


def test_a_snapshot_that_a_crash_cut_short_is_taken_up_and_leaves_one_image(here: Ground, stopped: str, root: bytes) -> None:
    for write in itertools.count(1):
        passage, wanted = here.passage(server_snapshot.NAME), snapshot_of(stopped)
        with dying_after(write) as death:
            server_snapshot.create(passage, wanted)
        copy = server_snapshot.find(passage, wanted) or server_snapshot.create(passage, wanted)
        there = image_data.got(here.new, copy)
        assert there is not None
        assert there["os_hash_value"] == sha512(root), f"after write {write}"
        assert [one["id"] for one in image_data.with_tag(here.new, passage.mark)] == [copy], f"after write {write}"
        assert left_behind(passage) == [], f"after write {write}"
        if not death.came:
            break
    assert write > 1


def test_a_volume_arrives_with_its_bytes_and_leaves_nothing_on_the_way(here: Ground) -> None:
    data = secrets.token_bytes(3 * MIB)
    source = data_volume(here, data)
    passage, resource = here.passage("volume"), here.read("volume", source)
    copy = volumes.create(passage, resource)
    assert left_behind(passage) == []
    request = {"image_name": "to look at", "disk_format": "raw", "container_format": "bare"}
    upload = act_on_volume(here.new.connection, copy, "os-volume_upload_image", request)["os-volume_upload_image"]["image_id"]
    there = image_data.wait_active(here.new, upload, timeout_seconds=300, cancelled=lambda: False)
    whole = hashlib.sha512(data)
    for _ in range(1024 - len(data) // MIB):
        whole.update(bytes(MIB))
    assert digests_of(image_bytes.read_bytes(here.new, there), ["sha512"]).digests == {"sha512": whole.hexdigest()}


def test_a_volume_can_be_made_fresh_from_an_image_that_is_there_already(here: Ground) -> None:
    base = image(here.tenant, secrets.token_bytes(MIB), hw_disk_bus="scsi")
    here.move("image", base)
    resource = here.read("volume", volume(here.tenant, image_id=base))
    fresh = Resource(kind="volume", id=resource.id, name=resource.name, spec={**resource.spec, "image": ["image", base]})
    passage = here.passage("volume")
    copy = volumes.create(passage, fresh)
    assert volumes.verify(passage, fresh, copy) == ()
    there = volumes.read(here.new, copy)
    assert there is not None
    assert there.spec["image_metadata"]["image_id"] == here.ids[Ref("image", base)]
    assert there.spec["bootable"] is True


def test_a_volume_of_a_running_server_is_not_read(here: Ground) -> None:
    used = volume(here.tenant)
    base = image(here.tenant, b"x" * MIB)
    disks = [
        {"uuid": base, "source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True},
        {"uuid": used, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
    ]
    boot(here, imageRef=base, networks="none", block_device_mapping_v2=disks)
    with pytest.raises(Refused, match="is ACTIVE: stop it"):
        volumes.create(here.passage("volume"), here.read("volume", used))


def test_memory_does_not_grow_with_the_image(here: Ground) -> None:
    def peak_bytes(size_mib: int) -> int:
        resource = here.read("image", image(here.tenant, secrets.token_bytes(size_mib * MIB)))
        passage = here.passage("image")
        tracemalloc.start()
        KINDS["image"].create(passage, resource)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    small, large = peak_bytes(8), peak_bytes(128)
    assert large < small + 8 * MIB
    assert large < 32 * MIB


def test_an_image_that_a_server_runs_from_is_not_removed(here: Ground) -> None:
    """Whoever has booted it."""
    resource = here.read("image", image(here.tenant, b"b" * MIB))
    copy = KINDS["image"].create(here.passage("image"), resource)
    there = here.new.connection.compute
    server = there.create_server(name="by-hand", image_id=copy, flavor_id=next(iter(there.flavors())).id, networks="none")
    there.wait_for_server(server, wait=120)
    expects = KINDS["image"].read(here.new, copy)
    assert expects is not None
    with pytest.raises(Refused, match="is what by-hand run from"):
        KINDS["image"].remove(here.new, copy, expects.fingerprint)
    there.delete_server(server)
    there.wait_for_delete(server, wait=300)
    KINDS["image"].remove(here.new, copy, expects.fingerprint)
    assert KINDS["image"].read(here.new, copy) is None


def test_an_image_is_copied_no_further_once_the_run_is_cancelled(here: Ground) -> None:
    resource = here.read("image", image(here.tenant, secrets.token_bytes(16 * MIB)))
    passage = here.passage("image")
    passed: list[int] = []
    cancelled = Passage(
        old=passage.old,
        new=passage.new,
        ids=passage.ids,
        mark=passage.mark,
        progress=lambda done, total: passed.append(done),
        cancelled=lambda: bool(passed),
    )
    with pytest.raises(Failed, match="cancelled"):
        KINDS["image"].create(cancelled, resource)
    assert KINDS["image"].find(passage, resource) is None
    assert list(image_data.with_tag(here.new, passage.mark)) == []


def through(
    passage: Passage,
    folder: Path,
    url: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    service: str = "image",
    cloud: str = "old",
) -> Passage:
    """The passage, with a cloud's service at another address."""
    configured(folder)
    write_clouds(folder / "clouds.yaml", folder / "elsewhere.yaml", cloud, {service: url})
    elsewhere: dict[str, Any] = {cloud: connect(cloud, folder / "elsewhere.yaml")}
    return msgspec.structs.replace(passage, progress=progress, **elsewhere)


def test_a_copy_goes_on_where_its_connection_was_cut_and_reads_at_most_a_chunk_again(lab: Lab, here: Ground, folder: Path) -> None:
    data, cuts = secrets.token_bytes(40 * MIB), [5 * MIB, 100_000, 15 * MIB]
    resource, passage = here.read("image", image(here.tenant, data)), here.passage("image")
    passed: list[int] = []
    with Wire(lab.url(CloudName.OLD, "glance"), cut_answers=cuts) as wire:
        copy = KINDS["image"].create(through(passage, folder, wire.url, lambda done, total: passed.append(done)), resource)
    there = image_data.got(here.new, copy)
    assert there is not None
    assert there["os_hash_value"] == sha512(data)
    assert passed == sorted(set(passed)), "it began anew"
    assert len(data) < wire.answered_bytes < len(data) + len(cuts) * CHUNK_BYTES + MIB


def test_a_copy_outlives_an_expired_token_and_a_busy_glance(lab: Lab, here: Ground, folder: Path) -> None:
    """After each cut the image is asked for first, and then for its bytes."""
    data = secrets.token_bytes(20 * MIB)
    resource, passage = here.read("image", image(here.tenant, data)), here.passage("image")
    storms = [(Weather.EXPIRED,), (Weather.CLEAR, Weather.EXPIRED), (Weather.CLEAR, Weather.BUSY), (Weather.UNAVAILABLE,), (Weather.CUT,)]
    passed: list[int] = []
    with (
        Proxy(lab.url(CloudName.OLD, "glance"), retry_after_seconds=1) as proxy,
        Wire(proxy.url, cut_answers=[3 * MIB] * len(storms)) as wire,
    ):

        def progress(done: int, total: int) -> None:
            passed.append(done)
            if storms:
                proxy.once(*storms.pop(0))

        copy = KINDS["image"].create(through(passage, folder, wire.url, progress), resource)
    there = image_data.got(here.new, copy)
    assert there is not None
    assert there["os_hash_value"] == sha512(data)
    assert passed == sorted(set(passed)), "it began anew"
    assert storms == []
    assert {weather: proxy.seen[weather] for weather in (Weather.EXPIRED, Weather.BUSY, Weather.UNAVAILABLE, Weather.CUT)} == {
        Weather.EXPIRED: 2,
        Weather.BUSY: 1,
        Weather.UNAVAILABLE: 1,
        Weather.CUT: 1,
    }


def test_a_copy_begins_anew_where_glance_cannot_read_from_the_middle(lab: Lab, here: Ground, folder: Path) -> None:
    data = secrets.token_bytes(10 * MIB)
    resource, passage = here.read("image", image(here.tenant, data)), here.passage("image")
    with Wire(lab.url(CloudName.OLD, "glance"), cut_answers=[5 * MIB], ranges=False) as wire:
        cut = through(passage, folder, wire.url)
        with pytest.raises(Unreachable, match=f"cannot be read on from byte {4 * MIB}: the copy begins anew"):
            KINDS["image"].create(cut, resource)
        assert KINDS["image"].find(cut, resource) is None
        copy = KINDS["image"].create(cut, resource)
    assert [one["id"] for one in image_data.with_tag(here.new, passage.mark)] == [copy]


def test_bytes_that_have_all_arrived_are_not_sent_again_where_no_answer_comes(lab: Lab, here: Ground, folder: Path) -> None:
    data = secrets.token_bytes(10 * MIB)
    resource, passage = here.read("image", image(here.tenant, data)), here.passage("image")
    with Proxy(lab.url(CloudName.NEW, "glance")) as proxy:
        proxy.once_for("PUT", Weather.CUT)
        copy = KINDS["image"].create(through(passage, folder, proxy.url, cloud="new"), resource)
        assert proxy.seen[Weather.CUT] == 1
    there = image_data.got(here.new, copy)
    assert there is not None
    assert there["os_hash_value"] == sha512(data)
    assert [one["id"] for one in image_data.with_tag(here.new, passage.mark)] == [copy]


def test_a_copy_of_an_image_that_is_deleted_meanwhile_begins_anew(lab: Lab, here: Ground, folder: Path) -> None:
    """And finds then that it is gone."""
    source = image(here.tenant, secrets.token_bytes(10 * MIB))
    resource, passage = here.read("image", source), here.passage("image")
    with Wire(lab.url(CloudName.OLD, "glance"), cut_answers=[5 * MIB]) as wire:
        cut = through(passage, folder, wire.url, lambda done, total: here.tenant.image.delete_image(source, ignore_missing=True))
        with pytest.raises(Unreachable, match="the copy begins anew"):
            KINDS["image"].create(cut, resource)
        with pytest.raises(Refused, match="is gone"):
            KINDS["image"].create(cut, resource)


@pytest.fixture(scope="module")
def with_volume(here: Ground) -> Resource:
    """A server in the old cloud whose volume goes with it, and all that its copy needs moved."""
    base, data = image(here.tenant, b"y" * MIB), volume(here.tenant)
    network, _ = moved_network(here, "10.90.0.0/24")
    port = moved_port(here, network, moved_group(here))
    disks = [
        {"uuid": base, "source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True},
        {"uuid": data, "source_type": "volume", "destination_type": "volume", "boot_index": -1, "delete_on_termination": True},
    ]
    made = boot(here, imageRef=base, networks=[{"port": port}], block_device_mapping_v2=disks)
    stop(here, made)
    here.move("image", base)
    here.move("volume", data)
    return here.read("server", made)


def test_a_boot_that_fails_takes_no_volume_along_and_is_cleaned_up(here: Ground, with_volume: Resource) -> None:
    giant = here.new_admin.compute.create_flavor(name=f"giant-{secrets.token_hex(4)}", vcpus=1, ram=4 * 1024 * 1024, disk=1)
    flavor, data = Ref(*with_volume.spec["flavor"]), Ref(*with_volume.spec["volumes"][0]["volume"])
    fitting, passage = here.ids[flavor], here.passage("server")
    try:
        here.ids[flavor] = giant.id
        with pytest.raises(Failed, match="is in ERROR: No valid host"):
            server.create(passage, with_volume)
        assert server.find(passage, with_volume) is None
    finally:
        here.ids[flavor] = fitting
        here.new_admin.compute.delete_flavor(giant)
    there = volumes.read(here.new, here.ids[data])
    assert there is not None
    assert there.info["status"] == "available"
    copy = server.create(passage, with_volume)
    assert server.verify(passage, with_volume, copy) == ()
    assert server.find(passage, with_volume) == copy
    assert here.new.connection.compute.get_server(copy).status == "SHUTOFF"


def test_the_old_server_is_stopped_locked_and_brought_back(here: Ground) -> None:
    running = boot(here, imageRef=image(here.tenant, b"z" * MIB), networks="none")
    performers = server_verbs.performers(here.old)
    attempt = Attempt(run="3f2a9c0d-1", mark="", ids={}, facts={}, progress=lambda done, total: None, cancelled=lambda: False)

    def perform(verb: Verb, **args: str) -> dict[str, object]:
        action = Action(id=f"{verb}/server/{running}", verb=verb, target=Ref("server", running), args=args)
        performer = performers[verb]
        fingerprint = performer.fingerprint(action)
        assert performer.find(action, attempt) is None
        outcome = performer.perform(action, attempt)
        assert performer.verify(action, outcome, attempt) == ()
        assert performer.find(action, attempt) is not None
        assert performer.fingerprint(action) == fingerprint
        return outcome.facts

    assert perform(Verb.STOP_SERVER)["status"] == "ACTIVE"
    assert perform(Verb.LOCK_SERVER)["locked"] is False
    locked = here.tenant.compute.get(f"/servers/{running}", microversion="2.73").json()["server"]
    assert locked["locked_reason"].startswith("moved by Decamp in run 3f2a9c0d-1")
    perform(Verb.UNLOCK_SERVER)
    perform(Verb.START_SERVER, status="ACTIVE")
    assert here.tenant.compute.get_server(running).status == "ACTIVE"


def test_a_locked_server_is_removed_when_it_is_confirmed(here: Ground) -> None:
    done = boot(here, imageRef=image(here.tenant, b"z" * MIB), networks="none")
    expects = here.read("server", done).fingerprint
    stop(here, done)
    here.tenant.compute.lock_server(done)
    server.remove(here.old, done, expects)
    assert server.read(here.old, done) is None
