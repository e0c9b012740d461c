"""What the commands print: the one way to the terminal, where a name from elsewhere is only ever
shown."""

import io
import sys
import traceback
import warnings
from types import TracebackType
from typing import Any

import click

from lpw_toolkit.names import json_text, show_name, show_text


def say(*lines: object, err: bool = False) -> None:
    """Prints each of `lines` on a line of its own, whatever it holds.

    Args:
        err: on standard error.

    Errors: OSError where what is printed is not taken.
    """
    if lines:
        _print("\n".join(map(show_name, lines)), err=err)


def say_text(text: str, *, err: bool = False) -> None:
    """Prints a text of several lines, such as a table whose cells are one line each already.
    Errors: as `say`."""
    _print(show_text(text), err=err)


def say_json(value: Any) -> None:
    """Prints `value` as one line of JSON. Errors: as `say`."""
    _print(json_text(value), err=False)


def say_click_error(error: click.ClickException) -> None:
    """Prints what click found wrong with the call, and how to call. Errors: as `say`."""
    whole, message = io.StringIO(), error.format_message()
    error.show(whole)
    shown = (
        message if isinstance(error, click.MissingParameter) else show_name(message)
    )  # it lists choices in lines
    head = whole.getvalue().rstrip("\n").removesuffix(message)
    say_text(f"{head}{shown}".replace("\t", "  "), err=True)


def guard_terminal() -> None:
    """From now on warnings of libraries, and the report of a bug of ours, are shown as everything
    else is."""
    warnings.formatwarning = lambda message, category, *_args, **_words: (
        f"{category.__name__}: {show_name(message)}\n"
    )
    sys.excepthook = _show_bug


def _show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    say_text("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), err=True)


def _print(text: str, *, err: bool) -> None:
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)
