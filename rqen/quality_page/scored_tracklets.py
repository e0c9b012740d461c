"""Chooses tracklets that show how a quality predictor behaves, and describes some of their
frames."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.image_codec import resize
from lpw_toolkit.dataset.image_reader import ImageReader, open_images
from lpw_toolkit.dataset.tables import to_integers
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.files.estimate import Announce
from lpw_toolkit.pages.sprites import sample_positions
from lpw_toolkit.progress import show_progress
from rqen.corruption.inject import read_mask
from rqen.corruption.plan import REGIONS
from rqen.inference.run_vectors import RunVectors, ScoringOptions, embed_run, name_regions
from rqen.model.method import open_method
from rqen.quality_page.score_pictures import Floats, Pixels, ScoredSet
from rqen.run.run_folder import read_run
from rqen.run.trained_network import open_network

_MAX_SHOWN_PIXELS = 1 << 20  # 3 MB a frame; a page shows each 100 x 200 pixels large

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

    def prepare(self, images: list[Pixels]) -> torch.Tensor:
        """Pictures (H, W, 3), RGB, as the network takes them: (T, 3, H', W')."""
        resized = np.stack([resize(image, self.size_px) for image in images])
        return self.network.prepare(torch.from_numpy(resized).permute(0, 3, 1, 2))

    @torch.no_grad()
    def describe(
        self, images: list[Pixels], positions: list[int], corrupted: NDArray[np.bool_] | None = None
    ) -> ScoredSet:
        """Scores and last maps (their mean over the channels) of pictures (H, W, 3), RGB."""
        maps, _, scores = self.network.describe_frames(self.prepare(images))
        activation = maps.last.float().mean(dim=1).numpy()
        return ScoredSet(
            images, scores.numpy(), activation, positions, self.division, self.regions, corrupted
        )


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


@dataclass(frozen=True)
class ScoredTracklet:
    """One tracklet that is shown.

    Attributes:
        said: its row of the table of tracklets.
        scores: (T, R), of all its frames.
        shown: those of its frames that are drawn.
    """

    said: dict[str, Any]
    scores: Floats
    shown: ScoredSet

    @property
    def caption(self) -> str:
        """Camera, person, and how many frames are shown, in one line."""
        person, n_shown, n = self.said["person_id"], len(self.shown.positions), len(self.scores)
        who = "person unknown" if person is None else f"person {person}"
        frames = f"{n_shown} of {n} frames shown" if n_shown < n else f"{n} frames"
        return f"camera {self.said['camera_id']}, {who}, {frames}"

    def list_numbers(self) -> tuple[tuple[str, ...], ...]:
        """The scores and weights of the frames shown, below a header."""
        shown = self.shown
        table = [
            ("frame", *(f"{name} {what}" for name in shown.regions for what in ("score", "µ")))
        ]
        for position, score, share in zip(shown.positions, shown.scores, shown.shares, strict=True):
            pairs = zip(score.tolist(), share.tolist(), strict=True)
            table.append((str(position), *(f"{value:.4f}" for pair in pairs for value in pair)))
        return tuple(table)


class ScoredRun:
    """The scores that a run gives to a dataset, and the tracklets that are shown of it.

    Args:
        run, data: folders.
        options: what is shown.
        scoring: how the dataset goes through the network.
        announce: gets an estimate from a few batches.

    Errors: LpwError for a run without weights for frames, or unknown tracklets; CorruptCropError
    that names an image.
    """

    def __init__(
        self,
        run: Path,
        data: Path,
        options: QualityOptions,
        scoring: ScoringOptions,
        announce: Announce | None = None,
    ) -> None:
        self.view, self.options = QualityView(run), options
        self._corrupted = (
            None
            if options.mask is None
            else read_corrupted(options.mask, open_dataset(data), len(self.view.regions))
        )
        self.found = _score(run, data, options, scoring, announce)
        self._starts = _list_starts(self.found.dataset)
        self.rows = self._choose()

    @property
    def scores(self) -> Floats:
        """(F', R), of all frames that were scored."""
        return self.found.scores[~np.isnan(self.found.scores).any(axis=1)]

    def _choose(self) -> Ints:
        if self.options.names:
            return find_rows(self.found.dataset, self.options.names)
        rng = np.random.default_rng(self.options.seed)
        return choose_rows(self.found.scores, self._starts, self.options.n_tracklets, rng)

    def tracklets(self) -> Iterator[ScoredTracklet]:
        """Those that are shown, in order."""
        images = open_images(self.found.dataset)
        with show_progress("quality", len(self.rows), "tracklets") as progress:
            for row in self.rows.tolist():
                start, stop = self._starts[row : row + 2].tolist()
                scores = self.found.scores[start:stop]
                positions = pick_positions(scores, self.options.n_frames)
                corrupted = self._corrupted
                marked = None if corrupted is None else corrupted[start:stop][positions]
                pixels = [_decode_to_show(images, start + position) for position in positions]
                said = self.found.dataset.tracklets.slice(row, 1).to_pylist()[0]
                shown = self.view.describe(pixels, positions, marked)
                yield ScoredTracklet(said, scores, shown)
                progress.advance()


def _list_starts(dataset: Dataset) -> Ints:
    """(N + 1,), tracklet i has the rows [starts[i], starts[i + 1]) of the table of frames."""
    return np.append(0, np.cumsum(to_integers(dataset.tracklets, "n_frames"))).astype(np.int64)


def _decode_to_show(images: ImageReader, row: int) -> Pixels:
    """The image of that row, made smaller where it is larger than any crop: all frames of a set are
    held at once."""
    height, width = images.size_px(row)
    scale = math.sqrt(_MAX_SHOWN_PIXELS / (height * width))
    return images.decode(
        row, None if scale >= 1 else (max(1, int(height * scale)), max(1, int(width * scale)))
    )


def _score(
    run: Path,
    data: Path,
    options: QualityOptions,
    scoring: ScoringOptions,
    announce: Announce | None,
) -> RunVectors:
    """The scores of the tracklets that may be shown: those named, those drawn, or all."""
    dataset, rows = open_dataset(data), None
    if options.names:
        rows = np.unique(find_rows(dataset, options.names))
    elif options.n_among is not None:
        rng = np.random.default_rng(options.seed)
        rows = np.sort(rng.permutation(dataset.tracklets.num_rows)[: options.n_among]).astype(
            np.int64
        )
    return embed_run(run, data, scoring, rows, announce)


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
