"""Renames cameras and scenes (`lpw rename`). Tracklets keep their ids, so that decisions on them
hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lpw_toolkit.cleaning.adoption import adopt_decisions
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.new_version import (
    CopiedImages,
    NewVersion,
    inherit_facts,
    inherit_tables,
    write_version,
)
from lpw_toolkit.dataset.schema import TRACKLETS
from lpw_toolkit.errors import LpwError, join_names, unknown_name
from lpw_toolkit.versions.carrying import ANEW, Made, keep_splits
from lpw_toolkit.versions.name_tables import check_name, read_rows

KINDS = ("camera", "scene")
Pair = tuple[str, str, str]


@dataclass(frozen=True)
class RenameConfig:
    """A version with other names.

    Attributes:
        dataset: the dataset.
        out: the new version.
        cameras, scenes: new names by old ones; all are given at once, so that two can change
            places.
    """

    dataset: Path
    out: Path
    cameras: Mapping[str, str] = field(default_factory=dict)
    scenes: Mapping[str, str] = field(default_factory=dict)


def rename_dataset(config: RenameConfig) -> Made:
    """Writes the version of a dataset in which cameras and scenes have the given names. A name that
    is taken joins two cameras, or scenes, into one.

    Errors: LpwError for an unknown camera or scene, a name that cannot be one, nothing to rename,
    or an `out` that is in use; CorruptCropError.
    """
    if not (config.cameras or config.scenes):
        raise LpwError("rename", "no name", "a camera or scene", "give --camera OLD=NEW")
    dataset = open_dataset(config.dataset)
    renames = dict(zip(KINDS, (config.cameras, config.scenes), strict=True))
    lines = [line for kind in KINDS for line in _check(dataset, kind, renames[kind])]
    tracklets = _rename_rows(dataset.tracklets, renames)
    splits = keep_splits(dataset, tracklets)
    said = {f"{kind}s": dict(sorted(names.items())) for kind, names in renames.items() if names}
    facts = inherit_facts(dataset, config.out, {"rename": said})
    facts["sources"] = [_rename_source(entry, renames) for entry in facts["sources"]]
    version = NewVersion(
        tracklets,
        dataset.frames,
        [CopiedImages(dataset, np.arange(dataset.frames.num_rows))],
        facts | splits.facts,
        splits=splits.table,
        inner=inherit_tables(dataset),
    )
    made = write_version(config.out, version, stage="rename")
    lines += [*filter(None, [splits.line]), *adopt_decisions(dataset, made).lines, ANEW]
    return Made(made, tuple(lines))


def _check(dataset: Dataset, kind: str, names: Mapping[str, str]) -> list[str]:
    """What is renamed, in words. Errors: LpwError."""
    values = dataset.tracklets[f"{kind}_id"].drop_null().unique().to_pylist()
    known = {*values, *(entry.get(f"{kind}_id") for entry in dataset.manifest.get("sources", []))}
    if unknown := sorted({*names} - known):
        there = sorted(known - {None})
        expected = f"one of {join_names(there)}"
        raise unknown_name(f"option --{kind}", unknown, there, expected=expected, hint="correct it")
    lines = []
    for old, new in names.items():
        check_name(f"option --{kind} {old}", new)
        lines.append(f"{kind} {old} is {new} now")
    for new in dict.fromkeys(names.values()):
        olds = sorted(str(old) for old in known - {None} if names.get(str(old), old) == new)
        if len(olds) > 1:
            lines.append(f"{kind}s {join_names(olds)} are one now: {new}")
    return lines


def _rename_rows(tracklets: pa.Table, renames: Mapping[str, Mapping[str, str]]) -> pa.Table:
    for kind, names in renames.items():
        column = f"{kind}_id"
        values = [names.get(name, name) for name in tracklets[column].to_pylist()]
        place = TRACKLETS.get_field_index(column)
        found = pa.array(values, pa.string())
        tracklets = tracklets.set_column(place, TRACKLETS.field(place), found)
    return tracklets


def _rename_source(
    entry: Mapping[str, Any], renames: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    named = {f"{kind}_id": names for kind, names in renames.items()}
    return {key: named[key].get(v, v) if key in named else v for key, v in entry.items()}


def read_renames(table: Path) -> list[Pair]:
    """Kind, old and new name of each row of a CSV with the columns kind, old and new; kind is
    `camera` or `scene`. Errors: LpwError with the line."""
    pairs = []
    for where, row in read_rows(table, ("kind", "old", "new")):
        if row["kind"] not in KINDS:
            raise LpwError(where, f"the kind {row['kind']!r:.80}", " or ".join(KINDS), "correct it")
        pairs.append((row["kind"], row["old"], row["new"]))
    return pairs


def collect_names(pairs: Iterable[Pair], kind: str) -> dict[str, str]:
    """The new names of one kind by old ones. Errors: LpwError for one that is named twice."""
    names: dict[str, str] = {}
    for each, old, new in pairs:
        if each == kind and names.setdefault(old, new) != new:
            got = f"{old!r:.80} twice, as {names[old]} and as {new}"
            raise LpwError(f"option --{kind}", got, "each name once", "leave one out")
    return names
