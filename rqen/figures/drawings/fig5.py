"""Figure 5: persons of a dataset as its cameras see them: a row a person, a column a camera, scene
by scene.

Shown are persons seen by the most cameras of their scene, evenly spread over them; of a dataset
without persons, the tracklets of each camera.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.errors import LpwError
from lpw_toolkit.names import count_of
from lpw_toolkit.pages.sprites import sample_positions
from rqen.figures.figure import Drawing, FigureRequest
from rqen.quality_page.picture_page import Section
from rqen.quality_page.plotting import EDGE, SOFT, TEXT, render

TITLE = "Figure 5: persons as the cameras see them"
NEEDS_RUN = False
_N_PERSONS, _N_FRAMES, _MAX_CAMERAS = 4, 4, 6
_FRAME_INCH, _GAP_INCH, _LEFT_INCH, _TOP_INCH = (0.5, 1.0), 0.16, 0.6, 0.3
_SHOWN_PX = (256, 128)
_MAX_LABEL = (6, 24)  # characters beside a row, above a column

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SceneSample:
    """What is shown of one scene.

    Attributes:
        scene: its name; None where the dataset has no scenes.
        cameras: columns.
        rows: names of the persons, or of tracklets where there are no persons.
        tracklets: row of the table of tracklets by (row, column) of the picture.
        counts: of the whole scene, in words.
    """

    scene: str | None
    cameras: tuple[str, ...]
    rows: tuple[str, ...]
    tracklets: dict[tuple[int, int], int]
    counts: str

    @property
    def labels(self) -> tuple[list[str], list[str]]:
        """What the picture writes beside its rows and above its columns: the ends of the names, or
        numbers where those are long, foreign to the font, or the same."""
        rows = _take_ends(self.rows, _MAX_LABEL[0], "")
        return rows, _take_ends(self.cameras, _MAX_LABEL[1], "camera ")


def draw_figure(request: FigureRequest) -> Drawing:
    """See the module."""
    dataset = open_dataset(request.data)
    n_frames = request.n_frames or _N_FRAMES
    images, bounds = open_images(dataset), FrameRanges(dataset).bounds
    sections = {}
    for number, sample in enumerate(sample_scenes(dataset, request.n_rows or _N_PERSONS), start=1):
        cells = {}
        for place, tracklet in sample.tracklets.items():
            start, stop = bounds[tracklet].tolist()
            chosen = sample_positions(stop - start, n_frames)
            cells[place] = [images.decode(start + position, _SHOWN_PX) for position in chosen]
        title = dataset.name if sample.scene is None else f"scene {sample.scene}"
        alt = "persons in rows, cameras in columns, some frames of one tracklet in each place"
        picture = draw_persons(sample, cells, n_frames)
        table = _list_tracklets(dataset, sample)
        section = Section(title, (sample.counts,), picture, alt, table)
        sections[f"scene-{number:03d}"] = section
    n_tracklets, n_images = dataset.tracklets.num_rows, dataset.frames.num_rows
    facts = (
        ("dataset", f"{dataset.name}, digest {dataset.digest}"),
        ("in all", f"{n_tracklets:,} tracklets, {n_images:,} images"),
        ("shown", "persons of the most cameras, evenly spread; the longest tracklet in each"),
    )
    return Drawing(facts, sections)


def sample_scenes(dataset: Dataset, n_rows: int) -> Iterator[SceneSample]:
    """What is shown of each scene, in the order of their names.

    Errors: LpwError for a dataset without tracklets.
    """
    if not dataset.tracklets.num_rows:
        raise LpwError(dataset.name, "no tracklets", "one or more", "name another dataset")
    table = dataset.tracklets.to_pandas()
    is_person = table["person_id"].notna() & (table["kind"] == "person")
    has_persons = bool(is_person.any())
    if has_persons:
        table = table[is_person]
    table["who"] = table["person_id"] if has_persons else table["tracklet_id"]
    for scene, part in table.groupby("scene_id", dropna=False, sort=True):
        name = scene if isinstance(scene, str) else None
        cameras = sorted(part["camera_id"].unique())
        seen = part.groupby("who")["camera_id"].nunique()
        rows = _choose_persons(seen, n_rows) if has_persons else _choose_any(part, n_rows)
        shown = [camera for camera in cameras if _is_shown(part, rows, camera)][:_MAX_CAMERAS]
        found = {}
        for i, who in enumerate(rows):
            for k, camera in enumerate(shown):
                own = part[(part["who"] == who) & (part["camera_id"] == camera)]
                if len(own):
                    found[i, k] = int(own.sort_values("n_frames", kind="stable").index[-1])
        of = f"{count_of(len(seen), 'person')}, {len(rows)} shown; " if has_persons else ""
        counts = (
            f"{of}{count_of(len(part), 'tracklet')}, {count_of(len(cameras), 'camera')}, "
            f"{count_of(int(part['n_frames'].sum()), 'image')}"
        )
        yield SceneSample(name, tuple(shown), tuple(rows), found, counts)


def _take_ends(names: tuple[str, ...], n_most: int, title: str) -> list[str]:
    ends = [name.rpartition("/")[2] for name in names]
    fits = all(end.isascii() and end.isprintable() and 0 < len(end) <= n_most for end in ends)
    if fits and len(set(ends)) == len(ends):
        return ends
    return [f"{title}{k}" for k in range(1, len(names) + 1)]


def _choose_persons(seen: Any, n_rows: int) -> list[str]:
    """Persons of the most cameras, evenly spread; further ones where these are too few."""
    ranked = sorted(seen.index, key=lambda who: (-seen[who], who))
    best = [who for who in ranked if seen[who] == seen.max()]
    if len(best) < n_rows:
        return ranked[:n_rows]
    return [best[i] for i in sample_positions(len(best), n_rows)]


def _choose_any(part: Any, n_rows: int) -> list[str]:
    """Tracklets, evenly spread over each camera."""
    rows: list[str] = []
    for _, own in part.groupby("camera_id", sort=True):
        names = own["who"].tolist()
        rows += [names[i] for i in sample_positions(len(names), n_rows)]
    return rows


def _is_shown(part: Any, rows: list[str], camera: str) -> bool:
    return bool((part["who"].isin(rows) & (part["camera_id"] == camera)).any())


def draw_persons(
    sample: SceneSample, cells: dict[tuple[int, int], list[Pixels]], n_frames: int
) -> bytes:
    """The picture of a scene as PNG.

    Args:
        cells: frames by (row, column).
        n_frames: how many fit in a place.
    """
    (width, height), n_rows, n_columns = _FRAME_INCH, len(sample.rows), len(sample.cameras)
    column, row = n_frames * width + _GAP_INCH, height + _GAP_INCH / 2
    size = _LEFT_INCH + n_columns * column, _TOP_INCH + n_rows * row + 0.1

    def draw(figure: Any) -> None:
        panel = figure.add_axes((0, 0, 1, 1))
        rows, columns = sample.labels
        for k, label in enumerate(columns):
            words = {"fontsize": 9, "color": TEXT, "va": "bottom"}
            left = _LEFT_INCH + k * column
            panel.text(left, _TOP_INCH - 0.07, label, **words)
        for i, label in enumerate(rows):
            top = _TOP_INCH + i * row
            words = {"fontsize": 9, "color": SOFT, "ha": "center", "va": "center"}
            panel.text(_LEFT_INCH / 2, top + height / 2, label, **words)
            for k in range(n_columns):
                place = _LEFT_INCH + k * column, top
                _draw_place(panel, cells.get((i, k)), place, n_frames)
        panel.set(xlim=(0, size[0]), ylim=(size[1], 0))
        panel.set_axis_off()

    return render(size, draw, dpi=106)


def _draw_place(
    panel: Any, frames: list[Pixels] | None, corner: tuple[float, float], n_frames: int
) -> None:
    from matplotlib.patches import Rectangle

    (left, top), (width, height) = corner, _FRAME_INCH
    if frames is None:
        panel.add_patch(Rectangle(corner, n_frames * width, height, facecolor=EDGE, alpha=0.35))
        words = {"fontsize": 8, "color": SOFT, "ha": "center", "va": "center"}
        panel.text(left + n_frames * width / 2, top + height / 2, "not seen", **words)
    for j, image in enumerate(frames or ()):
        extent = (left + j * width, left + (j + 1) * width, top + height, top)
        panel.imshow(image, extent=extent, aspect="auto", interpolation="bilinear")


def _list_tracklets(dataset: Dataset, sample: SceneSample) -> tuple[tuple[str, ...], ...]:
    ids = dataset.tracklets["tracklet_id"]
    rows, columns = sample.labels
    pairs = zip(columns, sample.cameras, strict=True)
    table = [("row", "person", *(f"{label}: {name}" for label, name in pairs))]
    for i, (label, who) in enumerate(zip(rows, sample.rows, strict=True)):
        found = (sample.tracklets.get((i, k)) for k in range(len(sample.cameras)))
        names = ("-" if row is None else ids[row].as_py() for row in found)
        table.append((label, who, *names))
    return tuple(table)
