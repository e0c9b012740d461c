"""The errors that a user can meet: one line each, *thing: got X; expected Y; do Z*."""

import difflib
from collections.abc import Iterable, Sequence

from lpw_toolkit.names import show_name

_MAX_CHARS = (
    1_000  # of each part: a path takes up to 4,096 bytes, the text of another library any number
)


class LpwError(Exception):
    """A fault of the input or of the call, told in one line without a traceback, whatever the names
    in it hold.

    Args:
        thing: what is wrong, usually a path or an option.
        got: what was found.
        expected: what should have been there.
        hint: the remedy.
    """

    exit_code = 2

    def __init__(self, thing: object, got: str, expected: str, hint: str) -> None:
        self.thing, self.got, self.expected, self.hint = str(thing), got, expected, hint
        shown = (
            show_name(" ".join(str(part).splitlines()), _MAX_CHARS)
            for part in (self.thing, got, expected, hint)
        )
        super().__init__("{}: got {}; expected {}; {}".format(*shown))

    def __reduce__(self) -> tuple[type["LpwError"], tuple[str, str, str, str]]:
        return type(self), (
            self.thing,
            self.got,
            self.expected,
            self.hint,
        )  # passes between processes


class MismatchError(LpwError):
    """Data that does not match its own manifest (exit code 3)."""

    exit_code = 3


class OverLimitError(Exception):
    """Marks an error about something beyond a bound of `files/limits.py`. What follows from it (by
    `raise … from`) ends with exit code 2: the data may be right, and `--limit` opens it."""


class LimitMismatchError(OverLimitError, MismatchError):
    """A part of a dataset or log that is beyond a bound (exit code 2)."""

    exit_code = 2


class CorruptCropError(MismatchError):
    """An image whose bytes are not the ones that the index names."""


class OutputError(LpwError):
    """A place that takes no files, such as a full disk: a fault of the machine, not of one input
    among others."""


class PartialError(LpwError):
    """The work ended, but parts of the input could not be used (exit code 4)."""

    exit_code = 4


def exit_code_of(error: LpwError) -> int:
    """The exit code of a command that ends with `error`: 2 where a bound is its cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OverLimitError):
            return LpwError.exit_code
        cause = cause.__cause__
    return error.exit_code


def check_range(
    thing: str,
    value: object,
    low: float,
    high: float,
    *,
    above: bool = False,
    below: bool = False,
    whole: bool = False,
) -> None:
    """Refuses what is no number within `low` to `high`, both included; NaN and infinity never are.

    Args:
        thing: what the user knows the number as, for example `option --fps`.
        above, below: `low` (`high`) itself is refused.
        whole: only whole numbers are let through.

    Errors: LpwError.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
        at_limit = (above and value == low) or (below and value == high)
        if not at_limit and (value == int(value) or not whole):
            return
    kind = "a whole number " if whole else "a number "
    expected = (
        f"{kind}{'above' if above else 'from'} {low:.10g} to {'below ' if below else ''}{high:.10g}"
    )
    raise LpwError(thing, f"{value}", expected, "choose another value")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever its case; None where none is near.

    >>> nearest("Trian", ["train", "eval"])
    'train'
    """
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    return by_lower[near[0]] if near and by_lower[near[0]] != name else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean X?`, or nothing where no known name is near.

    >>> did_you_mean("trian", ["train", "eval"])
    ' Did you mean train?'
    """
    near = nearest(name, known)
    return f" Did you mean {near}?" if near else ""


def unknown_name(
    thing: str,
    got: str | Sequence[str],
    known: Sequence[str],
    *,
    expected: str | None = None,
    hint: str = "choose one of them",
) -> "LpwError":
    """What is raised for a name that is none of `known`: it lists them, and suggests the nearest.

    Args:
        thing: what the user knows the name as, for example `option --protocol`.
        got: the name, or several; the nearest to the first is suggested.
        expected: what stands instead of the list.
        hint: what to do.

    >>> print(unknown_name("option --preset", "papper", ["default", "paper"]))
    option --preset: got papper; expected default, paper; choose one of them; did you mean paper?
    """
    names = [got] if isinstance(got, str) else got
    near = nearest(names[0], known)
    hint += f"; did you mean {near}?" if near else ""
    return LpwError(thing, join_names(names), expected or ", ".join(known), hint)


def option_name(field: str) -> str:
    """The name under which a user knows a field of a configuration: `option --min-height-px`."""
    return f"option --{field.replace('_', '-')}"


def install_hint(extra: str) -> str:
    """How to install an extra, from a wheel and in a clone.

    >>> install_hint("plot")
    'pip install "lpw-toolkit[plot]" (in a clone: pip install -e ".[plot]")'
    """
    return f'pip install "lpw-toolkit[{extra}]" (in a clone: pip install -e ".[{extra}]")'


def join_names(names: Sequence[object], limit: int = 8) -> str:
    """The first `limit` of `names`, and how many more there are."""
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(str(name) for name in names[:limit]) + rest
