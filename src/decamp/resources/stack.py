"""Stacks of Heat, made anew from their templates: with what they name of the old cloud called as in the new. The mark is a tag.

Templates, files and parameters may hold secrets: they go from Heat to Heat, and a survey has their hash. What Heat hides is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.model.errors import Changed, Failed, Refused, Unreachable
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, stack_template, stacks
from decamp.resources.attributes import changed, its_own, kept, mapped_as, owner
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, sealed, unchanged
from decamp.resources.stack_template import HIDDEN, KINDS_OF_TYPES, Definition, Naming
from decamp.resources.tagging import without_marks
from decamp.resources.volume_filling import can_fill
from decamp.resources.waiting import wait_until

NAME = "stack"

ATTRIBUTES = (
    *owner("parameters.OS::project_id"),
    *kept("tags", "timeout_mins", name="stack_name"),
    *mapped_as(how="as template, files and environment: what they name is called as in the new cloud", definition="parameters"),
    *changed("stack_status", "stack_status_reason", "outputs", "deletion_time", how="the copy's own"),
    *changed("description", "template_description", "notification_topics", how="as the template and its environment say"),
    *changed("disable_rollback", how="true: a copy that fails stays until its reason is read; then the next attempt deletes it"),
    *changed("stack_owner", how="the acting user"),
    *its_own("id", "links", "creation_time", "updated_time", "capabilities", "parent", "stack_user_project_id"),
)

STACK_SECONDS = 86_400
"""How long a stack may take, whose own timeout (an hour, if it names none) ends it long before."""

AT_A_TIME = 4
"""Stacks that are read at the same time, each in a few requests."""

COMPLETE, FAILED, BUSY = "_COMPLETE", "_FAILED", "_IN_PROGRESS"
GONE = "DELETE_COMPLETE"

LEFT_OUT: Mapping[str, str] = {
    "AWS::": "is one of CloudFormation's, which this version does not follow",
    "OS::Heat::AutoScalingGroup": "has a size and members of random names that no template tells",
    "OS::Heat::InstanceGroup": "has a size and members of random names that no template tells",
    "OS::Heat::Stack": "makes another stack, maybe in another cloud",
    "OS::Magnum::": "holds data that this version does not carry",
    "OS::Manila::": "holds data that this version does not carry",
    "OS::Sahara::": "holds data that this version does not carry",
    "OS::Trove::": "holds data that this version does not carry",
    "OS::Zaqar::": "holds messages that this version does not carry",
}
"""Beginnings of types -> why a stack that has such a resource is not made anew."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """But for those within others."""
    if not cloud.has(stacks.SERVICE):
        return

    def look(listed: Json) -> Resource | None:
        try:
            stack = _got(cloud, stacks.path_of(cloud, listed))
            return told(cloud, stack) if stack else None
        except Changed:
            return None  # deleted while it was read

    with ThreadPoolExecutor(AT_A_TIME, "stacks") as pool:
        listed = stacks.listed(cloud, project or (None if cloud.admin else cloud.project_id))
        yield from filter(None, pool.map(look, listed))


def read(cloud: Cloud, id: str) -> Resource | None:
    stack = _got(cloud, f"/stacks/{id}")
    return told(cloud, stack) if stack else None


def told(cloud: Cloud, stack: Json) -> Resource:
    definition = definition_of(cloud, stack)
    external = stack_template.externals(definition)
    members = [
        {"path": one.path, "type": one.type, "kind": KINDS_OF_TYPES.get(one.type), "id": one.id}
        for one in stacks.members(cloud, stack)
        if one.id not in external
    ]
    spec: dict[str, Any] = {
        "name": stack["stack_name"],
        "tags": without_marks(stack.get("tags") or []),
        "timeout_mins": stack.get("timeout_mins"),
        "definition": _digest(definition),
        "namings": [[one.kind, one.value] for one in stack_template.namings(definition)],
        "hidden": list(stack_template.hidden(definition)),
        "members": members,
    }
    info: dict[str, Any] = {"status": stack["stack_status"]}
    if against := _unsupported(definition, members):
        info["unsupported"] = against
    project = stack["parameters"].get("OS::project_id") or stack.get("project") or cloud.project_id
    return sealed(NAME, stack["id"], stack["stack_name"], project, (), spec, info)


def definition_of(cloud: Cloud, stack: Json) -> Definition:
    path = stacks.path_of(cloud, stack)
    parts = {part: calls.got(cloud, stacks.SERVICE, f"{path}/{part}", None) for part in ("template", "files", "environment")}
    if gone := [part for part, told in parts.items() if told is None]:
        raise Changed(f"{cloud.name}: stack {stack['stack_name']} has lost its {gone[0]} while it was read")
    return msgspec.convert(parts, Definition)


def find(passage: Passage, resource: Resource) -> str | None:
    """One that is still being made is waited for; one that failed is deleted, with all that it made."""
    for listed in list(calls.listed(passage.new, stacks.SERVICE, "/stacks", "stacks", {"tags": passage.mark})):
        if passage.mark not in (listed.get("tags") or []):
            continue
        ended = _ended(passage, listed["id"])
        if ended and ended["stack_status"].endswith(COMPLETE):
            return ended["id"]
        if ended:
            _delete(passage.new, ended)
    return None


def create(passage: Passage, resource: Resource) -> str:
    """With the values that were given for what Heat hides. Raises Failed with Heat's sentence if it fails, and leaves it to `find`."""
    new, spec = passage.new, resource.spec
    if resource.info.get("unsupported"):
        raise Refused(f"stack {resource.name} cannot be made anew: {'; '.join(resource.info['unsupported'])}")
    if resource.spec.get("fills") and not can_fill(new):
        raise Refused(f"{new.name}: its Cinder cannot put data into volumes that Heat made (it knows os-reimage from 3.68 on)")
    definition = _with_hidden(passage, resource, _wanted(passage, resource))
    body: Json = {
        "stack_name": spec["name"],
        "template": definition.template,
        "files": definition.files,
        "environment": definition.environment,
        "tags": ",".join([*spec["tags"], passage.mark]),
        "disable_rollback": True,
    }
    body |= {"timeout_mins": spec["timeout_mins"]} if spec["timeout_mins"] else {}
    made = _posted(new, resource.name or "", body)
    ended = _ended(passage, made)
    if ended is None or not ended["stack_status"].endswith(COMPLETE):
        raise Failed(f"{new.name}: stack {resource.name} was not made: {_reason(ended) if ended else 'it is gone'}")
    return made


def _posted(new: Cloud, name: str, body: Json) -> str:
    """Heat answers 500 where it cannot make the trust that it acts by later; asking again would not help."""
    try:
        return calls.posted(new, stacks.SERVICE, "/stacks", body, secret=True)["stack"]["id"]
    except Unreachable as error:
        if getattr(error.__cause__, "status_code", None) == 500 and new.by_application_credential:
            raise Refused(
                f"{new.name}: Heat could not make stack {name} with an application credential: newer Keystones let none make the trust by "
                f"which Heat acts for you later. Use a password in the entry {new.name} of clouds.yaml, then resume. {error}"
            ) from error
        raise


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """Its definition, word for word but for what is hidden, and that it has made the same things under the same names."""
    copy = read(passage.new, id)
    told = list(differences(resource, copy, passage.ids, but=("definition", "namings", "members", "fills", "wanted")))
    if copy is None:
        return tuple(told)
    what = f"stack {resource.name}"
    if not copy.info["status"].endswith(COMPLETE):
        told.append(f"{what}: its copy is {copy.info['status']}")
    if copy.spec["definition"] != _digest(_wanted(passage, resource)):
        told.append(f"{what}: its copy has another template, other files, or other parameters than were asked for")
    there, wanted = ({(one["path"], one["type"]) for one in each.spec["members"]} for each in (copy, resource))
    told += [f"{what}: its copy has no {sort} {path}" for path, sort in sorted(wanted - there)]
    told += [f"{what}: its copy has {sort} {path}, which it should not" for path, sort in sorted(there - wanted)]
    return tuple(told)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """With all that it made and that is still there."""
    stack = _got(cloud, f"/stacks/{id}")
    if stack is None:
        return
    if stack["stack_status"] != f"DELETE{BUSY}":
        unchanged(told(cloud, stack), expects, cloud.name)
    _delete(cloud, stack)


def member_id(cloud: Cloud, id: str, path: str) -> str:
    """What the stack made under this name. Raises Changed if it has no such thing."""
    stack = _got(cloud, f"/stacks/{id}")
    found = next((one for one in stacks.members(cloud, stack) if one.path == path and one.id), None) if stack else None
    if found is None or found.id is None:
        raise Changed(f"{cloud.name}: stack {stack['stack_name'] if stack else id} has no resource {path} any more")
    return found.id


def _got(cloud: Cloud, path: str) -> Json | None:
    """Null also for one that is deleted, which Heat remembers by its id."""
    stack = calls.got(cloud, stacks.SERVICE, path, "stack")
    return stack if stack and stack["stack_status"] != GONE else None


def _digest(definition: Definition) -> str:
    """Of template and files, and of what is given to parameters; the rest of an environment is worded by Heat."""
    given = {section: definition.environment.get(section) or {} for section in ("parameters", "parameter_defaults")}
    return hashlib.sha256(msgspec.json.encode((definition.template, definition.files, given), order="deterministic")).hexdigest()


def _unsupported(definition: Definition, members: Iterable[Json]) -> list[str]:
    told = [] if stack_template.is_native(definition) else ["its template is in CloudFormation's language"]
    types = sorted({(one["type"], one["path"]) for one in members})
    return told + [
        f"its {path} ({sort}) {why}" for sort, path in types for beginning, why in LEFT_OUT.items() if sort.startswith(beginning)
    ]


def _wanted(passage: Passage, resource: Resource) -> Definition:
    """The old stack's definition, read anew, as the new cloud is asked for it. Raises Changed if it is not as planned."""
    old = passage.old
    stack = _got(old, f"/stacks/{resource.id}")
    definition = definition_of(old, stack) if stack else None
    if definition is None or _digest(definition) != resource.spec["definition"]:
        raise Changed(f"{old.name}: stack {resource.name} has been updated, or is gone, since the plan was made")
    known = [Ref(kind, value) for kind, value in resource.spec["namings"]]
    names = {Naming(ref.kind, ref.id): passage.ids[ref] for ref in known if ref in passage.ids}
    names |= {Naming(kind, value): _called(passage, new) for kind, value, new in resource.spec.get("wanted", ())}
    renamed = stack_template.renamed(definition, lambda naming: names.get(naming, naming.value))
    ids = {need.id: mapped(passage.ids, [need.kind, need.id]) for need in resource.needs if need in passage.ids}
    return msgspec.convert(stack_template.with_ids(msgspec.to_builtins(renamed), ids), Definition)


def _called(passage: Passage, new: Any) -> str:
    """A ref of the old cloud, or what has names only."""
    return new if isinstance(new, str) else mapped(passage.ids, new)


def _with_hidden(passage: Passage, resource: Resource, definition: Definition) -> Definition:
    if not resource.spec["hidden"]:
        return definition
    values = passage.hidden(resource)
    environment = {
        section: {name: values[name] if value == HIDDEN else value for name, value in (given or {}).items()}
        if section in ("parameters", "parameter_defaults")
        else given
        for section, given in definition.environment.items()
    }
    return msgspec.structs.replace(definition, environment=environment)


def _ended(passage: Passage, id: str) -> Json | None:
    """The stack when Heat has ended with it; null: it is gone."""

    def look() -> Json | None:
        stack = _got(passage.new, f"/stacks/{id}")
        return None if stack and stack["stack_status"].endswith(BUSY) else {"stack": stack}

    what = f"Heat has ended with stack {id} in {passage.new.name}"
    return wait_until(what, look, timeout_seconds=STACK_SECONDS, cancelled=passage.cancelled)["stack"]


def _delete(cloud: Cloud, stack: Json) -> None:
    begun = stack["stack_status"] == f"DELETE{BUSY}"
    path = stacks.path_of(cloud, stack)
    if not begun:
        calls.deleted(cloud, stacks.SERVICE, path)

    def still_there() -> bool:
        nonlocal begun
        now = _got(cloud, path)
        begun = begun or bool(now and now["stack_status"] == f"DELETE{BUSY}")
        if now and begun and now["stack_status"] == f"DELETE{FAILED}":
            raise Failed(f"{cloud.name}: stack {stack['stack_name']} could not be deleted: {_reason(now)}")
        return now is not None

    calls.gone(f"{cloud.name}: stack {stack['stack_name']}", still_there, STACK_SECONDS)


def _reason(stack: Json) -> str:
    return f"{stack['stack_status']}: {' '.join((stack.get('stack_status_reason') or 'Heat gives no reason').split())}"
