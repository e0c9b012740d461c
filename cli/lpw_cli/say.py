"""Output of the commands: the only way to the terminal, where untrusted names are escaped.

Results go to standard output; notes, progress and errors to standard error. With `--json` the
result is one line of JSON, and each line on standard error is JSON too.
"""

import io
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import click

from lpw_toolkit.names import json_text, show_name, show_text
from lpw_toolkit.progress import set_style


@dataclass(frozen=True)
class OutputMode:
    """How much is printed, and how.

    Attributes:
        as_json: as JSON.
        quiet: no progress and no notes.
        verbose: also times and tracebacks.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


_output = OutputMode()
_STOPPED = "stopped; finished work is kept: run the same command again to resume"
_tell_stopped: Callable[[], str] = lambda: _STOPPED  # noqa: E731


def output() -> OutputMode:
    """How much is printed now."""
    return _output


def set_output(*, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
    """Chooses how much is printed from now on."""
    global _output
    _output = OutputMode(as_json, quiet, verbose)
    set_style("none" if quiet else "json" if as_json else "auto")


def tell_stopped() -> str:
    """What is said when a signal has ended the command."""
    return _tell_stopped()


def set_stopped(tell: Callable[[], str]) -> None:
    """From now on a signal is answered by what `tell` returns then."""
    global _tell_stopped
    _tell_stopped = tell


def say(*lines: object, err: bool = False) -> None:
    """Prints each of `lines` on a line of its own, whatever it holds.

    Args:
        err: on standard error, with `--json` as JSON.

    Errors: OSError where what is printed is not taken.
    """
    if err and _output.as_json:
        for line in lines:
            _print(json_text({"note": str(line)}), err=True)
    elif lines:
        _print("\n".join(map(show_name, lines)), err=err)


def say_note(*lines: object) -> None:
    """Prints what was chosen or left out, on standard error; nothing with `-q`. Errors: as
    `say`."""
    if not _output.quiet:
        say(*lines, err=True)


def say_text(text: str, *, err: bool = False) -> None:
    """Prints a text of several lines, such as a table whose cells are one line each already.
    Errors: as `say`."""
    _print(show_text(text), err=err)


def say_table(text: str) -> None:
    """Prints a table in its form; with `--json` as one line. Errors: as `say`."""
    if _output.as_json:
        say_json(json.loads(text))
    else:
        say_text(text)


def say_json(value: Any) -> None:
    """Prints `value` as one line of JSON. Errors: as `say`."""
    _print(json_text(value), err=False)


def say_result(fields: Any, *lines: object) -> None:
    """Prints a result: `fields` with `--json`, `lines` else. Errors: as `say`."""
    if _output.as_json:
        say_json(fields)
    else:
        say(*lines)


def say_error(fields: dict[str, Any], exit_code: int) -> None:
    """Prints an error of one line, on standard error. Errors: as `say`.

    Args:
        fields: `message`, and where known its parts.
    """
    if _output.as_json:
        _print(json_text({"error": fields, "exit_code": exit_code}), err=True)
    else:
        say(f"lpw: {fields['message']}", err=True)


def say_traceback(error: BaseException) -> None:
    """Prints where an error came from, on standard error. Errors: as `say`."""
    say(*"".join(traceback.format_exception(error)).splitlines(), err=True)


def say_click_error(error: click.ClickException) -> None:
    """Prints what click found wrong with the call, and how to call. Errors: as `say`."""
    whole, message = io.StringIO(), error.format_message()
    if _output.as_json:
        say_error({"message": show_name(message)}, error.exit_code)
        return
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
