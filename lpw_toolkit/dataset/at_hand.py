"""The dataset at hand: the one that a command takes where none is named.

The working folder, if it is a dataset. Otherwise the latest that the command can use, of the
datasets just below it, where these are versions of one another:

    film/video-lpw      built
    film/cleaned        parent: video-lpw     lpw train   -> cleaned: it has persons and splits
                                              lpw clean   -> video-lpw: it is under review

Which of two versions is the later one is read from the digests of their parents, never from the
time of a file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpw_toolkit.dataset.manifest import (
    LOCAL,
    MANIFEST,
    SELF_DIGEST,
    Parent,
    parents_of,
    read_manifest,
)
from lpw_toolkit.errors import LpwError, MismatchError, join_names
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import follow_links, is_file, is_folder
from lpw_toolkit.files.writing import describe_os_error

_NAME_IT = "name the dataset"


@dataclass(frozen=True, eq=False)
class Version:
    """A dataset at hand, known by its `dataset.json` alone.

    Attributes:
        root: the folder.
        manifest: the fields of its `dataset.json`.
    """

    root: Path
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        """Digest of its rows: what its children call their parent."""
        return str(self.manifest.get("digest"))

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The versions that it was made from."""
        return parents_of(self.manifest)

    def is_of(self, digests: Iterable[str]) -> bool:
        """Whether one of `digests` is that of its rows, or of its whole `dataset.json`."""
        return bool({self.digest, self.manifest.get(SELF_DIGEST)} & {*digests})


@dataclass(frozen=True)
class Need:
    """What a command needs of a dataset.

    Attributes:
        what: in words, such as `persons and splits`.
        lacks: what a version lacks of it, and what a user can do; None where it lacks nothing.
    """

    what: str
    lacks: Callable[[Version], tuple[str, str] | None]


def _lacks_nothing(_: Version) -> None:
    return None


def _lacks_persons(version: Version) -> tuple[str, str] | None:
    counts = version.manifest.get("counts")
    n_persons = counts.get("n_persons") if isinstance(counts, dict) else None
    if isinstance(n_persons, int) and n_persons > 0:
        return None
    return "no persons", (
        "name them with `lpw clean --review`, then write `lpw clean --apply cleaned`"
    )


def _lacks_splits(version: Version) -> tuple[str, str] | None:
    if lack := _lacks_persons(version):
        return lack
    if "splits.parquet" in version.manifest["tables"]:
        return None
    return "no splits", f"run `lpw split {version.root.name}`"


ANYTHING = Need("anything", _lacks_nothing)
PERSONS = Need("persons", _lacks_persons)
SPLITS = Need("persons and splits", _lacks_splits)


@dataclass(frozen=True)
class AtHand:
    """A choice among the datasets at hand.

    Attributes:
        root: the folder that was chosen.
        why: in words; empty where there was no choice.
    """

    root: Path
    why: str


def find_at_hand(folder: Path, *needs: Need) -> AtHand:
    """The dataset in or just below `folder` that a command can use.

    Args:
        folder: usually the working folder.
        needs: what the command needs. With several, the first that a version meets decides.

    Errors: LpwError for no dataset, unrelated ones, several latest ones, and none that meets the
    needs; MismatchError for a damaged one. All are named.
    """
    if is_file(folder / MANIFEST):
        return AtHand(folder, "")
    versions = list_versions(folder)
    if not versions:
        raise LpwError(
            "dataset",
            _describe_none(folder),
            "a dataset in or just below this folder",
            f"build one with `lpw build-tracklets VIDEO`, or {_NAME_IT}",
        )
    _refuse_unrelated(versions)
    for need in needs or (ANYTHING,):
        usable = [version for version in versions if need.lacks(version) is None]
        latest = keep_latest(usable, versions)
        if len(latest) > 1 or (usable and not latest):
            raise LpwError(
                "dataset",
                f"several latest versions ({_join(latest or usable)})",
                f"one latest dataset with {need.what}" if need is not ANYTHING else "one dataset",
                _NAME_IT,
            )
        if latest:
            return AtHand(latest[0].root, _explain(latest[0], versions, need))
    newest = keep_latest(versions, versions)
    lack, do = needs[-1].lacks(newest[0] if newest else versions[-1]) or ("", "")
    expected = f"a dataset with {needs[-1].what}"
    raise LpwError("dataset", f"{_join(newest or versions)} with {lack}", expected, do)


def find_by_digest(folder: Path, digests: Sequence[str]) -> Path | None:
    """The dataset in or just below `folder` that one of `digests` names (of its rows, or of its
    whole `dataset.json`); None where there is none.

    Args:
        digests: the first that fits decides; of several versions with the same rows the latest is
            taken.

    Errors: LpwError for several latest ones, MismatchError for a damaged dataset.
    """
    if is_file(folder / MANIFEST):
        versions = [Version(folder, read_manifest(folder / MANIFEST))]
    else:
        versions = list_versions(folder)
    for digest in digests:
        found = keep_latest([one for one in versions if one.is_of([digest])], versions)
        if len(found) > 1:
            got = f"{_join(found)}, with the same tracklets"
            raise LpwError("dataset", got, "one of them", _NAME_IT)
        if found:
            return found[0].root
    return None


def list_versions(folder: Path) -> list[Version]:
    """The datasets just below `folder`, in natural order of their names; of two names of one folder
    (a link) the first. Errors: MismatchError that names a damaged one."""
    found: dict[Path, Version] = {}
    try:
        entries = list_folder(folder)
    except OSError as error:
        raise LpwError(
            folder, describe_os_error(error), "a folder that can be listed", _NAME_IT
        ) from error
    for entry in entries:
        root = follow_links(entry)
        if is_file(root / MANIFEST) and root.absolute() not in found:
            try:
                found[root.absolute()] = Version(entry, read_manifest(root / MANIFEST))
            except MismatchError as error:
                raise MismatchError(
                    entry.name,
                    f"a dataset with {error.got}",
                    error.expected,
                    f"{error.hint}; or {_NAME_IT} that you mean",
                ) from error
    return list(found.values())


def keep_latest(some: Sequence[Version], versions: Sequence[Version]) -> list[Version]:
    """Those of `some` from which no other of `some` descends, through any of `versions`."""
    older = [one for newer in some for one in _find_ancestors(newer, versions)]
    return [one for one in some if one not in older]


def list_relatives(root: Path, manifest: dict[str, Any]) -> set[str]:
    """Digests of the rows of a dataset, of the versions that it was made from, and of those at hand
    that were made from it.

    Args:
        root: its folder; the versions at hand are those beside it.
        manifest: the fields of its `dataset.json`.
    """
    me = Version(root, manifest)
    try:
        beside = list_versions(root.absolute().parent)
    except LpwError:  # its own parents are known all the same
        beside = []
    versions = [me, *(one for one in beside if one.root.absolute() != root.absolute())]
    older = {id(one): _find_ancestors(one, versions) for one in versions}
    line = [me, *older[id(me)], *(one for one in versions if me in older[id(one)])]
    return {digest for one in line for digest in (one.digest, *(p.digest for p in one.parents))}


def _find_ancestors(child: Version, versions: Sequence[Version]) -> list[Version]:
    """The versions from which `child` descends, through any of `versions`; itself where it is its
    own ancestor."""
    found: list[Version] = []
    waiting = _find_parents(child, versions)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.append(one)
            waiting += _find_parents(one, versions)
    return found


def _find_parents(child: Version, versions: Sequence[Version]) -> list[Version]:
    """The parents of `child` at hand.

    A version with other splits has the rows of its parent, and so its digest: then the digest of
    the whole manifest says which is which, or its name.
    """
    found = []
    for parent in child.parents:
        others = [one for one in versions if one is not child and one.digest == parent.digest]
        sha256 = parent.manifest_sha256
        same = [one for one in others if sha256 and one.manifest.get(SELF_DIGEST) == sha256]
        named = [one for one in others if one.manifest["name"] == parent.name]
        found += same or named or ([] if parent.digest == child.digest else others)
    return found


def _refuse_unrelated(versions: Sequence[Version]) -> None:
    """Errors: LpwError where two of them have no version in common, at hand or not."""
    groups: list[tuple[set[str], list[Version]]] = []
    for one in versions:
        keys, members = {one.digest, *(parent.digest for parent in one.parents)}, [one]
        for other in [group for group in groups if group[0] & keys]:
            groups.remove(other)
            keys, members = keys | other[0], other[1] + members
        groups.append((keys, members))
    if len(groups) > 1:
        raise LpwError(
            "dataset",
            f"unrelated datasets: {' | '.join(_join(members) for _, members in groups)}",
            "one dataset, or versions of one another, in or just below this folder",
            _NAME_IT,
        )


def _describe_none(folder: Path) -> str:
    begun = [entry.name for entry in list_folder(folder) if is_folder(follow_links(entry) / LOCAL)]
    return f"none that is finished ({join_names(begun)} is begun)" if begun else "none"


def _join(versions: Sequence[Version]) -> str:
    return join_names([version.root.name for version in versions])


def _explain(chosen: Version, versions: Sequence[Version], need: Need) -> str:
    if len(versions) == 1:
        return ""
    what = "" if need is ANYTHING else f" with {need.what}"
    return f"the latest{what} of {_join(versions)}"
