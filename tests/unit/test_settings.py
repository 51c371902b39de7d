from pathlib import Path

import pytest

from decamp import settings
from decamp.model.errors import BadInput
from decamp.model.hooks import Hook, When


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "decamp.yaml"


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    loaded = settings.load()
    assert loaded.clouds.old == "old"
    assert loaded.state_url == f"sqlite:///{tmp_path}/state/decamp/decamp.sqlite"


def test_paths_are_relative_to_the_file(config: Path) -> None:
    config.write_text("clouds_file: clouds.yaml\nstate: sqlite:///runs.sqlite\nexpand: {instackenv: machines/instackenv.json}\n")
    loaded = settings.load(config)
    assert loaded.clouds_file == config.parent / "clouds.yaml"
    assert loaded.state_url == f"sqlite:///{config.parent}/runs.sqlite"
    assert loaded.expand.instackenv == config.parent / "machines" / "instackenv.json"


def test_the_environment_goes_before_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("clouds: {old: from-file, new: from-file}\n")
    monkeypatch.setenv("DECAMP_CLOUDS__OLD", "from-environment")
    loaded = settings.load(config)
    assert (loaded.clouds.old, loaded.clouds.new) == ("from-environment", "from-file")


def test_mapping_and_policy_are_typed(config: Path) -> None:
    config.write_text("mapping: {network: {public: ext-net}}\npolicy: {spare_hosts: 2}\n")
    loaded = settings.load(config)
    assert loaded.the_mapping.network == {"public": "ext-net"}
    assert loaded.the_policy.spare_hosts == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cloud: {old: x}\n", "cloud: Extra inputs are not permitted"),
        ("clouds: {older: x}\n", r"clouds\.older: Extra inputs"),
        ("mapping: {netwrok: {a: b}}\n", "mapping.*netwrok"),
        ("policy: {spare_hosts: many}\n", "policy.*spare_hosts"),
        ("clouds: [\n", "not valid YAML"),
        ("just words\n", "cannot be read as YAML|not valid YAML"),
    ],
)
def test_a_wrong_file_is_told_with_its_name_and_field(config: Path, text: str, told: str) -> None:
    config.write_text(text)
    with pytest.raises(BadInput, match=told) as caught:
        settings.load(config)
    assert str(config) in caught.value.message


def test_a_file_that_is_not_there_is_told(config: Path) -> None:
    with pytest.raises(BadInput, match="there is no such configuration file"):
        settings.load(config)


def test_hooks_are_argument_lists_or_texts_for_a_shell(config: Path) -> None:
    config.write_text("hooks: {before_stop: {command: [/bin/drain, --now]}, verify: {shell: 'curl $X', timeout_seconds: 5}}\n")
    hooks = settings.load(config).the_hooks
    assert hooks == {
        When.BEFORE_STOP: Hook(command=("/bin/drain", "--now")),
        When.VERIFY: Hook(command=("curl $X",), shell=True, timeout_seconds=5),  # noqa: S604
    }


@pytest.mark.parametrize("hook", ["{}", "{command: [a], shell: b}", "{command: [a], timeout_seconds: 0}", "{command: [a], user: root}"])
def test_a_hook_that_is_none_is_told_with_its_field(config: Path, hook: str) -> None:
    config.write_text(f"hooks: {{verify: {hook}}}\n")
    with pytest.raises(BadInput, match=r"hooks\.verify"):
        settings.load(config)
