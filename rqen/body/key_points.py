"""Joints on the images of a dataset: read from a table of landmarks, or found by a pose model."""

import csv
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.image_reader import ImageReader, open_images
from lpw_toolkit.dataset.tables import to_integers
from lpw_toolkit.detection.pose import PoseOptions, open_pose
from lpw_toolkit.detection.pose_model import PoseModel
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.lines import LongLineError, iter_lines
from lpw_toolkit.files.opening import exists, read_text
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.progress import say_note, show_progress
from rqen.body.landmarks import JOINTS, Floats, map_coco, map_cpm

MIN_CONFIDENCE = 0.5
_CHUNK = 64
_CHUNK_PIXELS = 1 << 26  # 200 MB; 64 crops of ordinary size are a tenth of it
_OUTSIDE = "joints outside their picture"
_DO = (
    "write it as path, x1 … x14, y1 … y14 (and c1 … c14), in pixels from 1, in CPM's order of "
    "joints"
)

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class BodyPoints:
    """The joints of N images.

    Attributes:
        rows: (N,) rows of the table of frames.
        points: (N, 14, 3) float64 `x y confidence` in the paper's order; x and y as shares of the
            picture's width and height. A confidence of 0 means that the joint was not seen, or lies
            outside the picture.
        notes: one line for each thing that was left out.
        source: a name for reports.
    """

    rows: Ints
    points: Floats
    notes: tuple[str, ...]
    source: str

    def seen(self, min_confidence: float) -> NDArray[np.bool_]:
        """(N, 14), True for joints that count."""
        confidence = self.points[..., 2]
        return np.asarray((confidence > 0) & (confidence >= min_confidence))


def read_landmarks(file: Path, dataset: Dataset) -> tuple[BodyPoints, bool]:
    """The landmarks of a dataset's images, from a CSV in CPM's order, and whether they come with
    confidences.

    One line per image: `path` as in the table of frames (a leading `images/` may lack), `x1` to
    `x14` and `y1` to `y14` in pixels of the image, counted from 1, empty for a joint that was not
    seen; `c1` to `c14` where there are confidences.

    Errors: LpwError for a file that is no such table (with its line), an image named twice, or no
    image of the dataset.
    """
    import pyarrow.compute as pc

    paths = pc.struct_field(dataset.frames["image"], "path").to_pylist()
    numbers = {path: row for row, path in enumerate(paths)}
    rows: dict[int, None] = {}  # in the order of the file
    values, unknown = array("d"), list[str]()
    n_unknown = n_double = 0
    lines = _read_lines(file)
    columns = _find_columns(file, next(lines, (1, []))[1])
    for number, cells in lines:
        path = cells[columns.path] if len(cells) == columns.width else ""
        if not path:
            got = (
                f"line {number} with {len(cells)} cells"
                if len(cells) != columns.width
                else f"line {number} without a path"
            )
            raise LpwError(file, got, f"a path and {columns.width - 1} numbers", _DO)
        row = numbers.get(path, numbers.get(f"images/{path}"))
        if row is None:
            n_unknown += 1
            unknown = unknown or [path[:200]]
            continue
        n_double += row in rows
        if row not in rows:
            rows[row] = None
            values.extend(_to_number(file, number, cells[c]) for c in columns.values)
    _check_rows(file, len(rows), n_double, unknown)
    table = np.array(values, dtype=np.float64).reshape(len(rows), -1, 14).transpose(0, 2, 1)
    notes = (
        []
        if not unknown
        else [f"{n_unknown:,} rows of images that the dataset lacks, such as {unknown[0]}"]
    )
    points, n_outside = _to_shares(map_cpm(_add_confidence(table)), np.array(list(rows)), dataset)
    if n_outside > (n_inside := int((points[..., 2] > 0).sum())):
        got = f"{n_outside:,} of {n_inside + n_outside:,} joints outside their pictures"
        raise LpwError(
            file,
            got,
            "pixels of the images as the dataset has them",
            "scale them, or name another dataset",
        )
    notes += [
        *_tell_rest(n_outside, _OUTSIDE),
        *_tell_rest(len(numbers) - len(rows), "images without a row"),
    ]
    return BodyPoints(
        np.array(list(rows), dtype=np.int64), points, tuple(notes), file.name
    ), table.shape[2] == 3


def find_points(dataset: Dataset, rows: Ints, model: PoseModel) -> BodyPoints:
    """The joints that a pose model sees on the images with these rows of the table of frames.

    Errors: CorruptCropError naming an image; LpwError where it finds no person on any of them.
    """
    images, found = open_images(dataset), []
    with show_progress("pose", len(rows), "images") as progress:
        for piece in _cut_to_memory(images, rows):
            found.append(model.find_points([images.decode(row) for row in piece]))
            progress.advance(len(piece))
    points = np.concatenate(found).astype(np.float64)
    is_empty = ~(points[..., 2] > 0).any(axis=1)
    if is_empty.all():
        got = f"no person on any of {len(rows):,} images"
        raise LpwError(
            model.path,
            got,
            "persons",
            "choose another pose model, or look at more images (--images)",
        )
    shares, n_outside = _to_shares(map_coco(points[~is_empty]), rows[~is_empty], dataset)
    notes = [
        *_tell_rest(int(is_empty.sum()), "images on which no person was found"),
        *_tell_rest(n_outside, _OUTSIDE),
    ]
    return BodyPoints(rows[~is_empty], shares, tuple(notes), model.path.name)


def find_by_pose(
    dataset: Dataset, options: PoseOptions, n_images: int, seed: int = 0
) -> tuple[BodyPoints, Ints, PoseModel]:
    """The joints that a pose model sees on `n_images` images drawn by the seed, the rows of all
    images that it looked at (where it saw no person too), and the model.

    Errors: as `open_pose` and `find_points`.
    """
    model = open_pose(options)
    say_note(model.note)
    rows = draw_rows(dataset, n_images, np.random.default_rng(seed))
    return find_points(dataset, rows, model), rows, model


def _cut_to_memory(images: ImageReader, rows: Ints) -> Iterator[list[int]]:
    """`rows` in pieces whose images are held at once: at most `_CHUNK` of them and `_CHUNK_PIXELS`,
    or one image."""
    piece: list[int] = []
    n_pixels = 0
    for row in rows.tolist():
        height, width = images.size_px(row)
        if piece and (len(piece) >= _CHUNK or n_pixels + height * width > _CHUNK_PIXELS):
            yield piece
            piece, n_pixels = [], 0
        piece.append(row)
        n_pixels += height * width
    if piece:
        yield piece


def draw_rows(dataset: Dataset, n_images: int, rng: np.random.Generator) -> Ints:
    """Rows of `n_images` images, all of them where there are fewer, in the order of the table."""
    n = dataset.frames.num_rows
    return np.sort(rng.permutation(n)[:n_images]).astype(np.int64)


@dataclass(frozen=True)
class _Columns:
    path: int
    values: tuple[int, ...]
    width: int


def _find_columns(file: Path, header: list[str]) -> _Columns:
    place = {name.strip().lower(): i for i, name in enumerate(header)}
    kinds = "xyc" if any(re.fullmatch(r"c\d+", name) for name in place) else "xy"
    wanted = [f"{kind}{joint}" for kind in kinds for joint in range(1, len(JOINTS) + 1)]
    lacking = [name for name in ("path", *wanted) if name not in place]
    odd = [name for name in place if name not in ("path", *wanted)]
    if lacking or odd or len(place) != len(header):
        got = (
            f"no column {lacking[0]}"
            if lacking
            else f"a column {odd[0][:40]!r}"
            if odd
            else "a column twice"
        )
        raise LpwError(file, got, "14 joints per image", _DO)
    return _Columns(place["path"], tuple(place[name] for name in wanted), len(header))


def _read_lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is not empty. Errors: LpwError for a file that is no text
    or too large."""
    try:
        if not exists(file):
            raise LpwError(
                file, "no such file", "a table of landmarks", "give the path of landmarks.csv"
            )
        text = read_text(file, encoding="utf-8-sig")
        reader = csv.reader(iter_lines(text), strict=True)
        yield from ((reader.line_num, cells) for cells in reader if cells)
    except (UnicodeDecodeError, csv.Error) as error:
        raise LpwError(
            file, "a file that is no CSV in UTF-8", "a table of landmarks", _DO
        ) from error
    except LongLineError as error:
        raise LpwError(file, f"{error}", "a table of landmarks", _DO) from error
    except OSError as error:
        raise LpwError(
            file, describe_os_error(error), "a readable file", "check its permissions"
        ) from error


def _to_number(file: Path, line: int, cell: str) -> float:
    try:
        value = float(cell) if cell.strip() else np.nan
    except ValueError:
        value = np.inf
    if np.isinf(value) or (np.isnan(value) and cell.strip()):
        raise LpwError(file, f"{cell[:40]!r} on line {line}", "a finite number, or nothing", _DO)
    return value


def _check_rows(file: Path, n_rows: int, n_double: int, unknown: list[str]) -> None:
    if not n_rows:
        got = (
            f"paths such as {unknown[0]}, none of them in the dataset"
            if unknown
            else "no line of landmarks"
        )
        raise LpwError(
            file,
            got,
            "paths as in the table of frames",
            "name the dataset that the landmarks were made for",
        )
    if n_double:
        got = f"{n_double} images named more than once"
        raise LpwError(file, got, "one line per image", "remove the others")


def _add_confidence(table: Floats) -> Floats:
    """`x y` or `x y c` (N, 14, 2 or 3) with NaN for nothing to `x y confidence` without NaN."""
    given = table[..., 2] if table.shape[2] == 3 else np.ones(table.shape[:2])
    known = ~np.isnan(table).any(axis=2)
    return np.nan_to_num(
        np.concatenate([table[..., :2], np.where(known, given, 0.0)[..., None]], axis=2)
    )


def _to_shares(points: Floats, rows: Ints, dataset: Dataset) -> tuple[Floats, int]:
    """Pixels to shares of each picture, and how many joints lie outside theirs: these are not
    seen."""
    size = np.stack(
        [to_integers(dataset.frames, "width")[rows], to_integers(dataset.frames, "height")[rows]],
        axis=1,
    )
    shares = points.copy()
    shares[..., :2] /= size[:, None]
    outside = (points[..., 2] > 0) & ((shares[..., :2] < 0) | (shares[..., :2] > 1)).any(axis=2)
    shares[outside, 2] = 0
    return shares, int(outside.sum())


def _tell_rest(n: int, what: str) -> list[str]:
    return [f"{n:,} {what}"] if n else []
