"""Fields of a decision: each knows what it may hold, as a check and as JSON Schema.

A line of a log may have been written by a stranger: checks are strict, and messages never repeat
a value whole.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

MAX_RANGES = 2_000
MAX_ID_CHARS = 400
MAX_POSITION = 2**31 - 1

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHA256 = re.compile(r"[0-9a-f]{64}")
#: Lower-case words of letters and digits.
WORDS = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


class BadLineError(ValueError):
    """A line that is no decision; the text says what is wrong with it and never repeats it
    whole."""


@dataclass(frozen=True, kw_only=True)
class Field(ABC):
    """One field.

    Attributes:
        description: what it means, for the schema; empty where the name says it.
        kind: what the review page asks for; empty where it asks for nothing.
    """

    description: str = ""
    kind: ClassVar[str] = ""

    @abstractmethod
    def check(self, value: object, name: str) -> None:
        """Errors: BadLineError for a value that the field `name` may not hold."""

    @abstractmethod
    def own_schema(self) -> dict[str, Any]:
        """The JSON Schema without the description."""

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema.

        >>> Whole(0, 9, description="A digit.").schema["maximum"]
        9
        """
        described = {"description": self.description} if self.description else {}
        return self.own_schema() | described


@dataclass(frozen=True)
class Whole(Field):
    """A whole number from `low` to `high`."""

    low: int
    high: int
    kind: ClassVar[str] = "number"

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not self.low <= value <= self.high:  # type: ignore[operator]
            raise BadLineError(f"{name} is no whole number from {self.low} to {self.high}")

    def own_schema(self) -> dict[str, Any]:
        """As `Field.own_schema`."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Position(Whole):
    """A frame of the tracklet, as it was built."""

    high: int = MAX_POSITION
    kind: ClassVar[str] = "position"


@dataclass(frozen=True)
class Match(Field):
    """Text of a form: a regular expression for all of it, and at most `max_chars` characters."""

    pattern: re.Pattern[str]
    max_chars: int | None = None
    kind: ClassVar[str] = "word"

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        if isinstance(value, str) and self.max_chars and len(value) > self.max_chars:
            raise BadLineError(f"a {name} of more than {self.max_chars} letters")
        if not isinstance(value, str) or not self.pattern.fullmatch(value):
            raise BadLineError(f"{name} is not of the form {self.pattern.pattern}")

    def own_schema(self) -> dict[str, Any]:
        """As `Field.own_schema`."""
        limit = {"maxLength": self.max_chars} if self.max_chars else {}
        return {"type": "string", **limit, "pattern": f"^{self.pattern.pattern}$"}


@dataclass(frozen=True)
class Uuid(Match):
    """A uuid, lower case with dashes."""

    pattern: re.Pattern[str] = UUID
    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class Time(Match):
    """A time in UTC, to the millisecond."""

    pattern: re.Pattern[str] = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    kind: ClassVar[str] = ""

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        super().check(value, name)
        try:
            datetime.fromisoformat(str(value))
        except ValueError as error:
            raise BadLineError(f"{name} is not a valid time") from error


@dataclass(frozen=True)
class Text(Field):
    """Text of any script; kept as it is, never read as markup or a path. No control characters but
    line breaks."""

    max_chars: int
    kind: ClassVar[str] = "text"

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        if not isinstance(value, str) or not 0 < len(value) <= self.max_chars:
            raise BadLineError(f"{name} is no text of 1 to {self.max_chars} letters")
        if any(
            (ord(c) < 32 and c not in "\n\t") or 0xD800 <= ord(c) < 0xE000 or c == "\x7f"
            for c in value
        ):
            raise BadLineError(f"{name} holds control characters")

    def own_schema(self) -> dict[str, Any]:
        """As `Field.own_schema`."""
        return {"type": "string", "minLength": 1, "maxLength": self.max_chars}


@dataclass(frozen=True)
class Choice(Field):
    """One of `names`, or null."""

    names: tuple[str, ...]
    kind: ClassVar[str] = "choice"

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        if value is not None and value not in self.names:
            raise BadLineError(f"{name} is not one of {', '.join(self.names)}")

    def own_schema(self) -> dict[str, Any]:
        """As `Field.own_schema`."""
        return {"enum": [*self.names, None]}


@dataclass(frozen=True)
class Ranges(Field):
    """Half-open ranges of positions, ascending, apart from each other."""

    kind: ClassVar[str] = "frames"

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_RANGES:
            raise BadLineError(f"{name} is no list of 1 to {MAX_RANGES} ranges")
        last = -1
        for each in value:
            if not isinstance(each, list) or len(each) != 2:
                raise BadLineError(f"{name} holds something that is no [start, stop]")
            for number in each:
                Position(0).check(number, name)
            if not last < each[0] < each[1]:
                raise BadLineError(
                    f"{name} holds ranges that are empty, out of order or that touch each other"
                )
            last = each[1]

    def own_schema(self) -> dict[str, Any]:
        """As `Field.own_schema`."""
        pair = {"type": "array", "minItems": 2, "maxItems": 2, "items": Position(0).schema}
        return {"type": "array", "minItems": 1, "maxItems": MAX_RANGES, "items": pair}
