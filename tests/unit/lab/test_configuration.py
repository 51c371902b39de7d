"""The services' configuration files."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

import pytest

from decamp.lab import configuration, layout
from decamp.lab.layout import CLOUDS, CloudName, Lab, Settings


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return layout.create(tmp_path / "lab", Settings(port_base=30000))


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    shipped = tmp_path / "venv" / "etc" / "cinder"
    shipped.mkdir(parents=True)
    (shipped / "rootwrap.conf").write_text("[DEFAULT]\nfilters_path=/etc/cinder/rootwrap.d\nexec_dirs=/sbin\n")
    return tmp_path / "venv"


def read(lab: Lab, cloud: CloudName, name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(lab.etc(cloud) / name)
    return parser


@pytest.mark.parametrize("cloud", list(CloudName))
def test_every_service_of_a_cloud_has_a_configuration_that_only_its_owner_can_reach(lab: Lab, venv: Path, cloud: CloudName) -> None:
    configuration.write_all(lab, cloud, venv)

    for service in CLOUDS[cloud].services:
        assert list((lab.etc(cloud) / service).glob("*.conf")), service
    assert stat.S_IMODE(lab.etc(cloud).stat().st_mode) == 0o700


def test_services_sign_in_at_the_keystone_of_their_own_cloud(lab: Lab, venv: Path) -> None:
    for cloud in CloudName:
        configuration.write_all(lab, cloud, venv)
        nova = read(lab, cloud, "nova/nova.conf")
        for section in ("placement", "neutron", "glance", "service_user", "keystone_authtoken"):
            assert nova[section]["auth_url"] == f"{lab.url(cloud, 'keystone')}/v3"


def test_clouds_share_no_database(lab: Lab) -> None:
    names = [name for cloud in CloudName for name in configuration.database_names(cloud)]

    assert len(names) == len(set(names))


def test_heat_s_trustee_names_no_project(lab: Lab, venv: Path) -> None:
    configuration.write_all(lab, CloudName.OLD, venv)

    assert not [option for option in read(lab, CloudName.OLD, "heat/heat.conf")["trustee"] if option.startswith("project")]


def test_swift_s_servers_listen_on_ports_of_their_own_and_share_one_folder_of_rings(lab: Lab, venv: Path) -> None:
    configuration.write_all(lab, CloudName.OLD, venv)

    servers = [read(lab, CloudName.OLD, f"swift/{name}-server.conf")["DEFAULT"] for name in ("proxy", *layout.SWIFT_STORAGE)]
    assert len({server["bind_port"] for server in servers}) == len(servers)
    assert {server["swift_dir"] for server in servers} == {str(lab.etc(CloudName.OLD) / "swift")}
    pipeline = read(lab, CloudName.OLD, "swift/proxy-server.conf")["pipeline:main"]["pipeline"].split()
    assert pipeline.index("tempurl") < pipeline.index("authtoken") < pipeline.index("keystoneauth") < pipeline.index("proxy-server")


def test_cinder_s_rootwrap_finds_its_filters_and_programs_in_the_environment(lab: Lab, venv: Path) -> None:
    configuration.write_all(lab, CloudName.NEW, venv)

    rootwrap = read(lab, CloudName.NEW, "cinder/rootwrap.conf")["DEFAULT"]
    assert rootwrap["filters_path"] == f"{venv}/etc/cinder/rootwrap.d"
    assert rootwrap["exec_dirs"] == f"{venv}/bin,/sbin"


def test_truth_is_written_as_openstack_reads_it() -> None:
    assert configuration.render({"DEFAULT": {"yes": True, "no": False, "number": 3}}) == "[DEFAULT]\nyes = true\nno = false\nnumber = 3\n"
