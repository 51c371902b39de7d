"""What a project has in Swift, for verify.py: its containers, with headers and the SHA-256 of the bytes of every object.

An administrator is shown no account but the own one: they are read with the tenant's credentials.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from openstack.exceptions import raise_from_response

from clouds import Cloud, Facts
from looks import Ground, Kind, Names, each, metadata, named, same

AT_A_TIME = 4
MEMBERS, RULES = "x-container-meta-", ("X-Container-Read", "X-Container-Write")
OF_AN_OBJECT = ("Content-Type", "Content-Encoding", "Content-Disposition", "X-Delete-At", "X-Object-Manifest", "X-Symlink-Target")
SECRETS = ("temp-url-key", "temp-url-key-2")


def containers(ground: Ground) -> Iterator[Facts]:
    cloud = ground.tenant
    if cloud is None or not cloud.connection.endpoint_for("object-store"):
        return
    default = default_policy(cloud)
    for name in (one["name"] for one in listed(cloud, "")):
        headers = head(cloud, f"/{quote(name)}")
        policy = headers.get("X-Storage-Policy")
        yield {
            "id": name,
            "account": ground.project,
            "name": name,
            "X-Container-Meta-*": {key: told for key, told in named_by(headers, MEMBERS).items() if key not in SECRETS},
            **{rule: headers.get(rule, "") for rule in RULES},
            "X-Storage-Policy": None if policy == default else policy,
            **{header: headers.get(header) for header in ("X-Versions-Location", "X-History-Location")},
            "objects": objects(cloud, name),
        }


def objects(cloud: Cloud, container: str) -> list[Facts]:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(lambda one: an_object(cloud, container, one["name"]), list(listed(cloud, f"/{quote(container)}"))))


def an_object(cloud: Cloud, container: str, name: str) -> Facts:
    """As whoever downloads it sees it: a link's and a large object's content too."""
    path = f"/{quote(container)}/{quote(name)}"
    digest = hashlib.sha256()
    with cloud.connection.object_store.get(path, stream=True, headers={"Accept-Encoding": "identity"}) as response:
        raise_from_response(response)
        for piece in response.raw.stream(1 << 20, decode_content=False):
            digest.update(piece)
    headers = response.headers
    own = {header: headers.get(header) for header in OF_AN_OBJECT}
    return {"name": name, "sha256": digest.hexdigest(), "metadata": named_by(headers, "x-object-meta-"), **own}


def listed(cloud: Cloud, path: str) -> Iterator[Facts]:
    marker = ""
    while page := cloud.get("object_store", f"{path or '/'}?format=json&marker={quote(marker)}"):
        yield from page
        marker = page[-1]["name"]


def head(cloud: Cloud, path: str) -> Mapping[str, str]:
    response = cloud.connection.object_store.head(path)
    raise_from_response(response)
    return response.headers


def default_policy(cloud: Cloud) -> str | None:
    where = str(cloud.connection.object_store.get_endpoint()).partition("/v1")[0]
    answer = cloud.connection.object_store.get(f"{where}/info")
    told = answer.json()["swift"]["policies"] if answer.ok else []
    return next((one["name"] for one in told if one.get("default")), None)


def named_by(headers: Mapping[str, str], prefix: str) -> Facts:
    return {key.lower().removeprefix(prefix): told for key, told in headers.items() if key.lower().startswith(prefix)}


def rules(value: str, names: Names) -> list[str]:
    """Ids of projects and users in the words of both clouds; what names others than the project is not carried."""
    words = [re.sub(r"[0-9a-f]{32}", lambda found: str(names.get(found[0], found[0])), word) for word in value.split(",") if word]
    return sorted(word for word in words if not re.search(r"[0-9a-f]{32}", word))


def contents(value: list[Facts], _: Names) -> Any:
    return value


KINDS = {
    "container": Kind(
        containers,
        {
            **each(same, "name", "X-Storage-Policy", "X-Versions-Location", "X-History-Location"),
            "account": named,
            "X-Container-Meta-*": metadata,
            **each(rules, *RULES),
            "objects": contents,
        },
    )
}
