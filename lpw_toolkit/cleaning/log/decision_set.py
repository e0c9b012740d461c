"""Merges the decisions of several reviewers into one ordered set, and adopts logs from other
machines without a server.

The set is the union by uuid. Its order is (number in its log, reviewer, uuid): each reviewer's own
order is kept, and what is known of several reviewers does not depend on any clock, nor on which
file was read first. This order never resolves what two reviewers decide differently (`apply`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.log import SUFFIX, ParsedLog, read_log_file, reviewer_of
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.appending import Appender
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import exists, is_folder
from lpw_toolkit.files.writing import atomic_write, describe_os_error, make_folder
from lpw_toolkit.names import count_of


@dataclass(frozen=True)
class DecisionSet:
    """Decisions of all reviewers.

    Attributes:
        decisions: each uuid once, in the stated order.
        ambiguous_uuids: uuids that stand for different decisions; of each the first in order is
            among `decisions`.
        repairs: what was left out of the logs, or will be mended in them, in words (`ParsedLog`).
    """

    decisions: tuple[Decision, ...]
    ambiguous_uuids: tuple[str, ...]
    repairs: tuple[str, ...] = ()


def unite(logs: Iterable[Sequence[Decision]]) -> DecisionSet:
    """The union of `logs`, the same in whatever order they are given, and however often."""
    found: dict[str, dict[str, Decision]] = {}
    for log in logs:
        for decision in log:
            found.setdefault(decision.uuid, {})[decision.sha256] = decision
    chosen = [min(same.values(), key=lambda d: (d.order, d.sha256)) for same in found.values()]
    ambiguous_uuids = [
        uuid
        for uuid, same in found.items()
        if len({(d.reviewer, d.content) for d in same.values()}) > 1
    ]
    return DecisionSet(tuple(sorted(chosen, key=lambda d: d.order)), tuple(sorted(ambiguous_uuids)))


def read_folder(folder: Path, dataset_digest: str) -> list[ParsedLog]:
    """Every log in `folder`, by name; none where there is no such folder.

    Errors: MismatchError for a log that is not what it was when it was written, or a file of
    another name.
    """
    if not exists(folder):
        return []
    try:
        files = [file for file in list_folder(folder) if file.name.endswith(SUFFIX)]
    except OSError as error:
        raise LpwError(
            folder, describe_os_error(error), "a folder of logs", "name another one"
        ) from error
    return [read_log_file(file, dataset_digest) for file in files]


def merge_folder(ours: Path, theirs: Path, dataset_digest: str) -> list[str]:
    """Takes every log of the folder `theirs` into `ours`, verified first; says in words what was
    done, file by file.

    A log that goes on where ours ends replaces it, one that ends earlier adds nothing. Where both
    went on differently theirs comes in whole under a second name (`anna.0a1b2c3d.jsonl`): no line
    of either is changed.

    Errors: as `read_folder`; LpwError where there is nothing to take in, or a reviewer is at work
    on a log: then logs before it, by name, are taken in and the others are not.
    """
    if not is_folder(theirs):
        raise LpwError(
            theirs, "no such folder", "a folder of logs (OTHER/cleanup)", "name another one"
        )
    coming = read_folder(theirs, dataset_digest)
    if not coming:
        raise LpwError(
            theirs, "no log", "REVIEWER.jsonl of one reviewer or more", "name another folder"
        )
    return take_in_logs(ours, coming, dataset_digest)


def take_in_logs(ours: Path, coming: Sequence[ParsedLog], dataset_digest: str) -> list[str]:
    """`merge_folder` with logs that were read or made already."""
    have = {reading.name: reading for reading in read_folder(ours, dataset_digest)}
    make_folder(ours)
    return [_take_in(ours, have, reading) for reading in coming]


def _take_in(folder: Path, have: dict[str, ParsedLog], new: ParsedLog) -> str:
    same = [known for known in have.values() if known.reviewer == new.reviewer]
    for known in same:
        if known.lines[: len(new.lines)] == new.lines:
            return f"{new.name}: nothing new"
    for known in same:
        if new.lines[: len(known.lines)] == known.lines:
            have[known.name] = _publish(folder, known.name, new)
            return f"{known.name}: {count_of(len(new.lines) - len(known.lines), 'new decision')}"
    name = f"{new.reviewer}{SUFFIX}"
    if not same:
        have[name] = _publish(folder, name, new)
        return f"{name}: {count_of(len(new.lines), 'decision')} of a new reviewer"
    name = _name_fork(new, same)
    have[name] = _publish(folder, name, new)
    n_lines = count_of(len(new.lines), "decision")
    return f"{name}: {n_lines} beside another history of {new.reviewer}"


def _name_fork(new: ParsedLog, same: list[ParsedLog]) -> str:
    """A name from the first line of `new` that no known log has: no other file can have it."""
    known = {line for reading in same for line in reading.lines}
    first = next(d for d, line in zip(new.decisions, new.lines, strict=True) if line not in known)
    return f"{new.reviewer}.{first.sha256[:8]}{SUFFIX}"


def _publish(folder: Path, name: str, new: ParsedLog) -> ParsedLog:
    path = folder / name
    if reviewer_of(name) is None:
        raise MismatchError(path, "a name that no log has", "REVIEWER.jsonl", "rename it")
    try:
        held = Appender(path) if exists(path) else None  # nobody may be writing it
        try:
            atomic_write(path, b"".join(line + b"\n" for line in new.lines))
        finally:
            if held:
                held.close()
    except OSError as error:
        do = "close the review that is open, or fix that, and merge again"
        raise LpwError(path, describe_os_error(error), "a log that can be written", do) from error
    return ParsedLog(name, new.reviewer, new.decisions, new.lines)
