"""The contract's case of containers: one of each sort of object that Swift has."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import time
from collections.abc import Mapping

from contract import Case, Ground, fresh_name
from openstack.connection import Connection

from decamp.resources.object_store import path_of

MIB = 1024 * 1024
PART = bytes(range(256)) * 4096


def put(connection: Connection, container: str, name: str | None = None, data: bytes = b"", **headers: str) -> None:
    """By plain calls; underscores of headers stand for dashes."""
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    answer = connection.object_store.put(path_of(container, name), data=data, headers=given)
    assert answer.ok, answer.text


def make_container(here: Ground) -> str:
    connection, name = here.tenant, fresh_name("container")
    rules = {"X_Container_Read": f".r:*,.rlistings,{here.project}:*", "X_Container_Write": f"{here.project}:*"}
    metadata = {
        "X_Container_Meta_Colour": "blue",
        "X_Container_Meta_Web_Index": "index.html",
        "X_Container_Meta_Quota_Bytes": str(64 * MIB),
    }
    put(connection, name, **rules, **metadata, X_Container_Meta_Temp_URL_Key=secrets.token_hex(8))
    put(connection, name, "index.html", b"<h1>Hello</h1>", Content_Type="text/html", X_Object_Meta_Author="\u00c3\u0085sa")
    put(connection, name, "log.gz", gzip.compress(b"line\n" * 1000), Content_Encoding="gzip", Content_Type="text/plain")
    put(connection, name, "nothing")
    put(connection, name, "a folder/\u00e4 b%20?.bin", secrets.token_bytes(3 * MIB), Content_Disposition="attachment")
    put(connection, name, "odd/../name", b"odd")
    put(connection, name, "passing", b"soon gone", X_Delete_At=str(int(time.time()) + 3600))
    for number in (1, 2):
        put(connection, name, f"parts/{number}", PART + bytes([number]))
    put(connection, name, "whole by prefix", X_Object_Manifest=f"{name}/parts/")
    put(connection, name, "link", X_Symlink_Target=f"{name}/index.html")
    put_large(connection, name, "a whole by list", [f"/{name}/parts/{number}" for number in (1, 2)])
    return name


def put_large(connection: Connection, container: str, name: str, parts: list[str]) -> None:
    """Before its parts in the alphabet, so that it cannot be made when it is met."""
    manifest = [
        {"path": path, "etag": hashlib.md5(PART + bytes([number]), usedforsecurity=False).hexdigest(), "size_bytes": len(PART) + 1}
        for number, path in enumerate(parts, 1)
    ]
    answer = connection.object_store.put(path_of(container, name), params={"multipart-manifest": "put"}, data=json.dumps(manifest))
    assert answer.ok, answer.text


def _spoil_container(here: Ground, copy: str) -> str:
    """By one of the same size."""
    put(here.new.connection, copy, "index.html", b"<h1>Hullo</h1>", Content_Type="text/html")
    return copy


CASES: Mapping[str, Case] = {
    case.kind: case
    for case in (
        # its account's members alone are shown it
        Case(kind="container", make=make_container, spoil=_spoil_container, told="index.html should have", modes=("tenant",), most=7),
    )
}
