"""Stands for `ssh HOST systemctl stop nova-compute`: python -m decamp.lab.compute_service --dir LAB stop|start|kill HOST"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from decamp.lab import layout, machines
from decamp.lab.supervise import Supervisor
from decamp.model.errors import Error


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="decamp.lab.compute_service", description="Stop, start or kill nova-compute on one host of the lab."
    )
    parser.add_argument("--dir", type=Path, default=None, help="the lab's folder")
    parser.add_argument("verb", choices=["stop", "start", "kill"])
    parser.add_argument("host")
    arguments = parser.parse_args()
    try:
        lab = layout.load((arguments.dir or layout.default_folder()).absolute())
        supervisor = Supervisor(lab.folder)
        nova_runs = any(supervisor.is_running(f"{cloud}-nova") for cloud in (layout.CloudName.OLD, layout.CloudName.NEW))
        if arguments.verb == "kill":
            machines.kill_compute(lab, arguments.host, nova_runs=nova_runs)
        else:
            machines.set_compute_enabled(lab, arguments.host, arguments.verb == "start", nova_runs=nova_runs)
    except Error as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
