import pytest

from decamp.hosts.joining import host_of, lacking
from decamp.hosts.reading import Service
from decamp.model.amounts import Inventory
from decamp.model.errors import Failed


def service(host: str) -> Service:
    return Service(
        id="1", host=host, state="up", status="enabled", zone="nova", disabled_reason=None, updated_at=None, hypervisor=host, provider="p"
    )


def found(name: str, *hosts: str) -> str | None:
    one = host_of(tuple(service(host) for host in hosts), name)
    return one and one.host


def test_a_host_is_found_with_or_without_its_domain() -> None:
    assert found("overcloud-novacompute-1", "overcloud-novacompute-1") == "overcloud-novacompute-1"
    assert found("overcloud-novacompute-1", "overcloud-novacompute-1.example.org") == "overcloud-novacompute-1.example.org"


def test_a_neighbour_whose_name_begins_alike_is_not_taken() -> None:
    assert found("overcloud-novacompute-1", "overcloud-novacompute-10", "overcloud-novacompute-11.example.org") is None


def test_two_hosts_of_one_name_in_two_domains_are_told_apart_by_nobody() -> None:
    with pytest.raises(Failed, match="Several compute services"):
        found("compute-1", "compute-1.east.example", "compute-1.west.example")


EXPECTED = {"VCPU": 16, "MEMORY_MB": 16384, "DISK_GB": 200}


def offered(vcpu: int = 16, memory: int = 16384, disk: int | None = 200, pcpu: int = 0) -> dict[str, Inventory]:
    totals = {"VCPU": vcpu, "MEMORY_MB": memory, "DISK_GB": disk, "PCPU": pcpu or None}
    return {name: Inventory(total=total) for name, total in totals.items() if total is not None}


@pytest.mark.parametrize(
    ("inventories", "classes"),
    [
        (offered(), []),
        (offered(memory=16000, disk=180), []),
        (offered(vcpu=4, pcpu=12), []),
        (offered(disk=None), []),
        (offered(vcpu=8), ["VCPU"]),
        (offered(memory=8192, disk=100), ["DISK_GB", "MEMORY_MB"]),
    ],
)
def test_a_host_that_offers_clearly_less_than_its_machine_has_is_told(inventories: dict[str, Inventory], classes: list[str]) -> None:
    assert [text.partition(":")[0] for text in lacking(EXPECTED, inventories, memory_tolerance=0.05)] == classes
