"""One decision of a reviewer: its fields, and strict parsing of untrusted log lines.

`FIELDS` and the operations declare the form of a line once: the checks here and
`manifests/cleanup/decision.schema.json` are both made of it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

from lpw_toolkit.cleaning.field import (
    MAX_ID_CHARS,
    MAX_POSITION,
    SHA256,
    WORDS,
    BadLineError,
    Field,
    Match,
    Text,
    Time,
    Uuid,
    Whole,
)
from lpw_toolkit.cleaning.operation import EDITS, VERDICTS, Operation, Role, load_operations

VERSION = 2
#: Lines of version 1 go on counting as they did: there an edit or a merge was a verdict too.
VERSIONS = (1, 2)
MAX_LINE_BYTES = 64 << 10
MAX_REVIEWER_CHARS = 40
#: Reviewers of this prefix are rules, not people: what a person says counts for more.
RULE_PREFIX = "auto-"

TRACKLET_NAME = Text(MAX_ID_CHARS)
#: Every field of a line but `version`, and those that its operation decides on.
FIELDS: dict[str, Field] = {
    "seq": Whole(0, MAX_POSITION, description="Number of the line in its log, from 0."),
    "uuid": Uuid(description="Made by the page; a retry has the same one."),
    "time": Time(description="UTC; for people only, nothing is ordered by it."),
    "reviewer": Match(
        WORDS, MAX_REVIEWER_CHARS, description="The log's name; auto-… is a rule, not a person."
    ),
    "seen": Match(
        SHA256,
        description="Digest of the state that the reviewer saw: of the dataset and the set of "
        "decisions known.",
    ),
    "previous": Match(
        SHA256,
        description="SHA-256 of the line before, without its line break; of the first line the "
        "digest of the dataset.",
    ),
    "spent_ms": Whole(0, 10**9, description="How long the person took."),
}


@dataclass(frozen=True)
class Request:
    """What a page sends: a decision without its place in the log.

    Attributes:
        uuid: made by the page, lower case with dashes; a retry has the same one.
        operation: the name of one of `operations/`.
        tracklets: names of pieces (`pieces.name_piece`): a tracklet, or `ID@START-STOP` for a part
            of it.
        arguments: those of its operation, by name; {} where it has none.
        spent_ms: how long the person took.
    """

    uuid: str
    operation: str
    tracklets: tuple[str, ...]
    arguments: dict[str, Any]
    spent_ms: int

    @property
    def role(self) -> Role:
        """The effect of the operation on the state."""
        return load_operations()[self.operation].role

    @property
    def value(self) -> Any:
        """The value that the role needs (`Role`)."""
        return load_operations()[self.operation].value_of(self.arguments)

    @property
    def content(self) -> str:
        """The decision without its time: equal for a retry."""
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
    def is_settling(self) -> bool:
        """Whether its reviewer has judged the piece by it: by an accept or a reject, and up to
        version 1 by an edit too."""
        return self.role in VERDICTS or (self.version == 1 and self.role in EDITS)

    @property
    def order(self) -> tuple[int, str, str]:
        """Its place among the decisions of all reviewers: number in its log, reviewer, uuid. Never
        the clock."""
        return self.seq, self.reviewer, self.uuid


_LINE_FIELDS = frozenset(field.name for field in fields(Decision)) - {"sha256"}
_REQUEST_FIELDS = frozenset(field.name for field in fields(Request))


def format_line(decision: Decision) -> bytes:
    """The line of `decision`, UTF-8, without a line break."""
    entry = {key: value for key, value in asdict(decision).items() if key != "sha256"}
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
    if not isinstance(entry, dict) or set(entry) != _LINE_FIELDS:
        raise BadLineError("other fields than those of a decision")
    if type(entry["version"]) is not int or entry["version"] not in VERSIONS:
        raise BadLineError(
            f"version {entry['version']!r:.20}, not {VERSION}: written by another version of lpw"
        )
    request = check_request({name: entry[name] for name in _REQUEST_FIELDS})
    own = {name: entry[name] for name in _LINE_FIELDS - _REQUEST_FIELDS}
    for name, field in FIELDS.items():
        if name in own:
            field.check(own[name], name)
    return Decision(**vars(request), **own, sha256=hashlib.sha256(line).hexdigest())


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        raise ValueError("a key twice")
    return entry


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def check_reviewer(name: object) -> str:
    """`name` if it may be that of a reviewer: lower-case words of letters and digits. Errors:
    BadLineError."""
    FIELDS["reviewer"].check(name, "reviewer")
    return str(name)


def check_request(entry: object) -> Request:
    """The request in `entry`, a dictionary with the attributes of `Request` as JSON gives it.
    Errors: BadLineError."""
    if not isinstance(entry, dict) or set(entry) != _REQUEST_FIELDS:
        raise BadLineError("other fields than those of a decision")
    name = entry["operation"]
    if not isinstance(name, str) or name not in load_operations():
        raise BadLineError(f"unknown operation {name!r:.40}")
    operation = load_operations()[name]
    tracklets = entry["tracklets"]
    low, high = operation.n_tracklets
    if not isinstance(tracklets, list | tuple) or not low <= len(tracklets) <= high:
        raise BadLineError(f"{name} names {low} to {high} tracklets")
    for each in tracklets:
        TRACKLET_NAME.check(each, "a tracklet's name")
    if len(set(tracklets)) != len(tracklets):
        raise BadLineError("a tracklet twice")
    _check_arguments(name, operation, entry["arguments"])
    for key in ("spent_ms", "uuid"):
        FIELDS[key].check(entry[key], key)
    return Request(**entry | {"tracklets": tuple(entry["tracklets"])})


def _check_arguments(name: str, operation: Operation, arguments: object) -> None:
    if not isinstance(arguments, dict):
        raise BadLineError("arguments is no object")
    if set(arguments) != set(operation.arguments):
        wanted = f"only {', '.join(operation.arguments)}" if operation.arguments else "none"
        raise BadLineError(f"arguments of {name}: {wanted}")
    for key, argument in operation.arguments.items():
        argument.check(arguments[key], key)
