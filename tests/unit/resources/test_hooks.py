"""The owner's hooks, as real processes."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from decamp.clouds import Cloud
from decamp.model.effects import Attempt
from decamp.model.errors import Changed, Failed
from decamp.model.hooks import Hook, When
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref
from decamp.resources.hooks import RunHook, run

SERVER = Ref("server", "s-1")


class Named(Cloud):
    """Is never called: a hook knows of clouds only what they are called."""

    def __init__(self, name: str) -> None:
        self.name = name


def attempt(*, cancelled_after_seconds: float = 1e9, number: int = 1) -> Attempt:
    until = time.monotonic() + cancelled_after_seconds
    return Attempt(
        run="r-1",
        mark="m",
        ids={SERVER: "n-1"},
        facts={},
        progress=lambda *_: None,
        cancelled=lambda: time.monotonic() > until,
        number=number,
    )


def shell(text: str, **fields: float) -> Hook:
    return Hook(command=(text,), shell=True, **fields)  # type: ignore[arg-type]  # noqa: S604


def planned(hook: Hook, name: str = "web") -> Action:
    told = {"command": list(hook.command), "shell": hook.shell, "timeout_seconds": hook.timeout_seconds}
    return Action(id="h", verb=Verb.RUN_HOOK, target=SERVER, args={"hook": "verify", "name": name, "project": "p", **told})


def performed(hook: Hook, name: str = "web", number: int = 1) -> str:
    return RunHook(Named("old"), Named("new"), {When.VERIFY: hook}).perform(planned(hook, name), attempt(number=number)).said


def test_a_hook_is_told_of_the_old_server_and_the_new_and_of_the_attempt() -> None:
    told = performed(
        shell("echo $DECAMP_HOOK $DECAMP_SERVER_ID $DECAMP_SERVER_NAME $DECAMP_NEW_SERVER_ID $DECAMP_RUN $DECAMP_ATTEMPT"), number=3
    )
    assert told == "hook verify went well: verify s-1 web n-1 r-1 3"


def test_what_a_server_is_called_is_never_a_part_of_a_command(tmp_path: Path) -> None:
    hostile = f'$(touch {tmp_path}/owned); `touch {tmp_path}/owned`; "'
    assert performed(shell('printf %s "$DECAMP_SERVER_NAME"'), hostile) == f"hook verify went well: {hostile}"
    assert performed(Hook(command=("/bin/echo", "$DECAMP_SERVER_NAME"))) == "hook verify went well: $DECAMP_SERVER_NAME", (
        "a shell was there"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_status_that_is_not_0_fails_with_the_end_of_what_was_printed() -> None:
    with pytest.raises(Failed, match=r"hook verify ended with status 3: out err$"):
        performed(shell("echo out; echo err >&2; exit 3"))


@pytest.mark.parametrize("command", ["/nowhere/hook", __file__, ""])
def test_a_command_that_is_not_there_or_no_program_fails(command: str) -> None:
    with pytest.raises(Failed, match="hook verify cannot be run"):
        performed(Hook(command=(command,)))


def test_a_hook_that_does_not_end_in_time_is_stopped_with_all_that_it_began(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Failed, match=r"did not end within 0\.5 s, and was stopped: waiting"):
        performed(shell(f"echo waiting; (sleep 2; touch {tmp_path}/late) & wait", timeout_seconds=0.5))
    assert time.monotonic() - began < 2
    time.sleep(2)
    assert not (tmp_path / "late").exists()


def test_a_hook_is_stopped_when_the_run_is_cancelled() -> None:
    with pytest.raises(Failed, match="because the run was cancelled"):
        run(When.VERIFY, shell("sleep 60"), {}, attempt(cancelled_after_seconds=0.3))


def test_a_hook_that_leaves_something_running_behind_it_is_not_waited_for() -> None:
    began = time.monotonic()
    assert performed(shell("sleep 5 & echo done")) == "hook verify went well: done"
    assert time.monotonic() - began < 4


def test_only_the_end_of_much_output_is_kept() -> None:
    said = performed(Hook(command=(sys.executable, "-c", "print('x' * 100000); print('the end')")))
    assert said.endswith("x the end")
    assert len(said) < 2000


def test_a_plan_brings_no_commands_onto_a_machine() -> None:
    mine = shell("true")
    for own in ({}, {When.VERIFY: mine}, {When.BEFORE_STOP: shell("echo bad")}):
        with pytest.raises(Changed, match=r"is not the one in this machine's decamp\.yaml"):
            RunHook(Named("old"), Named("new"), own).perform(planned(shell("echo bad")), attempt())
