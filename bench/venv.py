"""Environments of their own for peers, in the cache folder: one for each lock file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = Path("~/.cache/decamp/bench").expanduser()


def folder(name: str, lock: Path) -> Path:
    return CACHE / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


def python(name: str, lock: Path) -> Path:
    """Of a venv with exactly what the lock file names, made where there is none yet."""
    venv = folder(name, lock)
    found = venv / "bin" / "python"
    if not (venv / "ready").exists():
        uv = str(ROOT / ".uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], check=True)
        subprocess.run([uv, "pip", "sync", "--quiet", "--python", str(found), "--require-hashes", str(lock)], check=True)
        (venv / "ready").touch()
    return found
