"""A dataset as an offline page: a timeline per camera, a strip of crops per tracklet.

The page is static: `data.js` holds the numbers (a page opened from a disk may not fetch a file),
`sprites/` one JPEG per tracklet. A content security policy keeps it from reaching anything else,
and ids are only ever shown as text.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.output_folder import check_free, mark_folder, publish_folder
from lpw_toolkit.dataset.split_info import describe_splits, format_splits, list_roles
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import writing
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.pages.render import encode_data, list_files, read_static, render_page
from lpw_toolkit.pages.sprites import Strip, draw_strip, sample_positions
from lpw_toolkit.progress import show_progress

MARKER = ".lpw-show"
MAX_SINGLE_FILE = 500
_SPRITES_PER_FOLDER = 1000
_N_THREADS = 2


@dataclass(frozen=True)
class Show:
    """The result of `write_show`.

    Attributes:
        page: the file to open, `out`/index.html.
        problems: one line for each crop that is crossed out on it, in order.
    """

    page: Path
    problems: list[str]


@dataclass(frozen=True)
class ContactSheet:
    """Tracklets in the order of the page, and the slice of the table of frames that each one
    owns."""

    tracklets: pa.Table
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


def write_show(
    dataset: Dataset, out: Path, *, single_file: bool = False, max_crops: int = 12
) -> Show:
    """Writes the folder `out` with index.html. It replaces an older page, and nothing else.

    Args:
        single_file: everything within index.html; for at most MAX_SINGLE_FILE tracklets.
        max_crops: largest number of crops in a strip.

    Errors: LpwError when `out` holds other things or lies in the dataset, or the dataset is too
    large for one file; MismatchError when its tables disagree. A corrupt crop is no error: it is
    crossed out and reported.
    """
    return write_pages(
        dataset, out, order_tracklets, "show.html", single_file=single_file, max_crops=max_crops
    )


def write_pages(
    dataset: Dataset,
    out: Path,
    order: Callable[[Dataset], ContactSheet],
    template: str,
    *,
    single_file: bool,
    max_crops: int,
) -> Show:
    """Writes the folder `out` with a page of the tracklets that `order` chooses (see
    `write_show`)."""
    if max_crops < 1:
        raise LpwError("crops in a strip", str(max_crops), "at least 1", "raise the number")
    if out.resolve().is_relative_to(dataset.root.resolve()):
        raise LpwError(
            out, "a place inside the dataset", "a folder beside it", "choose another --out"
        )
    check_free(out, marker=MARKER)
    sheet = order(dataset)
    if single_file and len(sheet.starts) > MAX_SINGLE_FILE:
        got, expected = f"{len(sheet.starts)} tracklets", f"at most {MAX_SINGLE_FILE}"
        raise LpwError("--single-file", got, expected, "drop the option")
    with publish_folder(out, marker=MARKER) as folder:
        strips = list(draw_strips(dataset, sheet, None if single_file else folder, max_crops))
        data = describe_page(dataset, sheet, strips)
        if single_file:
            data["sprites"] = [
                f"data:image/jpeg;base64,{base64.b64encode(s.jpeg).decode()}" for s in strips
            ]
        write_page(folder, data, single_file=single_file, template=template)
        mark_folder(folder, MARKER)
    return Show(
        out / "index.html", [str(error) for strip in strips for error in strip.corrupt.values()]
    )


def order_tracklets(dataset: Dataset) -> ContactSheet:
    """Tracklets by camera, first appearance and id, each with its rows of the table of frames."""
    tracklets = dataset.tracklets
    ids = tracklets["tracklet_id"].to_pylist()
    first = np.nan_to_num(to_numpy(tracklets, "first_pts_s").astype(np.float64), nan=0.0)
    cameras = tracklets["camera_id"].to_pylist()
    order = sorted(
        range(len(ids)), key=lambda i: (natural_key(cameras[i]), first[i], natural_key(ids[i]))
    )
    return take_sheet(dataset, np.array(order, dtype=np.int64))


def take_sheet(dataset: Dataset, rows: NDArray[np.int64]) -> ContactSheet:
    """The tracklets in `rows` of the table of tracklets, in that order. Errors: MismatchError."""
    bounds = FrameRanges(dataset).bounds
    return ContactSheet(dataset.tracklets.take(pa.array(rows)), bounds[rows, 0], bounds[rows, 1])


def sprite_path(row: int) -> str:
    """Where the sprite of the page's tracklet number `row` lies: never named after an id, which may
    be anything."""
    return f"sprites/{row // _SPRITES_PER_FOLDER}/{row}.jpg"


def draw_strips(
    dataset: Dataset, sheet: ContactSheet, folder: Path | None, max_crops: int
) -> Iterator[Strip]:
    """Draws all strips on all cores, in order; with a folder each goes to its file at once and is
    not kept."""
    frames, n_strips = dataset.frames, len(sheet.starts)
    if folder is not None:
        for first in range(0, n_strips, _SPRITES_PER_FOLDER):
            writing.make_folder((folder / sprite_path(first)).parent)

    def draw(row: int) -> Strip:
        mine = frames.slice(sheet.starts[row], sheet.stops[row] - sheet.starts[row])
        strip = draw_strip(dataset, mine.take(pa.array(sample_positions(mine.num_rows, max_crops))))
        if folder is None:
            return strip
        writing.write_file(folder / sprite_path(row), strip.jpeg)
        return Strip(b"", strip.tile_width_px, strip.n_tiles, strip.corrupt)

    with show_progress("show", n_strips, "tracklets") as progress:
        for strip in prefetch(draw, range(n_strips), _N_THREADS):
            progress.advance()
            yield strip


def describe_page(dataset: Dataset, sheet: ContactSheet, strips: list[Strip]) -> dict[str, Any]:
    """What the page knows: one list per column, one entry per tracklet; None for what the dataset
    does not know."""
    tracklets = sheet.tracklets
    cameras = list(dict.fromkeys(tracklets["camera_id"].to_pylist()))
    number = {camera: i for i, camera in enumerate(cameras)}
    unit, start, end = _times(dataset.frames, sheet)
    splits = describe_splits(dataset)
    return {
        "name": dataset.name,
        "digest": str(dataset.manifest.get("digest", "")),
        "n_images": int((sheet.stops - sheet.starts).sum()),
        "n_all": dataset.tracklets.num_rows,
        "splits": format_splits(splits) if splits else None,
        "cameras": cameras,
        "unit": unit,
        "id": tracklets["tracklet_id"].to_pylist(),
        "camera": [number[camera] for camera in tracklets["camera_id"].to_pylist()],
        "person": tracklets["person_id"].to_pylist(),
        "kind": tracklets["kind"].to_pylist(),
        "role": list_roles(dataset, tracklets["tracklet_id"].to_pylist()) if splits else None,
        "length": (sheet.stops - sheet.starts).tolist(),
        "start": start,
        "end": end,
        "score": _means(dataset.frames, sheet, "score", 4),
        "width": _means(dataset.frames, sheet, "width", 0),
        "height": _means(dataset.frames, sheet, "height", 0),
        "tile": [strip.tile_width_px for strip in strips],
        "tiles": [strip.n_tiles for strip in strips],
        "corrupt": {
            row: sorted(strip.corrupt) for row, strip in enumerate(strips) if strip.corrupt
        },
    }


def _times(
    frames: pa.Table, sheet: ContactSheet
) -> tuple[str | None, list[float | None], list[float | None]]:
    """When each tracklet begins and ends: in seconds, else in frames, else not at all."""
    for unit, column in (("s", "pts_s"), ("frames", "frame_index")):
        values = to_numpy(frames, column).astype(np.float64)
        if len(values) and np.isfinite(values).all():
            return unit, _rounded(values[sheet.starts], 3), _rounded(values[sheet.stops - 1], 3)
    unknown: list[float | None] = [None] * len(sheet.starts)
    return None, unknown, unknown


def _means(frames: pa.Table, sheet: ContactSheet, column: str, digits: int) -> list[float | None]:
    """Mean of a column over each tracklet; None where nothing is known."""
    values = to_numpy(frames, column).astype(np.float64)
    known = np.isfinite(values)
    sums = np.append(0.0, np.cumsum(np.where(known, values, 0.0)))
    counts = np.append(0, np.cumsum(known))
    n = counts[sheet.stops] - counts[sheet.starts]
    totals = sums[sheet.stops] - sums[sheet.starts]
    return _rounded(np.divide(totals, n, out=np.full(len(n), np.nan), where=n > 0), digits)


def _rounded(values: NDArray[np.float64], digits: int) -> list[float | None]:
    return [
        None if not np.isfinite(v) else round(v, digits) if digits else round(v)
        for v in values.tolist()
    ]


def write_page(
    folder: Path, data: dict[str, Any], *, single_file: bool, template: str = "show.html"
) -> None:
    """Writes index.html, and beside it the files that it links."""
    files = {name: read_static(name) for name in list_files(template)}
    files["data.js"] = encode_data(data)
    page = render_page(template, files if single_file else None)
    for name, text in {**({} if single_file else files), "index.html": page}.items():
        writing.write_file(folder / name, text.encode())
