"""How near to the optimum vacates are planned, how fast, and in how much memory: against proved bounds, and against two peers.

The peers are Watcher's own strategy vm_workload_consolidation, in a venv that is made for it, and a plain runbook. Everybody is given the
same surveys in the same call, each in a process of its own, and judged by the same checker. On two quiet cores all of it takes about 15
minutes; the first time, the venv one more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench import venv
from bench.vacate import judging
from bench.vacate.child import Measured
from bench.vacate.instances import instance
from decamp.model.plan import Plan
from decamp.model.survey import Survey

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WATCHER_LOCK = HERE / "watcher.lock"
SEED = 1


class Case(msgspec.Struct, frozen=True, kw_only=True):
    hosts: int
    remaining: float
    constraints: bool

    def __str__(self) -> str:
        return f"{self.hosts:,} hosts, {self.remaining:.0%} left, {'with' if self.constraints else 'without'} constraints"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One planner on one instance. Ratios are to the bounds that the instance or its own moves have, whoever planned."""

    case: str
    servers: int
    planner: str
    freed: int
    most_provable: int
    freed_ratio: float
    bytes: int
    bytes_ratio: float
    seconds: float
    seconds_ratio: float
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    moves: int
    broken_moves: int
    rules: dict[str, int]
    moved_twice: int
    proved_by: dict[str, str]


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """A part of planning by itself, on the plan that was made."""

    case: str
    part: str
    actions: int
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


QUICK = (Case(hosts=40, remaining=0.5, constraints=True),)
DEFAULT = (
    *(Case(hosts=1000, remaining=share, constraints=constraints) for constraints in (True, False) for share in (0.3, 0.6, 0.9)),
    Case(hosts=10_000, remaining=0.6, constraints=True),
)

TARGETS = (
    ("hosts freed / provable maximum, with constraints", "freed_ratio", lambda row: "with constraints" in row.case, ">= 0.98"),
    ("the same, without constraints", "freed_ratio", lambda row: "without constraints" in row.case, ">= 0.99"),
    ("bytes moved / lower bound at that number of hosts", "bytes_ratio", lambda row: True, "<= 1.05"),
    ("makespan / lower bound of the schedule", "seconds_ratio", lambda row: True, "<= 1.05"),
    ("moves that break a rule", "broken_moves", lambda row: True, "0"),
    ("servers moved twice", "moved_twice", lambda row: True, "0"),
    ("seconds of planning, 1,000 hosts", "wall_seconds", lambda row: row.case.startswith("1,000"), "<= 20"),
    ("seconds of planning, 10,000 hosts", "wall_seconds", lambda row: row.case.startswith("10,000"), "<= 180"),
    ("MiB of memory, 10,000 hosts", "peak_mib", lambda row: row.case.startswith("10,000"), "<= 600"),
)
"""What it is, the field, of which rows, and what is aimed at."""


def main() -> None:
    asked = _arguments()
    cases = QUICK if asked.quick else DEFAULT
    rows: list[Row | Alone] = []
    told = Console(stderr=True)
    watcher = None
    if not asked.without_watcher:
        told.print(f"Watcher's venv: {venv.folder('watcher', WATCHER_LOCK)}")
        watcher = venv.python("watcher", WATCHER_LOCK)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            for row in _measure(case, Path(folder), watcher, asked.watcher_seconds, told):
                rows.append(row)
                told.print(_line(row))
    if asked.format == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    else:
        _print(rows)
    if asked.plot:
        _plot([row for row in rows if isinstance(row, Row)], asked.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.vacate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small instance, in seconds")
    parser.add_argument("--without-watcher", action="store_true", help="leave Watcher out: nothing is downloaded")
    parser.add_argument("--watcher-seconds", type=float, default=240, help="give Watcher up on an instance after so long (%(default)s)")
    parser.add_argument("-f", "--format", choices=("table", "json"), default="table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="hosts freed and makespan of each planner, as .svg or .png")
    return parser.parse_args()


def _measure(case: Case, folder: Path, watcher: Path | None, watcher_seconds: float, told: Console) -> Iterator[Row | Alone]:
    survey, planned = folder / "survey.json", folder / "plan.json"
    old = instance(case.hosts, remaining=case.remaining, constraints=case.constraints, seed=SEED)
    survey.write_bytes(msgspec.json.encode(old))
    ours = _child("plan", survey, folder)
    if ours.plan is None:
        raise RuntimeError("a planner that makes no plan")
    planned.write_bytes(msgspec.json.encode(ours.plan))
    yield _row(case, old, "decamp", ours, ours.plan, folder)
    for part in ("order", "replay"):
        alone = _child(part, survey, folder, planned)
        yield Alone(
            case=str(case),
            part=part,
            actions=len(ours.plan.actions),
            wall_seconds=alone.wall_seconds,
            cpu_seconds=alone.cpu_seconds,
            peak_mib=alone.peak_mib,
        )
    yield _row(case, old, "runbook", _child("runbook", survey, folder), ours.plan, folder)
    if watcher is not None:
        try:
            theirs = _run([str(watcher), str(HERE / "watcher_peer.py")], survey, folder, seconds=watcher_seconds)
        except subprocess.TimeoutExpired:
            told.print(f"{case}: watcher had no plan after {watcher_seconds:.0f} s and was given up")
        else:
            yield _row(case, old, "watcher", theirs, ours.plan, folder)


def _row(case: Case, old: Survey, planner: str, found: Measured, ours: Plan, folder: Path) -> Row:
    moves = judging.moves_of(found.plan) if found.plan is not None else list(found.moves)
    plan = found.plan if found.plan is not None else judging.as_plan(old, moves)
    freed = len(judging.emptied(old, moves))
    least_bytes, by = judging.Bounds(old).bytes(freed)
    seconds, bound = judging.makespan(old, moves)
    if found.plan is not None:
        forecast = found.plan.forecast
        seconds, bound = forecast.seconds, judging.Bound(seconds=forecast.seconds_lower_bound, proof=bound.proof)
    (folder / "judged.json").write_bytes(msgspec.json.encode(plan))
    broken = _child("replay", folder / "survey.json", folder, folder / "judged.json").told
    moved = judging.bytes_moved(old, moves)
    return Row(
        case=str(case),
        servers=len(old.servers),
        planner=planner,
        freed=freed,
        most_provable=ours.forecast.freed_hosts_upper_bound,
        freed_ratio=judging.ratio(freed, ours.forecast.freed_hosts_upper_bound),
        bytes=moved,
        bytes_ratio=judging.ratio(moved, least_bytes),
        seconds=seconds,
        seconds_ratio=judging.ratio(seconds, bound.seconds),
        wall_seconds=found.wall_seconds,
        cpu_seconds=found.cpu_seconds,
        peak_mib=found.peak_mib,
        moves=len(moves),
        broken_moves=broken["moves"],
        rules=broken["rules"],
        moved_twice=judging.moved_twice(moves),
        proved_by={"hosts": ours.forecast.proved_by["freed_hosts"], "bytes": by, "seconds": bound.proof},
    )


def _child(what: str, survey: Path, folder: Path, *plan: Path) -> Measured:
    return _run([sys.executable, "-m", "bench.vacate.child", what], survey, folder, *plan)


def _run(command: list[str], survey: Path, folder: Path, *plan: Path, seconds: float | None = None) -> Measured:
    out = folder / "measured.json"
    # Watcher goes through sets of names: with a seed it does so alike every time
    environment = {"PYTHONHASHSEED": "0", "HOME": str(Path.home()), "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}
    subprocess.run([*command, str(survey), str(out), *map(str, plan)], check=True, cwd=ROOT, env=environment, timeout=seconds)
    return msgspec.json.decode(out.read_bytes(), type=Measured)


def _line(row: Row | Alone) -> str:
    if isinstance(row, Alone):
        return f"{row.case}: {row.part} of {row.actions:,} actions in {row.wall_seconds:.1f} s ({row.cpu_seconds:.1f} of CPU)"
    return f"{row.case}: {row.planner} frees {row.freed} of at most {row.most_provable} in {row.wall_seconds:.1f} s"


def _print(rows: list[Row | Alone]) -> None:
    console = Console(width=200)
    for case in dict.fromkeys(row.case for row in rows):
        own = [row for row in rows if isinstance(row, Row) and row.case == case]
        table = Table(title=f"{case}: {own[0].servers:,} servers", title_justify="left", title_style="bold")
        heads = ("planner", "hosts freed", "/ most", "TB moved", "/ least", "makespan s", "/ least", "plan s", "CPU s", "MiB", "moves")
        for head in (*heads, "break a rule", "moved twice"):
            table.add_column(head, justify="left" if head == "planner" else "right")
        for row in own:
            share = f"{row.broken_moves} ({judging.ratio(row.broken_moves, row.moves or 1):.0%})"
            table.add_row(
                row.planner,
                f"{row.freed} / {row.most_provable}",
                f"{row.freed_ratio:.3f}",
                f"{row.bytes / 1e12:.2f}",
                f"{row.bytes_ratio:.3f}",
                f"{row.seconds:,.0f}",
                f"{row.seconds_ratio:.2f}",
                f"{row.wall_seconds:.1f}",
                f"{row.cpu_seconds:.1f}",
                f"{row.peak_mib:.0f}",
                str(row.moves),
                share,
                str(row.moved_twice),
            )
        console.print(table)
        for row in own:
            if row.rules:
                console.print(f"  {row.planner} breaks: " + ", ".join(f"{rule} {count}" for rule, count in sorted(row.rules.items())))
            proofs = f"bytes by {row.proved_by['bytes']}; makespan: {row.proved_by['seconds']}"
            console.print(f"  bounds of {row.planner}: hosts by {row.proved_by['hosts']}; {proofs}")
        for part in (one for one in rows if isinstance(one, Alone) and one.case == case):
            console.print(f"  {_line(part).removeprefix(case + ': ')}, {part.peak_mib:.0f} MiB with survey and plan")
    _print_targets([row for row in rows if isinstance(row, Row)], console)


def _print_targets(rows: list[Row], console: Console) -> None:
    table = Table(title="What is aimed at, and the worst and the best that was measured", title_justify="left", title_style="bold")
    planners = list(dict.fromkeys(row.planner for row in rows))
    for head in ("figure", "target", *planners):
        table.add_column(head, justify="left" if head == "figure" else "right")
    for name, field, belongs, target in TARGETS:
        cells = [_spread([float(getattr(row, field)) for row in rows if row.planner == planner and belongs(row)]) for planner in planners]
        if any(cells):
            table.add_row(name, target, *cells)
    console.print(table)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    low, high = (f"{value:.3f}".rstrip("0").rstrip(".") for value in (min(values), max(values)))
    return low if low == high else f"{low} - {high}"


def _plot(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    cases, planners = list(dict.fromkeys(row.case for row in rows)), list(dict.fromkeys(row.planner for row in rows))
    for axes, field, title in zip(
        figure.subplots(2, 1, sharex=True),
        ("freed_ratio", "seconds_ratio"),
        ("hosts freed / provable maximum", "makespan / its lower bound"),
        strict=True,
    ):
        for number, planner in enumerate(planners):
            own: dict[str, Any] = {row.case: getattr(row, field) for row in rows if row.planner == planner}
            places = [place + number * 0.8 / len(planners) for place, case in enumerate(cases) if case in own]
            axes.bar(places, [own[case] for case in cases if case in own], width=0.8 / len(planners), label=planner, align="edge")
        axes.axhline(1.0, color="black", linewidth=0.8)
        axes.set_title(title)
        axes.legend()
        axes.set_xticks([place + 0.4 for place in range(len(cases))], [case.replace(", ", "\n") for case in cases])
        if field == "seconds_ratio":
            axes.set_yscale("log")
    figure.savefig(path)


if __name__ == "__main__":
    main()
