"""The notes of a carrier, by which a copy is followed: with real files, locks and processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from decamp.carrier import now_and_then_asked, told_of
from decamp.clouds import connect
from decamp.model.effects import unpaced
from decamp.model.errors import Bug, Error, Failed, Unanswered, Unreachable
from decamp.model.limits import UNLIMITED
from decamp.resources.carriage import CARRIED, Carrier, Detached, Note, Notes, under_way

TARGET = "5c9e1f60-0000-0000-0000-000000000001"
NOWHERE = connect("nowhere", Path("/nonexistent/clouds.yaml"))


def keep(folder: Path, orders: Connection) -> None:
    """Notes what it is told to, until it is told nothing more."""
    with Notes(folder, TARGET).kept() as note:
        orders.send(True)
        while (told := orders.recv()) is not None:
            note(told)
            orders.send(True)


class Keeper:
    """A process that keeps the notes of an image."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("fork")
        self._orders, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=keep, args=(folder, theirs))
        self.process.start()
        self._orders.recv()

    def note(self, note: Note) -> None:
        self._orders.send(note)
        self._orders.recv()

    def end(self) -> None:
        self._orders.send(None)
        self.process.join()

    def kill(self) -> None:
        os.kill(self.process.pid or 0, signal.SIGKILL)
        self.process.join()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path)
    yield made
    made.process.kill()
    made.process.join()


def follower(folder: Path, *, leaving: bool = False) -> Detached:
    return Detached(Carrier(folder, None, "sqlite://"), UNLIMITED, None, lambda: leaving)


def followed(
    folder: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: bool = False,
    leaving: bool = False,
) -> None:
    follower(folder, leaving=leaving).carry(
        NOWHERE, "source", NOWHERE, TARGET, progress=progress, cancelled=lambda: cancelled, pace=unpaced
    )


def test_a_copy_is_under_way_while_its_process_lives_and_no_longer(tmp_path: Path, keeper: Keeper) -> None:
    keeper.note(Note(done=1, total=9))
    assert follower(tmp_path).has(TARGET)
    assert follower(tmp_path).has_any
    assert under_way(tmp_path) == 1
    keeper.kill()
    assert not follower(tmp_path).has(TARGET)
    assert under_way(tmp_path) == 0


def test_a_copy_that_was_carried_to_its_end_is_taken_over_when_its_process_has_ended(tmp_path: Path, keeper: Keeper) -> None:
    keeper.note(Note(done=9, total=9))
    keeper.note(Note(ended=CARRIED))
    keeper.end()
    assert follower(tmp_path).has(TARGET)
    followed(tmp_path)
    follower(tmp_path).forget(TARGET)
    assert not follower(tmp_path).has(TARGET)
    assert list(tmp_path.iterdir()) == []


class TooLate(Failed):
    """As modules have errors of their own."""


@pytest.mark.parametrize("kind", [*Error.__subclasses__(), Unanswered])
def test_what_a_carrier_raised_is_raised_to_who_follows(tmp_path: Path, keeper: Keeper, kind: type[Error]) -> None:
    keeper.note(told_of(kind("said")))
    with pytest.raises(kind, match="said") as caught:
        followed(tmp_path)
    assert type(caught.value) is kind
    assert not follower(tmp_path).has_any


@pytest.mark.parametrize("raised", [TooLate("no")])
def test_a_module_s_own_error_is_raised_as_what_it_is_a_kind_of(tmp_path: Path, keeper: Keeper, raised: Error) -> None:
    keeper.note(told_of(raised))
    with pytest.raises(Failed, match=str(raised)):
        followed(tmp_path)


def test_what_is_no_error_of_ours_is_a_bug_that_says_what_it_was(tmp_path: Path, keeper: Keeper) -> None:
    keeper.note(told_of(KeyError("size")))
    with pytest.raises(Bug, match="KeyError: 'size'"):
        followed(tmp_path)


def test_what_a_service_says_of_secrets_is_not_noted() -> None:
    assert told_of(Failed("no: X-Auth-Token: gAAAAABk")).text == "no: X-Auth-Token: ***"


def test_who_leaves_leaves_the_copy_to_its_process(tmp_path: Path, keeper: Keeper) -> None:
    keeper.note(Note(done=4, total=9))
    with pytest.raises(Unreachable, match="by a process of its own"):
        followed(tmp_path, cancelled=True, leaving=True)
    assert not Notes(tmp_path, TARGET).is_to_stop
    assert follower(tmp_path).has(TARGET)


def test_forgetting_a_copy_under_way_asks_its_process_to_stop_and_waits_for_that(tmp_path: Path, keeper: Keeper) -> None:
    def ask_and_end() -> None:
        while not Notes(tmp_path, TARGET).is_to_stop:
            pass
        keeper.end()

    context = multiprocessing.get_context("fork")
    ending = context.Process(target=ask_and_end)
    ending.start()
    follower(tmp_path).forget(TARGET)
    ending.join()
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_still_being_written_does_not_count(tmp_path: Path) -> None:
    notes = tmp_path / f"{TARGET}.notes"
    notes.write_bytes(b'{"done":3,"total":9}\n{"done":4,"to')
    assert Notes(tmp_path, TARGET).last == Note(done=3, total=9)
    notes.write_bytes(b'{"done":')
    assert Notes(tmp_path, TARGET).last == Note()


def test_a_copy_whose_process_dies_while_it_is_followed_is_told_as_an_outage(tmp_path: Path, keeper: Keeper) -> None:
    keeper.note(Note(done=4, total=9))
    with pytest.raises(Unreachable, match="ended after 4 bytes: the copy begins anew"):
        followed(tmp_path, progress=lambda done, total: keeper.kill())


def test_whether_to_stop_is_remembered() -> None:
    answers = [True, False]
    asking = now_and_then_asked(lambda: answers.pop(0))
    assert asking()
    assert asking()
    assert answers == [False]
