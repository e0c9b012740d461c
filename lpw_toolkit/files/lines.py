"""Reads a text line by line, with a bound on the length of a line."""

import re
from collections.abc import Iterator
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import LimitValueError, explain_limit, limit
from lpw_toolkit.files.opening import read_text
from lpw_toolkit.files.writing import describe_os_error

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


def read_table_text(file: Path, expected: str) -> str:
    """The text of a small table that a user wrote: UTF-8, also with a byte order mark; bytes that
    are none may be those of file names, and stay.

    Args:
        expected: for the message, such as `a list that can be read`.

    Errors: LpwError.
    """
    try:
        return read_text(file, "table_text_bytes", encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise LpwError(file, describe_os_error(error), expected, "check the path") from error
