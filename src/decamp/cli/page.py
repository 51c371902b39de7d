"""A report as one page of HTML that asks for nothing else: no scripts, no requests; everything that came from a cloud is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

from decamp.cli.words import amount_of_bytes, duration
from decamp.model.report import Item, Outcome, Report

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy: whatever gets in, a browser loads and runs nothing."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --dim: #57606a; --line: #d0d7de; --tile: #f6f8fa;
  --good: #116329; --bad: #b3141d; --warn: #7d4e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --dim: #9198a1; --line: #3d444d; --tile: #151b23;
  --good: #4ac26b; --bad: #ff7b72; --warn: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif; }
body { color: var(--ink); background: var(--paper); }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .dim { color: var(--dim); } small { color: var(--dim); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl div { background: var(--tile); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
dt { color: var(--dim); font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; } td.number { text-align: right; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } code { font-size: .85em; color: var(--dim); }
details { margin: .5rem 0; } summary { cursor: pointer; }
@media print { body { max-width: none; padding: 0; } details > * { display: block; } }
"""
COLOURS = {Outcome.FAILED: "bad", Outcome.UNDONE: "warn", Outcome.NOT_DONE: "warn", Outcome.REMOVED: "warn"}


class Markup(str):
    """Made here: not to be escaped."""

    __slots__ = ()


def page(report: Report) -> str:
    """Readable in light and dark, on paper and on a telephone."""
    whose = f"project {report.project}" if report.project else "all projects"
    title = f"Report of run {report.run}"
    head = _element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY)}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        _element("title", title),
        _element("style", Markup(STYLE)),
    )
    body = _element(
        "body",
        _element("h1", title),
        _element("p", f"{report.verb}, {report.old} to {report.new}, {whose}: ", _element("b", report.state), _then(report)),
        _element("p", _span(report), cls="dim"),
        _tiles(report),
        *_servers(report),
        *_losses(report),
        *_changes(report),
        *_left(report),
        *_failures(report),
        *_everything(report),
        _element("p", f"Made by Decamp at {report.made_at}.", cls="dim"),
    )
    return f"<!DOCTYPE html>\n{_element('html', head, body, lang='en')}\n"


def _span(report: Report) -> str:
    began = _when(report.began_at)
    return f"From {began} to {_when(report.ended_at)}" if report.ended_at else f"Since {began}, not over yet"


def _then(report: Report) -> str:
    told = [f"followed by {', '.join(report.runs[1:])}"] if report.runs[1:] else []
    told += [f"undone by {report.undone_by}"] if report.undone_by else []
    told += [f"confirmed by {report.confirmed_by}"] if report.confirmed_by else []
    return f"; {'; '.join(told)}" if told else ""


def _tiles(report: Report) -> Markup:
    losses = sum(change.is_loss for item in report.items for change in item.changes)
    figures = [
        ("Servers", str(len(report.servers))),
        *((outcome.replace("_", " ").capitalize(), str(count)) for outcome, count in report.counts.items()),
        ("Not moved", str(len(report.left))),
        ("Losses", str(losses)),
        ("Bytes", amount_of_bytes(report.bytes)),
        ("Took", duration(report.seconds)),
    ]
    return _element("dl", *(_element("div", _element("dt", name), _element("dd", value)) for name, value in figures))


def _servers(report: Report) -> Iterable[Markup]:
    if report.servers:
        yield _element("h2", "Servers")
        yield _table(
            ("Server", "Outcome", "New id", "Bytes", "Time", "Was down"),
            (
                (_named(item), _outcome(item), _code(item.new_id), _bytes(item), _seconds(item.seconds), _seconds(item.downtime_seconds))
                for item in report.servers
            ),
        )


def _losses(report: Report) -> Iterable[Markup]:
    lost = [(item, change) for item in report.items for change in item.changes if change.is_loss]
    if lost:
        yield _element("h2", "What was lost, and why")
        yield _table(
            ("Of", "Lost", "Why"),
            (
                (_named(item), change.before if change.what == "not_carried" else f"{change.what}: {change.before}", change.why)
                for item, change in lost
            ),
        )


def _changes(report: Report) -> Iterable[Markup]:
    changed = [(item, change) for item in report.items for change in item.changes if not change.is_loss]
    if changed:
        yield _element("h2", "What changed, and why")
        yield _table(
            ("Of", "What", "Before", "After", "Why"),
            ((_named(item), change.what, change.before, change.after, change.why) for item, change in changed),
        )


def _left(report: Report) -> Iterable[Markup]:
    if report.left:
        rows = ((f"{one.kind} {one.id}", one.reason, one.text) for one in report.left)
        yield _element("h2", "What was not done, and why")
        yield _table(("What", "Reason", "Why, and what would help"), rows)


def _failures(report: Report) -> Iterable[Markup]:
    failed = [item for item in report.items if item.error]
    if failed:
        yield _element("h2", "What failed")
        yield _table(("What", "Outcome", "Error"), ((_named(item), _outcome(item), item.error) for item in failed))


def _everything(report: Report) -> Iterable[Markup]:
    if report.items:
        rows = (
            (
                _named(item),
                _outcome(item),
                _code(item.new_id),
                _bytes(item),
                _seconds(item.seconds),
                _when(item.verified_at) if item.verified_at else "",
                item.why,
            )
            for item in report.items
        )
        yield _element("h2", "Every resource")
        yield _table(("What", "Outcome", "New id", "Bytes", "Time", "Proved", "Why"), rows)
        steps = (
            (_when(step.started_at) if step.started_at else "", step.action, step.state, _seconds(step.seconds), step.said)
            for step in sorted((step for item in report.items for step in item.steps), key=lambda step: step.started_at or "~")
        )
        count = sum(len(item.steps) for item in report.items)
        yield _element(
            "details",
            _element("summary", f"Every action, in the order in which they began ({count})"),
            _table(("Began", "Action", "State", "Time", "Said"), steps),
        )


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    head = _element("thead", _element("tr", *(_element("th", name) for name in columns)))
    body = _element("tbody", *(_element("tr", *(_element("td", cell) for cell in row)) for row in rows))
    return _element("div", _element("table", head, body), cls="wide")


def _named(item: Item) -> Markup:
    """By kind and name; the name is kept from turning the text around it (U+202E and its like)."""
    name = _element("bdi", item.name) if item.name else Markup("")
    return Markup(f"{_escaped(item.kind.replace('_', ' '))} {name} {_code(item.id)}")


def _outcome(item: Item) -> Markup:
    return _element("span", item.outcome.replace("_", " "), cls=COLOURS.get(item.outcome, "good"))


def _code(text: str | None) -> Markup:
    return _element("code", text) if text else Markup("")


def _bytes(item: Item) -> str:
    return amount_of_bytes(item.bytes) if item.bytes else ""


def _seconds(seconds: float | None) -> str:
    return duration(seconds) if seconds else ""


def _when(moment: str) -> str:
    """To the second, UTC."""
    return f"{moment[:10]} {moment[11:19]} UTC"


def _element(name: str, *children: str, cls: str = "", **attributes: str) -> Markup:
    """Children that are no Markup are escaped."""
    told = attributes | ({"class": cls} if cls else {})
    opening = "".join(f' {one}="{_escaped(value)}"' for one, value in told.items())
    return Markup(f"<{name}{opening}>{''.join(child if isinstance(child, Markup) else _escaped(child) for child in children)}</{name}>")


def _escaped(text: str) -> str:
    """Control characters, which no HTML document may have, are shown as U+FFFD."""
    return html.escape("".join(one if _is_allowed(one) else "\ufffd" for one in text))


def _is_allowed(one: str) -> bool:
    return one in "\t\n" or one.isprintable() or one > "\x9f"
