from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from decamp.planning import solver
from decamp.planning.programs import Builder
from decamp.planning.solver import Optimiser, Program, solve

pytestmark = pytest.mark.skipif(not solver.is_installed(), reason="highspy is not installed")


def knapsack(*, room: float = 10) -> Program:
    """Of three, of the sizes 6, 5 and 5, what fills the most."""
    sizes = np.array([6.0, 5.0, 5.0])
    build = Builder()
    x = build.columns(3, cost=-sizes, upper=1, whole=True)
    build.enter(np.repeat(build.rows(np.array([-np.inf]), np.array([room])), 3), x, sizes)
    return build.program()


def impossible() -> Program:
    build = Builder()
    build.enter(build.rows(np.array([2.0]), np.array([2.0])), build.columns(1, upper=1))
    return build.program()


def test_a_whole_numbered_program_is_solved_with_a_bound():
    found = solve(knapsack())
    assert found is not None
    assert found.values.round().tolist() == [0, 1, 1]
    assert found.bound == pytest.approx(-10)


def test_a_program_without_a_point_has_no_solution_and_the_next_one_has():
    assert solve(impossible()) is None
    assert solve(knapsack(room=6)) is not None


def test_an_optimiser_that_was_ended_is_begun_anew():
    before = solve(knapsack())
    solver.close()
    after = solve(knapsack())
    assert before is not None
    assert after is not None
    assert before.values.tolist() == after.values.tolist()


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.abort()",
        "import sys; sys.stdin.buffer.read(8); sys.exit(1)",
        "import sys; sys.stdin.buffer.read(11); sys.stdout.buffer.write(b'half')",
    ],
)
def test_a_question_of_which_the_optimiser_dies_has_no_answer(code: str):
    assert Optimiser((sys.executable, "-c", code)).ask(b"why") is None


def test_an_optimiser_that_does_not_come_to_an_end_is_ended_and_the_next_question_is_answered():
    """It sleeps over a question that begins with `s`."""
    code = """
import sys, time
while length := sys.stdin.buffer.read(8):
    question = sys.stdin.buffer.read(int.from_bytes(length))
    time.sleep(60 if question.startswith(b"s") else 0)
    sys.stdout.buffer.write(length + question)
    sys.stdout.flush()
"""
    optimiser = Optimiser((sys.executable, "-c", code))
    began = time.monotonic()
    assert optimiser.ask(b"sleep", seconds=1) is None
    assert time.monotonic() - began < 30
    assert optimiser.ask(b"again") == b"again"
    optimiser.close()


def test_an_optimiser_that_cannot_be_begun_has_no_answers():
    assert Optimiser(("/nowhere/at/all",)).ask(b"why") is None


def test_one_that_died_between_two_questions_is_not_missed():
    """It answers one question, and is gone."""
    once = "import sys; n = sys.stdin.buffer.read(8); sys.stdout.buffer.write(n + sys.stdin.buffer.read(int.from_bytes(n)))"
    optimiser = Optimiser((sys.executable, "-c", once))
    assert [optimiser.ask(b"one"), optimiser.ask(b"two")] == [b"one", b"two"]
    optimiser.close()
