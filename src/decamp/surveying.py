"""Read a cloud whole: every kind at the same time, each in pages, with what could not be read said instead of left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime

from decamp.clouds import Cloud
from decamp.hosts import baremetal, heat_role, reading
from decamp.model.errors import BadInput, Refused
from decamp.model.survey import Resource, Survey
from decamp.resources import KINDS, container, object_store

Report = Callable[[int, int, str], None]
"""Called with (parts done, parts in all, the part that was just done)."""

SOMEWHERE = (object_store.SERVICE_TYPE,)
"""Types of services that a cloud may lack, so that what is theirs cannot go there."""

READERS = 6
"""Kinds that are read at a time: each is one client of one API, and a cloud has about that many API services."""


def survey_cloud(cloud: Cloud, *, project: str | None, report: Report) -> Survey:
    """All that the credentials may see of hosts, servers and resources; of one project where `project` (an id) is given.

    Raises Unreachable, BadInput or Failed when a service does not answer as it should: half a survey is none.
    """
    limited = project if cloud.admin else cloud.project_id
    incomplete: list[str] = []
    exports = {kind.NAME: (lambda kind=kind: tuple(kind.export(cloud, limited))) for kind in KINDS.values()}
    with ThreadPoolExecutor(READERS, thread_name_prefix=f"survey-{cloud.name}") as pool:
        futures = {pool.submit(_allowed, export, name, incomplete): name for name, export in exports.items()}
        placed = pool.submit(reading.read_compute, cloud, limited)
        parts = {**futures, placed: "hosts"}
        for done, future in enumerate(as_completed(parts), 1):
            future.result()
            report(done, len(parts), parts[future])
    hosts = placed.result()
    resources = {name: future.result() for future, name in futures.items()}
    if cloud.admin and limited:
        resources["project"] += _sharing_with(cloud, limited, resources)
    return Survey(
        cloud=cloud.name,
        taken_at=_now(),
        project=limited,
        admin=cloud.admin,
        incomplete=(*hosts.incomplete, *sorted(incomplete), *container.unseen(cloud, limited), *_untold(resources.values())),
        lacks=tuple(service for service in SOMEWHERE if not cloud.has(service)),
        hosts=hosts.hosts,
        servers=hosts.servers,
        groups=hosts.groups,
        resources=tuple(resource for name in KINDS for resource in sorted(resources[name], key=lambda one: one.id)),
    )


def survey_hosts(cloud: Cloud) -> Survey:
    """Hosts, servers and groups only: what a vacate is planned from, read again and again while it goes on. Raises as `survey_cloud`."""
    hosts = reading.read_compute(cloud)
    return Survey(
        cloud=cloud.name,
        taken_at=_now(),
        admin=cloud.admin,
        incomplete=hosts.incomplete,
        hosts=hosts.hosts,
        servers=hosts.servers,
        groups=hosts.groups,
    )


def survey_undercloud(cloud: Cloud, *, report: Report) -> Survey:
    """The nodes that Ironic knows, and the stacks that the new cloud was deployed by."""
    if not cloud.admin:
        raise Refused(f"{cloud.name}: nodes and stacks of an undercloud are shown to admins only")
    parts = (("node", baremetal.export), ("stack", heat_role.export))
    resources: list[Resource] = []
    for done, (name, export) in enumerate(parts, 1):
        resources += sorted(export(cloud), key=lambda one: one.id)
        report(done, len(parts), name)
    return Survey(cloud=cloud.name, taken_at=_now(), admin=True, resources=tuple(resources))


def find_project(cloud: Cloud, wanted: str | None) -> str | None:
    """The id of the project with this id or name; for a tenant, the project of the credentials and no other. Raises BadInput."""
    if not cloud.admin:
        with cloud.calling("read the own project"):
            own = cloud.connection.current_project
        if wanted not in {None, own.id, own.name}:
            raise BadInput(f"{cloud.name}: these credentials belong to project {own.name} ({own.id}), and see no project {wanted!r}")
        return own.id
    if wanted is None:
        return None
    projects = [one for one in KINDS["project"].export(cloud, None) if wanted in {one.id, one.name}]
    exact = [one for one in projects if one.id == wanted] or projects
    if not exact:
        raise BadInput(f"{cloud.name}: there is no project {wanted!r}")
    if len(exact) > 1:
        raise BadInput(f"{cloud.name}: {len(exact)} projects are called {wanted!r}; use an id: {', '.join(one.id for one in exact)}")
    return exact[0].id


def _sharing_with(cloud: Cloud, project: str, resources: Mapping[str, tuple[Resource, ...]]) -> tuple[Resource, ...]:
    """Other projects that networks, images and the like of this one are shared with: a plan has to know what stands for them."""
    own = [one for group in resources.values() for one in group if one.project == project]
    named = {need.id for one in own for need in one.needs if need.kind == "project"}
    named |= {member[1] for image in resources["image"] if image.project == project for member in image.spec["members"]}
    read = KINDS["project"].read
    found = (read(cloud, one) for one in sorted(named - {known.id for known in resources["project"]}))
    return tuple(one for one in found if one)


def _allowed(export: Callable[[], tuple[Resource, ...]], kind: str, incomplete: list[str]) -> tuple[Resource, ...]:
    try:
        return export()
    except Refused as refusal:
        incomplete.append(f"{kind}: {refusal.message}")
        return ()


def _untold(groups: Iterable[tuple[Resource, ...]]) -> list[str]:
    """Attributes that the cloud does not show (to these credentials, or at its version), said once for each kind."""
    counts: dict[tuple[str, str], int] = {}
    for resource in (one for group in groups for one in group):
        for attribute in resource.info.get("unreadable", ()):
            counts[resource.kind, attribute] = counts.get((resource.kind, attribute), 0) + 1
    return [
        f"{attribute} of {number} of kind {kind}: this cloud does not show it with these credentials"
        for (kind, attribute), number in sorted(counts.items())
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
