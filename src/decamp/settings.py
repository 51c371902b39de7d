"""decamp.yaml and the environment, as one typed object: which clouds, the mapping, the policy, the ways to stop and start things."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from decamp.model.errors import BadInput
from decamp.model.hooks import Hook as PlannedHook
from decamp.model.hooks import When
from decamp.model.mapping import Mapping
from decamp.model.policy import Policy


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Clouds(_Strict):
    """Names of entries in clouds.yaml."""

    old: str = "old"
    new: str = "new"
    undercloud: str = "undercloud"


class StopCompute(_Strict):
    """How nova-compute is stopped on a host of the old cloud."""

    command: tuple[str, ...] = ()
    """An argument list, never run through a shell; `{host}` stands for the host's name. Exit status 0: it is stopped."""
    timeout_seconds: float = 120
    report_seconds: float = Field(default=10, gt=0)
    """`report_interval` of nova-compute there: without a report for longer, it has stopped."""


class Hook(_Strict):
    """A command that is run around the hand-over of each server, on the machine that applies the plan. Exit status 0: the move goes on."""

    command: tuple[str, ...] = ()
    """An argument list, never run through a shell."""
    shell: str | None = None
    """In its place: a text for /bin/sh -c."""
    timeout_seconds: float = Field(default=600, gt=0)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Hook:
        if bool(self.command) == bool(self.shell):
            raise ValueError("a hook has either a command, which is an argument list, or a shell text")
        return self

    @property
    def planned(self) -> PlannedHook:
        return PlannedHook(
            command=(self.shell,) if self.shell else self.command, shell=bool(self.shell), timeout_seconds=self.timeout_seconds
        )


class Hooks(_Strict):
    """See `model.hooks.When`."""

    before_stop: Hook | None = None
    after_copy: Hook | None = None
    after_start: Hook | None = None
    verify: Hook | None = None


class Canary(_Strict):
    """What is booted on a new host before it counts: names or ids in the new cloud."""

    image: str
    flavor: str
    network: str | None = None


class Expand(_Strict):
    instackenv: Path | None = None
    stack: str = "overcloud"
    count_parameter: str = "ComputeCount"
    resource_class: str = "baremetal"
    memory_tolerance: float = 0.05
    """Firmware keeps a little: introspected memory may be this fraction below the declared."""
    canary: Canary | None = None


class Settings(BaseSettings):
    """Paths in the file are relative to its folder. Every field can be set in the environment: DECAMP_CLOUDS__OLD=prod ..."""

    model_config = SettingsConfigDict(env_prefix="DECAMP_", env_nested_delimiter="__", extra="forbid", frozen=True)

    clouds: Clouds = Clouds()
    clouds_file: Path | None = None
    """null: openstacksdk's standard search path (OS_CLIENT_CONFIG_FILE, ./clouds.yaml, ~/.config/openstack, /etc/openstack)."""
    state: str | None = None
    """Database URL of runs and ledger: sqlite:///PATH or postgresql://...; null: sqlite under $XDG_STATE_HOME/decamp."""
    hidden_parameters: Path | None = None
    """Values that Heat hides, YAML of mode 600: stack (name or id): {parameter: value}."""
    mapping: dict[str, dict[str, str]] = Field(default_factory=dict)
    policy: dict[str, Any] = Field(default_factory=dict)
    hooks: Hooks = Hooks()
    stop_compute: StopCompute | None = None
    expand: Expand = Expand()

    @field_validator("mapping")
    @classmethod
    def _mapping_is_known(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        msgspec.convert(value, Mapping)
        return value

    @field_validator("policy")
    @classmethod
    def _policy_is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        msgspec.convert(value, Policy)
        return value

    @property
    def the_mapping(self) -> Mapping:
        return msgspec.convert(self.mapping, Mapping)

    @property
    def the_policy(self) -> Policy:
        return msgspec.convert(self.policy, Policy)

    @property
    def the_hooks(self) -> dict[When, PlannedHook]:
        return {when: hook.planned for when in When if (hook := getattr(self.hooks, when.value))}

    @property
    def state_url(self) -> str:
        if self.state:
            return self.state
        return f"sqlite:///{_own_state() / 'decamp.sqlite'}"

    @property
    def copies_folder(self) -> Path:
        """Where this machine notes what becomes of images that are carried by a process of their own: beside the state database."""
        path = self.state_url.removeprefix("sqlite:///")
        return (_own_state() if path == self.state_url else Path(path).parent) / "copies"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load(file: Path | None = None) -> Settings:
    """From `file`, else ./decamp.yaml, else ~/.config/decamp/decamp.yaml, else defaults. Raises BadInput, naming file and field."""
    path = file or next((p for p in (Path("decamp.yaml"), _user_file()) if p.is_file()), None)
    if file and not file.is_file():
        raise BadInput(f"{file}: there is no such configuration file")
    try:
        values = YamlConfigSettingsSource(Settings, yaml_file=path)() if path else {}
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "top level"
        raise BadInput(f"{path or 'environment'}: {field}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read as YAML: {error}") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise BadInput(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
        raise
    return _anchored(settings, path.resolve().parent if path else Path.cwd())


def _own_state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "decamp"


def _user_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "decamp" / "decamp.yaml"


def _anchored(settings: Settings, folder: Path) -> Settings:
    def absolute(path: Path | None) -> Path | None:
        return folder / path.expanduser() if path else None

    state = settings.state
    if state and state.startswith("sqlite:///") and not state.startswith("sqlite:////"):
        state = f"sqlite:///{folder / state.removeprefix('sqlite:///')}"
    expand = settings.expand.model_copy(update={"instackenv": absolute(settings.expand.instackenv)})
    paths = {"clouds_file": absolute(settings.clouds_file), "hidden_parameters": absolute(settings.hidden_parameters)}
    return settings.model_copy(update={**paths, "expand": expand, "state": state})
