"""Curves as pictures, for those who would rather look than read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from decamp.model.errors import BadInput
from decamp.planning.curve import Point

ENDINGS = (".svg", ".png")
GIB = 2**30


def plot_curve(points: Sequence[Point], path: Path) -> None:
    """Hosts freed against what is moved, beside what no plan can undercut.

    Raises BadInput for another ending, or where it cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise BadInput(f"{path}: a plot is written as {' or '.join(ENDINGS)}, which the ending says")
    from matplotlib.figure import Figure  # most of a second
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    hosts = [point.hosts for point in points]
    axes.plot(hosts, [point.bytes / GIB for point in points], marker="o", label="this planner")
    axes.plot(hosts, [point.bytes_lower_bound / GIB for point in points], linestyle="--", color="grey", label="no plan moves less")
    axes.set(xlabel="hosts freed", ylabel="moved (GiB)", title="What it costs to free hosts", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
