"""The log of one reviewer, `cleanup/<reviewer>.jsonl`: append-only, one decision per line, each
line chained to the previous one.

    open -> lock, verify the whole chain, repair a torn last line -> append: one write, fsync, then
    acknowledged

Nothing is ordered or judged by the clock. A line counts once its line break is on the disk; a last
line without one was never acknowledged: it is kept where it is whole, and cut off where it is not.
"""

import errno
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from lpw_toolkit.cleaning.field import BadLineError
from lpw_toolkit.cleaning.log.decisions import (
    VERSION,
    Decision,
    Request,
    check_request,
    check_reviewer,
    format_line,
    parse_line,
)
from lpw_toolkit.errors import LimitMismatchError, LpwError, MismatchError
from lpw_toolkit.files.appending import Appender
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import read_bytes
from lpw_toolkit.files.writing import describe_os_error, make_folder

FOLDER = "cleanup"
SUFFIX = ".jsonl"
#: Zeros that a power failure may leave behind the last line: one block of a file system.
MAX_TORN_ZEROS = 4_096
#: `anna.jsonl`, and `anna.0a1b2c3d.jsonl` for a second line of history by the same reviewer
#: (`merge.merge_folder`).
_FILE_NAME = re.compile(r"([a-z0-9_-]+)(?:\.[0-9a-f]{8})?\.jsonl")
_DO = "restore the file from a copy, or move it out of the folder"


class StateDigest:
    """The digest of a state: of the dataset and of a growing set of decisions, in whatever order
    they came.

    Args:
        dataset_digest: `digest` of `dataset.json`.
        hashes: SHA-256 of the lines known so far.
    """

    def __init__(self, dataset_digest: str, hashes: Iterable[str] = ()) -> None:
        self._dataset = dataset_digest
        self._sum = sum(int(sha256, 16) for sha256 in hashes) % (1 << 256)

    def add(self, sha256: str) -> None:
        """Adds one decision."""
        self._sum = (self._sum + int(sha256, 16)) % (1 << 256)

    @property
    def digest(self) -> str:
        """SHA-256 (hex)."""
        return hashlib.sha256(f"{self._dataset} {self._sum:064x}".encode()).hexdigest()


@dataclass(frozen=True)
class ParsedLog:
    """What a log holds.

    Attributes:
        name: of the file.
        reviewer: whose it is.
        decisions: in the order of the lines.
        lines: their bytes, without line breaks.
        n_whole: bytes up to the end of the last good line.
        torn: bytes of a torn last line; b"" where there is none.
        unended: whether the last good line lacks its line break.
    """

    name: str
    reviewer: str
    decisions: tuple[Decision, ...] = ()
    lines: tuple[bytes, ...] = ()
    n_whole: int = 0
    torn: bytes = b""
    unended: bool = False

    @property
    def repairs(self) -> list[str]:
        """What opening the log for writing mends, in words."""
        if self.torn:
            return [
                (
                    f"{self.name}: {len(self.torn)} bytes of a torn last line, never acknowledged, "
                    f"are "
                    f"left out"
                )
            ]
        return [f"{self.name}: the last line lacks its end"] if self.unended else []


def reviewer_of(name: str) -> str | None:
    """The reviewer whose file is called `name`; None for a file that is no log."""
    match = _FILE_NAME.fullmatch(name)
    try:
        return check_reviewer(match[1]) if match else None
    except BadLineError:
        return None


def read_log(data: bytes, name: str, dataset_digest: str) -> ParsedLog:
    """Verifies every line, its number and its chain in the bytes of the log called `name`.

    Errors: MismatchError naming the first line at fault. A torn last line is no fault, so long as
    it can be one: no longer than a line, with no more zeros than a power failure leaves.
    """
    reviewer = reviewer_of(name)
    if reviewer is None:
        raise MismatchError(name, "a name that no log has", "REVIEWER.jsonl, in small letters", _DO)
    if len(data) > limit("decision_bytes"):
        raise LimitMismatchError(
            name, explain_limit("decision_bytes", f"{len(data)} bytes"), "a log of decisions", _DO
        )
    chain = _Chain(name, reviewer, dataset_digest)
    decisions, ended, start = [], [], 0
    while (end := data.find(b"\n", start)) >= 0:
        line = data[start : min(end, start + limit("line_bytes") + 1)]
        decisions.append(chain.take(line))
        ended.append(line)
        start = end + 1
    chain.refuse_tail(len(data) - start, data.count(b"\0", start))
    last = data[start:]
    n_whole, torn, unended = len(data) - len(last), last, False
    if last:
        try:
            decisions.append(chain.take(last))
            ended.append(last)
            n_whole, torn, unended = len(data), b"", True
        except MismatchError:
            pass
    return ParsedLog(name, reviewer, tuple(decisions), tuple(ended), n_whole, torn, unended)


class _Chain:
    def __init__(self, name: str, reviewer: str, dataset_digest: str) -> None:
        self._name, self._reviewer = name, reviewer
        self._previous = dataset_digest
        self._uuids: set[str] = set()

    def take(self, line: bytes) -> Decision:
        """The decision in the next line. Errors: MismatchError with the number of the line, from
        1."""
        n_before = len(self._uuids)
        try:
            decision = parse_line(line)
        except BadLineError as error:
            raise self._refuse(f"{error}", "a decision") from error
        if decision.reviewer != self._reviewer:
            raise self._refuse(f"the reviewer {decision.reviewer}", self._reviewer)
        if decision.seq != n_before:
            raise self._refuse(
                f"number {decision.seq}", f"{n_before}: lines were removed, added or moved"
            )
        if decision.previous != self._previous:
            what = (
                "the line before it as it was written" if n_before else "the digest of this dataset"
            )
            raise self._refuse(
                f"the hash {decision.previous[:12]}…", f"{self._previous[:12]}…, of {what}"
            )
        if decision.uuid in self._uuids:
            raise self._refuse(f"{decision.uuid} again", "each uuid once")
        self._uuids.add(decision.uuid)
        self._previous = decision.sha256
        return decision

    def refuse_tail(self, n_bytes: int, n_zeros: int) -> None:
        """Errors: MismatchError for what follows the last line break and is no torn line: nothing
        of it is cut off."""
        if n_zeros > MAX_TORN_ZEROS:
            expected = f"at most {MAX_TORN_ZEROS}, as a power failure leaves them"
            raise self._refuse(f"{n_zeros} zero bytes after the last whole line", expected)
        if n_bytes > limit("line_bytes"):
            got = explain_limit("line_bytes", f"{n_bytes} bytes after the last whole line")
            raise LimitMismatchError(self._place, got, "a torn line at most", _DO)

    def _refuse(self, got: str, expected: str) -> MismatchError:
        return MismatchError(self._place, got, expected, _DO)

    @property
    def _place(self) -> str:
        return f"{self._name}, line {len(self._uuids) + 1}"


def read_log_file(path: Path, dataset_digest: str) -> ParsedLog:
    """The log at `path`. Errors: MismatchError as `read_log`, and for what is no plain readable
    file."""
    try:
        return read_log(read_bytes(path, "decision_bytes"), path.name, dataset_digest)
    except OSError as error:
        raise MismatchError(path, describe_os_error(error), "a readable file", _DO) from error


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Log:
    """A log that is open for writing, by one process.

    Attributes:
        reviewer: whose it is.
        dataset_digest: of the dataset that is decided on.
        decisions: all so far, in order.
        repairs: what was mended when it was opened, in words; empty most of the time.
        clock: tells the time that lines carry; nothing depends on it.
    """

    reviewer: str
    dataset_digest: str
    _file: Appender
    decisions: list[Decision] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    clock: Callable[[], datetime] = _utc_now

    def __post_init__(self) -> None:
        self._by_uuid = {decision.uuid: decision for decision in self.decisions}

    def append(self, request: Request, seen: str) -> Decision:
        """Makes a decision durable and returns it; only then may anyone be told that it is saved.

        The same request again returns the line that is there: a retry is harmless.

        Args:
            seen: digest of the state that the reviewer saw (`StateDigest`).

        Errors: LpwError for a uuid that stands for another decision, or where the system refuses:
        nothing is kept then.
        """
        known = self._by_uuid.get(request.uuid)
        if known is not None:
            if known.content != request.content:
                raise LpwError(
                    f"decision {request.uuid}",
                    "another content",
                    "the one saved before",
                    "make a new uuid",
                )
            return known
        line = format_line(self._place(request, seen))
        decision = self._check(line)
        self._write(line + b"\n")
        self.decisions.append(decision)
        self._by_uuid[decision.uuid] = decision
        return decision

    def _place(self, request: Request, seen: str) -> Decision:
        previous = self.decisions[-1].sha256 if self.decisions else self.dataset_digest
        time = self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        number, reviewer = len(self.decisions), self.reviewer
        own = vars(request)
        return Decision(
            **own,
            version=VERSION,
            seq=number,
            time=time,
            reviewer=reviewer,
            seen=seen,
            previous=previous,
        )

    def _check(self, line: bytes) -> Decision:
        """What is written can be read. Errors: LpwError for a request that no log may hold."""
        try:
            return parse_line(line)
        except BadLineError as error:
            raise LpwError("decision", f"{error}", "a decision", "send another one") from error

    def _write(self, data: bytes) -> None:
        try:
            self._file.append(data)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            do = (
                "free some space and decide again" if full else "mend that, then open the log again"
            )
            raise LpwError(
                self._file.path,
                f"{describe_os_error(error)}: nothing saved",
                "a file that takes lines",
                do,
            ) from error

    def close(self) -> None:
        """Lets another process write."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_log(
    folder: Path, reviewer: str, dataset_digest: str, clock: Callable[[], datetime] = _utc_now
) -> Log:
    """Opens `folder/<reviewer>.jsonl` for writing: made where it is not there, verified, its last
    line repaired.

    Args:
        folder: `cleanup` of the dataset, or one elsewhere where the dataset cannot be written to.

    Errors: LpwError for a name that is none, a second writer, or where the system refuses (a
    read-only dataset); MismatchError for a log that is not what it was when it was written.
    """
    try:
        check_reviewer(reviewer)
    except BadLineError as error:
        do = "choose another name, for example anna or j-doe"
        raise LpwError(
            "reviewer", f"{reviewer!r:.60}", "small letters and digits, joined by - or _", do
        ) from error
    path = make_folder(folder) / f"{reviewer}{SUFFIX}"
    try:
        file = Appender(path)
    except OSError as error:
        raise _refuse_opening(path, error) from error
    try:
        reading = _repair(file, dataset_digest)
    except BaseException:
        file.close()
        raise
    return Log(reviewer, dataset_digest, file, list(reading.decisions), reading.repairs, clock)


def _refuse_opening(path: Path, error: OSError) -> LpwError:
    if error.errno == errno.EBUSY:
        do = "close it, or give another --reviewer"
        return LpwError(
            path, "a log that another process of this reviewer is writing", "no other", do
        )
    if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
        return LpwError(
            path, "a file system without locks", "one with them", "give --state DIR on a local disk"
        )
    do = "give --state DIR, a folder that can be written to"
    return LpwError(path, describe_os_error(error), "a log that can be written", do)


def _repair(file: Appender, dataset_digest: str) -> ParsedLog:
    try:
        if file.n_bytes > limit("decision_bytes"):
            got = explain_limit("decision_bytes", f"{file.n_bytes} bytes")
            raise LimitMismatchError(file.path, got, "a log of decisions", _DO)
        reading = read_log(file.read(), file.path.name, dataset_digest)
        if reading.torn:
            file.cut(reading.n_whole)
        elif reading.unended:
            file.append(b"\n")
    except OSError as error:
        raise _refuse_opening(file.path, error) from error
    return reading


def request_of(entry: object) -> Request:
    """The request that a page sent as JSON. Errors: LpwError naming what is wrong with it."""
    try:
        return check_request(entry)
    except BadLineError as error:
        raise LpwError(
            "decision", f"{error}", "a decision as decision.schema.json has it", "mend the page"
        ) from error
