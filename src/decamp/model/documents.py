"""Surveys and plans as JSON, and back, with a clear sentence for every way in which a document can be wrong."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec

from decamp.model import plan as plan_module
from decamp.model import survey as survey_module
from decamp.model.errors import BadInput
from decamp.model.plan import Plan, content_id, sealing_id
from decamp.model.survey import Survey

Document = TypeVar("Document", Survey, Plan)


class _Head(msgspec.Struct):
    schema: str


def encode(document: Survey | Plan) -> bytes:
    """Indented JSON in the order of the fields: equal documents, equal bytes."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def sha256(document: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()


def decode_survey(data: bytes, where: str) -> Survey:
    """Raises BadInput, naming `where` and the field that is wrong."""
    return _decode(data, Survey, survey_module.SCHEMA, where)


def decode_plan(data: bytes, where: str) -> Plan:
    """Raises BadInput; also for a plan whose id is not that of its content: it was edited by hand, or damaged."""
    plan = _decode(data, Plan, plan_module.SCHEMA, where)
    if plan.id != content_id(plan) and plan.id != _id_as_written(data):
        raise BadInput(
            f"{where}: the plan's content does not belong to its id {plan.id!r}: it was changed after it was made. "
            "Make it anew with `decamp plan`."
        )
    return plan


def _id_as_written(data: bytes) -> str:
    """Of a plan that an earlier version made: without the fields that plans have had since."""
    return sealing_id(msgspec.json.decode(data) | {"id": ""})


def _decode(data: bytes, wanted: type[Document], schema: str, where: str) -> Document:
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where}: not a {schema} document: {error}") from error
    if head.schema != schema:
        raise BadInput(f"{where}: a {head.schema} document, where {schema} is wanted")
    try:
        return msgspec.json.decode(data, type=wanted)
    except msgspec.DecodeError as error:
        raise BadInput(f"{where}: not a valid {schema} document: {error}") from error
