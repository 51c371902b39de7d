"""Values that Heat hides of a stack's parameters, as their owner gives them: in a file, or when asked. No document has them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from decamp.model.errors import BadInput, Refused
from decamp.model.survey import Resource

OTHERS = stat.S_IRWXG | stat.S_IRWXO


class HiddenValues:
    """From the file that the configuration names, read anew whenever it is asked, and from what was answered in this process."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._answers: dict[tuple[str, str], str] = {}

    def answer(self, stack: Resource, parameter: str, value: str) -> None:
        """Goes before the file, for as long as this process lives."""
        self._answers[stack.id, parameter] = value

    def of(self, stack: Resource) -> Mapping[str, str]:
        """Parameter -> value, of all that Heat hides. Raises Refused where one is not known, BadInput for a file that cannot be used."""
        if missing := self.missing(stack):
            raise Refused(f"stack {stack.name}: the values of {', '.join(missing)} are not known, which Heat hides: {self._how()}")
        given = self._given(stack)
        return {name: given[name] for name in stack.spec["hidden"]}

    def missing(self, stack: Resource) -> tuple[str, ...]:
        given = self._given(stack)
        return tuple(name for name in stack.spec["hidden"] if name not in given)

    def _how(self) -> str:
        where = str(self._file) if self._file else "a file of mode 600, named by `hidden_parameters` in decamp.yaml"
        return f"give them in {where} (stack: {{parameter: value}}), or apply at a terminal, where they are asked for"

    def _given(self, stack: Resource) -> dict[str, str]:
        table = self._read()
        given: dict[str, str] = {}
        for key in (stack.name, stack.id):
            found = table.get(key) or {}
            if not isinstance(found, dict):
                raise BadInput(f"{self._file}: {key}: it should have parameters with their values")
            given |= {str(name): _text(value) for name, value in cast("dict[Any, Any]", found).items()}
        return given | {name: value for (one, name), value in self._answers.items() if one == stack.id}

    def _read(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            with self._file.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & OTHERS:
                    raise BadInput(f"{self._file}: others than its owner may read it, and it holds secrets: chmod 600")
                table: Any = yaml.safe_load(file)
        except OSError as error:
            raise BadInput(f"{self._file}: cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError):
            raise BadInput(f"{self._file}: not valid YAML") from None
        if not isinstance(table or {}, dict):
            raise BadInput(f"{self._file}: it should have stacks with their parameters")
        return cast("dict[str, Any]", table or {})


def _text(value: Any) -> str:
    """As Heat takes it."""
    return value if isinstance(value, str) else json.dumps(value)
