"""What a tenant keeps to himself: no secret is in anything that Decamp writes, says or is started with, and nothing of another tenant."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract import EXTERNAL, Ground, ground
from contract_servers import MIB, image
from desk import Desk, started, told
from tenant_application import ground_for_stacks, with_application_credentials

from decamp.lab import Lab

pytestmark = pytest.mark.lab

WAIT_SECONDS = 300
HIDDEN = f"hidden-{secrets.token_hex(12)}"
TEMPLATE: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "parameters": {"base": {"type": "string"}, "password": {"type": "string", "hidden": True}},
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.89.0.0/24"}},
        "port": {
            "type": "OS::Neutron::Port",
            "properties": {"network": {"get_resource": "net"}, "fixed_ips": [{"subnet": {"get_resource": "subnet"}}]},
        },
        "web": {
            "type": "OS::Nova::Server",
            "properties": {
                "image": {"get_param": "base"},
                "flavor": "m1.small",
                "networks": [{"port": {"get_resource": "port"}}],
                "user_data_format": "RAW",
                "user_data": {"str_replace": {"template": "password: $it", "params": {"$it": {"get_param": "password"}}}},
            },
        },
    },
}
TOKEN = re.compile(rb"gAAAA[\w-]{40,}")
"""As Keystone issues them (Fernet)."""
STORY = (
    ("survey", "old", "-o", "old.json"),
    ("assess", "-f", "json"),
    ("plan", "move", "-o", "first.json"),
    ("apply", "first.json", "--yes"),
    ("undo", "RUN", "--yes"),
    ("plan", "move", "-o", "second.json"),
    ("apply", "second.json", "--yes"),
    ("confirm", "RUN", "--yes"),
    ("report", "RUN", "-o", "report.html"),
)
"""RUN is the latest that is a move."""


class Watcher:
    """Looks at how the processes of a folder were started, again and again, as everybody on the machine can with `ps`."""

    def __init__(self, folder: Path) -> None:
        self.seen: set[bytes] = set()
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if (process / "cwd").readlink() == self._folder:
                        self.seen |= {(process / name).read_bytes() for name in ("cmdline", "environ")}
                except OSError:
                    continue


@pytest.fixture(scope="module")
def other(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """Names and ids of another tenant's things, in both clouds."""
    with ground(lab.folder / "clouds.yaml", tmp_path_factory.mktemp("other"), "tenant") as there:
        known: set[str] = set()
        for connection in (there.tenant, there.new.connection):
            name = f"other-{secrets.token_hex(6)}"
            net = connection.network.create_network(name=name)
            made = [
                net.id,
                connection.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.90.0.0/24").id,
                connection.network.create_port(network_id=net.id).id,
                connection.network.create_security_group(name=name).id,
                connection.block_storage.create_volume(name=name, size=1).id,
                image(connection, b"o" * MIB, name=name),
            ]
            known |= {name, connection.current_project_id, connection.current_user_id, *made}
        yield known


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def here(lab: Lab, folder: Path) -> Iterator[Ground]:
    with ground_for_stacks(lab.folder / "clouds.yaml", folder) as here:
        yield here


@pytest.fixture(scope="module")
def told_of(lab: Lab, folder: Path, here: Ground, other: set[str]) -> dict[str, bytes]:
    """Everything that Decamp wrote and said in the story, and how its processes were started."""
    desk = Desk(lab, folder)
    # Keystone lets no application credential make the trust that the new Heat asks for
    desk.clouds = with_application_credentials(here, folder, clouds=("old",))
    given = {path for path in folder.rglob("*") if path.is_file()} | {folder / "hidden.yaml"}
    (folder / "hidden.yaml").touch(mode=0o600)
    (folder / "hidden.yaml").write_text(yaml.safe_dump({"shop": {"password": HIDDEN}}))
    desk.settings = {
        "clouds_file": "clouds.yaml",
        "state": "sqlite:///state/decamp.sqlite",
        "mapping": {"network": {EXTERNAL: EXTERNAL}},
        "hidden_parameters": "hidden.yaml",
    }
    desk.write()
    heat = here.tenant.orchestration
    parameters = {"base": image(here.tenant, secrets.token_bytes(MIB), name="base"), "password": HIDDEN}
    made = heat.create_stack(name="shop", template=TEMPLATE, parameters=parameters)
    heat.wait_for_status(made, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=WAIT_SECONDS)

    said: dict[str, bytes] = {}
    run = ""
    with Watcher(folder) as watcher:
        for number, arguments in enumerate(STORY):
            whole = [run if one == "RUN" else one for one in arguments]
            process = started(folder, "--debug", "-vv", *whole)
            out, err = told(process, WAIT_SECONDS)
            said[f"{number}: {' '.join(whole)}: stdout"], said[f"{number}: {' '.join(whole)}: stderr"] = out.encode(), err.encode()
            assert process.returncode == 0, f"{whole}: {out}{err[-5000:]}"
            if arguments[0] == "apply":
                listed, _ = told(started(folder, "runs", "-f", "json"), WAIT_SECONDS)
                run = json.loads(listed)[0]["Run"]
    assert any(b"apply" in one for one in watcher.seen), "nobody was watched"
    written = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path not in given}
    assert {"old.json", "first.json", "report.html", "state/decamp.sqlite"} <= written.keys()
    return said | written | {f"how it was started {number}": one for number, one in enumerate(watcher.seen)}


def test_no_secret_is_in_anything_that_is_written_said_or_started(told_of: dict[str, bytes], folder: Path) -> None:
    known = {HIDDEN, base64.b64encode(f"password: {HIDDEN}".encode()).decode()}
    for file in [*folder.glob("contract-tenant-*.yaml"), folder / "clouds.yaml"]:
        for entry in yaml.safe_load(file.read_text())["clouds"].values():
            known |= {value for name, value in entry["auth"].items() if name in ("password", "application_credential_secret")}
    assert len(known) == 5
    found = [(place, secret) for place, text in told_of.items() for secret in known if secret.encode() in text]
    assert found == []
    assert [(place, match.group()) for place, text in told_of.items() if (match := TOKEN.search(text))] == []


def test_nothing_of_another_tenant_is_in_anything_that_is_written_or_said(told_of: dict[str, bytes], other: set[str]) -> None:
    assert [(place, one) for place, text in told_of.items() for one in other if one.encode() in text] == []
