#!/usr/bin/env python3
"""Checks both clouds after Decamp has run, without Decamp: reads them with openstacksdk alone and compares with a record of before.

    verify.py record --project acme -o before.json
    verify.py check before.json --moved acme --freed-host cmp-003 --new-machine cmp-003

Needs administrators' entries in clouds.yaml. Bytes are compared by SHA-256 of what the APIs hand out: volumes by way of images, root disks
by way of snapshots; what is made for that is deleted again. Exit status: 0 all is as it should be, 1 it is not, 2 it could not be checked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import keystoneauth1.exceptions
from openstack.exceptions import SDKException

from clouds import Cloud, Facts, all_images, hosts_of, nodes_of, servers_of, stacks_of
from findings import Findings
from moved import check_moved, differences
from portraits import portrait, project_id
from remains import check_emptied, check_undone, keys, remains

STEADY_SERVER = frozenset({"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"})


def record(arguments: argparse.Namespace) -> int:
    """Write down what the clouds look like before anything is moved."""
    old, new = Cloud(arguments.old, arguments.clouds_file), Cloud(arguments.new, arguments.clouds_file)
    before: Facts = {"taken_at": datetime.now(UTC).isoformat(timespec="seconds"), "old": whole(old), "new": whole(new), "projects": {}}
    if arguments.undercloud:
        undercloud = Cloud(arguments.undercloud, arguments.clouds_file)
        before["undercloud"] = {"stacks": stacks_of(undercloud), "nodes": nodes_of(undercloud)}
    tenants = tenants_of(arguments)
    for name in arguments.project:
        project = project_id(old, name)
        if project is None:
            raise LookupError(f"{old.name} has no project {name}, or several")
        tenant = tenants.get(project)
        seen = {"id": project, "stacks_seen": tenant is not None, "in_new": all_of(new, project_id(new, name), tenants)}
        before["projects"][name] = {**seen, **portrait(old, project, tenant=tenant)}
        restless = [server["name"] for server in before["projects"][name]["server"] if server["task_state"]]
        if restless:
            raise RuntimeError(f"{old.name} is doing something with {', '.join(restless)}: record again when all is at rest")
    arguments.output.write_text(json.dumps(before, indent=1) + "\n")
    count = Counter(server["status"] for server in before["old"]["servers"].values())
    print(f"Recorded {sum(count.values())} servers ({', '.join(f'{n} {s}' for s, n in count.items())}) in {arguments.output}")
    return 0


def tenants_of(arguments: argparse.Namespace) -> dict[str, Cloud]:
    """Id of a project -> its cloud with the project's own credentials."""
    clouds = [Cloud(entry, arguments.clouds_file) for entry in arguments.tenant]
    return {str(cloud.connection.current_project_id): cloud for cloud in clouds}


def all_of(cloud: Cloud, project: str | None, tenants: dict[str, Cloud]) -> list[str]:
    """What a project has and who has a role in it; nothing where there is none."""
    return [*remains(cloud, project, tenants.get(project)), *keys(cloud, project)] if project else []


def whole(cloud: Cloud) -> Facts:
    images = list(all_images(cloud))
    return {
        "hosts": hosts_of(cloud),
        "servers": servers_of(cloud),
        "images": {image["id"]: [image["name"], image["owner"]] for image in images},
        "image_hashes": [image["os_hash_value"] for image in images if image["status"] == "active"],
        "volumes": named(cloud.pages("block_storage", "/volumes/detail?all_tenants=1", "volumes")),
        "snapshots": named(cloud.pages("block_storage", "/snapshots/detail?all_tenants=1", "snapshots")),
        "networks": {network.id: [network.name, network.project_id] for network in cloud.connection.network.networks()},
    }


def named(listed: Iterable[Facts]) -> dict[str, list[str]]:
    """Id -> name and project, of Cinder's objects."""
    return {
        facts["id"]: [facts["name"], facts.get("os-vol-tenant-attr:tenant_id") or facts.get("os-extended-snapshot-attributes:project_id")]
        for facts in listed
    }


def check(arguments: argparse.Namespace) -> int:
    """Compare the clouds as they are now with the record."""
    before = json.loads(arguments.before.read_text())
    unknown = [name for name in (*arguments.moved, *arguments.undone, *arguments.emptied) if name not in before["projects"]]
    if unknown:
        raise LookupError(f"the record holds nothing of the project {unknown[0]}: it was made without --project {unknown[0]}")
    old, new = Cloud(arguments.old, arguments.clouds_file), Cloud(arguments.new, arguments.clouds_file)
    old_now, new_now = whole(old), whole(new)
    findings = Findings()
    new_projects: set[str] = set()
    tenants = tenants_of(arguments)
    for name in arguments.moved:
        project = project_id(new, name)
        if project is None:
            findings.add(f"{name}: project", [f"{new.name} has no project {name}"])
            continue
        new_projects.add(project)
        copy = portrait(new, project, tenant=tenants.get(project))
        by_operator = name in arguments.by_operator
        was, disks, left = before["projects"][name], set(arguments.with_disk), set(arguments.not_carried)
        left |= set() if was["stacks_seen"] and project in tenants else {"stack", "container"}
        check_moved(findings, name, was, copy, disks, left, set(new_now["image_hashes"]), by_operator=by_operator)
    for name in arguments.moved:
        check_old_servers(findings, name, before, old_now, confirmed=name in (*arguments.confirmed, *arguments.emptied))
    for name in arguments.emptied:
        project = before["projects"][name]["id"]
        check_emptied(findings, name, remains(old, project, tenants.get(project)))
        new_projects |= {found for found in [project_id(new, name)] if found}
    for name in arguments.undone:
        was, there = before["projects"][name], all_of(new, project_id(new, name), tenants)
        tenant = tenants.get(was["id"]) if was["stacks_seen"] else None
        check_undone(findings, name, was, portrait(old, was["id"], hashes=False, tenant=tenant), was["in_new"], there)
    gone = {before["projects"][name]["id"] for name in (*arguments.moved, *arguments.emptied)}
    check_others(findings, before, old_now, gone, set(arguments.freed_host))
    check_leftovers(findings, "old", before["old"], old_now, set())
    check_leftovers(findings, "new", before["new"], new_now, new_projects)
    check_allocations(findings, "old", old_now)
    check_allocations(findings, "new", new_now)
    if arguments.freed_host:
        check_freed(findings, before["old"]["hosts"], old_now["hosts"], arguments.freed_host)
    if arguments.undercloud and "undercloud" in before:
        undercloud = Cloud(arguments.undercloud, arguments.clouds_file)
        now = {"stacks": stacks_of(undercloud), "nodes": nodes_of(undercloud), "servers": servers_of(undercloud)}
        check_undercloud(findings, before["undercloud"], now, new_now["hosts"], arguments.new_machine, arguments.count_parameter)
    findings.print()
    return 1 if findings.wrong else 0


def check_old_servers(findings: Findings, name: str, before: Facts, old_now: Facts, *, confirmed: bool) -> None:
    wrong = []
    for server in before["projects"][name]["server"]:
        now = old_now["servers"].get(server["id"])
        if confirmed:
            wrong += [f"{server['name']} ({server['id']}): still in the old cloud"] if now else []
        elif now is None:
            wrong.append(f"{server['name']} ({server['id']}): deleted in the old cloud, and nobody confirmed it")
        elif (now["status"], now["locked"], now["task_state"]) != ("SHUTOFF", True, None):
            wrong.append(
                f"{server['name']} ({server['id']}): {now['status']}, {'' if now['locked'] else 'not '}locked, {now['task_state']}"
            )
    findings.add(
        f"{name}: in the old cloud", wrong, "its servers are gone, as confirmed" if confirmed else "its servers are stopped and locked"
    )


def check_others(findings: Findings, before: Facts, old_now: Facts, moved: set[str], freed: set[str]) -> None:
    """Nobody else's server was lost, stopped, or left on a host that is gone."""
    wrong, count, elsewhere = [], 0, 0
    services = old_now["hosts"]["services"]
    for server_id, server in before["old"]["servers"].items():
        if server["project"] in moved:
            continue
        count += 1
        now = old_now["servers"].get(server_id)
        if now is None:
            wrong.append(f"{server['name']} ({server_id}): gone")
            continue
        elsewhere += now["host"] != server["host"]
        name = f"{server['name']} ({server_id})"
        wrong += [f"{name}: {what} was {server[what]}, is {now[what]}" for what in ("status", "locked") if now[what] != server[what]]
        if now["task_state"]:
            wrong.append(f"{server['name']} ({server_id}): still {now['task_state']}")
        if now["host"] in freed or services.get(now["host"], {}).get("state") != "up":
            wrong.append(f"{server['name']} ({server_id}): on {now['host']}, which is not up")
    findings.add("old: everybody else's servers", wrong, f"{count} as before, {elsewhere} of them on another host")


def check_leftovers(findings: Findings, which: str, before: Facts, now: Facts, expected: set[str]) -> None:
    """Nothing is there that was not before, but for what belongs to projects that were moved."""
    kinds = ("images", "volumes", "snapshots", "networks")
    wrong = [
        f"{kind.removesuffix('s')} {name} ({its_id}): was not there before"
        for kind in kinds
        for its_id, (name, owner) in now[kind].items()
        if its_id not in before[kind] and owner not in expected
    ]
    wrong += [
        f"server {server['name']} ({server_id}): was not there before"
        for server_id, server in now["servers"].items()
        if server_id not in before["servers"] and server["project"] not in expected
    ]
    wrong += [
        f"server {server['name']} ({server_id}): {server['status']}"
        for server_id, server in now["servers"].items()
        if server["status"] not in STEADY_SERVER
    ]
    findings.add(f"{which}: nothing left over", wrong, f"no stray {', '.join(kinds)} or servers")


def check_allocations(findings: Findings, which: str, now: Facts) -> None:
    """Placement's consumers are the servers, each on one provider: no half-done migration, no orphan."""
    holders = Counter(consumer for provider in now["hosts"]["providers"].values() for consumer in provider["consumers"])
    wrong = [f"{consumer}: holds allocations on {count} providers" for consumer, count in holders.items() if count > 1]
    wrong += [f"{consumer}: holds an allocation, and is no server" for consumer in holders if consumer not in now["servers"]]
    wrong += [
        f"{server['name']} ({server_id}): holds no allocation" for server_id, server in now["servers"].items() if server_id not in holders
    ]
    findings.add(f"{which}: Placement", wrong, f"{len(holders)} servers hold what they should")


def check_freed(findings: Findings, before: Facts, now: Facts, freed: list[str]) -> None:
    wrong = []
    for host in freed:
        if host not in before["services"]:
            wrong.append(f"{host}: was no compute host before")
        wrong += [f"{host}: still a compute service" for _ in [0] if host in now["services"]]
        wrong += [f"{host}: still a hypervisor" for _ in [0] if host in now["hypervisors"]]
        wrong += [f"{host}: still a resource provider" for _ in [0] if host in now["providers"]]
    wrong += [f"{host}: lost, and nobody freed it" for host in before["services"] if host not in now["services"] and host not in freed]
    wrong += [
        f"{host}: {service['state']}, {service['status']}"
        for host, service in now["services"].items()
        if service != {"state": "up", "status": "enabled"}
    ]
    findings.add("old: hosts", wrong, f"{', '.join(freed)} gone without a trace, {len(now['services'])} left, all up")


def check_undercloud(findings: Findings, before: Facts, now: Facts, new_hosts: Facts, machines: list[str], count_parameter: str) -> None:
    """Each machine: an active node, its server a compute host that is up; the stack's count is right and nothing else in it changed."""
    wrong: list[str] = []
    hosts: list[str] = []
    for machine in machines:
        node = now["nodes"].get(machine)
        if node is None or node["state"] != "active" or node["maintenance"]:
            wrong.append(f"{machine}: its node is {node['state'] if node else 'not there'}, not active")
            continue
        host = now["servers"].get(node["instance"], {}).get("name")
        hosts.append(f"{machine} is {host}")
        service, provider = new_hosts["services"].get(host), new_hosts["providers"].get(host)
        if service != {"state": "up", "status": "enabled"}:
            wrong.append(f"{machine}: the compute service of {host} is {service or 'not there'}")
        if not provider or not all(provider["inventories"].get(resource_class) for resource_class in ("VCPU", "MEMORY_MB", "DISK_GB")):
            wrong.append(f"{machine}: {host} has no inventory in Placement")
    findings.add("new: machines", wrong, ", ".join(hosts) or "none were to come")
    wrong = []
    for name, stack in before["stacks"].items():
        expected = dict(stack["parameters"])
        if count_parameter in expected:
            expected[count_parameter] = str(int(expected[count_parameter]) + len(machines))
        wrong += differences(name, expected, now["stacks"].get(name, {}).get("parameters"))
        if not now["stacks"].get(name, {"status": "gone"})["status"].endswith("_COMPLETE"):
            wrong.append(f"{name}: {now['stacks'].get(name, {'status': 'gone'})['status']}")
    findings.add("undercloud: stacks", wrong, f"{count_parameter} {len(machines):+d}, all other parameters as before")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds-file", metavar="FILE", help="clouds.yaml (default: openstacksdk's standard search path)")
    for cloud in ("old", "new", "undercloud"):
        parser.add_argument(f"--{cloud}", default=cloud, metavar="CLOUD", help="entry of clouds.yaml with an administrator's rights")
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record", help="write down how things are, before anything is moved")
    recording.add_argument(
        "--project", action="append", default=[], metavar="P", help="that will be moved: read all its bytes; repeat for several"
    )
    recording.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    recording.set_defaults(run=record)
    checking = verbs.add_parser("check", help="compare with how things are now")
    checking.add_argument("before", type=Path, metavar="FILE", help="what `record` wrote")
    checking.add_argument("--moved", action="append", default=[], metavar="P", help="project that was moved, wholly")
    checking.add_argument(
        "--by-operator",
        action="append",
        default=[],
        metavar="P",
        help="moved project that an operator made in the new cloud, with its users, roles, quotas, flavors and types: compare these too",
    )
    checking.add_argument("--confirmed", action="append", default=[], metavar="P", help="moved project whose move was confirmed")
    checking.add_argument("--emptied", action="append", default=[], metavar="P", help="project of which nothing is left in the old cloud")
    checking.add_argument("--undone", action="append", default=[], metavar="P", help="project whose move was undone: all is as before")
    checking.add_argument(
        "--with-disk", action="append", default=[], metavar="SERVER", help="server whose root disk was to be carried over"
    )
    checking.add_argument(
        "--not-carried", action="append", default=[], metavar="WHAT", help="attribute, or kind, that the plan said it leaves behind"
    )
    checking.add_argument("--freed-host", action="append", default=[], metavar="H", help="host that the old cloud gave up")
    checking.add_argument("--new-machine", action="append", default=[], metavar="M", help="machine that the new cloud got")
    checking.add_argument("--count-parameter", default="ComputeCount", metavar="NAME", help="of the stack (default: %(default)s)")
    checking.set_defaults(run=check)
    for verb in (recording, checking):
        verb.add_argument(
            "--tenant",
            action="append",
            default=[],
            metavar="CLOUD",
            help="entry of clouds.yaml with a project's own rights, to see its stacks",
        )
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except (SDKException, keystoneauth1.exceptions.ClientException, OSError, LookupError, RuntimeError, ValueError) as error:
        print(f"verify.py: it could not be checked: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
