import sys

import pytest

from decamp.hosts.compute_service import run_command
from decamp.model.errors import BadInput, Failed, Refused
from decamp.settings import StopCompute


def python(code: str, timeout_seconds: float = 30) -> StopCompute:
    return StopCompute(command=(sys.executable, "-c", code, "{host}"), timeout_seconds=timeout_seconds)


def test_the_host_is_given_as_one_argument_and_no_shell_sees_it() -> None:
    run_command(python("import sys; sys.exit(sys.argv[1:] != ['cmp-001.example.org'])"), "cmp-001.example.org")


@pytest.mark.parametrize("host", ["-rf", "a b", "$(reboot)", "x;y", "", "../etc", "host\n"])
def test_what_is_no_host_name_is_given_to_no_command(host: str) -> None:
    with pytest.raises(Refused, match="is no host name"):
        run_command(python("pass"), host)


def test_a_command_that_fails_is_quoted_with_its_last_words() -> None:
    with pytest.raises(Failed, match="status 3: ssh: no route to cmp-001"):
        run_command(python("import sys; print('ssh: no route to', sys.argv[1], file=sys.stderr); sys.exit(3)"), "cmp-001")


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(Failed, match="did not end within"):
        run_command(python("import time; time.sleep(60)", timeout_seconds=0.3), "cmp-001")


def test_a_command_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(BadInput, match="/nowhere/stop: No such file"):
        run_command(StopCompute(command=("/nowhere/stop", "{host}")), "cmp-001")
