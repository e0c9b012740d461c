"""What a user leaves open in an evaluation, or says in words: the protocol, and which splits; the
command and Python take it by the same pieces."""

from collections.abc import Sequence

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.protocol_choice import choose_protocol

ALL = "all"


def take_protocol(dataset: Dataset, protocol: str | None) -> tuple[str, list[str]]:
    """The protocol that is named, or the one that fits, which a line names with the reason.

    Errors: LpwError for a dataset on which nothing can be tested.
    """
    if protocol is not None:
        return protocol, []
    name, reason = choose_protocol(dataset)
    return name, [f"protocol: {name} ({reason})"]


def take_splits(given: str | int | Sequence[int] | None) -> list[int] | None:
    """Numbers of splits; None for all.

    Args:
        given: a number, also as text, several numbers, or `all`; None is all too.

    Errors: LpwError for anything else.

    >>> take_splits("3"), take_splits([0, 1]), take_splits("all")
    ([3], [0, 1], None)
    """
    if given is None or given == ALL:
        return None
    if isinstance(given, str):
        numbers: list[object] = [int(given) if given.isdecimal() and len(given) <= 4 else given]
    else:
        numbers = [given] if isinstance(given, int) else list(given)
    if not numbers or any(type(n) is not int or n < 0 for n in numbers):
        expected = "the number of a split, from 0, or all"
        raise LpwError("option --split", str(given), expected, "correct it")
    return [n for n in numbers if isinstance(n, int)]
