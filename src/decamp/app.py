"""The use cases. The command line and the pages call these functions, and nothing below them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from decamp import surveying
from decamp.bootstrap import ROLES, Place
from decamp.following import Means, follow
from decamp.model import accounts, due
from decamp.model import report as reporting
from decamp.model.chain import Chain
from decamp.model.documents import sha256
from decamp.model.due import DueRun
from decamp.model.errors import BadInput, Bug, Changed, Error, Refused, Unreachable
from decamp.model.findings import Finding
from decamp.model.ledger import Entry
from decamp.model.plan import ExpandGoal, MoveGoal, Plan, VacateGoal
from decamp.model.policy import Policy
from decamp.model.rates import bytes_per_second
from decamp.model.run import ActionReport, ActionState, RunState, RunSummary
from decamp.model.survey import Resource, Survey
from decamp.model.timing import ALWAYS, Schedule
from decamp.planning.as_stack import Template
from decamp.planning.as_stack import as_stack as template_of
from decamp.planning.assess import Assessment
from decamp.planning.assess import assess as assessed
from decamp.planning.confirm import plan_confirm as confirm
from decamp.planning.expand import plan_expand as expand
from decamp.planning.hidden import stacks_with_hidden
from decamp.planning.hooks import fits, with_hooks
from decamp.planning.move import plan_move as move
from decamp.planning.pace import Pace
from decamp.planning.replay import Violation, replay
from decamp.planning.undo import plan_undo as undo
from decamp.run.runs import Runs
from decamp.run.succession import Follow
from decamp.surveying import Report

if TYPE_CHECKING:
    from decamp.planning.curve import Point

OnEvent = Callable[[ActionReport], None]
OnLook = Callable[[Chain], None]
"""Told now and then how all stands."""


def survey(place: Place, word: str, *, project: str | None, report: Report) -> Survey:
    """Of the cloud that `word` means, limited to `project` (id or name) where it is given."""
    cloud = place.cloud(word)
    if place.is_undercloud(word):
        if project:
            raise BadInput(f"{cloud.name}: an undercloud is not surveyed by project")
        return surveying.survey_undercloud(cloud, report=report)
    return surveying.survey_cloud(cloud, project=surveying.find_project(cloud, project), report=report)


def plan_move(place: Place, goal: MoveGoal, *, old: Survey | None, new: Survey | None, report: Report) -> Plan:
    """A goal with an empty project means the one of the credentials."""
    old, new = _both(place, old, new, goal.project or None, report)
    goal = msgspec.structs.replace(goal, project=goal.project or old.project or "")
    if not goal.project:
        raise BadInput(f"{old.cloud}: these credentials see every project: say which with --project")
    mapping = place.settings.the_mapping
    plan = move(
        old,
        new,
        mapping,
        goal=goal,
        made_from={"old": sha256(old), "new": sha256(new), "mapping": sha256(mapping)},
        ledger=_ledger(place),
    )
    return _proved(with_hooks(plan, place.settings.the_hooks), {"old": old, "new": new})


def _both(place: Place, old: Survey | None, new: Survey | None, project: str | None, report: Report) -> tuple[Survey, Survey]:
    """Surveys of the old and the new cloud: those that are not given are read at the same time."""
    steps: dict[str, tuple[int, int]] = {}

    def read(word: str, project: str | None) -> Survey:
        def told(done: int, total: int, part: str) -> None:
            steps[word] = (done, total)
            report(sum(step[0] for step in steps.values()), sum(step[1] for step in steps.values()), part)

        return survey(place, word, project=project, report=told)

    with ThreadPoolExecutor(2, thread_name_prefix="survey") as pool:
        the_old = pool.submit(lambda: old or read("old", project))
        the_new = pool.submit(lambda: new or read("new", None))
        return the_old.result(), the_new.result()


def as_stack(plan: Plan, old: Survey) -> Template:
    """What a plan moves, as a template of Heat that would create it. `old`: what the plan was made from."""
    return template_of(old, plan)


def assess(
    place: Place, *, project: str | None, bytes_a_second: float, old: Survey | None, new: Survey | None, report: Report
) -> Assessment:
    """Of `project`, or of every project that the credentials see."""
    old, new = _both(place, old, new, project, report)
    mapping = place.settings.the_mapping
    return assessed(old, new, mapping, project=project or old.project, ledger=_ledger(place), bytes_a_second=bytes_a_second)


def allowed_rate(place: Place, bytes_a_second: float) -> float:
    """What copies may carry of that, as policy says."""
    limits = place.settings.the_policy.limits
    return min(rate for rate in (bytes_a_second, limits.copy_rate, limits.copy_rate_per_project) if rate is not None)


def plan_vacate(place: Place, goal: VacateGoal, *, old: Survey | None, report: Report, seconds: float | None = None, seed: int = 0) -> Plan:
    """`seconds`: what the planner may take, besides reading the cloud; the plan is then made of what has been found."""
    old = _with_hosts(place, old, report)
    policy = place.settings.the_policy
    from decamp.planning.vacate import plan_vacate as vacate  # numpy takes a quarter of a second

    made_from = {"old": sha256(old), "policy": sha256(policy)}
    plan = vacate(old, policy, goal=goal, made_from=made_from, pace=_pace(seconds, report), seed=seed)
    return _proved(plan, {"old": old}, policy)


def vacate_curve(
    place: Place, *, keep_stopped: bool, old: Survey | None, report: Report, seconds: float | None = None, seed: int = 0
) -> tuple[Point, ...]:
    """What it costs to free one host, two, and so on."""
    old = _with_hosts(place, old, report)
    from decamp.planning.curve import vacate_curve as curve

    return curve(old, place.settings.the_policy, keep_stopped=keep_stopped, pace=_pace(seconds, report), seed=seed)


def _with_hosts(place: Place, old: Survey | None, report: Report) -> Survey:
    old = old or survey(place, "old", project=None, report=report)
    if not old.admin and not old.hosts:
        raise BadInput(f"{old.cloud}: hosts are shown to admins only: these credentials cannot vacate anything")
    return old


def _pace(seconds: float | None, report: Report) -> Pace:
    if seconds is None:
        return Pace(report=report)
    ends = time.monotonic() + seconds
    return Pace(seconds_left=lambda: ends - time.monotonic(), report=report)


def plan_expand(
    place: Place, *, hosts: tuple[str, ...], old: Survey | None, new: Survey | None, undercloud: Survey | None, report: Report
) -> Plan:
    old = old or survey(place, "old", project=None, report=report)
    new = new or survey(place, "new", project=None, report=report)
    undercloud = undercloud or survey(place, "undercloud", project=None, report=report)
    settings = place.settings.expand
    plan = expand(
        place.machines,
        undercloud,
        old,
        goal=ExpandGoal(hosts=hosts),
        stack=settings.stack,
        parameter=settings.count_parameter,
        canary=settings.canary.model_dump() if settings.canary else None,
        made_from={"old": sha256(old), "new": sha256(new), "undercloud": sha256(undercloud)},
        new=new,
    )
    return _proved(plan, {"old": old, "new": new, "undercloud": undercloud})


def check(place: Place, plan: Plan, given: Mapping[str, Survey | None], *, report: Report) -> tuple[Violation, ...]:
    """Replays the plan on the surveys given; what its goal needs and was not given is asked of the clouds.

    A cloud is never again what it was when the plan was made: of one that is asked now, only what the plan relies on has to be the same.
    """
    project = plan.goal.project if isinstance(plan.goal, MoveGoal) else None
    known = {role: taken for role in ROLES if role in plan.made_from and (taken := given.get(role))}
    asked = {
        role: survey(place, role, project=project if role == "old" else None, report=report)
        for role in ROLES
        if role in plan.made_from and role not in known
    }
    now = {role: sha256(taken) for role, taken in asked.items()}
    return replay(msgspec.structs.replace(plan, made_from=plan.made_from | now), known | asked, place.settings.the_policy)


def plan_undo(place: Place, run: str, *, move_back: bool = False, report: Report = lambda *_: None) -> Plan:
    """The plan that takes back what a run made; with `move_back`, servers that were migrated return to hosts that are still there."""
    run = _over(place, run, "undone")
    with place.runs() as runs:
        plan, entries, links = runs.plan(run), _entries(runs), runs.chain(run).links
    old = survey(place, "old", project=None, report=report) if isinstance(plan.goal, VacateGoal) else None
    policy = place.settings.the_policy
    later = links[[link.report.id for link in links].index(run) + 1 :]
    followed_by = tuple((link.report.id, link.plan) for link in later)
    made = undo(plan, entries, run, followed_by=followed_by, old=old, policy=policy, move_back=move_back)
    return _proved(made, {"old": old} if old else {}, policy)


def plan_confirm(place: Place, run: str) -> Plan:
    """The plan that deletes in the old cloud what a run has copied and verified."""
    run = _over(place, run, "confirmed")
    with place.runs() as runs:
        return confirm(runs.plan(run), _entries(runs), run)


def confirm_due(place: Place, *, begun: Callable[[str], None], on_event: OnEvent, on_look: OnLook) -> tuple[DueRun, ...]:
    """Confirm every run whose copies were all proved as long ago as policy says; oldest first, one after the other, each as by itself.

    What keeps one does not keep the others. Raises BadInput where policy says nothing of it.
    """
    days = place.settings.the_policy.confirm_after_days
    if days is None:
        raise BadInput("no policy says when a run is due: set policy.confirm_after_days in decamp.yaml, or say which RUN")

    def applied(plan: Plan) -> Chain:
        with place.runs() as runs:
            failed = {one.plan: one.id for one in runs.all() if one.whole in {RunState.FAILED, RunState.INTERRUPTED}}
        if plan.id in failed:
            begun(failed[plan.id])
            return resume(place, failed[plan.id], on_event=on_event, on_look=on_look)
        return apply(place, plan, concurrency=None, rate=None, allow_refusals=True, begun=begun, on_event=on_event, on_look=on_look)

    with place.runs() as runs:
        moves = [one for one in reversed(runs.all()) if one.goal["verb"] == "move" and not one.undone_by and not one.confirmed_by]
        entries = _entries(runs)
    return tuple(_confirmed_if_due(place, one, entries, days, applied) for one in moves)


def _confirmed_if_due(place: Place, move: RunSummary, entries: tuple[Entry, ...], days: float, applied: Callable[[Plan], Chain]) -> DueRun:
    told = DueRun(run=move.id, project=move.goal["project"], outcome=due.Outcome.LATER)
    if move.whole in {RunState.RUNNING, RunState.INTERRUPTED}:
        return msgspec.structs.replace(told, text=f"it is {move.whole}")
    verified = due.verified_at(entries, move.id)
    if verified is None:
        text = "it made no copy that is still there, or one of them is not proved: resume it, or confirm it by name"
        return msgspec.structs.replace(told, outcome=due.Outcome.NOTHING, text=text)
    due_at = due.due_at(verified, days)
    told = msgspec.structs.replace(told, verified_at=verified.isoformat(timespec="seconds"), due_at=due_at.isoformat(timespec="seconds"))
    if due_at > datetime.now(UTC):
        return told
    try:
        plan = plan_confirm(place, move.id)
    except Refused as error:
        return msgspec.structs.replace(told, outcome=due.Outcome.NOTHING, text=error.message)
    try:
        chain = applied(plan)
    except Error as error:
        return msgspec.structs.replace(told, outcome=due.Outcome.FAILED, text=error.message, exit_code=error.exit_code)
    code = accounts.exit_code(chain)
    return msgspec.structs.replace(
        told,
        outcome=due.Outcome.FAILED if code else due.Outcome.CONFIRMED,
        confirmed_by=chain.id,
        text="; ".join(refusal.text for refusal in plan.refusals) if not code else f"`decamp status {chain.id}` says what failed",
        exit_code=code,
    )


def preflight(place: Place, plan: Plan) -> tuple[Finding, ...]:
    """What the clouds themselves say for and against applying the plan now; empty for plans that touch no host of the old cloud."""
    return place.preflight(plan)


def apply(
    place: Place,
    plan: Plan,
    *,
    concurrency: int | None,
    rate: int | None,
    allow_refusals: bool,
    begun: Callable[[str], None],
    on_event: OnEvent,
    on_look: OnLook,
    schedule: Schedule = ALWAYS,
) -> Chain:
    """Apply the plan, durably, and what follows it; `begun` is told the run's id. Returns when all is over.

    `concurrency` is in actions, by default as policy says, for a vacate as many as its locks allow; `rate` in bytes a second, for the
    migrations of all runs in total; `schedule` says when actions may begin.

    Raises Refused for a plan with refusals unless they are allowed, where a value that Heat hides is not known, where the preflight finds
    what blocks it, or where a run of it goes on; Changed where it was applied already.
    """
    if plan.refusals and not allow_refusals:
        raise Refused(
            f"Plan {plan.id} leaves out {len(plan.refusals)} things that it was asked for (`decamp show` lists them): "
            "change what stands in their way and plan again, or apply the rest with --allow-refusals"
        )
    _require_hidden(place, plan)
    if isinstance(plan.goal, MoveGoal) and not fits(plan, place.settings.the_hooks):
        raise Changed(f"Plan {plan.id} was made with other hooks than those in decamp.yaml: make a new plan, which shows what will be run")
    if blocking := [finding for finding in place.preflight(plan) if finding.blocking]:
        raise Refused(f"Plan {plan.id} is not begun:\n" + "\n".join(f"  {one.ref}: {one.text}" for one in blocking))
    policy = place.settings.the_policy
    rate = rate or (bytes_per_second(policy.migration_rate) if policy.migration_rate else None)
    with place.engine(_follow(place)) as engine:
        run = engine.begin(plan, concurrency=concurrency, bytes_per_second=rate, schedule=schedule)
        begun(run)
        engine.wait(run, on_event, on_look)
        return engine.runs.chain(run)


def resume(place: Place, run: str, *, now: bool = False, on_event: OnEvent, on_look: OnLook) -> Chain:
    """Go on with a run that was interrupted, failed or cancelled, and with what follows it. Returns when all is over.

    `now`: its schedule is forgotten.
    """
    with place.runs() as runs:
        run = runs.resolve(run)
        done = frozenset(action.id for action in runs.report(run).actions if action.state is ActionState.DONE)
        _require_hidden(place, runs.plan(run), done)
    with place.engine(_follow(place)) as engine:
        run = engine.resume(run, now=now)
        engine.wait(run, on_event, on_look)
        return engine.runs.chain(run)


def copies_under_way(place: Place) -> int:
    """Large images that are being carried on this machine by processes of their own, which go on where a run is interrupted."""
    return place.copies_under_way()


def hidden_values(place: Place, plan: Plan, done: Set[str] = frozenset()) -> tuple[tuple[Resource, str], ...]:
    """(stack, parameter) of each value that Heat hides, that nobody has given, and that the plan needs where these actions are `done`."""
    return tuple((stack, name) for stack in stacks_with_hidden(plan, done) for name in place.hidden.missing(stack))


def _require_hidden(place: Place, plan: Plan, done: Set[str] = frozenset()) -> None:
    for stack in stacks_with_hidden(plan, done):
        place.hidden.of(stack)


def work(place: Place, stop: threading.Event) -> None:
    """Take actions of every run in the state database until `stop` is set."""
    with place.engine(_follow(place)) as engine:
        engine.serve(stop)


def cancel(place: Place, run: str) -> RunState:
    """Ask a run, and what follows it, to stop at the next safe point; the state of the whole.

    Where nobody lives who would hear that, what a crash left is journaled, hosts that are not freed take servers again, and it is over.
    Raises Refused where it is over already.
    """
    with place.runs() as runs:
        run = runs.last(run)
        state = runs.cancel(run)
    if state is not RunState.INTERRUPTED:
        return state
    with place.engine(_follow(place)) as engine:
        report = engine.settle(run)
        return report.whole if report.concluded_at else engine.wait(engine.release(run)).whole


def list_runs(place: Place) -> tuple[RunSummary, ...]:
    """Newest first."""
    with place.runs() as runs:
        return runs.all()


def status(place: Place, run: str) -> Chain:
    """The run with those that it follows and that follow it."""
    with place.runs() as runs:
        return runs.chain(run)


def report(place: Place, run: str, *, project: str | None = None) -> reporting.Report:
    """What a run, and those that follow it, have done; with `project` (its id in the old cloud), only what belongs to that.

    Who is no administrator sees his own project alone: that of his credentials in the old cloud. Where that is gone, an administrator of
    the new cloud sees all. Raises Refused where there is nothing of the project.
    """
    only = _only_project(place)
    if only and project and project != only:
        raise Refused(f"these credentials belong to project {only}: reports on others are for administrators")
    clouds = place.settings.clouds
    with place.runs() as runs:
        chain = runs.chain(run)
        return reporting.report(
            chain,
            [entry for link in chain.links for entry in runs.ledger.entries(link.report.id)],
            runs.all(),
            old=clouds.old,
            new=clouds.new,
            now=datetime.now(UTC),
            project=only or project,
        )


def _only_project(place: Place) -> str | None:
    """The project that the credentials are limited to; null: they are an administrator's."""
    old = place.cloud("old")
    try:
        return None if old.admin else old.project_id
    except (Unreachable, BadInput):
        if place.cloud("new").admin:
            return None
        raise


def watch(place: Place, run: str, on_event: OnEvent, on_look: OnLook) -> Chain:
    """Follow a run that another process works on, until all is over or nobody works on it."""
    with place.runs() as runs:
        run = runs.last(run)
        runs.watch(run, on_event, on_look)
        return runs.chain(run)


def _follow(place: Place) -> Follow:
    def plan(goal: VacateGoal, old: Survey) -> Plan:
        return plan_vacate(place, goal, old=old, report=lambda *_: None)

    means = Means(survey=lambda: surveying.survey_hosts(place.cloud("old")), plan=plan, policy=place.settings.the_policy)
    return partial(follow, means)


def _over(place: Place, run: str, verb: str) -> str:
    """The run's id, once it is known what each of its attempts left behind."""
    with place.runs() as runs:
        report = runs.report(run)
        run, unsettled = report.id, runs.unsettled(report.id)
        going_on = runs.report(runs.last(run)).whole
    if report.goal["verb"] in {"undo", "confirm"}:
        raise BadInput(f"run {run} is itself a run of `decamp {report.goal['verb']}`: it cannot be {verb}")
    if going_on in {RunState.RUNNING, RunState.INTERRUPTED}:
        raise Refused(f"run {run} is {going_on}: resume it, or cancel it and wait; then it can be {verb}")
    if unsettled:
        with place.engine() as engine:
            engine.settle(run)
    return run


def _ledger(place: Place) -> tuple[Entry, ...]:
    """What earlier runs have made or adopted in the new cloud, and what is still there."""
    with place.runs() as runs:
        return _entries(runs)


def _entries(runs: Runs) -> tuple[Entry, ...]:
    """Of every run: what one made, another may use."""
    return tuple(entry for summary in runs.all() for entry in runs.ledger.entries(summary.id))


def _proved(plan: Plan, surveys: Mapping[str, Survey], policy: Policy | None = None) -> Plan:
    """Rule 3: no plan leaves before the independent checker has replayed it, whoever made it."""
    violations = replay(plan, surveys, policy)
    if violations:
        first = violations[0]
        raise Bug(f"The plan that was made breaks {len(violations)} rules, first {first.rule} at {first.action}: {first.text}")
    return plan
