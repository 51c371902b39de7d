"""The tables of states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from decamp.model.run import ACTION_TRANSITIONS, ENDED, RUN_TRANSITIONS, ActionState, RunState

ROOT = Path(__file__).parents[3]


def test_every_state_has_its_row() -> None:
    assert set(ACTION_TRANSITIONS) == set(ActionState)
    assert set(RUN_TRANSITIONS) == set(RunState)


def test_what_is_done_or_taken_up_by_another_run_is_final_and_all_else_can_still_be_done() -> None:
    assert ACTION_TRANSITIONS[ActionState.DONE] == {ActionState.UNDONE}, "only a hook that fails takes back what is done"
    assert not RUN_TRANSITIONS[RunState.DONE]
    assert not RUN_TRANSITIONS[RunState.DRAINED]
    for table, done in ((ACTION_TRANSITIONS, ActionState.DONE), (RUN_TRANSITIONS, RunState.DONE)):
        for state in set(table) - {RunState.DRAINED}:
            reached, todo = {state}, [state]
            while todo:
                new = table[todo.pop()] - reached
                reached |= new
                todo += new
            assert done in reached, f"{state} is a dead end"


def test_only_what_may_be_taken_up_again_or_is_done_counts_as_ended() -> None:
    assert {state for state in ActionState if ActionState.WAITING in ACTION_TRANSITIONS[state]} == (ENDED - {ActionState.DONE}) | {
        ActionState.RUNNING
    }


def test_the_reference_of_states_is_made_from_the_tables() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools" / "states.py"], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "reference" / "states.md").read_text(), "python tools/states.py > docs/reference/states.md"
