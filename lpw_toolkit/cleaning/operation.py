"""The contract of an operation: one file in `operations/`, or an entry point of another package.

    operations/star.py
    OPERATION = Operation("starred", Role.FLAG, value="star", page=PageKey("*", "star"))

It says which arguments the operation has, which part of the rules it feeds, and what the review
page shows. The form of a line, the rules, the server and the page read it; nothing lists names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from lpw_toolkit.cleaning.field import Choice, Field
from lpw_toolkit.plugins import PluginFolder

OPERATIONS = PluginFolder("lpw_toolkit.cleaning.operations", "operation")
MAX_TRACKLETS = 500


class Role(StrEnum):
    """The effect of an operation on the state, and (in brackets) the value that it needs."""

    ACCEPT = "accept"  # the piece is fine
    REJECT = "reject"  # the piece is left out (why, or None)
    DROP = "drop"  # frames are left out (half-open ranges)
    RESTORE = "restore"  # frames are kept (half-open ranges)
    CUT = "cut"  # the piece becomes two (first position of the later one)
    JOIN = "join"  # pieces of one camera become one tracklet
    SAME = "same"  # the pieces show one person
    DIFFERENT = "different"  # the first piece shows another person than the others
    NUMBER = "number"  # the person gets a number in its scene (number)
    FLAG = "flag"  # the piece is marked (word)
    COMMENT = "comment"  # the piece gets a note (text)
    UNDO = "undo"  # another decision counts no more (its uuid)
    CHECK = "check"  # the result of an attention check (the check); changes nothing


VERDICTS = frozenset({Role.ACCEPT, Role.REJECT})
#: Who does one of these changes the piece; whether it is fine then is another decision.
EDITS = frozenset({Role.DROP, Role.RESTORE, Role.CUT, Role.JOIN})
IDENTITY = frozenset({Role.SAME, Role.DIFFERENT, Role.NUMBER})
#: After these persons and conflicts are what they were.
NOTES = frozenset({Role.ACCEPT, Role.FLAG, Role.COMMENT, Role.CHECK})


@dataclass(frozen=True)
class PageKey:
    """The key of an operation on the review page.

    Attributes:
        key: as the browser names it, `Space` for the space bar; people may choose another one.
        title: what the help says.
        arguments: sent without asking; None: the page asks for the argument, if there is one.
        question: what it asks.
    """

    key: str
    title: str
    arguments: Mapping[str, Any] | None = None
    question: str = ""


@dataclass(frozen=True)
class Operation:
    """An operation.

    Attributes:
        title: what the list of decisions says, in the past tense.
        role: what it does to the state.
        n_tracklets: how many tracklets it names, least and most.
        arguments: the fields of its arguments; the first is the value that its role needs.
        value: that value where it has no arguments.
        page: its key; None where the page does not offer it by itself.
    """

    title: str
    role: Role
    n_tracklets: tuple[int, int] = (1, MAX_TRACKLETS)
    arguments: Mapping[str, Field] = field(default_factory=dict)
    value: Any = None
    page: PageKey | None = None

    def value_of(self, arguments: Mapping[str, Any]) -> Any:
        """The value that the role needs."""
        return next((arguments[name] for name in self.arguments), self.value)

    def as_fields(self) -> dict[str, Any]:
        """The operation for the page."""
        return {
            "title": self.title,
            "role": self.role.value,
            "value": self.value,
            "arguments": [
                {
                    "name": name,
                    "kind": argument.kind,
                    "choices": list(argument.names) if isinstance(argument, Choice) else [],
                }
                for name, argument in self.arguments.items()
            ],
            "page": vars(self.page) if self.page else None,
        }


@cache
def load_operations() -> dict[str, Operation]:
    """All operations by name.

    >>> load_operations()["reject"].title
    'rejected'
    """
    return {name: OPERATIONS.load(name).OPERATION for name in OPERATIONS.names()}
