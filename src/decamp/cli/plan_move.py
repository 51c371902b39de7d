"""`decamp plan move`: what it would take to carry a project's servers, and all that they need, to the new cloud."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from decamp import app, files
from decamp.cli.base import read_survey, survey_option
from decamp.cli.planning import PlanLister
from decamp.model.errors import BadInput
from decamp.model.plan import MANNERS, MoveGoal, Plan
from decamp.planning.as_stack import Template

APPLICATIONS = (
    ("--server", "S", "a server: id or name"),
    ("--stack", "STACK", "the servers of a Heat stack: id or name"),
    ("--tag", "TAG", "the servers that have this tag"),
    ("--group", "GROUP", "the servers of a server group: id or name"),
)
"""Options that choose what moves, together with all that it needs."""


class PlanMove(PlanLister):
    """Plan the move of a project, or of some of its applications, to the new cloud"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--project", metavar="P", help="id or name in the old cloud (default: the project of the credentials)")
        for option, metavar, what in APPLICATIONS:
            parser.add_argument(option, action="append", default=[], metavar=metavar, help=f"{what}; repeat for several (default: all)")
        parser.add_argument(
            "--manner",
            choices=MANNERS,
            default="recreate",
            help="recreate: from the same base image, root disks start fresh; snapshot: with the root disks' contents (default: recreate)",
        )
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="for operators: only the project, its users, roles and quotas, and the flavors, volume types and public images it uses; "
            "its members then move the rest by themselves",
        )
        parser.add_argument("--with-snapshots", action="store_true", help="volumes' snapshots too, each with a volume of its own")
        parser.add_argument(
            "--as-stack",
            type=Path,
            metavar="FILE",
            help="also write a Heat template that would create the servers and all that is theirs",
        )
        survey_option(parser, "--old", "old")
        survey_option(parser, "--new", "new")
        return parser

    def plan(self, parsed_args: argparse.Namespace) -> Plan:
        goal, old = goal_of(parsed_args), read_survey(parsed_args.old)
        with self.working("surveying") as report:
            if parsed_args.as_stack:
                old = old or app.survey(self.place, "old", project=goal.project or None, report=report)
            plan = app.plan_move(self.place, goal, old=old, new=read_survey(parsed_args.new), report=report)
        if parsed_args.as_stack and old:
            self._write_template(app.as_stack(plan, old), parsed_args.as_stack)
        return plan

    def _write_template(self, template: Template, file: Path) -> None:
        files.write_text(yaml.safe_dump(template.document, sort_keys=False, width=140), file)
        self.err.print(f"Written to {file}. To create it: openstack stack create -t {file} NAME", markup=False)
        for sentence in template.left_out:
            self.err.print(f"  {sentence}", markup=False)


def goal_of(parsed_args: argparse.Namespace) -> MoveGoal:
    """Of a project that may still be the one of the credentials: then it has no name yet. Raises BadInput."""
    chosen = [option for option, _, _ in APPLICATIONS if getattr(parsed_args, option.removeprefix("--"))]
    if parsed_args.prepare and chosen:
        raise BadInput(f"--prepare is for a whole project: leave {' and '.join(chosen)} out.")
    return MoveGoal(
        project=parsed_args.project or "",
        servers=tuple(parsed_args.server),
        stacks=tuple(parsed_args.stack),
        tags=tuple(parsed_args.tag),
        groups=tuple(parsed_args.group),
        manner=parsed_args.manner,
        with_snapshots=parsed_args.with_snapshots,
        prepare=parsed_args.prepare,
    )
