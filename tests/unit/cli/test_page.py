"""Reports, for people and machines: what is in them, for whom, and that nothing from a cloud gets out of its place in the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
import pytest

from decamp.cli.page import page
from decamp.model.chain import Chain, Link
from decamp.model.errors import Refused
from decamp.model.plan import Plan, Reason, Refusal
from decamp.model.refs import Ref
from decamp.model.report import Outcome, Report, report
from decamp.model.run import ActionReport, ActionState, RunReport, RunState
from small_projects import action, did, move, old, port, server, volume

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style><script src=//evil.example></script>",
    "&lt;b&gt; &amp;quot; <!-- -->",
    "\u202egnp.exe\x00\x1b[31m",
    "javascript:alert(1)",
)
VOID = {"meta"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "b", "dl", "div", "dt", "dd", "table", "thead", "tbody",
    "tr", "th", "td", "span", "code", "bdi", "details", "summary",
}  # fmt: skip


class Strict(HTMLParser):
    """Takes no tag that the page does not use, no attribute that could do something, and no end without its begin."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= {"lang", "class", "charset", "http-equiv", "content", "name"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def text_of(html: str) -> str:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return " ".join(parser.text)


def told(plan: Plan, *, project: str | None = None, states: dict[str, ActionState] | None = None, error: str = "it broke") -> Report:
    """Of a run that did all of the plan, but for what ended in these states. Each action takes ten seconds, one after the other."""
    states = states or {}
    actions = []
    for number, one in enumerate(plan.actions):
        state = states.get(one.id, ActionState.DONE)
        begin, end = f"2026-11-23T01:{number:02}:00Z", f"2026-11-23T01:{number:02}:10Z"
        carried = 1 << 20 if one.target.kind in {"volume", "server_snapshot"} else 0
        failed = error if state is ActionState.FAILED else None
        actions.append(
            ActionReport(
                id=one.id, verb=one.verb, target=one.target, state=state, started_at=begin, ended_at=end, bytes=carried, error=failed
            )
        )
    run = RunReport(
        id="run-1",
        plan=plan.id,
        goal={"verb": "move"},
        state=RunState.DONE,
        whole=RunState.DONE,
        concurrency=1,
        began_at="2026-11-23T01:00:00Z",
        ended_at="2026-11-23T02:00:00Z",
        actions=tuple(actions),
    )
    chain = Chain(links=(Link(plan=plan, report=run),))
    entries = did(plan, but=[name for name, state in states.items() if state is not ActionState.DONE])
    return report(chain, entries, (), old="old", new="new", now=datetime(2026, 11, 24, tzinfo=UTC), project=project)


def moved(name: str = "db", lost: str = "user data") -> Plan:
    before = old(port("nic"), volume("data"), server("db", ["nic"], ["data"], name=name))
    plan = move(before, None, "db", manner="snapshot")
    create = action(plan, "create/server/db")
    create = msgspec.structs.replace(
        create, changes={"not_carried": (lost, None), "flavor": ("small", "m1.small")}, why="as the mapping says"
    )
    refused = Refusal(ref=Ref("volume", "x"), reason=Reason.ENCRYPTED, text=f"volume {name} is encrypted")
    return msgspec.structs.replace(
        plan, actions=tuple(create if one.id == create.id else one for one in plan.actions), refusals=(refused,)
    ).sealed()


def test_a_server_is_told_with_what_changed_and_was_lost_its_bytes_and_its_downtime() -> None:
    it = told(moved())
    (db,) = it.servers
    assert (db.name, db.outcome, db.new_id, db.bytes) == ("db", Outcome.COPIED, "db-copy", 2 << 20)
    assert {str(one) for one in db.changes} >= {"loses user data", "flavor: small -> m1.small"}
    assert next(one.why for one in db.changes if one.is_loss) == "as the mapping says"
    plan = moved()
    between = [one.id for one in plan.actions].index("create/server/db") - [one.id for one in plan.actions].index("stop_server/server/db")
    assert db.downtime_seconds == between * 60 + 10
    assert it.bytes == 2 << 20
    assert [one.reason for one in it.left] == ["encrypted"]


def test_everything_of_the_plan_is_in_the_report_once() -> None:
    plan = moved()
    it = told(plan)
    assert sorted((item.kind, item.id) for item in it.items) == sorted({(one.target.kind, one.target.id) for one in plan.actions})
    assert sorted(step.action for item in it.items for step in item.steps) == sorted(one.id for one in plan.actions)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (ActionState.FAILED, Outcome.FAILED),
        (ActionState.UNDONE, Outcome.UNDONE),
        (ActionState.SKIPPED, Outcome.NOT_DONE),
        (ActionState.WAITING, Outcome.NOT_DONE),
    ],
)
def test_what_is_not_done_is_not_told_as_copied(state: ActionState, outcome: Outcome) -> None:
    (db,) = told(moved(), states={"create/server/db": state}).servers
    assert (db.outcome, db.downtime_seconds) == (outcome, None)


def test_a_project_sees_its_own_and_nothing_of_others() -> None:
    it = told(moved(), project="alpha-id")
    assert {item.project for item in it.items} == {"alpha-id"}
    with pytest.raises(Refused, match="nothing that belongs to project beta"):
        told(moved(), project="beta")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_from_a_cloud_becomes_a_part_of_the_page(name: str) -> None:
    html = page(told(moved(name, lost=name), states={"create/volume/data": ActionState.FAILED}, error=f"volume {name}"))
    text = text_of(html)
    shown = re.sub("[\x00\x1b]", "\ufffd", name)
    assert text.count(shown) >= 3
    html.encode("utf-8")


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    html = page(told(moved()))
    text_of(html)
    assert not re.search(r"(?i)https?://|src=|href=|url\(|@import|<script|javascript:", html)
    assert "default-src &#x27;none&#x27;" in html


def test_the_page_says_all_that_a_person_asks_for() -> None:
    text = text_of(page(told(moved())))
    for words in (
        "Servers",
        "db-copy",
        "What was lost, and why",
        "user data",
        "as the mapping says",
        "m1.small",
        "volume db is encrypted",
        "2 MiB",
    ):
        assert words in text
