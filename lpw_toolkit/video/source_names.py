"""Names of sources: scene and camera by path, layout or table, and ids that are safe as file
names."""

import csv
import hashlib
import math
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.lines import LongLineError, iter_lines, read_table_text
from lpw_toolkit.names import is_device

#: `scen1`, `scene_01` … then `view2`, `cam2`, `camera-2` …, each with what follows it; folders or
#: one name.
_BY_PATH = re.compile(
    r"(?:(?P<before>.*)/)?(?P<scene>scene?[ _-]?\d+)[/ _-]"
    r"(?P<camera>(?:view|cam|camera)[ _-]?\d+)(?:[/ _-](?P<after>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_FIELD = re.compile(r"\{([^{}]*)\}")
_COLUMNS, _OPTIONAL = ("path", "scene", "camera"), ("start_s",)
_MAX_ID_BYTES = 80


@dataclass(frozen=True)
class Claim:
    """Declared properties of one video, in the words of its source.

    Args:
        scene: None where nothing names one.
        camera: within the scene.
        part: what tells it from other files of the camera; empty where nothing does.
        named_by: the way it was named.
        start_s: seconds on the clock of the scene; None where unknown.
    """

    scene: str | None
    camera: str
    part: str
    named_by: str
    start_s: float | None = None


def claim_by_path(folder: str, stem: str) -> Claim:
    """Scene and camera by the path.

    Args:
        folder: name of the root, which may be the scene (`lpw build-tracklets video/scen1`).
        stem: path below the root without suffix.
    """
    match = _BY_PATH.fullmatch(stem)
    if match is None:
        match = _BY_PATH.fullmatch(f"{folder}/{stem}")
    if match is not None:
        part = "/".join(filter(None, (match["before"], match["after"])))
        return Claim(match["scene"], match["camera"], part, "path")
    *folders, name = stem.split("/")
    return Claim("/".join(folders) or folder, name, "", "own camera")


def claim_by_layout(layout: str, names: dict[Path, str]) -> dict[Path, Claim]:
    """Scene and camera by a layout; a field takes the shortest text without a slash that fits, from
    left to right.

    Errors: LpwError where the layout is no layout or a file does not fit it.
    """
    pattern = _compile_layout(layout)
    claims = {}
    for path, name in names.items():
        match = pattern.fullmatch(name)
        if match is None:
            raise LpwError(
                "--layout",
                f"{layout!r}, which {printable(name)!r} does not fit",
                "a fit for all",
                "fix it",
            )
        fields = match.groupdict()
        scene, camera = fields.pop("scene", None), fields.pop("camera")
        claims[path] = Claim(scene, camera, "/".join(fields.values()), "layout")
    return claims


def _compile_layout(layout: str) -> re.Pattern[str]:
    fields = _FIELD.findall(layout)
    rest = _FIELD.sub("", layout)
    wrong = [f for f in fields if not re.fullmatch(r"[a-z_][a-z0-9_]*", f)]
    if (
        "camera" not in fields
        or len(set(fields)) != len(fields)
        or wrong
        or "{" in rest
        or "}" in rest
    ):
        expected = (
            "fields in braces, each once, {camera} among them, as {scene}/{camera}_{date}.mp4"
        )
        raise LpwError("--layout", repr(layout), expected, "fix it")
    pieces = _FIELD.split(layout)  # text, field, text, field, …
    pattern = "".join(
        re.escape(p) if i % 2 == 0 else f"(?P<{p}>[^/]+?)" for i, p in enumerate(pieces)
    )
    return re.compile(pattern, re.DOTALL)


def read_cameras(table: Path, names: dict[Path, str]) -> dict[Path, Claim]:
    """Scene and camera by a `cameras.csv`, in the order of `names`. Errors: LpwError with the line
    number."""
    paths = {name: path for path, name in names.items()}
    claims: dict[Path, Claim] = {}
    lines: dict[Path, int] = {}
    for line, row in _read_rows(table):
        name = os.path.normpath(row["path"]).replace(os.sep, "/")
        path = paths.get(name)
        where = f"{table}, line {line}"
        if path is None:
            raise LpwError(
                where,
                f"path {row['path']!r}, which is no video found",
                "a path below the root",
                "fix it",
            )
        if path in claims:
            raise LpwError(
                where,
                f"{row['path']!r}, already in line {lines[path]}",
                "one row a video",
                "remove one",
            )
        if not row["camera"].strip():
            raise LpwError(where, "no camera", "a camera", "fill it in")
        start_s = _read_start(row.get("start_s", ""), where)
        claims[path] = Claim(
            row["scene"].strip() or None, row["camera"].strip(), name, "cameras.csv", start_s
        )
        lines[path] = line
    if not claims:
        raise LpwError(table, "no rows", "one row for each video", "fill it in")
    return {path: claims[path] for path in names if path in claims}


def _read_rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    text = read_table_text(table, "a table that can be read")
    reader = csv.reader(iter_lines(text), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    columns: list[str] = []
    try:
        for cells in reader:
            if not columns:
                columns = _check_columns([c.strip() for c in cells], table)
            elif cells and len(cells) != len(columns):
                raise LpwError(
                    f"{table}, line {reader.line_num}",
                    f"{len(cells)} cells",
                    f"{len(columns)}",
                    "fix it",
                )
            elif cells:
                rows.append((reader.line_num, dict(zip(columns, cells, strict=True))))
    except (csv.Error, LongLineError) as error:
        raise LpwError(
            f"{table}, line {reader.line_num}", str(error), "comma-separated text", "fix it"
        ) from error
    if not columns:
        raise LpwError(table, "an empty file", f"the columns {', '.join(_COLUMNS)}", "fill it in")
    return rows


def _check_columns(columns: list[str], table: Path) -> list[str]:
    missing = [c for c in _COLUMNS if c not in columns]
    unknown = [c for c in columns if c not in _COLUMNS + _OPTIONAL]
    if missing or unknown or len(set(columns)) != len(columns):
        got = (
            f"the columns {', '.join(columns)[:200]} (missing: {missing}, unknown: "
            f"{f'{unknown}'[:200]})"
        )
        raise LpwError(
            f"{table}, line 1",
            got,
            f"{', '.join(_COLUMNS)} and optionally start_s",
            "fix the first line",
        )
    return columns


def _read_start(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        start_s = float(text)
    except ValueError:
        start_s = math.nan
    if not math.isfinite(start_s):
        raise LpwError(where, f"start_s {text!r}", "seconds as a number", "fix it")
    return start_s


class IdMaker:
    """Makes ids that are safe as file names and stay distinct where case or Unicode form does not
    count.

    The first of several names that would become one id keeps it, the others get a short hash of
    their own name.

    Args:
        default: the id of a name without a usable character.
    """

    def __init__(self, default: str) -> None:
        self._default = default
        self._made: dict[tuple[str, str], str] = {}
        self._taken: set[tuple[str, str]] = set()

    def make(self, name: str, *, within: str = "", key: str | None = None) -> str:
        """The id of `name`; the same for the same name.

        Args:
            name: in the words of the source.
            within: ids need to differ only where this is the same.
            key: what the id stands for, where that is more than `name`.
        """
        key = name if key is None else key
        if (within, key) not in self._made:
            made = _make_safe(name) or self._default
            if (within, _fold(made)) in self._taken:
                made = f"{made}-{hashlib.sha256(os.fsencode(key)).hexdigest()[:8]}"
            self._taken.add((within, _fold(made)))
            self._made[within, key] = made
        return self._made[within, key]


def _make_safe(name: str) -> str:
    """Letters, digits and `-_.+=` of any script; everything else becomes `_`; at most 80 bytes of
    UTF-8."""
    text = unicodedata.normalize("NFC", printable(name))
    safe = "".join(c if c.isalnum() or c in "-_.+=" else "_" for c in text).lstrip("-.").rstrip(".")
    safe = safe.encode()[:_MAX_ID_BYTES].decode("utf-8", "ignore").rstrip(".")
    return f"_{safe}" if is_device(safe) else safe


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def decodable(name: str) -> str:
    """`name` as a table, JSON and every terminal takes it: bytes that are no UTF-8 as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def printable(name: str) -> str:
    r"""`name` with bytes that are no UTF-8, control characters and backslashes written as escapes,
    so that no two names look alike.

    >>> printable("view\\1\n.mp4")
    'view\\\\1\\n.mp4'
    """
    text = decodable(name.replace("\\", "\\\\"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
