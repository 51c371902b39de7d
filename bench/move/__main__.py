"""One tenant moved as a whole, by Decamp's own command line, beside a bound and, where there is a checkout of it, the peer.

Every mover gets a tenant of its own, equal to the others', in the same lab, one after the other. All are measured alike, from outside: wall
time, memory, and what they said to the clouds. What was lost is found with openstacksdk alone. The peer, openstack-migrate, is on no
package index: say --peer CHECKOUT, else it is left out. On two cores that do other work as well, it all takes about 7 minutes without the
peer, which may take as long again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.move import losses, measuring, peer
from bench.move.measuring import Taken
from bench.move.tenant import MOST_IMAGE_MIB, blueprint, written_bytes
from decamp.lab import lab as labs
from decamp.lab import layout, machines, prepared, seed
from decamp.lab.layout import CloudName, Lab
from decamp.lab.progress import StepEvent, StepState
from decamp.lab.seed import SeededTenant, tenancy
from decamp.model.errors import Error

IMAGE_MIB = 64
"""Of the tenant in issue 4."""
EARLIER_SECONDS = 193.0
"""The peer's at commit 6727dad, for 3 of the 5 servers, as measured on another day for issue 4. Not measured here."""
MOST_MIB = 300
PLAIN, PEER = "plain", "peer"
MANNERS = ("snapshot", "recreate")
MOVERS = (*MANNERS, PLAIN, PEER)
DECAMP = (sys.executable, "-m", "decamp.cli.main")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    mover: str
    taken: Taken
    planning_seconds: float = 0
    """Of the wall time."""
    had_to_read_bytes: int
    """Of the old cloud: what its APIs cannot leave out."""
    servers: int | None = None
    """Of the tenant's five; null: nobody looked."""
    lost: dict[str, int] | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    image_mib: int
    peer: str
    rows: tuple[Row, ...]


def main() -> None:
    asked = _arguments()
    console = Console(stderr=True)
    if asked.peer:
        peer.package(asked.peer)
    movers = [mover for mover in asked.only or MOVERS if mover != PEER or asked.peer]
    folder = asked.lab or layout.cache_folder() / "bench-lab"
    was_there = layout.exists(folder)
    lab = labs.up(folder, restore=None if asked.lab or not was_there else prepared.PRISTINE, report=_steps(console))
    try:
        told = _measure(lab, movers, asked, console)
    finally:
        if not asked.lab:
            labs.down(folder, report=_steps(console))
    if asked.format == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    else:
        _print(told)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.move", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--lab", type=Path, metavar="DIR", help="a lab to use as it is and to leave up; its new tenants stay (default: a fresh one)")
    add("--peer", type=Path, metavar="CHECKOUT", help="of openstack-migrate or sunbeam-migrate, to be measured too")
    add("--peer-seconds", type=float, default=1800, metavar="N", help="give the peer up after so long (default: %(default)s)")
    add("--image-mib", type=int, default=IMAGE_MIB, metavar="N", help="size of the image and of each root disk (default: %(default)s)")
    add("--only", action="append", choices=MOVERS, help="measure this one; repeat for several (default: all)")
    add("--concurrency", type=int, metavar="N", help="of `decamp apply` (default: the policy's)")
    add("--keep", type=Path, metavar="DIR", help="keep the movers' output, plans and state here")
    add("-f", "--format", choices=("table", "json"), default="table")
    asked = parser.parse_args()
    if not 1 <= asked.image_mib <= MOST_IMAGE_MIB:
        parser.error(f"--image-mib is a number from 1 to {MOST_IMAGE_MIB}")
    return asked


def _measure(lab: Lab, movers: list[str], asked: argparse.Namespace, console: Console) -> Told:
    stamp = time.strftime("%H%M%S")
    plan = blueprint([f"bench-{stamp}-{mover}" for mover in movers], machines.running_hosts(lab, CloudName.OLD), asked.image_mib)
    tenants = seed.fill(lab, plan, _steps(console))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        for mover, tenant in zip(movers, tenants, strict=True):
            kept = (asked.keep or Path(temporary)).absolute() / tenant.name
            kept.mkdir(parents=True)
            row = _move(lab, mover, tenant, asked, kept)
            rows.append(row)
            console.print(f"{mover}: {row.taken}")
    said = f"measured here, from {asked.peer}" if asked.peer else "not measured here: it is on no package index, and no --peer was said"
    return Told(image_mib=asked.image_mib, peer=said, rows=tuple(rows))


def _move(lab: Lab, mover: str, tenant: SeededTenant, asked: argparse.Namespace, folder: Path) -> Row:
    log = folder / "output.log"
    before = losses.take(lab, CloudName.OLD, tenant.name)
    old = tenancy.connect_as(lab, CloudName.OLD, tenant.name)
    images = asked.image_mib << 20
    disks = sum(images for server in old.compute.servers() if server.image and server.image.id)
    # what is made of an image is made anew of it where root disks start fresh
    fresh = mover == "recreate"
    volumes = [volume.id for volume in old.block_storage.volumes() if not (fresh and volume.is_bootable)]
    least = images + written_bytes(lab, volumes) + (0 if fresh else disks)
    planning_seconds = 0.0
    if mover == PLAIN:
        clouds = (str(lab.clouds_yaml), f"old-{tenant.name}", f"new-{tenant.name}")
        taken = measuring.run(lab, [sys.executable, "-m", "bench.move.plain", *clouds], Path.cwd(), log)
        return Row(mover=mover, taken=taken, had_to_read_bytes=least)
    if mover == PEER:
        taken = peer.move(lab, asked.peer.absolute(), tenant.project, folder, log, asked.peer_seconds)
    else:
        settings = lab.folder / "tenants" / tenant.name / "decamp.yaml"
        (folder / "decamp.yaml").write_bytes(settings.read_bytes())
        planned = measuring.run(lab, [*DECAMP, "plan", "move", "--manner", mover, "-o", "plan.json"], folder, log)
        planning_seconds = planned.wall_seconds
        concurrency = ["--concurrency", str(asked.concurrency)] if asked.concurrency else []
        taken = planned + measuring.run(lab, [*DECAMP, "apply", "plan.json", "--yes", *concurrency], folder, log)
    after = losses.take(lab, CloudName.NEW, tenant.name)
    return Row(
        mover=mover,
        taken=taken,
        planning_seconds=planning_seconds,
        had_to_read_bytes=least,
        servers=losses.servers(before, after),
        lost=dict(losses.losses(before, after)),
    )


def _print(told: Told) -> None:
    console = Console(width=160)
    plain = next((row for row in told.rows if row.mover == PLAIN), None)
    theirs = next((row for row in told.rows if row.mover == PEER), None)
    table = Table(
        title=f"One tenant, 5 servers, image of {told.image_mib} MiB, 3 volumes of 1 GiB", title_justify="left", title_style="bold"
    )
    heads = ("mover", "servers", "s", "planning", "/ plain", "/ peer", "calls", "MiB read", "/ had to", "MiB written", "peak MiB", "CPU s")
    for head in heads:
        table.add_column(head, justify="left" if head == "mover" else "right")
    for row in told.rows:
        taken = row.taken
        table.add_row(
            f"decamp, {row.mover}" if row.mover in MANNERS else row.mover,
            "" if row.servers is None else f"{row.servers} of 5",
            f"{taken.wall_seconds:.1f}",
            f"{row.planning_seconds:.1f}" if row.planning_seconds else "",
            _ratio(taken, plain),
            _ratio(taken, theirs),
            str(taken.calls),
            f"{taken.read_bytes / 2**20:.1f}",
            f"{taken.read_bytes / row.had_to_read_bytes:.2f}",
            f"{taken.written_bytes / 2**20:.1f}",
            f"{taken.peak_mib:.0f}",
            f"{taken.cpu_seconds:.1f}",
        )
    console.print(table)
    for row in told.rows:
        if row.lost is not None:
            lost = ", ".join(f"{what} ({count})" for what, count in sorted(row.lost.items()))
            console.print(f"  {row.mover} lost: {lost or 'nothing'}")
        if row.taken.status:
            console.print(f"  {row.mover} ended with status {row.taken.status}")
        if row.mover in MANNERS and row.taken.peak_mib > MOST_MIB:
            console.print(f"  {row.mover} took more memory than the {MOST_MIB} MiB that are aimed at")
    console.print(f"  the peer, openstack-migrate, was {told.peer}")
    if theirs is None and told.image_mib == IMAGE_MIB:
        console.print(f"  measured earlier, on another day, for this tenant: {EARLIER_SECONDS:.0f} s by the peer, and 3 of 5 servers")


def _ratio(taken: Taken, other: Row | None) -> str:
    return "" if other is None else f"{taken.wall_seconds / other.taken.wall_seconds:.2f}"


def _steps(console: Console) -> Callable[[StepEvent], None]:
    def show(event: StepEvent) -> None:
        if event.state is not StepState.STARTED and event.state is not StepState.NOTE:
            console.print(f"{event.state}: {event.step}, {event.seconds:.0f} s {event.text}", markup=False)

    return show


if __name__ == "__main__":
    try:
        main()
    except Error as error:
        sys.exit(str(error))
