"""Turns what a reader found into tables: tracklets in table order, one row per image."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lpw_toolkit.benchmarks.archives.archive import find_prefix
from lpw_toolkit.benchmarks.image_copier import CopiedImage
from lpw_toolkit.benchmarks.reader import RawDataset, RawTracklet, Splits, Tree
from lpw_toolkit.dataset.image_format import KIND_OF_SUFFIX
from lpw_toolkit.dataset.schema import FRAMES, KINDS, SPLITS, SUBSETS, TRACKLETS
from lpw_toolkit.dataset.tables import make_table
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.names import find_path_fault, fold_name, show_name


@dataclass(frozen=True)
class Kept:
    """What is left once unusable images are out.

    Attributes:
        rows: of the import table (N,), ascending.
        tracklets: those with an image left, each with its number of images.
    """

    rows: list[int]
    tracklets: list[tuple[RawTracklet, int]]


@dataclass(frozen=True)
class ImportTable:
    """The rows of an import.

    Attributes:
        tracklets: sorted by id.
        names: of all images in the raw tree (N,), in the order of the table of frames.
        paths: the same without the folders that all of them share, so that it does not matter what
            they lie in.
        prefix: those folders.
        digest: SHA-256 (hex) over everything that the reader found.
    """

    tracklets: list[RawTracklet]
    names: list[str]
    paths: list[str]
    prefix: str
    digest: str

    def keep(self, copied: CopiedImage) -> Kept:
        """Leaves out the images that have a fault, and tracklets without any other."""
        rows: list[int] = []
        tracklets: list[tuple[RawTracklet, int]] = []
        start = 0
        for tracklet in self.tracklets:
            stop = start + len(tracklet.images)
            good = [row for row in range(start, stop) if row not in copied.faults]
            rows += good
            if good:
                tracklets.append((tracklet, len(good)))
            start = stop
        return Kept(rows, tracklets)


def make_import_table(tree: Tree, reading: RawDataset) -> ImportTable:
    """Sorts and checks what a reader found.

    Errors: LpwError for names that a dataset cannot hold; ValueError for a reading that breaks the
    reader's contract.
    """
    tracklets = sorted(reading.tracklets, key=lambda tracklet: tracklet.tracklet_id)
    names = [name for tracklet in tracklets for name in tracklet.images]
    _check_contract(tree, tracklets, names)
    prefix = find_prefix(names)
    paths = [name[len(prefix) :] for name in names]
    _check_names(tree, paths)
    return ImportTable(tracklets, names, paths, prefix, _digest_reading(tracklets, paths, reading))


def _check_names(tree: Tree, paths: list[str]) -> None:
    """Errors: LpwError for a path that some system does not hold, or not beside another one; as of
    an archive's."""
    for path in paths:
        fault = find_path_fault(path)  # `..`, `/` and `\` at the beginning are faults too
        if fault:
            got = f"{fault}: the file name {show_name(path)!r}"
            raise LpwError(
                tree.name, got, "printable names that every file system holds", "rename that file"
            )
    hashes = np.sort(
        np.fromiter((hash(fold_name(path)) for path in paths), np.int64, len(paths))
    )  # a million fit
    twice = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    seen: dict[str, str] = {}
    for path in (path for path in paths if twice and hash(fold_name(path)) in twice):
        other = seen.setdefault(fold_name(path), path)
        if other != path:
            got = f"both {show_name(other)!r} and {show_name(path)!r}"
            raise LpwError(
                tree.name, got, "names that stay apart on every file system", "rename one of them"
            )


def _check_contract(tree: Tree, tracklets: list[RawTracklet], names: list[str]) -> None:
    """Errors: ValueError, which is a bug of the reader."""
    if not tracklets or not all(tracklet.images for tracklet in tracklets):
        raise ValueError("a reader gave no tracklets, or one without images")
    if len({tracklet.tracklet_id for tracklet in tracklets}) < len(tracklets) or len(
        set(names)
    ) < len(names):
        raise ValueError("a reader gave a tracklet or an image twice")
    if not set(names) <= set(tree.names):
        raise ValueError("a reader gave images that are not in the tree")
    odd = {tracklet.kind for tracklet in tracklets} - set(KINDS)
    odd |= {name for name in names if not name.lower().endswith(tuple(KIND_OF_SUFFIX))}
    if odd:
        raise ValueError(
            f"a reader gave {sorted(odd)[:3]}, neither a kind of tracklet nor an image"
        )
    for tracklet in tracklets:
        index = tracklet.frame_index
        if index is not None and (
            len(index) != len(tracklet.images) or np.any(np.diff(index, prepend=-1) <= 0)
        ):
            raise ValueError(
                f"{tracklet.tracklet_id}: frame numbers that do not grow with the images"
            )


def _digest_reading(tracklets: list[RawTracklet], paths: list[str], reading: RawDataset) -> str:
    total = hashlib.sha256()
    start = 0
    for t in tracklets:
        own = paths[start : start + len(t.images)]
        start += len(own)
        line = [t.tracklet_id, t.scene_id, t.camera_id, t.person_id, t.kind, own, t.frame_index]
        total.update(json.dumps(line).encode())
    splits = reading.splits and [
        reading.splits.source,
        reading.splits.digest,
        reading.splits.subsets,
    ]
    total.update(json.dumps([splits, reading.mismatches, reading.extras, reading.notes]).encode())
    return total.hexdigest()


def make_frames(import_table: ImportTable, kept: Kept, copied: CopiedImage) -> pa.Table:
    """The table of images (schema.FRAMES); positions are dense whatever was left out."""
    rows = np.array(kept.rows, dtype=np.int64)
    lengths = [n for _, n in kept.tracklets]
    ids = pa.array([tracklet.tracklet_id for tracklet, _ in kept.tracklets], pa.string())
    paths = pa.array([import_table.paths[row] for row in kept.rows], pa.string())
    columns: dict[str, Any] = {
        "tracklet_id": ids.take(pa.array(np.repeat(np.arange(len(lengths)), lengths))),
        "position": pa.array(np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])),
        "image": pa.StructArray.from_arrays(
            [pa.nulls(len(rows), pa.binary()), paths], fields=list(FRAMES.field("image").type)
        ),
        "width": pa.array(copied.width[rows]),
        "height": pa.array(copied.height[rows]),
        "sha256": pa.Array.from_buffers(
            pa.binary(32), len(rows), [None, pa.py_buffer(copied.sha256[rows].tobytes())]
        ),
        "frame_index": _frame_index(import_table).take(pa.array(rows)),
    }
    left = (columns.get(kind.name, pa.nulls(len(rows), kind.type)) for kind in FRAMES)
    return pa.Table.from_arrays(list(left), schema=FRAMES)


def _frame_index(import_table: ImportTable) -> pa.Array:
    values: list[int | None] = []
    for tracklet in import_table.tracklets:
        values += tracklet.frame_index or [None] * len(tracklet.images)
    return pa.array(values, pa.int32())


def make_tracklets(kept: Kept) -> pa.Table:
    """The table of tracklets (schema.TRACKLETS)."""
    own = [tracklet for tracklet, _ in kept.tracklets]
    nothing = [None] * len(own)
    columns: list[Any] = [
        [tracklet.tracklet_id for tracklet in own],
        [tracklet.scene_id for tracklet in own],
        [tracklet.camera_id for tracklet in own],
        [tracklet.person_id for tracklet in own],
        [tracklet.kind for tracklet in own],
        nothing,
        [n for _, n in kept.tracklets],
        nothing,
        nothing,
    ]
    return make_table(columns, TRACKLETS)


def make_splits(splits: Splits, import_table: ImportTable, kept: Kept) -> pa.Table:
    """The table of splits (schema.SPLITS), sorted by all its columns; where they come from is its
    metadata.

    Tracklets without a usable image are left out. Errors: MismatchError for ids that the reader did
    not find.
    """
    known = {tracklet.tracklet_id for tracklet in import_table.tracklets}
    left = {tracklet.tracklet_id for tracklet, _ in kept.tracklets}
    rows = sorted(_iter_split_rows(splits))
    unknown = [name for _, _, name in rows if name not in known]
    if unknown:
        hint = "fetch the split file again"
        raise MismatchError(
            splits.source, f"the tracklet {unknown[0]!r}", "tracklets of the dataset", hint
        )
    rows = [row for row in rows if row[2] in left]
    columns = [[row[i] for row in rows] for i in range(3)]
    metadata = {
        b"split_source": splits.source.encode(),
        b"split_digest": splits.digest.encode(),
        b"drawn": b"true" if splits.drawn else b"false",
        b"note": (splits.note or "").encode(),
    }
    table = make_table(columns, SPLITS)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})


def _iter_split_rows(splits: Splits) -> Iterator[tuple[int, str, str]]:
    for number, subsets in enumerate(splits.subsets):
        odd = set(subsets) - set(SUBSETS)
        if odd:
            raise ValueError(f"a reader gave the subsets {sorted(odd)}")
        for subset, names in subsets.items():
            yield from ((number, subset, name) for name in set(names))
