"""Selects tracklets that show how a quality predictor behaves, and writes their pictures and a
page."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.image_codec import resize
from lpw_toolkit.dataset.image_reader import ImageReader, open_images
from lpw_toolkit.dataset.output_folder import check_free, mark_folder, publish_folder
from lpw_toolkit.dataset.tables import to_integers
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.files.writing import write_file
from lpw_toolkit.pages.sprites import sample_positions
from lpw_toolkit.progress import show_progress
from rqen.corruption.inject import read_mask
from rqen.corruption.plan import REGIONS
from rqen.inference.run_vectors import RunVectors, ScoringOptions, embed_run, name_regions
from rqen.model.method import open_method
from rqen.model.network import SetNetwork
from rqen.model.pixels import normalise
from rqen.quality_page.picture_page import Section, format_page
from rqen.quality_page.score_pictures import Floats, Pixels, ScoredSet, draw_scores, draw_set
from rqen.run.run_folder import read_run
from rqen.run.trained_network import open_network

MARKER = ".lpw-quality"
_SPREAD_WORDS = "(largest − smallest score) / mean score of a region, averaged over the regions"

_MAX_SHOWN_PIXELS = 1 << 20  # 3 MB a frame; the page shows each 100 x 200 pixels large

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class QualityOptions:
    """What is shown.

    Attributes:
        n_tracklets: how many, those of the largest spread of scores; not used where `names` are
            given.
        names: tracklets by id.
        n_among: score only so many tracklets, drawn by the seed; None is all.
        n_frames: most frames in a row.
        seed: of draws, and of the order among equals.
        mask: the table of what was corrupted where, of a corrupted dataset; it is drawn, and
            used for nothing else.
    """

    n_tracklets: int = 6
    names: tuple[str, ...] = ()
    n_among: int | None = None
    n_frames: int = 10
    seed: int = 0
    mask: Path | None = None


class QualityView:
    """The trained network of a run, applied to single frames.

    Args:
        run: folder of a complete run whose frames are weighed by scores (rqen, qan).

    Errors: LpwError for a run that is not complete, or of a method whose scores weigh nothing.
    """

    def __init__(self, run: Path) -> None:
        refuse_unweighted(run)
        self.network, said = open_network(run)
        self.size_px = said["recipe"]["data"]["height"], said["recipe"]["data"]["width"]
        self.division: tuple[float, ...] = self.network.spec.division
        self.regions = tuple(name_regions(len(self.division)))

    def describe(
        self, images: list[Pixels], positions: list[int], corrupted: NDArray[np.bool_] | None = None
    ) -> ScoredSet:
        """Scores and last maps of pictures (H, W, 3), RGB."""
        scores, activation = _look(
            self.network, np.stack([resize(image, self.size_px) for image in images])
        )
        return ScoredSet(
            images, scores, activation, positions, self.division, self.regions, corrupted
        )


@torch.no_grad()
def _look(network: SetNetwork, images: Pixels) -> tuple[Floats, Floats]:
    """Scores (T, R), and the mean (T, h, w) of the last map over its channels, of images (T, H, W,
    3)."""
    pixels = normalise(torch.from_numpy(images).permute(0, 3, 1, 2), network.backbone.pixels)
    maps, _, scores = network.describe_frames(pixels)
    return scores.numpy(), maps.last.float().mean(dim=1).numpy()


def refuse_unweighted(run: Path) -> None:
    """Errors: LpwError for a run of a method whose frames all weigh the same."""
    method = read_run(run).get("method")
    why = {
        "uniform": "which weighs all frames alike",
        "appended": "whose scores stand beside the features and weigh no frame",
    }
    quality = "uniform" if method is None else getattr(open_method(method), "quality", "uniform")
    if quality in why:
        raise LpwError(
            run, f"a run of {method}, {why[quality]}", "one of rqen or qan", "name another run"
        )


def write_quality_page(
    run: Path, data: Path, out: Path, options: QualityOptions, scoring: ScoringOptions
) -> list[Path]:
    """Publishes the folder `out`: index.html, scores.png and a PNG per tracklet. Returns the files,
    the page first.

    Errors: LpwError for a run without weights for frames, unknown tracklets, or an `out` that holds
    other things; CorruptCropError that names an image.
    """
    check_free(out, marker=MARKER)
    view = QualityView(run)
    corrupted = (
        None
        if options.mask is None
        else read_corrupted(options.mask, open_dataset(data), len(view.regions))
    )
    found = _score(run, data, options, scoring)
    files = {
        "scores.png": draw_scores(found.scores[~np.isnan(found.scores).any(axis=1)], view.regions)
    }
    sections = [
        Section(
            "Scores of all frames",
            (),
            files["scores.png"],
            "a histogram of the scores of each region",
        )
    ]
    rows = (
        find_rows(found.dataset, options.names)
        if options.names
        else choose_rows(
            found.scores,
            _list_starts(found.dataset),
            options.n_tracklets,
            np.random.default_rng(options.seed),
        )
    )
    with show_progress("quality", len(rows), "tracklets") as progress:
        for number, section in enumerate(
            _draw_tracklets(view, found, rows, options, corrupted), start=1
        ):
            sections.append(section)
            files[f"tracklet-{number:03d}.png"] = section.png or b""
            progress.advance()
    page = format_page(f"Quality: {found.facts.model}", _list_facts(found, options), sections)
    with publish_folder(out, marker=MARKER) as folder:
        for name, content in {"index.html": page.encode(), **files}.items():
            write_file(folder / name, content)
        mark_folder(folder, MARKER)
    return [out / name for name in ("index.html", *files)]


def _list_starts(dataset: Dataset) -> Ints:
    """(N + 1,), tracklet i has the rows [starts[i], starts[i + 1]) of the table of frames."""
    return np.append(0, np.cumsum(to_integers(dataset.tracklets, "n_frames"))).astype(np.int64)


def _draw_tracklets(
    view: QualityView,
    found: RunVectors,
    rows: Ints,
    options: QualityOptions,
    corrupted: NDArray[np.bool_] | None,
) -> Iterator[Section]:
    starts, images = _list_starts(found.dataset), open_images(found.dataset)
    for row in rows.tolist():
        start, stop = starts[row : row + 2].tolist()
        scores = found.scores[start:stop]
        positions = pick_positions(scores, options.n_frames)
        marked = None if corrupted is None else corrupted[start:stop][positions]
        scored = view.describe(
            [_decode_to_show(images, start + position) for position in positions],
            positions,
            marked,
        )
        yield _make_section(found.dataset, row, scores, scored)


def _decode_to_show(images: ImageReader, row: int) -> Pixels:
    """The image of that row, made smaller where it is larger than any crop: all frames of a set are
    held at once."""
    height, width = images.size_px(row)
    scale = math.sqrt(_MAX_SHOWN_PIXELS / (height * width))
    return images.decode(
        row, None if scale >= 1 else (max(1, int(height * scale)), max(1, int(width * scale)))
    )


def _score(run: Path, data: Path, options: QualityOptions, scoring: ScoringOptions) -> RunVectors:
    """The scores of the tracklets that may be shown: those named, those drawn, or all."""
    dataset, rows = open_dataset(data), None
    if options.names:
        rows = np.unique(find_rows(dataset, options.names))
    elif options.n_among is not None:
        rng = np.random.default_rng(options.seed)
        rows = np.sort(rng.permutation(dataset.tracklets.num_rows)[: options.n_among]).astype(
            np.int64
        )
    return embed_run(run, data, scoring, rows)


def read_corrupted(mask: Path, dataset: Dataset, n_regions: int) -> NDArray[np.bool_]:
    """(F, R), True where a region was corrupted; the one region of QAN is the whole frame.

    Errors: LpwError for a mask that is not there or a network of other regions, MismatchError for
    one of other frames.
    """
    if not mask.is_file():
        raise LpwError(
            mask,
            "no such file",
            "the mask of a corrupted dataset",
            "give the one that was made with the dataset",
        )
    if n_regions not in (1, len(REGIONS)):
        raise LpwError(
            "option --mask",
            f"a run of {n_regions} regions",
            "one of 1 or 3",
            "leave the option out",
        )
    region = read_mask(mask, dataset.frames)[0]
    return (region >= 0)[:, None] if n_regions == 1 else region[:, None] == np.arange(n_regions)


def find_rows(dataset: Dataset, names: tuple[str, ...]) -> Ints:
    """Rows of the table of tracklets by id, each once. Errors: LpwError that names those that are
    not there."""
    place = {name: row for row, name in enumerate(dataset.tracklets["tracklet_id"].to_pylist())}
    strange = [name for name in names if name not in place]
    if strange:
        near = join_names(list(place), 3)
        raise LpwError(
            "option --tracklet",
            join_names(strange, 3),
            f"ids of {dataset.name}, such as {near}",
            "correct it",
        )
    return np.array([place[name] for name in dict.fromkeys(names)], dtype=np.int64)


def measure_spread(scores: Floats) -> float:
    """How much the scores (T, R) of a tracklet differ: (largest - smallest) / mean, averaged over
    the regions."""
    return float(
        ((scores.max(axis=0) - scores.min(axis=0)) / np.maximum(scores.mean(axis=0), 1e-12)).mean()
    )


def choose_rows(scores: Floats, starts: Ints, n: int, rng: np.random.Generator) -> Ints:
    """Rows of the `n` tracklets whose scores (F, R) are spread most, largest first; equals in an
    order by `rng`.

    Tracklets with one frame, and those without scores (NaN), have no spread and are left out.
    Errors: LpwError where none is left.
    """
    able = [
        row
        for row, (start, stop) in enumerate(pairwise(starts.tolist()))
        if stop - start > 1 and not np.isnan(scores[start:stop]).any()
    ]
    if not able:
        raise LpwError(
            "tracklets", "none with two frames", "two frames to compare", "choose another dataset"
        )
    spread = np.array([measure_spread(scores[starts[i] : starts[i + 1]]) for i in able])
    order = np.lexsort((rng.permutation(len(able)), -spread))
    return np.array(able, dtype=np.int64)[order[:n]]


def pick_positions(scores: Floats, n_most: int) -> list[int]:
    """At most `n_most` (2 or more) positions of a tracklet with these scores (T, R), evenly spread,
    in order.

    The best and the worst frame, by their mean weight over the regions, are among them: each takes
    the place of its nearest neighbour where it has none of its own.
    """
    weight = (scores / np.maximum(scores.mean(axis=0, keepdims=True), 1e-12)).mean(axis=1)
    wanted = [int(weight.argmax()), int(weight.argmin())]
    chosen = sample_positions(len(scores), n_most)
    for position in wanted:
        if position not in chosen:
            free = [p for p in chosen if p not in wanted]
            chosen.remove(min(free, key=lambda p: abs(p - position)))
            chosen.append(position)
    return sorted(chosen)


def _make_section(dataset: Dataset, row: int, scores: Floats, scored: ScoredSet) -> Section:
    said = dataset.tracklets.slice(row, 1).to_pylist()[0]
    who = f"person {said['person_id']}" if said["person_id"] is not None else "person unknown"
    shown = (
        f"{len(scored.positions)} of {len(scores)} frames shown"
        if len(scored.positions) < len(scores)
        else (f"{len(scores)} frames")
    )
    lines = (
        f"camera {said['camera_id']}, {who}, {shown}; spread {measure_spread(scores):.3f}",
        f"best frame {scored.positions[scored.best]}, worst frame {scored.positions[scored.worst]}",
    )
    head = ("frame", *(f"{name} {what}" for name in scored.regions for what in ("score", "µ")))
    table = [head]
    for position, score, share in zip(scored.positions, scored.scores, scored.shares, strict=True):
        pairs = zip(score.tolist(), share.tolist(), strict=True)
        table.append((str(position), *(f"{value:.4f}" for pair in pairs for value in pair)))
    alt = "frames in a row with the score of each region, and below them their last feature maps"
    return Section(said["tracklet_id"], lines, draw_set(scored), alt, tuple(table))


def _list_facts(found: RunVectors, options: QualityOptions) -> list[tuple[str, str]]:
    scored = ~np.isnan(found.scores).any(axis=1)
    chosen = "by id" if options.names else f"largest spread first: {_SPREAD_WORDS}"
    mean = ", ".join(
        f"{name} {value:.3f}"
        for name, value in zip(
            name_regions(found.n_regions), found.scores[scored].mean(axis=0).tolist(), strict=True
        )
    )
    return [
        ("run", found.run.name),
        ("weights", f"SHA-256 {found.facts.checkpoint_sha256}"),
        ("dataset", f"{found.dataset.name}, digest {found.facts.dataset_digest}"),
        ("scored", f"{int(found.present.sum()):,} tracklets, {int(scored.sum()):,} frames"),
        ("tracklets", chosen),
        ("mean score", mean),
        ("µ", "score divided by the sum of the scores of the frames shown, per region"),
    ]
