"""The command line on a lab's clouds, run as its users run it: in a folder of its own, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from decamp.lab import Lab


class Desk:
    """A folder with a configuration of its own for the lab's clouds."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.path = path
        self.clouds = yaml.safe_load((lab.folder / "clouds.yaml").read_text())
        self.settings = yaml.safe_load((lab.folder / "decamp.yaml").read_text())
        self.settings |= {"state": f"sqlite:///{path}/state.sqlite", "clouds_file": "clouds.yaml"}
        self.settings["expand"]["instackenv"] = str(lab.folder / "instackenv.json")
        self.write()

    def write(self) -> None:
        (self.path / "clouds.yaml").write_text(yaml.safe_dump(self.clouds))
        (self.path / "decamp.yaml").write_text(yaml.safe_dump(self.settings))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return started(self.path, *arguments)

    def run(self, *arguments: str, status: int = 0, seconds: float = 600) -> tuple[str, str]:
        """(stdout, stderr)"""
        process = self.start(*arguments)
        out, err = told(process, seconds)
        assert "Traceback" not in out + err
        assert process.returncode == status, out + err
        return out, err


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Decamp in a folder that is its home too, with nothing of whoever runs the tests.

    Who runs them in the background has SIGINT ignored: not so Decamp.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "DECAMP_"))}
    return subprocess.Popen(
        ["/usr/bin/env", "--default-signal=INT", sys.executable, "-m", "decamp.cli.main", *arguments],
        cwd=folder,
        env={**environment, "HOME": str(folder), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    """What it printed until it ended; one that does not end in time is killed."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args} did not end within {seconds:.0f} s:\n{out}{err}") from None
