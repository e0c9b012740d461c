"""Makes untrusted names and texts safe for a terminal, a table, a page, and as file names.

    any text --show_name--> one visible line --csv_cell, latex_cell, markdown_cell, html_text--> a
    cell that is text

What a terminal, a spreadsheet, LaTeX, Markdown or a browser would act on becomes visible
characters: an escape sequence, a mark that turns the direction of the text, a character of no
width. Ordinary letters of every script stay.
"""

import csv
import html
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

#: The longest file name that `safe_file_name` makes; file systems take 255, and an export adds a
#: suffix to it.
MAX_NAME_BYTES = 200
#: Characters that Unicode calls printable and that nobody sees: fillers, blanks, variation
#: selectors, joiners.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_ODD = re.compile(r"[^\x20-\x7e]")
#: A number, or a name that begins with one and has nothing to compute with: Market-1501 names
#: distractors `-1_c1s1…`.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|-\d+_\w+", re.ASCII)
#: Where a spreadsheet would begin to compute: at the beginning, and after the separator of half of
#: Europe.
_FORMULA = re.compile(r"(^|;)(?=[=+\-@'\t\r\n\uff1d\uff0b\uff0d\uff20])")
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "…": r"\ldots{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}  # fmt: skip
_MARKDOWN = re.compile(r"[\\|*_`<>\[\]&~$]|!(?=\[)|^[#+-]+(?= )|^\d+(?=[.)] )")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # in names, on Windows
#: Devices of Windows, with any suffix: who opens `aux.txt` there opens a serial port.
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3]) *(?:\.|$)", re.IGNORECASE
)


def show_name(text: object, limit: int | None = None) -> str:
    r"""`text` as one line that a terminal only shows: whatever it would act on, or not show, stands
    as an escape.

    Args:
        limit: the most characters; of a longer text the beginning and the end are shown.

    >>> show_name("cam\x1b]0;pwn\x07 \u202e1\n")
    'cam\\x1b]0;pwn\\x07 \\u202e1\\n'
    """
    line = str(text)
    if limit is not None and len(line) > limit:
        line = _cut(line, limit)
    if not line.isprintable() or not (line.isascii() or _UNSEEN.search(line) is None):
        line = "".join(map(_escape, line))
    return line if limit is None else _cut(line, limit)


def show_in_page(value: Any) -> Any:
    """`value`, made of lists, dicts and texts, with every text as `show_name` has it, for a script
    to set as text.

    Line and paragraph separators stay: a page shows them as blanks.
    """
    if isinstance(value, str):
        odd = not value.isascii() or not value.isprintable()
        return "".join(c if c in "\u2028\u2029" else _escape(c) for c in value) if odd else value
    if isinstance(value, dict):
        return {key: show_in_page(each) for key, each in value.items()}
    return [show_in_page(each) for each in value] if isinstance(value, (list, tuple)) else value


def show_text(text: str) -> str:
    """`show_name` of each line of a text that ends its lines with line feeds itself, such as a
    table."""
    return "\n".join(map(show_name, text.split("\n")))


def _cut(line: str, limit: int) -> str:
    if len(line) <= limit:
        return line
    n_end = limit // 3
    return f"{line[: limit - n_end - 1]}…{line[len(line) - n_end :]}"


def _is_seen(character: str) -> bool:
    return character.isprintable() and _UNSEEN.match(character) is None


def _escape(character: str) -> str:
    return character if _is_seen(character) else character.encode("unicode_escape").decode("ascii")


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""`value` as JSON in which all that `show_name` escapes is escaped, as JSON does it:
    `\u202e`."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return _ODD.sub(
        lambda match: (
            match[0] if match[0] == "\n" or _is_seen(match[0]) else _escape_json(match[0])
        ),
        text,
    )


def _escape_json(character: str) -> str:
    return json.dumps(character)[1:-1] if character > "\x7f" else f"\\u{ord(character):04x}"


def count_of(n: int, thing: str) -> str:
    """A number and what is counted, `thing` in the singular.

    >>> count_of(1, "camera"), count_of(1200, "packet")
    ('1 camera', '1,200 packets')
    """
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def csv_cell(value: object) -> object:
    """A cell of a CSV file that no spreadsheet computes; numbers, also those that are texts, stay
    numbers.

    A text that begins as a formula does, or with an apostrophe, gets one apostrophe before it, and
    so does one after a semicolon: to read what it was, take that one away. Control characters are
    escaped as by `show_name`.

    >>> [csv_cell(value) for value in (-1, "-1.5", "=1+1", "'a", None)]
    [-1, '-1.5', "'=1+1", "''a", None]
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return show_name(_FORMULA.sub(r"\1'", value))


def format_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows of values as CSV, each by `csv_cell`, lines ended with a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [csv_cell(value) for value in row] for row in rows
    )
    return text.getvalue()


def latex_cell(text: object) -> str:
    r"""`text` as LaTeX prints it, in a cell of a table too: no command, no comment, no end of the
    cell.

    Braces stand before a `[` or `*` at the beginning, which the line break `\\` before it would
    take for its own.
    """
    shown = "".join(_LATEX.get(character, character) for character in show_name(text))
    return f"{{}}{shown}" if shown.startswith(("[", "*")) else shown


def markdown_cell(text: object) -> str:
    """`text` as Markdown shows it, in a cell of a table and in a list too: no link, picture, HTML,
    border or list.

    An address that stands there in full is left alone: it names itself.
    """
    return _MARKDOWN.sub(_escape_mark, show_name(text))


def _escape_mark(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdecimal() else f"\\{match[0]}"


def html_text(text: object) -> str:
    """`text` for a text or a quoted attribute of an HTML page; what `show_name` escapes is
    escaped."""
    return html.escape(show_name(text))


def find_path_fault(path: str) -> str | None:
    """What keeps a relative POSIX path from being one on every system; None for nothing.

    An absolute path and one that climbs have such a part: an empty one, and one that ends in a dot.
    """
    folder, slash, name = path.rpartition("/")
    return _find_part_fault(name) or (_find_folder_fault(folder) if slash else None)


@lru_cache(maxsize=4_096)  # the files of a folder come one after the other
def _find_folder_fault(folder: str) -> str | None:
    return next(filter(None, map(_find_part_fault, folder.split("/"))), None)


def _find_part_fault(part: str) -> str | None:
    if not part or part[-1] in ". ":
        return "a name with an empty part, or one that ends in a dot or space"
    if not part.isprintable() or not (part.isascii() or _UNSEEN.search(part) is None):
        return "a control character in a name"
    if _FORBIDDEN.search(part):
        return "a character in a name that not every system allows"
    if part[0] == "-":
        return "a name that begins with a dash, as options do"
    return "a name that is a device on Windows" if is_device(part) else None


def is_device(part: str) -> bool:
    """Whether Windows takes a file name, with any suffix, for a device: `CON`, `aux.txt`, `COM1
    .jpg`."""
    return _DEVICE.match(part) is not None


def fold_name(name: str) -> str:
    """What a file system that ignores case and Unicode form keeps of `name`."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def safe_file_name(name: str, taken: set[str]) -> str:
    """`name` itself where every file system holds it beside those taken, else a name like it.

    It has no control, bidirectional or unseen character and none that Windows forbids, begins with
    no dash, dot, space or mark of a formula, ends with no dot or space, is no device, takes
    MAX_NAME_BYTES at most, and differs from the others in more than case and Unicode form.

    Args:
        taken: folded names of the same folder; the new one is added.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c if _is_seen(c) and not _FORBIDDEN.match(c) else "_" for c in text)
    text = re.sub(r"^[-. =+@']+|[. ]+$", "_", text)
    if is_device(text):
        base, dot, rest = text.partition(".")
        text = f"{base}_{dot}{rest}"
    text = text or "_"
    made, number = _cut_bytes(text, MAX_NAME_BYTES), 2
    while fold_name(made) in taken:
        mark = f"-{number}"
        made, number = f"{_cut_bytes(text, MAX_NAME_BYTES - len(mark))}{mark}", number + 1
    taken.add(fold_name(made))
    return made


def _cut_bytes(text: str, limit: int) -> str:
    data = text.encode("utf-8")
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore").rstrip(". ")
