"""The layout of MARS: `bbox_train`, `bbox_test` and the lists in `info/` that say which images are
a tracklet.

Source: liangzheng06/MARS-evaluation:utils/info_mars.m (names and columns), its info/*.mat (types).
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports.form import Place, Tally, copy_images
from lpw_toolkit.exports.roles import DISTRACTOR, JUNK, ExportRoles, FormLimits, Ints
from lpw_toolkit.files import writing
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.progress import Progress

LIMITS = FormLimits(persons=9999, cameras=6)
MAX_TRACKLETS_OF_ONE = 9999
_MAT_TEXT = b"MATLAB 5.0 MAT-file, written by lpw-toolkit"
_MAT_TEXT_BYTES = 116  # of the 128-byte header; scipy writes the clock and the platform there


@dataclass(frozen=True)
class _Part:
    """`train` or `test`: rows of the table of tracklets in the order of the list, and the name of
    each."""

    name: str
    rows: list[int]
    names: dict[int, str]


def write_mars(
    dataset: Dataset,
    cast: ExportRoles,
    folder: Path,
    *,
    most: int | None,
    progress: Progress,
    tally: Tally,
) -> dict[int, str]:
    """Writes the layout into `folder`: ids `0000` are distractors, `00-1` junk.

    Args:
        most: images of a tracklet that are kept; None keeps all (numbers then outgrow three
            digits).

    Returns: the name of each tracklet, such as `0001C1T0001`.
    Errors: LpwError for more than MAX_TRACKLETS_OF_ONE tracklets of one person; CorruptCropError.
    """
    test = np.union1d(cast.roles.query, cast.roles.gallery)
    parts = [
        _order_part("train", cast.roles.train, cast, dataset),
        _order_part("test", test, cast, dataset),
    ]
    info = writing.make_folder(folder / "info")
    for part in parts:
        places = [
            Place(
                row,
                f"bbox_{part.name}/{part.names[row][:4]}",
                part.names[row] + "F{n:03d}.jpg",
                most=most,
            )
            for row in part.rows
        ]
        copy_images(dataset, places, folder, progress, tally)
        lengths = _count(dataset, part.rows, most)
        names = [f"{part.names[row]}F{n:03d}.jpg\n" for row,
        length in zip(part.rows, lengths.tolist(), strict=True)
                 for n in range(1, length + 1)]  # fmt: skip
        writing.write_file(info / f"{part.name}_name.txt", "".join(names).encode())
        table = _describe_tracks(part, cast, lengths)
        writing.write_file(
            info / f"tracks_{part.name}_info.mat", encode_mat(f"track_{part.name}_info", table)
        )
    asked = np.flatnonzero(np.isin(parts[1].rows, cast.roles.query)) + 1
    small = np.uint16 if len(parts[1].rows) < 1 << 16 else np.int32
    writing.write_file(info / "query_IDX.mat", encode_mat("query_IDX", asked[None].astype(small)))
    return {**parts[0].names, **parts[1].names}


def encode_mat(name: str, array: NDArray[np.generic]) -> bytes:
    """One array as a MATLAB v5 file, the same bytes whenever and wherever it is written."""
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, {name: array})
    data = file.getvalue()
    return _MAT_TEXT.ljust(_MAT_TEXT_BYTES) + data[_MAT_TEXT_BYTES:]


def _order_part(name: str, rows: Ints, cast: ExportRoles, dataset: Dataset) -> _Part:
    """Tracklets in the order of their file names; T counts those of one person over its cameras, as
    MARS does."""
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    codes = {row: {DISTRACTOR: "0000", JUNK: "00-1"}.get(int(p), f"{p:04d}")
             for row, p in zip(rows.tolist(), cast.person[rows], strict=True)}  # fmt: skip
    ordered = sorted(codes, key=lambda row: (codes[row], cast.camera[row], natural_key(ids[row])))
    counts: dict[str, int] = {}
    names = {}
    for row in ordered:
        code = codes[row]
        counts[code] = counts.get(code, 0) + 1
        names[row] = f"{code}C{cast.camera[row]}T{counts[code]:04d}"
    crowded = max(counts, key=lambda code: counts[code])
    if counts[crowded] > MAX_TRACKLETS_OF_ONE:
        got = f"{counts[crowded]:,} tracklets with id {crowded}"
        do = "export with --to hf or webdataset"
        raise LpwError(dataset.root, got, f"at most {MAX_TRACKLETS_OF_ONE:,}", do)
    return _Part(name, ordered, names)


def _count(dataset: Dataset, rows: list[int], most: int | None) -> Ints:
    bounds = FrameRanges(dataset).bounds[rows]
    lengths = bounds[:, 1] - bounds[:, 0]
    return lengths if most is None else np.minimum(lengths, most)


def _describe_tracks(part: _Part, cast: ExportRoles, lengths: Ints) -> NDArray[np.int32]:
    """First row and last row of the list (from 1, inclusive), person, camera: (N, 4)."""
    stops = np.cumsum(lengths)
    table = np.stack(
        [stops - lengths + 1, stops, cast.person[part.rows], cast.camera[part.rows]], axis=1
    )
    return table.astype(np.int32)
