"""The rules for the rows of each table, checked by whole columns and without reading an image."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.check.problems import MAX_ROWS_NAMED, Problem, name_rows
from lpw_toolkit.dataset.image_format import KIND_OF_SUFFIX
from lpw_toolkit.dataset.parquet_file import OpenTable
from lpw_toolkit.dataset.schema import KINDS
from lpw_toolkit.dataset.tables import boxes_of, run_starts, to_numpy

Mask = NDArray[np.bool_]
_TRACKLETS, _FRAMES = "tracklets.parquet", "frames.parquet"
# Empty, absolute, "." or ".." or empty parts, backslash, NUL: whatever dataset.is_inner_path
# refuses, and second names.
_ODD_PATH = r"\\|\x00|(^|/)\.{0,2}(/|$)"
_SUFFIX = r"(?i)\.(" + "|".join(suffix[1:] for suffix in KIND_OF_SUFFIX) + ")$"


def check_tracklets(table: pa.Table) -> Iterator[Problem]:
    """Rules that `tracklets.parquet` keeps by itself."""
    ids = table["tracklet_id"].combine_chunks()
    yield from name_rows(
        _TRACKLETS,
        "sorted",
        _falls(ids),
        lambda row: f"{_text(ids, row)} after {_text(ids, row - 1)}",
    )
    yield from name_rows(
        _TRACKLETS, "unique-id", _repeats(ids), lambda row: f"{_text(ids, row)} again"
    )
    for column in ("tracklet_id", "camera_id"):
        yield from _check_filled(_TRACKLETS, table, column)
    kinds = table["kind"]
    known = _mask(pc.is_in(kinds, value_set=pa.array(KINDS)))
    yield from name_rows(_TRACKLETS, "kind", ~known, lambda row: _text(kinds, row))
    yield from _check_owner(table, "camera_id", "scene_id")
    yield from _check_owner(table, "video_id", "camera_id")


def check_frames(table: pa.Table) -> Iterator[Problem]:
    """Rules that `frames.parquet` keeps by itself."""
    ids = table["tracklet_id"].combine_chunks()
    starts = run_starts(table["tracklet_id"])
    yield from name_rows(
        _FRAMES, "sorted", _falls(ids), lambda row: f"{_text(ids, row)} after {_text(ids, row - 1)}"
    )
    yield from _check_filled(_FRAMES, table, "tracklet_id")
    position, wanted = to_numpy(table, "position"), positions_in_runs(starts, table.num_rows)
    yield from name_rows(
        _FRAMES,
        "position",
        position != wanted,
        lambda row: f"{position[row]} instead of {wanted[row]}",
    )
    yield from _check_growth(_FRAMES, table, starts, strictly=True)
    yield from _check_boxes(_FRAMES, table)
    yield from _check_size(_FRAMES, table)


def check_paths(table: pa.Table) -> tuple[list[Problem], Mask]:
    """Problems with the image paths of `frames.parquet`, and the rows (N,) whose path may be
    followed."""
    paths = pc.struct_field(table["image"].combine_chunks(), "path")
    odd = _mask(pc.fill_null(pc.match_substring_regex(paths, _ODD_PATH), True))
    unknown = ~_mask(pc.fill_null(pc.match_substring_regex(paths, _SUFFIX), False))
    twice = _repeats(paths)
    problems = [
        *name_rows(_FRAMES, "image-path", odd | unknown, lambda row: _text(paths, row)),
        *name_rows(_FRAMES, "image-twice", twice, lambda row: f"{_text(paths, row)} again"),
    ]
    return (
        problems,
        ~odd & ~twice,
    )  # a million rows that name one large file would be a million readings of it


def check_pairing(tracklets: pa.Table, frames: pa.Table) -> Iterator[Problem]:
    """Rules between the two tables; both must be sorted for them to mean anything."""
    ids, starts = frames["tracklet_id"].combine_chunks(), run_starts(frames["tracklet_id"])
    run_ids, own_ids = ids.take(pa.array(starts)), tracklets["tracklet_id"].combine_chunks()
    orphans = np.zeros(frames.num_rows, dtype=bool)
    orphans[starts] = ~_mask(pc.is_in(run_ids, value_set=own_ids))
    yield from name_rows(_FRAMES, "no-tracklet", orphans, lambda row: _text(ids, row))
    run_of = to_numpy(
        pa.table({"run": pc.index_in(own_ids, value_set=run_ids).cast(pa.float64())}), "run"
    )
    bare = np.isnan(run_of)
    yield from name_rows(_TRACKLETS, "no-frames", bare, lambda row: _text(own_ids, row))
    if bare.all():
        return
    run = np.where(bare, 0, run_of).astype(np.int64)
    stops = np.append(starts[1:], frames.num_rows)
    n_frames, counted = to_numpy(tracklets, "n_frames"), (stops - starts)[run]
    wrong = ~bare & (n_frames != counted)
    yield from name_rows(
        _TRACKLETS, "n-frames", wrong, lambda row: f"{n_frames[row]}, but {counted[row]} frames"
    )
    for column, at in (("first_pts_s", starts[run]), ("last_pts_s", stops[run] - 1)):
        yield from _check_pts(tracklets, frames, column, at, ~bare)


def check_row_groups(file: Path, frames: pa.Table) -> Iterator[Problem]:
    """Whether the row groups of `frames.parquet` end where a tracklet ends. Errors: OSError,
    pa.ArrowException."""
    with OpenTable(file) as opened:
        metadata = opened.file.metadata
        ends = np.cumsum(
            [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)], dtype=np.int64
        )
    inside = ends[(ends < frames.num_rows) & ~np.isin(ends, run_starts(frames["tracklet_id"]))]
    if len(inside):
        yield Problem(
            _FRAMES,
            int(inside[0]),
            "row-groups",
            f"{len(inside)} row groups that end inside a tracklet",
        )


def check_detections(name: str, table: pa.Table) -> Iterator[Problem]:
    """Rules of one table of raw detections."""
    yield from _check_filled(name, table, "video_id")
    yield from _check_growth(name, table, run_starts(table["video_id"]), strictly=False)
    yield from _check_boxes(name, table)


def check_timeline(name: str, table: pa.Table) -> Iterator[Problem]:
    """Rules of the timeline of one video."""
    yield from _check_filled(name, table, "video_id")
    starts = run_starts(table["video_id"])
    yield from _check_growth(name, table, starts, strictly=True)
    segment = to_numpy(table, "segment")
    falls = np.diff(segment, prepend=segment[:1]) < 0
    falls[starts] = False
    yield from name_rows(name, "segment", falls | (segment < 0), lambda row: str(segment[row]))
    yield from _check_size(name, table)


def positions_in_runs(starts: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """0, 1, 2, … from each of `starts` (R,) on, (n_rows,)."""
    lengths = np.diff(np.append(starts, n_rows))
    return np.arange(n_rows) - np.repeat(starts, lengths)


def _check_filled(name: str, table: pa.Table, column: str) -> Iterator[Problem]:
    empty = _mask(pc.equal(table[column], ""))
    yield from name_rows(name, "empty-id", empty, lambda row: f"an empty {column}")


def _check_owner(table: pa.Table, column: str, owner: str) -> Iterator[Problem]:
    """Every value of `column` goes with one value of `owner` (null is a value too)."""
    pairs = (
        table.select([column, owner])
        .filter(pc.is_valid(table[column]))
        .group_by([column, owner])
        .aggregate([])
    )
    split = pc.value_counts(pairs[column])
    several = split.filter(pc.greater(split.field("counts"), 1)).field("values")
    for value in several[:MAX_ROWS_NAMED].to_pylist():
        owners = sorted(map(str, pairs[owner].filter(pc.equal(pairs[column], value)).to_pylist()))
        yield Problem(
            _TRACKLETS, None, "camera", f"{column} {value!r} with {owner} {', '.join(owners[:3])}"
        )
    if len(several) > MAX_ROWS_NAMED:
        yield Problem(
            _TRACKLETS, None, "camera", f"{len(several) - MAX_ROWS_NAMED} more such {column}s"
        )


def _check_growth(
    name: str, table: pa.Table, starts: NDArray[np.int64], *, strictly: bool
) -> Iterator[Problem]:
    index = to_numpy(table, "frame_index").astype(np.float64)  # null: NaN, which compares as fine
    step = np.diff(index, prepend=-1.0)
    bad = (step <= 0) if strictly else (step < 0)
    bad[starts] = False
    bad |= index < 0
    yield from name_rows(
        name, "frame-index", bad, lambda row: f"{index[row]:.0f} after {index[row - 1]:.0f}"
    )


def _check_boxes(name: str, table: pa.Table) -> Iterator[Problem]:
    n_null = sum(_mask(table[side].is_null()).astype(np.int8) for side in ("x1", "y1", "x2", "y2"))
    boxes = boxes_of(table)
    with np.errstate(invalid="ignore"):
        whole = (
            np.isfinite(boxes).all(axis=1)
            & (boxes[:, 0] < boxes[:, 2])
            & (boxes[:, 1] < boxes[:, 3])
        )
    yield from name_rows(
        name, "box", (n_null != 4) & ~whole, lambda row: f"box {boxes[row].tolist()}"
    )
    score = to_numpy(table, "score")
    bad = ~_mask(table["score"].is_null()) & ~((score >= 0) & (score <= 1))
    yield from name_rows(name, "score", bad, lambda row: f"score {score[row]}")


def _check_size(name: str, table: pa.Table) -> Iterator[Problem]:
    width, height = to_numpy(table, "width"), to_numpy(table, "height")
    bad = (width <= 0) | (height <= 0)
    yield from name_rows(name, "size", bad, lambda row: f"{width[row]} x {height[row]} pixels")


def _check_pts(
    tracklets: pa.Table, frames: pa.Table, column: str, at: NDArray[np.int64], known: Mask
) -> Iterator[Problem]:
    said, own = (
        to_numpy(tracklets, column).astype(np.float64),
        to_numpy(frames, "pts_s").astype(np.float64)[at],
    )
    differs = known & (said != own) & ~(np.isnan(said) & np.isnan(own))
    yield from name_rows(
        _TRACKLETS,
        "pts",
        differs,
        lambda row: f"{column} {said[row]}, but {own[row]} in the frames",
    )


def _falls(ids: pa.Array) -> Mask:
    """Rows (N,) that are smaller, as UTF-8 bytes, than the row before."""
    falls = np.zeros(len(ids), dtype=bool)
    falls[1:] = _mask(pc.less(ids[1:], ids[:-1]))
    return falls


def _repeats(values: pa.Array) -> Mask:
    """Rows (N,) whose value was there before; null never counts."""
    codes = values.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    repeats = np.ones(len(values), dtype=bool)
    repeats[np.unique(codes, return_index=True)[1]] = False
    return repeats & ~_mask(values.is_null())


def _mask(values: pa.Array | pa.ChunkedArray) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)


def _text(values: pa.Array | pa.ChunkedArray, row: int) -> str:
    return repr(values[row].as_py())
