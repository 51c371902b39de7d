"""The deployer's stack in the undercloud's Heat: told without secrets, its role's count raised by a PATCH that keeps all the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from decamp.clouds import Cloud
from decamp.hosts import api, baremetal, placement
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action
from decamp.model.policy import Policy
from decamp.model.refs import fingerprint
from decamp.model.survey import Resource
from decamp.settings import Expand

Json = dict[str, Any]

HIDDEN = "******"
"""What Heat shows of a parameter with `hidden: true`."""
SECRET = re.compile(r"passw|secret|token|credential|private|passphrase|key(?!stone)|-----BEGIN", re.IGNORECASE)
"""Of names and values: a deployment's parameters are full of secrets that nobody marked as hidden."""

FREE_SECONDS = 300.0
"""How long the undercloud's Nova may take to see a new node: its Ironic driver looks every update_resources_interval, 60 s by default."""


class ScaleOut:
    """SCALE_OUT. Raised only where enough free nodes are there, and put back where the stack fails."""

    def __init__(self, undercloud: Cloud, settings: Expand, policy: Policy) -> None:
        self._undercloud = undercloud
        self._settings = settings
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """The count is raised already: the update is waited for. One that failed is put back, so that it can begin anew."""
        # while it is updated, its parameters may be those of before
        stack = self._let_end(show(self._undercloud, action.args["stack"]), attempt)
        if count_of(stack, action.args["parameter"]) != action.args["to"]:
            return None
        if stack["stack_status"].endswith("_COMPLETE"):
            return self._outcome(action, stack)
        self._put_back(action, stack, attempt)
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        parameter, before, after = (action.args[name] for name in ("parameter", "from", "to"))
        stack = show(self._undercloud, action.args["stack"])
        count = count_of(stack, parameter)
        if count != before:
            raise Changed(
                f"{self._undercloud.name}: {parameter} of stack {stack['stack_name']} is {count}, not {before} as when the plan was made"
            )
        if stack["stack_status"].endswith("_IN_PROGRESS"):
            raise Changed(f"{self._undercloud.name}: stack {stack['stack_name']} is {stack['stack_status']}: somebody else updates it")
        self._require_free_nodes(after - before, attempt)
        self._patch(stack, parameter, after)
        try:
            ended = self._wait(stack, attempt)
        except TooLate as late:
            self._fail(action, show(self._undercloud, stack["id"]), late.message, attempt)
        if ended["stack_status"] != "UPDATE_COMPLETE":
            self._fail(action, ended, _reason(ended), attempt)
        return self._outcome(action, ended)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        stack = show(self._undercloud, action.args["stack"])
        parameter, wanted = action.args["parameter"], action.args["to"]
        wrong = [] if count_of(stack, parameter) == wanted else [f"{parameter} is {count_of(stack, parameter)}, not {wanted}"]
        kept = outcome.facts.get("others")
        if kept and kept != _others(stack, parameter):
            wrong.append(f"other parameters of stack {stack['stack_name']} than {parameter} are not what they were")
        return tuple(wrong)

    def _patch(self, stack: Json, parameter: str, count: int) -> None:
        """A PATCH is an update that keeps template, files, environment and all parameters that it does not name."""
        path = f"/stacks/{stack['stack_name']}/{stack['id']}"
        api.call(self._undercloud, "orchestration", "PATCH", path, json={"parameters": {parameter: count}})

    def _wait(self, before: Json, attempt: Attempt) -> Json:
        """The stack when an update that came after `before` has ended: its status alone is stale for a moment."""

        def look() -> Json | None:
            now = show(self._undercloud, before["id"])
            begun = now["updated_time"] != before["updated_time"]
            return now if begun and not now["stack_status"].endswith("_IN_PROGRESS") else None

        what = f"the update of stack {before['stack_name']}"
        return wait(look, what, seconds=self._policy.stack_timeout_seconds, cancelled=attempt.cancelled)

    def _let_end(self, stack: Json, attempt: Attempt) -> Json:
        def look() -> Json | None:
            now = show(self._undercloud, stack["id"])
            return None if now["stack_status"].endswith("_IN_PROGRESS") else now

        what = f"what stack {stack['stack_name']} does ({stack['stack_status']})"
        return wait(look, what, seconds=self._policy.stack_timeout_seconds, cancelled=attempt.cancelled)

    def _fail(self, action: Action, stack: Json, why: str, attempt: Attempt) -> NoReturn:
        back = self._put_back(action, stack, attempt)
        raise Failed(
            f"The stack {stack['stack_name']} did not reach {action.args['parameter']}={action.args['to']}: {why} {back} "
            "Remove the cause (`openstack stack failures list` shows it), then resume."
        )

    def _put_back(self, action: Action, stack: Json, attempt: Attempt) -> str:
        parameter, before = action.args["parameter"], action.args["from"]
        self._patch(stack, parameter, before)
        try:
            ended = self._wait(stack, attempt)
        except TooLate as late:
            return f"{parameter} was put back to {before}, but: {late.message}"
        if ended["stack_status"] != "UPDATE_COMPLETE":
            return f"{parameter} was put back to {before}, but that update failed too: {_reason(ended)}"
        return f"{parameter} is {before} again, as it was."

    def _require_free_nodes(self, number: int, attempt: Attempt) -> None:
        """Raises Failed unless Ironic and the undercloud's Placement both have `number` free nodes: else there is "no valid host"."""
        resource_class = self._settings.resource_class
        available = [
            node
            for node in baremetal.nodes(self._undercloud)
            if node["provision_state"] == "available"
            and not node["maintenance"]
            and not node["instance_uuid"]
            and node["resource_class"] == resource_class
        ]
        untouched = "The count was not touched. Provide more nodes, then resume."
        if len(available) < number:
            raise Failed(f"{number} free nodes of class {resource_class} are needed, and {len(available)} are available. {untouched}")
        custom = baremetal.placement_class(resource_class)

        def look() -> bool | None:
            free = 0
            for node in available:
                offered = (placement.inventories(self._undercloud, node["uuid"]) or {}).get(custom)
                free += offered is not None and offered.usable() > 0 and not placement.held(self._undercloud, node["uuid"])
            return True if free >= number else None

        try:
            wait(look, f"{number} free nodes to show in Placement", seconds=FREE_SECONDS, cancelled=attempt.cancelled)
        except TooLate as late:
            raise Failed(f"{late.message} Does the undercloud's Nova see its nodes? Is their power state known? {untouched}") from late

    def _outcome(self, action: Action, stack: Json) -> Outcome:
        parameter, before, after = (action.args[name] for name in ("parameter", "from", "to"))
        facts = {"stack": stack["id"], "parameter": parameter, "from": before, "to": after, "others": _others(stack, parameter)}
        return Outcome(id=stack["id"], said=f"{parameter} is {after} (was {before}), nothing else was changed", facts=facts)


def export(cloud: Cloud) -> Iterable[Resource]:
    """Resources of kind `stack`: all of the project's, as the deployer's belongs to it."""
    found = api.get(cloud, "orchestration", "/stacks")["stacks"]
    return [_resource(show(cloud, stack["id"])) for stack in found]


def show(cloud: Cloud, name: str) -> Json:
    """By name or id. Raises Changed where there is no such stack."""
    return api.get(cloud, "orchestration", f"/stacks/{name}")["stack"]


def count_of(stack: Json, parameter: str) -> int | None:
    value = stack["parameters"].get(parameter)
    return int(value) if value is not None and str(value).isdigit() else None


def without_secrets(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters whose name or value does not look as if it were secret, less Heat's own (`OS::...`)."""
    return {
        name: str(value)
        for name, value in sorted(parameters.items())
        if value != HIDDEN and not name.startswith("OS::") and not SECRET.search(name) and not SECRET.search(str(value))
    }


def _others(stack: Json, parameter: str) -> str:
    """Fingerprint of all parameters but one: they may be secret, so only this is kept."""
    return fingerprint({name: value for name, value in stack["parameters"].items() if name != parameter})


def _reason(stack: Json) -> str:
    return f"{stack['stack_status']}: {' '.join((stack.get('stack_status_reason') or 'Heat gives no reason').split())}."


def _resource(stack: Json) -> Resource:
    spec = {"parameters": without_secrets(stack["parameters"])}
    return Resource(
        kind="stack",
        id=stack["id"],
        name=stack["stack_name"],
        spec=spec,
        info={"status": stack["stack_status"], "updated_time": stack.get("updated_time"), "creation_time": stack.get("creation_time")},
        fingerprint=fingerprint(spec),
    )
