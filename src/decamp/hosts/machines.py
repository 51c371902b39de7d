"""instackenv.json, TripleO's description of machines: what of it may be shown, and apart from that what a BMC needs to be signed in to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from decamp.model.errors import BadInput
from decamp.model.machines import Machine

Entry = dict[str, Any]

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")

DEFAULT_TYPE = "ipmi"
"""Of an entry without pm_type: what TripleO's node registration takes."""


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """How Ironic is told what a machine's entry says."""

    name: str
    """Ironic's hardware type."""
    address: str
    """The key of driver_info that holds the BMC's address."""
    fields: Mapping[str, str]
    """Key of the entry -> key of driver_info."""


def _prefixed(name: str, prefix: str, **fields: str) -> Driver:
    signs = {"pm_user": f"{prefix}_username", "pm_password": f"{prefix}_password"}
    return Driver(name=name, address=f"{prefix}_address", fields=signs | fields)


_IPMI = _prefixed("ipmi", "ipmi", pm_port="ipmi_port", pm_terminal_port="ipmi_terminal_port")
_REDFISH = _prefixed("redfish", "redfish", pm_system_id="redfish_system_id", pm_verify_ca="redfish_verify_ca")
_FAKE = Driver(name="fake-hardware", address="address", fields={})

DRIVERS: Mapping[str, Driver] = {
    "ipmi": _IPMI,
    "pxe_ipmitool": _IPMI,
    "redfish": _REDFISH,
    "idrac": msgspec.structs.replace(_REDFISH, name="idrac"),
    "ilo": _prefixed("ilo", "ilo"),
    "pxe_ilo": _prefixed("ilo", "ilo"),
    "irmc": _prefixed("irmc", "irmc", pm_port="irmc_port"),
    "pxe_irmc": _prefixed("irmc", "irmc", pm_port="irmc_port"),
    "fake": _FAKE,
    "fake-hardware": _FAKE,
    "fake_pxe": _FAKE,
}
"""pm_type -> driver; the names with pxe_ are those of TripleO before hardware types (Ironic's admin guide, "Drivers")."""


def load_instackenv(path: Path) -> dict[str, Machine]:
    """Machines by name, without any secret. Raises BadInput that names the machine and the field."""
    machines = [_machine(path, number, entry) for number, entry in enumerate(_entries(path), 1)]
    for what, values in (
        ("name", lambda machine: (machine.name,)),
        ("BMC address", lambda machine: (machine.pm_addr.lower(),)),
        ("MAC address", lambda machine: machine.macs),
    ):
        _refuse_doubles(path, what, machines, values)
    return {machine.name: machine for machine in machines}


def driver_of(machine: Machine) -> Driver:
    """Raises BadInput for a pm_type that no driver is known for."""
    driver = DRIVERS.get(machine.pm_type)
    if driver is None:
        raise BadInput(f"Machine {machine.name}: pm_type {machine.pm_type!r} is not known; known are {', '.join(sorted(DRIVERS))}")
    return driver


def read_driver_info(path: Path, machine: Machine) -> dict[str, str]:
    """What Ironic needs to reach the machine's BMC, secrets included: for the request that enrolls it, and nothing else.

    Raises BadInput where the file has changed so that it no longer describes this machine.
    """
    entries = (entry for number, entry in enumerate(_entries(path), 1) if _machine(path, number, entry).name == machine.name)
    entry = next(entries, None)
    if entry is None:
        raise BadInput(f"{path}: there is no machine {machine.name} any more")
    if _machine(path, 0, entry) != machine:
        raise BadInput(f"{path}: machine {machine.name} is described otherwise than when the plan was made: make a new plan")
    driver = driver_of(machine)
    told = {key: str(entry[field]) for field, key in driver.fields.items() if entry.get(field) is not None and entry[field] != ""}
    return {driver.address: machine.pm_addr, **told}


def bmc_address(driver_info: Mapping[str, Any]) -> str | None:
    """The BMC's address in a node's driver_info, of any driver: `ipmi_address`, `redfish_address` ..., without scheme and path."""
    keys = [key for key in driver_info if key == "address" or key.endswith("_address")]
    address = str(driver_info[min(keys)]) if keys else None
    return bare_address(address) if address else None


def bare_address(address: str) -> str:
    """Host (and port) of what may be a URL, in lower case."""
    return (urlsplit(address).netloc if "://" in address else address).lower()


def _entries(path: Path) -> list[Entry]:
    try:
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise BadInput(f"{path}: not an instackenv file: it needs a list of objects under `nodes`")
    return nodes


def _machine(path: Path, number: int, entry: Entry) -> Machine:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise BadInput(f"{path}: machine {number} has no name: machines are joined to compute hosts by it")
    where = f"{path}: machine {name}"
    address = entry.get("pm_addr")
    if not isinstance(address, str) or not address:
        raise BadInput(f"{where}: pm_addr, the address of its BMC, is missing")
    return Machine(
        name=name,
        pm_type=str(entry.get("pm_type") or DEFAULT_TYPE),
        pm_addr=address,
        macs=_macs(where, entry),
        cpu=_number(where, entry, "cpu"),
        memory_mib=_number(where, entry, "memory"),
        disk_gib=_number(where, entry, "disk"),
        arch=str(entry.get("arch") or "x86_64"),
        capabilities=_capabilities(entry.get("capabilities")),
    )


def _macs(where: str, entry: Entry) -> tuple[str, ...]:
    """`ports` is the newer form: a list of objects with an address; `mac` the older: a list of addresses."""
    ports = entry.get("ports") or [{"address": mac} for mac in entry.get("mac") or ()]
    try:
        macs = tuple(str(port["address"]).strip().lower().replace("-", ":") for port in ports)
    except (TypeError, KeyError) as error:
        raise BadInput(f"{where}: `ports` has to be a list of objects with an `address` each") from error
    if not macs:
        raise BadInput(f"{where}: neither `mac` nor `ports` gives the MAC address that it boots from")
    for mac in macs:
        if not MAC.fullmatch(mac):
            raise BadInput(f"{where}: {mac!r} is no MAC address")
    return macs


def _number(where: str, entry: Entry, field: str) -> int | None:
    value: Any = entry.get(field)
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: {field} has to be a whole number, not {value!r}") from error
    if number <= 0:
        raise BadInput(f"{where}: {field} has to be more than {number}")
    return number


def _capabilities(value: Any) -> str | None:
    """Ironic's `a:1,b:2`; the file may have them as an object."""
    if isinstance(value, dict):
        return ",".join(f"{key}:{one}" for key, one in value.items()) or None
    return str(value) if value else None


def _refuse_doubles(path: Path, what: str, machines: list[Machine], values: Callable[[Machine], tuple[str, ...]]) -> None:
    owners: dict[str, str] = {}
    for number, machine in enumerate(machines, 1):
        label = f"{machine.name} (machine {number})"
        for value in values(machine):
            if value in owners:
                raise BadInput(f"{path}: {owners[value]} and {label} have the same {what} {value}")
            owners[value] = label
