"""The ledger in the state database: which old ref became which new id, in which run, verified or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from decamp.model.effects import Outcome
from decamp.model.ledger import Entry
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref
from decamp.run import schema
from decamp.run.database import Database, timestamp

Key = TypeVar("Key")
Value = TypeVar("Value")

_LEDGER = schema.ledger


class Ledger:
    """For reading, from any process."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    def entries(self, run: str) -> tuple[Entry, ...]:
        """Of one run, in the order of its plan: one for every action whose effect is journaled."""
        if self._database is None:
            return ()
        of_action = sa.and_(schema.actions.c.run == _LEDGER.c.run, schema.actions.c.id == _LEDGER.c.action)
        query = sa.select(_LEDGER).join(schema.actions, of_action).where(_LEDGER.c.run == run).order_by(schema.actions.c.position)
        with self._database.reading() as connection:
            return tuple(_entry(row) for row in connection.execute(query))

    def everything(self) -> tuple[Entry, ...]:
        """Of all runs."""
        if self._database is None:
            return ()
        with self._database.reading() as connection:
            return tuple(_entry(row) for row in connection.execute(sa.select(_LEDGER).order_by(_LEDGER.c.made_at)))

    def ids(self, old: str, new: str, ref: Ref | None = None) -> dict[Ref, str]:
        """Old ref -> id in the new cloud, of every copy between these two clouds that is verified and not removed; the youngest counts.

        With `ref`: of that one only.
        """
        if self._database is None:
            return {}
        query = (
            sa.select(_LEDGER.c.kind, _LEDGER.c.ref, _LEDGER.c.new_id)
            .where(_LEDGER.c.old_cloud == old, _LEDGER.c.new_cloud == new)
            .where(_LEDGER.c.new_id.is_not(None), _LEDGER.c.verified_at.is_not(None), _LEDGER.c.removed_at.is_(None))
            .order_by(_LEDGER.c.made_at)
        )
        if ref is not None:
            query = query.where(_LEDGER.c.kind == ref.kind, _LEDGER.c.ref == ref.id)
        with self._database.reading() as connection:
            return {Ref(row.kind, row.ref): row.new_id for row in connection.execute(query)}

    def facts(self, runs: tuple[str, ...], action: str | None = None) -> dict[str, Any]:
        """Action id -> facts of its outcome, in these runs; a later run's count more. With `action`: of that one only."""
        if self._database is None:
            return {}
        facts: dict[str, Any] = {}
        with self._database.reading() as connection:
            for run in runs:
                query = sa.select(_LEDGER.c.action, _LEDGER.c.facts).where(_LEDGER.c.run == run)
                if action is not None:
                    query = query.where(_LEDGER.c.action == action)
                facts.update({row.action: msgspec.json.decode(row.facts) for row in connection.execute(query)})
        return facts

    def outcome(self, run: str, action: str) -> Outcome | None:
        """As it was journaled, but for what only the report tells."""
        if self._database is None:
            return None
        with self._database.reading() as connection:
            row = connection.execute(sa.select(_LEDGER).where(_LEDGER.c.run == run, _LEDGER.c.action == action)).first()
        if row is None:
            return None
        return Outcome(id=row.new_id, fingerprint=row.fingerprint, adopted=row.adopted, facts=msgspec.json.decode(row.facts))


class Lookup(Mapping[Key, Value]):
    """A mapping whose values are read one by one when asked for, and all at once only where somebody goes through them."""

    def __init__(self, one: Callable[[Key], Value | None], every: Callable[[], dict[Key, Value]]) -> None:
        self._one, self._every = one, every
        self._known: dict[Key, Value] = {}

    def __getitem__(self, key: Key) -> Value:
        if key not in self._known:
            value = self._one(key)
            if value is None:
                raise KeyError(key)
            self._known[key] = value
        return self._known[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._every())

    def __len__(self) -> int:
        return len(self._every())


def ids_between(ledger: Ledger, old: str, new: str) -> Mapping[Ref, str]:
    """As `Ledger.ids`, for actions, of which each asks for a few."""
    return Lookup(lambda ref: ledger.ids(old, new, ref).get(ref), lambda: ledger.ids(old, new))


def facts_of(ledger: Ledger, runs: tuple[str, ...]) -> Mapping[str, Any]:
    """As `Ledger.facts`."""
    return Lookup(lambda action: ledger.facts(runs, action).get(action), lambda: ledger.facts(runs))


def with_facts(connection: sa.Connection, run: str, facts: dict[str, Any]) -> frozenset[str]:
    """The run's actions whose outcome has exactly these facts."""
    query = sa.select(_LEDGER.c.action).where(_LEDGER.c.run == run, _LEDGER.c.facts == _json(facts))
    return frozenset(connection.execute(query).scalars())


def write_entry(database: Database, connection: sa.Connection, run: str, action: Action, outcome: Outcome, *, old: str, new: str) -> None:
    """Journal what an action left behind; a repetition of the same changes nothing."""
    connection.execute(
        database.insert_or_leave(
            _LEDGER,
            {
                "run": run,
                "action": action.id,
                "old_cloud": old,
                "new_cloud": new,
                "kind": action.target.kind,
                "ref": action.target.id,
                "new_id": None if action.verb is Verb.REMOVE else outcome.id,
                "adopted": outcome.adopted,
                "fingerprint": outcome.fingerprint,
                "facts": _json(outcome.facts),
                "made_at": timestamp(),
            },
        )
    )


def strike_entry(connection: sa.Connection, run: str, action: str) -> None:
    """What it tells is not there any more, and may be made again by the same action."""
    connection.execute(sa.delete(_LEDGER).where(_LEDGER.c.run == run, _LEDGER.c.action == action))


def mark_verified(connection: sa.Connection, run: str, action: Action, *, new: str) -> None:
    """The action is proved; if it removed a copy, the copy's entry says so from now on."""
    now = timestamp()
    connection.execute(
        sa.update(_LEDGER)
        .where(_LEDGER.c.run == run, _LEDGER.c.action == action.id, _LEDGER.c.verified_at.is_(None))
        .values(verified_at=now)
    )
    if action.verb is Verb.REMOVE and action.args.get("cloud") == "new":
        connection.execute(
            sa.update(_LEDGER)
            .where(_LEDGER.c.new_cloud == new, _LEDGER.c.new_id == action.args.get("id"), _LEDGER.c.removed_at.is_(None))
            .values(removed_at=now)
        )


def _json(facts: dict[str, Any]) -> str:
    return msgspec.json.encode(facts).decode()


def _entry(row: Any) -> Entry:
    return Entry(
        run=row.run,
        action=row.action,
        cloud=row.old_cloud,
        ref=Ref(row.kind, row.ref),
        new_id=row.new_id,
        adopted=row.adopted,
        fingerprint=row.fingerprint,
        facts=msgspec.json.decode(row.facts),
        made_at=row.made_at,
        verified_at=row.verified_at,
        removed_at=row.removed_at,
    )
