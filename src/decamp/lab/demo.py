"""The demo: the whole circle once, on the lab, with the commands that a person would type."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

import decamp
from decamp import files, settings
from decamp.lab import layout, memory
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName, Lab
from decamp.lab.seed import DEFAULT_SEED, DEFAULT_TENANTS, blueprint
from decamp.model.errors import Failed, Refused
from decamp.model.plan import Plan
from decamp.run.runs import open_runs

RECREATED = ("web-", "app-")
"""Begins of the names of servers that start afresh from their base image; the others take their disks along."""
VERIFY = Path(decamp.__file__).resolve().parents[2] / "tools" / "verify.py"
DONE = frozenset({0})


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo says to whoever shows it."""

    title: str = ""
    """A new chapter begins; else a command follows."""
    command: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    seconds: float


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """Compute hosts of a cloud, and how many servers are on them."""

    cloud: str
    hosts: tuple[str, ...]
    servers: int
    occupied: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    before: tuple[Hosts, ...]
    after: tuple[Hosts, ...]
    tenant: str
    recreated: int
    carried: int
    moved_bytes: int
    freed: tuple[str, ...]
    migrations: int
    steps: tuple[Step, ...]
    peak_memory_bytes: int
    disk_bytes: int


class Stage:
    """Runs the demo's commands in the demo's folder, one after the other, on the terminal that it was started from."""

    def __init__(self, folder: Path, environment: dict[str, str], tell: Callable[[Told], None]) -> None:
        self._folder = folder
        self._environment = environment
        self._tell = tell
        self._titles: list[tuple[str, float]] = []

    def chapter(self, title: str) -> None:
        self._titles.append((title, time.monotonic()))
        self._tell(Told(title=title))

    def decamp(self, *arguments: str, into: str | None = None) -> None:
        """Raises Failed unless the command ends well. `into`: a file for its standard output, as the shell's `>` does it."""
        self._run(("decamp", *arguments), (str(Path(sys.executable).with_name("decamp")), *arguments), into)

    def verify(self, *arguments: str) -> None:
        shown = ("python", f"tools/{VERIFY.name}", *arguments)
        self._run(shown, (sys.executable, str(VERIFY), *arguments), None)

    def _run(self, shown: Sequence[str], command: Sequence[str], into: str | None) -> None:
        line = shlex.join(shown) + (f" > {shlex.quote(into)}" if into else "")
        self._tell(Told(command=line))
        output = (self._folder / into).open("wb") if into else None
        try:
            done = subprocess.run(command, cwd=self._folder, env=self._environment, stdout=output, check=False)
        finally:
            if output:
                output.close()
        if done.returncode not in DONE:
            raise Failed(f"The demo stopped: `{line}` ended with {done.returncode}.")

    def steps(self) -> tuple[Step, ...]:
        """With how long each chapter took; the last one ends now."""
        ends = [begun for _, begun in self._titles[1:]] + [time.monotonic()]
        return tuple(Step(title=title, seconds=end - begun) for (title, begun), end in zip(self._titles, ends, strict=True))


def play(folder: Path, *, hosts: int | None, tell: Callable[[Told], None]) -> Result:
    """Bring up a fresh lab in `folder` and go round the circle once, freeing `hosts` hosts (None: as many as possible).

    Raises Refused (no verify.py: this is not a checkout), Failed (a command did not end well; its own words are on the terminal).
    """
    if not VERIFY.exists():
        raise Refused(f"The demo checks its result with {VERIFY}, which is not there: run it from a checkout of Decamp.")
    work = folder / "demo"
    environment = {**os.environ, "DECAMP_LAB": str(folder), "PYTHONUNBUFFERED": "1"}
    if not sys.stdout.isatty():
        environment.setdefault("CLIFF_MAX_TERM_WIDTH", "160")
    stage = Stage(work, environment, tell)
    with memory.watching(folder) as peak:
        _forget_runs(folder, work)
        stage.chapter("Three clouds: old, new, and the undercloud")
        stage.decamp("lab", "up", "--fresh")
        lab = layout.load(folder)
        stage.chapter("Tenants and their servers in the old cloud")
        stage.decamp("lab", "seed")
        return _circle(lab, stage, work, hosts, peak)


def _circle(lab: Lab, stage: Stage, work: Path, hosts: int | None, peak: memory.Peak) -> Result:
    plan = blueprint.draw(DEFAULT_SEED, DEFAULT_TENANTS, _hosts(lab, CloudName.OLD).hosts)
    tenant = next(tenant for tenant in plan.tenants if tenant.in_new)
    fresh = [server.name for server in tenant.servers if server.name.startswith(RECREATED)]
    carried = [server.name for server in tenant.servers if not server.name.startswith(RECREATED)]
    operator = ("--config", "../decamp.yaml")
    theirs = ("--config", f"../tenants/{tenant.name}/decamp.yaml")
    before = (_hosts(lab, CloudName.OLD), _hosts(lab, CloudName.NEW))

    stage.chapter("How things are, for the record")
    clouds = ("--clouds-file", "../clouds.yaml")
    stage.decamp(*operator, "survey", "old", "-o", "old.json")
    stage.decamp(*operator, "survey", "new", "-o", "new.json")
    stage.verify(*clouds, "record", "--project", tenant.name, "-o", "before.json")

    stage.chapter(f"{tenant.name} moves {len(fresh)} servers, recreated from their base images")
    chosen = [option for name in fresh for option in ("--server", name)]
    stage.decamp(*theirs, "plan", "move", *chosen, "--manner", "recreate", "-o", "recreate.json")
    stage.decamp(*theirs, "apply", "recreate.json", "--yes", "--allow-refusals", "-f", "json", into="recreate.run.json")

    stage.chapter(f"{tenant.name} moves the other {len(carried)}, with their disks")
    stage.decamp(*theirs, "plan", "move", "--manner", "snapshot", "-o", "snapshot.json")
    stage.decamp(*theirs, "apply", "snapshot.json", "--yes", "--allow-refusals", "-f", "json", into="snapshot.run.json")

    stage.chapter("The operator empties hosts of the old cloud")
    how_many = ("--hosts", str(hosts)) if hosts else ("--max",)
    stage.decamp(*operator, "survey", "old", "-o", "moved.json")
    stage.decamp(*operator, "plan", "vacate", "--survey", "moved.json", *how_many, "-o", "vacate.json")
    stage.decamp(*operator, "check", "vacate.json", "--survey", "moved.json")
    stage.decamp(*operator, "apply", "vacate.json", "--yes", "--allow-refusals", "-f", "json", into="vacate.run.json")
    vacate = files.read_plan(work / "vacate.json")
    freed = vacate.forecast.freed_hosts

    stage.chapter("Their machines join the new cloud")
    machines = [option for host in freed for option in ("--host", host)]
    stage.decamp(*operator, "plan", "expand", *machines, "-o", "expand.json")
    stage.decamp(*operator, "apply", "expand.json", "--yes", "-f", "json", into="expand.run.json")

    stage.chapter("Proof, by a script that knows nothing of Decamp")
    moved = [option for name in sorted(set(carried)) for option in ("--with-disk", name)]
    gone = [option for host in freed for option in ("--freed-host", host, "--new-machine", host)]
    # a tenant's credentials do not show user data: the plan said that it stays behind
    stage.verify(*clouds, "check", "before.json", "--moved", tenant.name, "--not-carried", "user_data_sha256", *moved, *gone)

    return Result(
        before=before,
        after=(_hosts(lab, CloudName.OLD), _hosts(lab, CloudName.NEW)),
        tenant=tenant.name,
        recreated=len(fresh),
        carried=len(carried),
        moved_bytes=_moved_bytes(work, lab.folder / "tenants" / tenant.name / "decamp.yaml"),
        freed=freed,
        migrations=_migrations(vacate),
        steps=stage.steps(),
        peak_memory_bytes=peak.bytes,
        disk_bytes=memory.disk_bytes(lab.folder) + memory.disk_bytes(layout.cache_folder() / "venvs"),
    )


def _forget_runs(folder: Path, work: Path) -> None:
    """The clouds begin anew, so what an earlier demo noted of them is of no more use."""
    for state in (folder / "decamp.sqlite", *(folder / "tenants").glob("*/decamp.sqlite")):
        for file in state.parent.glob(f"{state.name}*"):
            file.unlink()
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)


def _hosts(lab: Lab, cloud: CloudName) -> Hosts:
    compute = connect(lab, cloud).compute
    servers = list(compute.servers(all_projects=True))
    return Hosts(
        cloud=str(cloud),
        hosts=tuple(sorted(service.host for service in compute.services(binary="nova-compute"))),
        servers=len(servers),
        occupied=len({server.compute_host for server in servers}),
    )


def _moved_bytes(work: Path, configuration: Path) -> int:
    """What the tenant's runs carried from cloud to cloud."""
    with open_runs(settings.load(configuration).state_url) as runs:
        return sum(runs.report(run.id).bytes for run in runs.all())


def _migrations(plan: Plan) -> int:
    return plan.forecast.migrations
