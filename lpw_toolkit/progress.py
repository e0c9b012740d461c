"""Shows progress of long work: a bar on a terminal, plain lines elsewhere, JSON lines with
`--json`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from lpw_toolkit.names import json_text, show_name

Style = Literal["auto", "json", "none"]
_LINE_EVERY_S = 10.0
_style: Style = "auto"
_said: set[str] = set()


class Progress(Protocol):
    """The receiver of progress reports."""

    def advance(self, n: int = 1) -> None:
        """Says that `n` more units are done."""

    def note(self, text: str) -> None:
        """Shows `text` beside the numbers from now on, such as `loss 1.23`."""


def set_style(style: Style) -> None:
    """Chooses how progress is shown from now on: `auto`, `json` (lines on standard error) or
    `none`."""
    global _style
    _style = style


def say_once(text: str, *, about: str = "") -> None:
    """Shows a note on standard error, once in this process; nothing under the style `none`.

    Args:
        about: of several notes about the same thing the first one is shown; by default the text.
    """
    if (about or text) not in _said:
        _said.add(about or text)
        say_note(text)


def say_note(text: str) -> None:
    """Shows a note of one line on standard error; nothing under the style `none`."""
    if _style == "json":
        print(json_text({"note": text}), file=sys.stderr)  # noqa: T201
    elif _style == "auto":
        print(show_name(text), file=sys.stderr)  # noqa: T201


@contextmanager
def show_progress(title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Progress]:
    """Shows how far `title` has come on standard error, with rate and time left.

    Args:
        total: number of units to come, None where it is not known.
        unit: what is counted, for example `frames`.
        done: units that were done before, which the rate does not count.
    """
    if _style == "auto" and sys.stderr.isatty():
        bar = _Bar(title, total, unit, done)
        try:
            yield bar
        finally:
            bar.close()
        return
    lines = _Lines(title, total, unit, done, as_json=_style == "json", silent=_style == "none")
    yield lines
    lines.close()


class _Bar:
    def __init__(self, title: str, total: int | None, unit: str, done: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=total,
            initial=done,
            desc=show_name(title),
            unit=f" {unit}",
            delay=1.0,
            dynamic_ncols=True,
            leave=False,
        )

    def advance(self, n: int = 1) -> None:
        self._bar.update(n)

    def note(self, text: str) -> None:
        self._bar.set_postfix_str(show_name(text), refresh=False)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    def __init__(
        self, title: str, total: int | None, unit: str, done: int, *, as_json: bool, silent: bool
    ) -> None:
        self._title, self._total, self._unit, self._json, self._silent = (
            title,
            total,
            unit,
            as_json,
            silent,
        )
        self._start = self._last = time.monotonic()
        self._done = self._before = done
        self._note = ""

    def note(self, text: str) -> None:
        self._note = text

    def advance(self, n: int = 1) -> None:
        self._done += n
        if time.monotonic() - self._last >= _LINE_EVERY_S:
            self._last = time.monotonic()
            self._print()

    def close(self) -> None:
        if time.monotonic() - self._start > 1.0:
            self._print()

    def _print(self) -> None:
        if self._silent:
            return
        rate = (self._done - self._before) / max(time.monotonic() - self._start, 1e-9)
        left = (self._total - self._done) / rate if self._total and rate else None
        if self._json:
            fields = {
                "progress": self._title,
                "done": self._done,
                "total": self._total,
                "unit": self._unit,
            }
            fields |= {"per_s": float(f"{rate:.3g}"), "left_s": left and round(left)}
            self._say(json_text(fields | ({"note": self._note} if self._note else {})))
            return
        share = f"/{self._total}" if self._total else ""
        pace = f", {_describe_rate(rate, self._unit)}" if rate else ""
        rest = f", {left:.0f} s left" if left else ""
        note = f", {self._note}" if self._note else ""
        self._say(show_name(f"{self._title}: {self._done}{share} {self._unit}{pace}{rest}{note}"))

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr)  # noqa: T201


def _describe_rate(rate: float, unit: str) -> str:
    """Units in a second, or seconds for a unit where that says more.

    >>> _describe_rate(12.34, "steps"), _describe_rate(0.08, "steps")
    ('12.3/s', '12.5 s per step')
    """
    return f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s per {unit.removesuffix('s')}"
