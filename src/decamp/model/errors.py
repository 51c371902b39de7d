"""What can go wrong, told apart by what the operator does next. An exception's docstring is its default message."""

from __future__ import annotations

from typing import ClassVar

from decamp.model.setbacks import Setback


class Error(Exception):
    """Decamp could not go on."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, *, setback: Setback | None = None) -> None:
        """`setback` says the same to those who plan the rest, where an action of a vacate ends with this."""
        super().__init__(message or self.__doc__)
        self.setback = setback

    @property
    def message(self) -> str:
        return str(self)


class Failed(Error):
    """The cloud answered that it could not do this: look at the cause, then resume."""

    exit_code = 1


class BadInput(Error):
    """What Decamp was given (a file, an id, the configuration, credentials) cannot be used: correct it."""

    exit_code = 2


class Refused(Error):
    """This will not be done as things stand: change the plan, or what stands in its way."""

    exit_code = 3


class Changed(Error):
    """What the plan was made from has changed since: make a new plan."""

    exit_code = 4


class Unreachable(Error):
    """A service does not answer, or not now: the same call may be made again."""

    exit_code = 5


class Unanswered(Unreachable):
    """No answer came to a request that may have arrived: what it asks for may be under way."""


class Bug(Error):
    """Decamp contradicts itself: please report this."""

    exit_code = 1
