"""Reads a text line by line, with a bound on the length of a line."""

import re
from collections.abc import Iterator

from lpw_toolkit.files.limits import LimitValueError, explain_limit, limit

_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


class LongLineError(LimitValueError):
    """A line beyond the bound `line_bytes`; the text says which one."""


def iter_lines(text: str) -> Iterator[str]:
    """The lines of `text` with their ends (LF, CR LF or CR), as `csv.reader` wants them, in little
    memory.

    Errors: LongLineError.

    >>> list(iter_lines("a,b\\r\\nc"))
    ['a,b\\r\\n', 'c']
    """
    most = limit("line_bytes")
    for number, match in enumerate(_LINE.finditer(text), start=1):
        if match.end() - match.start() > most:
            got = f"line {number} with {match.end() - match.start()} letters"
            raise LongLineError(explain_limit("line_bytes", got))
        yield match[0]
