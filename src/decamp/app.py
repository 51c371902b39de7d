"""The use cases. The command line and the pages call these functions, and nothing below them."""

from __future__ import annotations

from collections.abc import Mapping

from decamp import surveying
from decamp.bootstrap import ROLES, Place
from decamp.model.documents import sha256
from decamp.model.errors import BadInput, Bug
from decamp.model.plan import ConfirmGoal, ExpandGoal, MoveGoal, Plan, UndoGoal, VacateGoal
from decamp.model.survey import Survey
from decamp.planning.confirm import plan_confirm
from decamp.planning.expand import plan_expand as expand
from decamp.planning.move import plan_move as move
from decamp.planning.replay import Violation, replay
from decamp.planning.undo import plan_undo
from decamp.planning.vacate import plan_vacate as vacate
from decamp.surveying import Report


def survey(place: Place, word: str, *, project: str | None, report: Report) -> Survey:
    """Of the cloud that `word` means, limited to `project` (id or name) where it is given."""
    cloud = place.cloud(word)
    if place.is_undercloud(word):
        if project:
            raise BadInput(f"{cloud.name}: an undercloud is not surveyed by project")
        return surveying.survey_undercloud(cloud, report=report)
    return surveying.survey_cloud(cloud, project=surveying.find_project(cloud, project), report=report)


def plan_move(
    place: Place,
    *,
    project: str | None,
    servers: tuple[str, ...],
    manner: str,
    old: Survey | None,
    new: Survey | None,
    report: Report,
) -> Plan:
    old = old or survey(place, "old", project=project, report=report)
    new = new or survey(place, "new", project=None, report=report)
    project = project or old.project
    if project is None:
        raise BadInput(f"{old.cloud}: these credentials see every project: say which with --project")
    goal = MoveGoal(project=project, servers=servers, manner=manner)
    mapping = place.settings.the_mapping
    plan = move(
        old,
        new,
        mapping,
        goal=goal,
        made_from={"old": sha256(old), "new": sha256(new), "mapping": sha256(mapping)},
        earlier=place.ledger_of(old.cloud),
    )
    return _proved(plan, {"old": old, "new": new})


def plan_vacate(place: Place, goal: VacateGoal, *, old: Survey | None, report: Report) -> Plan:
    old = old or survey(place, "old", project=None, report=report)
    if not old.admin and not old.hosts:
        raise BadInput(f"{old.cloud}: hosts are shown to admins only: these credentials cannot vacate anything")
    policy = place.settings.the_policy
    plan = vacate(old, policy, goal=goal, made_from={"old": sha256(old), "policy": sha256(policy)})
    return _proved(plan, {"old": old})


def plan_expand(place: Place, *, hosts: tuple[str, ...], old: Survey | None, undercloud: Survey | None, report: Report) -> Plan:
    old = old or survey(place, "old", project=None, report=report)
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
        made_from={"old": sha256(old), "undercloud": sha256(undercloud)},
    )
    return _proved(plan, {"old": old, "undercloud": undercloud})


def check(place: Place, plan: Plan, given: Mapping[str, Survey | None], *, report: Report) -> tuple[Violation, ...]:
    """Replays the plan on the surveys given; what its goal needs and was not given is asked of the clouds."""
    project = plan.goal.project if isinstance(plan.goal, MoveGoal) else None
    surveys = {
        role: given.get(role) or survey(place, role, project=project if role == "old" else None, report=report)
        for role in ROLES
        if role in plan.made_from
    }
    return replay(plan, surveys)


def undo(place: Place, run: str) -> Plan:
    """The plan that takes back what a run made."""
    made = place.engine.plan_of(run)
    if isinstance(made.goal, UndoGoal | ConfirmGoal):
        raise BadInput(f"run {run} is itself an {made.goal.__class__.__name__.removesuffix('Goal').lower()}: it cannot be undone")
    return plan_undo(made, place.engine.ledger.entries(run=run), run)


def confirm(place: Place, run: str) -> Plan:
    """The plan that deletes in the old cloud what a run has copied and verified."""
    return plan_confirm(place.engine.plan_of(run), place.engine.ledger.entries(run=run), run)


def _proved(plan: Plan, surveys: Mapping[str, Survey]) -> Plan:
    """Rule 3: no plan leaves before the independent checker has replayed it, whoever made it."""
    violations = replay(plan, surveys)
    if violations:
        first = violations[0]
        raise Bug(f"The plan that was made breaks {len(violations)} rules, first {first.rule} at {first.action}: {first.text}")
    return plan
