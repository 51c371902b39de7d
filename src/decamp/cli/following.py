"""How a run is followed on a terminal: a line for each action that ended, above how far all is and what goes on now, each with its bar."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from decamp.cli.words import amount_of_bytes, duration, plural, seconds_between
from decamp.model import accounts
from decamp.model.chain import Chain, Figures, InFlight
from decamp.model.run import ENDED, ActionReport, ActionState

STYLES = {
    ActionState.DONE: ("✓", "green"),
    ActionState.FAILED: ("✗", "red"),
    ActionState.SKIPPED: ("-", "yellow"),
    ActionState.CANCELLED: ("-", "yellow"),
    ActionState.UNDONE: ("-", "yellow"),
}
REFRESHES_PER_SECOND = 4
SPARED_LINES = 6
"""Of the terminal: for the figures, and for the lines of what ended."""


class Following:
    """Where stderr is no terminal there are only the lines."""

    def __init__(self, console: Console, done: frozenset[str] = frozenset()) -> None:
        """`done` before: those are not told again."""
        self._console = console
        self._told = set(done)
        self._run = ""
        self._live = Live(console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True)

    def __enter__(self) -> Following:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._live.stop()

    def begin(self) -> None:
        """Another run, which has nothing to do with those before."""
        self._run = ""
        self._told.clear()

    def on_event(self, action: ActionReport) -> None:
        if action.state not in ENDED or action.id in self._told:
            return
        self._told.add(action.id)
        mark, style = STYLES[action.state]
        took = f"  {duration(seconds_between(action.started_at, action.ended_at))}" if action.started_at else ""
        said = action.error or action.said or str(action.target)
        line = Text.assemble((f" {mark} ", style), (f"{action.verb} ", "bold"), said, (took, "dim"))
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    def on_look(self, chain: Chain) -> None:
        if chain.last.id != self._run:
            if self._run:
                self._told.clear()
                self._console.print(f"[bold]Run {chain.last.id}[/] takes up the rest: {plural(len(chain.last.actions), 'action')}")
            self._run = chain.last.id
        self._live.update(picture(chain, self._console.height - SPARED_LINES))


def picture(chain: Chain, lines: int) -> RenderableType:
    """How far the chain is, and what goes on now in at most so many lines."""
    told = accounts.figures(chain, datetime.now(UTC))
    flying = Table.grid(padding=(0, 1), expand=True)
    for ratio in (3, 2, 2, 1):
        flying.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
    for one in told.in_flight[: max(1, lines)]:
        flying.add_row(*_flying(one))
    more = len(told.in_flight) - max(1, lines)
    rest = [Text(f"... and {plural(more, 'action')} more", style="dim")] if more > 0 else []
    return Group(Text(sentence(chain, told), style="bold"), flying, *rest)


def sentence(chain: Chain, told: Figures) -> str:
    """The figures in one line: `2 of 8 hosts free, 31 of 96 servers moved, 41.2 of 130 GiB at 1.1 GiB/s, wave 2, about 3 min left`."""
    done, total = chain.last.count(ActionState.DONE), len(chain.last.actions)
    parts = [f"{done} of {total} actions done"]
    if told.hosts:
        parts = [
            f"{told.hosts_freed} of {plural(told.hosts, 'host')} free",
            f"{told.servers_moved} of {plural(told.servers, 'server')} moved",
        ]
    if told.bytes_total:
        parts.append(f"{amount_of_bytes(told.bytes)} of {amount_of_bytes(told.bytes_total)}")
    if told.bytes_per_second:
        parts.append(f"{amount_of_bytes(told.bytes_per_second)}/s")
    if told.wave > 1:
        parts.append(f"wave {told.wave}")
    if told.doing:
        parts.append(told.doing)
    if chain.last.waits_until:
        parts.append(f"waits until {chain.last.waits_until}")
    if told.seconds_left:
        parts.append(f"about {duration(told.seconds_left)} left")
    return ", ".join(parts)


def _flying(one: InFlight) -> tuple[RenderableType, ...]:
    done, total = one.progress or (0, one.bytes)
    amount = f"{amount_of_bytes(done)} of {amount_of_bytes(total)}" if total > 1024 else ""
    bar = ProgressBar(total=float(total) if one.progress and total else None, completed=float(done), pulse=not (one.progress and total))
    took = duration(seconds_between(one.started_at, None)) if one.started_at else ""
    return f"  {one.id}", one.said or amount, bar, took
