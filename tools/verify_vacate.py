#!/usr/bin/env python3
"""Checks a cloud after hosts of it were vacated, without Decamp: reads it with openstacksdk alone and compares with a record of before.

    verify_vacate.py record -o before.json
    verify_vacate.py check before.json --freed-host cmp-003 --freed-host cmp-007

Needs an administrator's entry in clouds.yaml. With --disks, the bytes of the lab's guests are compared too. What is known to differ is said
beforehand: a server that its owner deleted or started, a host that died. Exit status: 0 all is as it should be, 1 it is not, 2 it could not
be checked.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import keystoneauth1.exceptions
from openstack.exceptions import SDKException

from clouds import Cloud, Facts
from findings import Findings
from hostings import ENDED, hosting, refusals_of

MAY_DIFFER = frozenset({"host", "task_state", "fault"})
"""What a migration changes of a server, and what is checked by itself."""
ON_NO_HOST = "SHELVED_OFFLOADED"


def record(arguments: argparse.Namespace) -> int:
    """Write down how things are before anything is moved."""
    now = hosting(Cloud(arguments.cloud, arguments.clouds_file), arguments.disks)
    restless = [server["name"] for server in now["servers"].values() if server["task_state"]]
    if restless:
        raise RuntimeError(f"{arguments.cloud} is doing something with {', '.join(restless)}: record again when all is at rest")
    before = {"taken_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), **now}
    arguments.output.write_text(json.dumps(before, indent=1) + "\n")
    count = Counter(server["status"] for server in now["servers"].values())
    print(f"Recorded {count.total()} servers ({', '.join(f'{n} {s}' for s, n in count.items())}) on {len(now['services'])} hosts")
    return 0


class Known:
    """What is known to differ, and why that is no fault."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.freed: set[str] = set(arguments.freed_host)
        self.left: set[str] = self.freed | set(arguments.left_host)
        self.down: set[str] = set(arguments.down_host)
        self.deleted: set[str] = set(arguments.deleted)
        self.stranded: set[str] = set(arguments.stranded)
        self.status: dict[str, str] = dict(one.split("=", 1) for one in arguments.now)


def check(arguments: argparse.Namespace) -> int:
    """Compare the cloud as it is now with the record."""
    cloud = Cloud(arguments.cloud, arguments.clouds_file)
    before, now = json.loads(arguments.before.read_text()), hosting(cloud, arguments.disks)
    known = Known(arguments)
    findings = compare(before, now, known)
    if arguments.nothing_refused:
        refused = {server: refusals_of(cloud, server, before["taken_at"]) for server in now["servers"]}
        check_refusals(findings, before, now, refused)
    findings.print()
    print(figures(before, now, known))
    return 1 if findings.wrong else 0


def compare(before: Facts, now: Facts, known: Known) -> Findings:
    """Every check that needs the two pictures only."""
    findings = Findings()
    check_servers(findings, before, now, known)
    check_hosts_of_servers(findings, before, now, known)
    check_ports(findings, before, now, known)
    check_volumes(findings, before, now, known)
    check_disks(findings, before, now, known)
    check_freed_hosts(findings, before, now, known)
    check_other_hosts(findings, before, now, known)
    check_allocations(findings, before, now, known)
    check_migrations(findings, before, now, known)
    return findings


def check_servers(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """Every server is there, and the same but for its host."""
    wrong = [
        f"{label(before, server_id)}: gone"
        for server_id in before["servers"]
        if server_id not in now["servers"] and server_id not in known.deleted
    ]
    wrong += [f"{label(now, server_id)}: was to be gone, and is there" for server_id in known.deleted if server_id in now["servers"]]
    wrong += [f"{label(now, server_id)}: was not there before" for server_id in now["servers"] if server_id not in before["servers"]]
    for server_id, server in now["servers"].items():
        was = before["servers"].get(server_id)
        if was:
            stranded = server_id in known.stranded and server["status"] == "MIGRATING"
            expected = {**was, "status": "MIGRATING" if stranded else known.status.get(server_id, was["status"])}
            wrong += [
                f"{label(now, server_id)}: {what} was {told(expected[what])}, is {told(server[what])}{reason(server, what)}"
                for what in server
                if what not in MAY_DIFFER and server[what] != expected[what]
            ]
        if server["task_state"] and server_id not in known.stranded:
            wrong.append(f"{label(now, server_id)}: still {server['task_state']}")
    findings.add("servers", wrong, f"{len(now['servers'])} as before, {len(known.deleted)} deleted by their owners")


def reason(server: Facts, what: str) -> str:
    return f" ({server['fault']})" if what == "status" and server["fault"] else ""


def check_hosts_of_servers(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """Servers moved only where their host was to be left, and are on hosts that are there."""
    wrong, moved = [], 0
    for server_id, server in now["servers"].items():
        was, host = before["servers"].get(server_id, server)["host"], server["host"]
        moved += host != was
        if host != was and was not in known.left:
            wrong.append(f"{label(now, server_id)}: was on {was}, which nobody wanted to leave, and is on {host}")
        if server_id in known.stranded and host not in known.down:
            wrong.append(f"{label(now, server_id)}: was said to be stranded on a host that died, and is on {host}")
        elif host in known.freed:
            wrong.append(f"{label(now, server_id)}: on {host}, which was freed")
        elif host is None and server["status"] != ON_NO_HOST:
            wrong.append(f"{label(now, server_id)}: on no host")
        elif host is not None and host not in now["services"]:
            wrong.append(f"{label(now, server_id)}: on {host}, which has no compute service")
    findings.add("servers' hosts", wrong, f"{moved} moved, all of them off hosts that were to be left")


def check_ports(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    wrong = []
    for port_id, was in before["ports"].items():
        port, where = now["ports"].get(port_id), f"port {port_id} of {label(before, was['server'])}"
        if port is None:
            wrong += [] if was["server"] in known.deleted else [f"{where}: gone"]
            continue
        wrong += [
            f"{where}: {what} was {told(was[what])}, is {told(port[what])}"
            for what in was
            if what != "bound_for" and port[what] != was[what]
        ]
        host = now["servers"].get(port["server"], {}).get("host")
        if host and port["bound_for"] != [host]:
            wrong.append(f"{where}: bound for {', '.join(port['bound_for']) or 'no host'}, and its server is on {host}")
    wrong += [
        f"port {port_id} of {label(now, port['server'])}: was not there before"
        for port_id, port in now["ports"].items()
        if port_id not in before["ports"]
    ]
    findings.add("ports", wrong, f"{len(now['ports'])} as before, each bound for its server's host")


def check_volumes(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    wrong = []
    for volume_id, was in before["volumes"].items():
        volume = now["volumes"].get(volume_id)
        if known.deleted & set(was["attached_to"]):
            continue
        if volume is None:
            wrong.append(f"volume {was['name']} ({volume_id}): gone")
        else:
            wrong += [
                f"volume {was['name']} ({volume_id}): {what} was {told(was[what])}, is {told(volume[what])}"
                for what in was
                if volume[what] != was[what]
            ]
    findings.add("volumes", wrong, f"{len(now['volumes'])} as before, none attached twice")


def check_disks(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """Each guest's bytes are those of before, on its host and nowhere else."""
    if before["disks"] is None or now["disks"] is None:
        return
    wrong, equal = [], 0
    for server_id, was in before["disks"].items():
        if server_id in known.deleted or server_id not in before["servers"]:
            continue
        there, server = now["disks"].get(server_id, {}), now["servers"].get(server_id, {})
        host, intact = server.get("host"), [place for place, digest in there.items() if digest in was.values()]
        if server.get("status") == ON_NO_HOST:
            wrong += [f"{label(now, server_id)}: shelved, and its disk is on {place}" for place in there]
        elif not intact:
            wrong.append(f"{label(before, server_id)}: its bytes are nowhere, though it is on {host}")
        elif host not in intact and server.get("status") != "ERROR":
            wrong.append(f"{label(before, server_id)}: its bytes are on {', '.join(intact)}, and it is on {host}")
        else:
            equal += 1
            others = [place for place in there if place != host and host in there and server_id not in known.stranded]
            wrong += [f"{label(before, server_id)}: a disk of it is on {place} too" for place in others]
    wrong += [
        f"a disk of {server_id}, which is no server, is on {', '.join(there)}"
        for server_id, there in now["disks"].items()
        if server_id not in now["servers"] and there != before["disks"].get(server_id)
    ]
    findings.add("disks", wrong, f"{equal} with the same bytes as before, each on its server's host only")


def check_freed_hosts(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """Nothing knows a freed host any more."""
    wrong = [f"{host}: was no compute host before" for host in sorted(known.freed) if host not in before["services"]]
    for host in sorted(known.freed):
        wrong += [f"{host}: still {one}" for one in traces(now, host)]
    findings.add("freed hosts", wrong, f"{len(known.freed)} gone without a trace: {', '.join(sorted(known.freed)) or 'none'}")


def traces(now: Facts, host: str) -> Iterator[str]:
    if host in now["services"]:
        yield "a compute service"
    if host in now["hypervisors"]:
        yield "a hypervisor"
    if host in now["providers"]:
        yield f"a resource provider with {len(now['providers'][host])} consumers"
    yield from (f"in the aggregate {name}" for name, hosts in now["aggregates"].items() if host in hosts)
    yield from (f"a network agent, {binary}" for where, binary in now["agents"] if where == host)


def check_other_hosts(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """Hosts that were not freed are as they were: up, not cordoned, in their aggregates."""
    wrong = []
    for host, was in before["services"].items():
        if host in known.freed:
            continue
        service = now["services"].get(host)
        if service is None:
            wrong.append(f"{host}: its compute service is gone, and nobody freed it")
            continue
        unasked = {"state"} if host in known.down else set()
        wrong += [
            f"{host}: {what} was {told(was[what])}, is {told(service[what])}"
            for what in was
            if what not in unasked and service[what] != was[what]
        ]
    wrong += [f"{host}: was no compute host before" for host in now["services"] if host not in before["services"]]
    for name, hosts in before["aggregates"].items():
        expected = [host for host in hosts if host not in known.freed]
        if now["aggregates"].get(name) != expected:
            wrong.append(f"aggregate {name}: should hold {told(expected)}, holds {told(now['aggregates'].get(name))}")
    findings.add("other hosts", wrong, f"{len(now['services'])} as before: enabled or not, in their aggregates")


def check_allocations(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """On each host, exactly its servers hold something, and each what its flavor asks for. What nobody owned before does not count."""
    wrong, right = [], 0
    unsettled = known.stranded | {one["uuid"] for one in now["migrations"].values() if one["instance_uuid"] in known.stranded}
    for provider, held in now["providers"].items():
        expected = {server_id: asked(server) for server_id, server in now["servers"].items() if server["host"] == provider}
        for consumer in sorted({*held, *expected} - unsettled):
            if held.get(consumer) == expected.get(consumer):
                right += 1
            elif consumer in expected or held[consumer] != before["providers"].get(provider, {}).get(consumer):
                has, should = told(held.get(consumer)), told(expected.get(consumer))
                wrong.append(f"{provider}: {consumer_label(now, consumer)} holds {has}, should hold {should}")
    findings.add("allocations", wrong, f"{right} servers hold what their flavors ask for, and nobody else holds anything")


def asked(server: Facts) -> dict[str, int]:
    """What Nova asks of Placement for the server's flavor."""
    flavor = server["flavor"]
    root_gib = flavor["disk"] if server["image"] else 0
    amounts = {
        "VCPU": flavor["vcpus"],
        "MEMORY_MB": flavor["ram"],
        "DISK_GB": root_gib + flavor["ephemeral"] + math.ceil(flavor["swap"] / 1024),
    }
    return {resource_class: amount for resource_class, amount in amounts.items() if amount}


def consumer_label(now: Facts, consumer: str) -> str:
    if consumer in now["servers"]:
        return label(now, consumer)
    migration = next((one for one in now["migrations"].values() if one["uuid"] == consumer), None)
    return (
        f"the {migration['status']} migration {consumer} of {label(now, migration['instance_uuid'])}"
        if migration
        else f"an unknown consumer {consumer}"
    )


def check_migrations(findings: Findings, before: Facts, now: Facts, known: Known) -> None:
    """Nothing is under way, and nothing waits for somebody to confirm it."""
    wrong = [
        f"migration {number} of {label(now, one['instance_uuid'])} from {one['source_compute']} to {one['dest_compute']}: {one['status']}"
        for number, one in now["migrations"].items()
        if one["status"] not in ENDED
        and not known.down & {one["source_compute"], one["dest_compute"]}
        and one["instance_uuid"] not in known.deleted
    ]
    wrong += [
        f"{label(now, server_id)}: {server['status']}"
        for server_id, server in now["servers"].items()
        if server["status"] in {"VERIFY_RESIZE", "MIGRATING"} and server_id not in known.stranded
    ]
    findings.add("migrations", wrong, f"{len(made_since(before, now))} were made, and none is under way or waits for anybody")


def check_refusals(findings: Findings, before: Facts, now: Facts, refused: dict[str, list[str]]) -> None:
    """Nova carried out whatever it was asked for."""
    wrong = [
        f"migration {number} of {label(now, one['instance_uuid'])} to {one['dest_compute']}: {one['status']}"
        for number, one in made_since(before, now).items()
        if one["status"] in {"error", "failed", "cancelled"}
    ]
    wrong += [f"{label(now, server)}: {text}" for server, texts in refused.items() for text in texts]
    findings.add("Nova refused nothing", wrong, f"none of {len(made_since(before, now))} migrations failed, and no action of a server did")


def made_since(before: Facts, now: Facts) -> Facts:
    return {number: one for number, one in now["migrations"].items() if number not in before["migrations"]}


def figures(before: Facts, now: Facts, known: Known) -> str:
    made = made_since(before, now)
    counts = Counter((one["migration_type"], one["status"]) for one in made.values())
    times = sorted(time for one in made.values() for time in (one["created_at"], one["updated_at"]) if time)
    span = f" within {(moment(times[-1]) - moment(times[0])).total_seconds():.0f} s" if times else ""
    kinds = ", ".join(f"{count} {kind} {status}" for (kind, status), count in sorted(counts.items()))
    occupied = {server["host"] for server in now["servers"].values() if server["host"]}
    hosts = f"{len(known.freed)} of {len(before['services'])} hosts freed, {len(occupied)} occupied"
    return f"{hosts}; {len(made)} migrations{span}: {kinds or 'none'}"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def label(facts: Facts, server_id: str) -> str:
    server = facts["servers"].get(server_id)
    return f"{server['name']} ({server_id})" if server else f"server {server_id}"


def told(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify_vacate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds-file", metavar="FILE", help="clouds.yaml (default: openstacksdk's standard search path)")
    parser.add_argument(
        "--cloud", default="old", metavar="CLOUD", help="entry of clouds.yaml with an administrator's rights (default: %(default)s)"
    )
    parser.add_argument("--disks", type=Path, metavar="FOLDER", help="where a lab keeps its guests' disks: LAB/old/nova/disks")
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record", help="write down how things are, before anything is moved")
    recording.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    recording.set_defaults(run=record)
    checking = verbs.add_parser("check", help="compare with how things are now")
    checking.add_argument("before", type=Path, metavar="FILE", help="what `record` wrote")
    for option, metavar, text in (
        ("--freed-host", "H", "host that the cloud gave up"),
        ("--left-host", "H", "host that was not freed, and that servers were to leave all the same"),
        ("--down-host", "H", "host whose compute service died, for another reason"),
        ("--deleted", "SERVER", "id of a server that its owner deleted meanwhile"),
        ("--stranded", "SERVER", "id of a server that was leaving a host when its compute service died: Nova goes on when that is back"),
        ("--now", "SERVER=STATUS", "what a server has become meanwhile, for a known reason"),
    ):
        checking.add_argument(option, action="append", default=[], metavar=metavar, help=text)
    checking.add_argument("--nothing-refused", action="store_true", help="also: Nova refused and failed nothing that it was asked for")
    checking.set_defaults(run=check)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except (SDKException, keystoneauth1.exceptions.ClientException, OSError, LookupError, RuntimeError, ValueError) as error:
        print(f"verify_vacate.py: it could not be checked: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
