"""One decision of a reviewer: what it may hold, and strict reading of lines that a stranger may
have written.

The form of a line is data too: `manifests/cleanup/decision.schema.json`.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, NoReturn

VERSION = 1
MAX_LINE_BYTES = 64 << 10
MAX_TRACKLETS, MAX_RANGES = 500, 2_000
MAX_ID_CHARS, MAX_TEXT_CHARS = 400, 4_000
MAX_POSITION = 2**31 - 1
MAX_SPENT_MS = 10**9

#: Operations, with the least and the largest number of tracklets that each names.
OPERATIONS = {
    "accept": (1, MAX_TRACKLETS),
    "reject": (1, MAX_TRACKLETS),
    "drop_frames": (1, 1),
    "restore_frames": (1, 1),
    "split": (1, 1),
    "merge": (2, MAX_TRACKLETS),
    "link": (2, MAX_TRACKLETS),
    "unlink": (2, MAX_TRACKLETS),
    "assign_person": (1, MAX_TRACKLETS),
    "flag": (1, MAX_TRACKLETS),
    "comment": (1, MAX_TRACKLETS),
    "undo": (0, 0),
    "check": (0, 0),
}
REASONS = (
    "no_person", "several_people", "identity_switch", "occluded", "truncated", "blurred", "static",
    "duplicate",
    "too_short", "other",
)  # fmt: skip
#: Reviewers of this prefix are rules, not people: what a person says counts for more.
RULE_PREFIX = "auto-"

REVIEWER = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
MAX_REVIEWER_CHARS = 40
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHA256 = re.compile(r"[0-9a-f]{64}")
FLAG = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
MAX_FLAG_CHARS = 40
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class BadLineError(ValueError):
    """A line that is no decision; the text says what is wrong with it and never repeats it
    whole."""


@dataclass(frozen=True)
class Request:
    """What a page sends: a decision without its place in the log.

    Attributes:
        uuid: made by the page, lower case with dashes; a retry has the same one.
        operation: a key of `OPERATIONS`.
        tracklets: names of pieces (`pieces.name_piece`): a tracklet, or `ID@START-STOP` for a part
            of it.
        arguments: reject {"reason": one of `REASONS` or null}; drop_frames, restore_frames
            {"frames": [[start, stop], …]}, positions in the tracklet as it was built, half-open,
            ascending; split {"at": position}, the first of the later part; assign_person {"person":
            number in the scene}; flag {"flag": word}; comment {"text": …}; undo {"of": uuid}; check
            {"seam": {"parts": two [tracklet, start, stop], "found": bool}}: an attention check
            spliced from these frames, and whether the two were parted; otherwise {}.
        spent_ms: how long the person took.
    """

    uuid: str
    operation: str
    tracklets: tuple[str, ...]
    arguments: dict[str, Any]
    spent_ms: int

    @property
    def content(self) -> str:
        """What was decided, without when: equal for a retry."""
        return json.dumps([self.operation, self.tracklets, self.arguments], sort_keys=True)


@dataclass(frozen=True)
class Decision(Request):
    """One line of a log.

    Attributes:
        version: of this form.
        seq: number of the line in its log, from 0.
        time: UTC, by the clock of the machine that wrote it; for people only, nothing is ordered by
            it.
        reviewer: who decided; the log's name.
        seen: digest of the state that was seen (`log.Known`).
        previous: SHA-256 of the line before without its line break; of the first line the dataset's
            digest.
        sha256: of this line; not part of it.
    """

    version: int
    seq: int
    time: str
    reviewer: str
    seen: str
    previous: str
    sha256: str = ""

    @property
    def is_by_rule(self) -> bool:
        """Whether an automatic rule decided."""
        return self.reviewer.startswith(RULE_PREFIX)

    @property
    def order(self) -> tuple[int, str, str]:
        """Its place among the decisions of all reviewers: number in its log, reviewer, uuid. Never
        the clock."""
        return self.seq, self.reviewer, self.uuid


_FIELDS = frozenset(field.name for field in fields(Decision)) - {"sha256"}


def format_line(decision: Decision) -> bytes:
    """The line of `decision`, UTF-8, without a line break."""
    return _encode({key: value for key, value in asdict(decision).items() if key != "sha256"})


def _encode(entry: dict[str, Any]) -> bytes:
    return json.dumps(
        entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    ).encode()


def parse_line(line: bytes) -> Decision:
    """The decision in one line, checked field by field. Errors: BadLineError."""
    if len(line) > MAX_LINE_BYTES:
        raise BadLineError(f"{len(line)} bytes, more than {MAX_LINE_BYTES}")
    try:
        entry = json.loads(
            line.decode("utf-8"), object_pairs_hook=_read_object, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"no plain JSON ({error.__class__.__name__})") from error
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise BadLineError("other fields than those of a decision")
    if entry["version"] != VERSION or isinstance(entry["version"], bool):
        raise BadLineError(
            f"version {entry['version']!r:.20}, not {VERSION}: written by another version of lpw"
        )
    request = check_request({name: entry[name] for name in _REQUEST_FIELDS})
    _check_place(entry)
    own = {name: entry[name] for name in _FIELDS - _REQUEST_FIELDS}
    return Decision(**vars(request), **own, sha256=hashlib.sha256(line).hexdigest())


_REQUEST_FIELDS = frozenset(field.name for field in fields(Request))


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        raise ValueError("a key twice")
    return entry


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_place(entry: dict[str, Any]) -> None:
    """The fields that the log adds."""
    _whole(entry["seq"], "seq", 0, MAX_POSITION)
    check_reviewer(entry["reviewer"])
    _match(entry["seen"], "seen", SHA256)
    _match(entry["previous"], "previous", SHA256)
    _match(entry["time"], "time", _TIME)
    try:
        datetime.fromisoformat(entry["time"])
    except ValueError as error:
        raise BadLineError("time is no time") from error


def check_reviewer(name: object) -> str:
    """`name` if it may be that of a reviewer: lower-case words of letters and digits. Errors:
    BadLineError."""
    if isinstance(name, str) and len(name) > MAX_REVIEWER_CHARS:
        raise BadLineError(f"a reviewer's name of more than {MAX_REVIEWER_CHARS} letters")
    return _match(name, "reviewer", REVIEWER)


def check_request(entry: object) -> Request:
    """The request in `entry`, a dictionary with the attributes of `Request` as JSON gives it.
    Errors: BadLineError."""
    if not isinstance(entry, dict) or set(entry) != _REQUEST_FIELDS:
        raise BadLineError("other fields than those of a decision")
    operation, tracklets, arguments = entry["operation"], entry["tracklets"], entry["arguments"]
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise BadLineError(f"unknown operation {operation!r:.40}")
    low, high = OPERATIONS[operation]
    if not isinstance(tracklets, list | tuple) or not low <= len(tracklets) <= high:
        raise BadLineError(f"{operation} names {low} to {high} tracklets")
    for name in tracklets:
        _text(name, "a tracklet's name", MAX_ID_CHARS)
    if len(set(tracklets)) != len(tracklets):
        raise BadLineError("a tracklet twice")
    if not isinstance(arguments, dict):
        raise BadLineError("arguments is no object")
    key, check = _ARGUMENTS.get(operation, (None, None))
    if set(arguments) != ({key} if key else set()):
        raise BadLineError(f"arguments of {operation}: {f'only {key}' if key else 'none'}")
    if check:
        check(arguments[key])
    _whole(entry["spent_ms"], "spent_ms", 0, MAX_SPENT_MS)
    return Request(
        _match(entry["uuid"], "uuid", UUID),
        operation,
        tuple(tracklets),
        arguments,
        entry["spent_ms"],
    )


def _whole(value: object, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadLineError(f"{name} is no whole number from {low} to {high}")
    return value


def _match(value: object, name: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadLineError(f"{name} is not of the form {pattern.pattern}")
    return value


def _text(value: object, name: str, most: int) -> None:
    """Text of any script; kept as it is, never read as markup or a path. No control characters but
    line breaks."""
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise BadLineError(f"{name} is no text of 1 to {most} letters")
    if any(
        (ord(c) < 32 and c not in "\n\t") or 0xD800 <= ord(c) < 0xE000 or c == "\x7f" for c in value
    ):
        raise BadLineError(f"{name} holds control characters")


def _check_frames(value: object) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_RANGES:
        raise BadLineError(f"frames is no list of 1 to {MAX_RANGES} ranges")
    last = -1
    for each in value:
        if not isinstance(each, list) or len(each) != 2:
            raise BadLineError("frames holds something that is no [start, stop]")
        start, stop = (_whole(number, "frames", 0, MAX_POSITION) for number in each)
        if not last < start < stop:
            raise BadLineError(
                "frames holds ranges that are empty, out of order or that touch each other"
            )
        last = stop


def _check_reason(value: object) -> None:
    if value is not None and value not in REASONS:
        raise BadLineError(f"reason is none of {', '.join(REASONS)}")


def _check_flag(value: object) -> None:
    if len(_match(value, "flag", FLAG)) > MAX_FLAG_CHARS:
        raise BadLineError(f"a flag of more than {MAX_FLAG_CHARS} letters")


def _check_seam(value: object) -> None:
    if (
        not isinstance(value, dict)
        or set(value) != {"parts", "found"}
        or not isinstance(value["found"], bool)
    ):
        raise BadLineError("seam holds other things than parts and found")
    if not isinstance(value["parts"], list) or len(value["parts"]) != 2:
        raise BadLineError("parts is no list of two")
    for part in value["parts"]:
        if not isinstance(part, list) or len(part) != 3:
            raise BadLineError("parts holds something that is no [tracklet, start, stop]")
        _text(part[0], "a tracklet's name", MAX_ID_CHARS)
        start, stop = (_whole(number, "parts", 0, MAX_POSITION) for number in part[1:])
        if start >= stop:
            raise BadLineError("parts holds a part without frames")


#: The one argument of an operation, and what checks it.
_ARGUMENTS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "reject": ("reason", _check_reason),
    "drop_frames": ("frames", _check_frames),
    "restore_frames": ("frames", _check_frames),
    "split": ("at", lambda value: _whole(value, "at", 1, MAX_POSITION)),
    "assign_person": ("person", lambda value: _whole(value, "person", 0, 999_999)),
    "flag": ("flag", _check_flag),
    "comment": ("text", lambda value: _text(value, "text", MAX_TEXT_CHARS)),
    "undo": ("of", lambda value: _match(value, "of", UUID)),
    "check": ("seam", _check_seam),
}
