"""`dataset.json`: its fields, its own digest, and what it records of each table."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lpw_toolkit.dataset.schema import DETECTIONS, FORMAT_VERSION, TIMELINE
from lpw_toolkit.dataset.tables import TableFacts, verify_table
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.opening import read_json
from lpw_toolkit.files.writing import describe_os_error

MANIFEST = "dataset.json"
LOCAL = ".lpw"
#: The field that holds the digest of all others.
SELF_DIGEST = "manifest_sha256"
RESTORE = "restore it, or build the dataset again"
#: Folders of tables with one file for each video.
INNER_TABLES = {"detections": DETECTIONS, "timeline": TIMELINE}
_MAX_CLOCK_S = 1e12  # of a recording's own clock, far beyond any date


def read_manifest(file: Path) -> dict[str, Any]:
    """The fields of a `dataset.json`, each of its type. Errors: MismatchError for a damaged one, or
    one of another format version."""
    try:
        manifest = read_json(file)
        version = manifest["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise _refuse_newer(file, version, manifest.get("tool"))
        if not {"name", "tables"} <= manifest.keys():
            raise TypeError("no name or no tables")
        _refuse_odd(manifest)
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), "a readable manifest", RESTORE
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise MismatchError(
            file, f"a damaged manifest ({error})", "the JSON that lpw writes", RESTORE
        ) from error
    if version != FORMAT_VERSION:
        raise MismatchError(
            file,
            f"format version {version}",
            f"{FORMAT_VERSION}",
            "use the lpw version that wrote it",
        )
    return dict(manifest)


def _refuse_newer(file: Path, version: int, tool: object) -> MismatchError:
    """The error for a format of a later lpw, which may have changed anything but these two
    entries."""
    name = tool if isinstance(tool, str) else "a later lpw"
    release = name.removeprefix("lpw-toolkit ")
    known = re.fullmatch(r"\d+(\.\d+)*\w*", release) is not None
    need = f"lpw-toolkit>={release}" if known else "lpw-toolkit"
    return MismatchError(
        file,
        f"format version {version}, written by {name[:80]}",
        f"{FORMAT_VERSION}, which this lpw reads",
        f'upgrade: pip install --upgrade "{need}"',
    )


def _refuse_odd(manifest: dict[str, Any]) -> None:
    """Errors: TypeError naming the entry that is not what lpw writes."""
    for key, kind in {
        "name": str,
        "tables": dict,
        "settings": dict,
        "sources": list,
        "images_root": str,
    }.items():
        if not isinstance(manifest.get(key, kind()), kind):
            raise TypeError(f"{key} is no {kind.__name__}")
    for parent in _list_parents(manifest):
        if not isinstance(parent, dict):
            raise TypeError("parent is no dict")
        texts = (parent.get("name"), parent.get("digest"), parent.get(SELF_DIGEST, ""))
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("parent without a name and a digest")
    for entry in manifest.get("sources", []):
        plain = isinstance(entry, dict) and all(
            isinstance(entry.get(key), str) for key in ("video_id", "path")
        )
        if not plain or not is_inner_path(entry["path"]) or not is_inner_path(entry["video_id"]):
            raise TypeError(
                "sources holds an entry without a video_id and a path inside the source folder"
            )
        if any(
            not isinstance(entry.get(key), str | None)
            for key in ("scene_id", "camera_id", "named_by", "sha256")
        ):
            raise TypeError(f"sources: {entry['path']} with a name that is no text")
        if (
            not isinstance(entry.get("start_s"), int | float | None)
            or abs(entry.get("start_s") or 0) > _MAX_CLOCK_S
        ):
            raise TypeError(f"sources: {entry['path']} with a start_s that is no time")
        if "error" not in entry and not isinstance(entry.get("report"), dict):
            raise TypeError(f"sources: {entry['path']} has neither a report nor an error")


def _list_parents(manifest: Mapping[str, Any]) -> list[Any]:
    """The entries of `parent` and of `parents`. Errors: TypeError for parents that are no list."""
    one, several = manifest.get("parent"), manifest.get("parents", [])
    if not isinstance(several, list):
        raise TypeError("parents is no list")
    return [*([one] if one is not None else []), *several]


@dataclass(frozen=True)
class Parent:
    """A dataset that another one was made from, as the `dataset.json` of that one names it.

    Attributes:
        name: the name that it gives itself.
        digest: `digest` of its `dataset.json`: of the rows of tracklets and frames alone, so that
            versions which differ in their splits alone share it.
        manifest_sha256: of its `dataset.json`; None where an older version wrote the child.
    """

    name: str
    digest: str
    manifest_sha256: str | None = None

    def is_dataset(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the dataset with this `dataset.json` is the parent."""
        if self.manifest_sha256 is not None:
            return bool(self.manifest_sha256 == manifest.get(SELF_DIGEST))
        return bool(self.digest == manifest.get("digest"))


def parents_of(manifest: Mapping[str, Any]) -> tuple[Parent, ...]:
    """The datasets that a dataset was made from: none, one (`parent`), or several (`parents`).

    Args:
        manifest: the fields of its `dataset.json`, as `read_manifest` gives them.

    >>> parents_of({"parent": {"name": "street", "digest": "0a1b"}})
    (Parent(name='street', digest='0a1b', manifest_sha256=None),)
    """
    return tuple(
        Parent(entry["name"], entry["digest"], entry.get(SELF_DIGEST))
        for entry in _list_parents(manifest)
    )


def name_parent(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The entry by which a new dataset names the dataset with this `dataset.json` as a parent."""
    entry = {"name": str(manifest["name"]), "digest": str(manifest.get("digest"))}
    if SELF_DIGEST in manifest:
        entry[SELF_DIGEST] = str(manifest[SELF_DIGEST])
    return entry


def digest_manifest(manifest: dict[str, Any]) -> str:
    """SHA-256 (hex) over all fields of a `dataset.json` but this digest itself, as JSON with sorted
    keys."""
    fields = {key: value for key, value in manifest.items() if key != SELF_DIGEST}
    return hashlib.sha256(
        json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def verify_tables(root: Path, manifest: dict[str, Any]) -> list[str]:
    """Compares the manifest with its own digest, and the tables in `root` with it.

    Returns a sentence for each thing that could not be verified. Errors: MismatchError for what
    differs.
    """
    notes = []
    if not isinstance(manifest.get("digest"), str):
        raise MismatchError(
            root / MANIFEST, "no digest of the rows", "the one that lpw writes", RESTORE
        )
    said = manifest.get(SELF_DIGEST)
    if said is None:
        notes.append(
            "dataset.json is of an older version and does not vouch for its own notes, counts and "
            "sources"
        )
    elif said != digest_manifest(manifest):
        got = "fields that are not those it was written with"
        raise MismatchError(
            root / MANIFEST, got, f"SHA-256 {str(said)[:12]}…", "restore it from a copy"
        )
    for name in dict.fromkeys(("tracklets.parquet", "frames.parquet", *manifest["tables"])):
        facts = read_facts(root, manifest, name)
        try:
            fault = verify_table(root / name, facts)
        except OSError as error:
            fault = describe_os_error(error)
        if fault:
            hint = "restore it, or run `lpw check` to see all that differs"
            raise MismatchError(root / name, fault, "the table that dataset.json names", hint)
        if facts.is_size_only:
            notes.append(f"{name} was compared by its size only: run `lpw check`")
    return notes


def read_facts(root: Path, manifest: dict[str, Any], name: str) -> TableFacts:
    """What the `dataset.json` in `root` says of the table `name`. Errors: MismatchError where it
    says nothing that can be used."""
    said = manifest["tables"].get(name)
    footer = said.get("footer_sha256") if isinstance(said, dict) else None
    known = (
        isinstance(said, dict)
        and isinstance(said.get("bytes"), int)
        and isinstance(said.get("sha256"), str)
    )
    if not known or not is_inner_path(name) or not isinstance(footer, str | None):
        got = f"the table {name!r} with {said!r:.80}" if said else f"no table {name}"
        raise MismatchError(root / MANIFEST, got, "its path, size and SHA-256", RESTORE)
    return TableFacts(said["bytes"], said["sha256"], footer)


def is_inner_path(path: str) -> bool:
    """Whether a POSIX path from a table is relative, stays inside and has no NUL or backslash."""
    pure = PurePosixPath(path)
    return (
        bool(path)
        and not pure.is_absolute()
        and ".." not in pure.parts
        and "\0" not in path
        and "\\" not in path
    )
