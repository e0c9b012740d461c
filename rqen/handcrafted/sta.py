"""STA (spatio-temporal body-action model): Fisher vectors of walking cycles, a set of them for each
tracklet.

    flow energy -> walking cycles -> 24 body-action units -> Fisher vectors -> PCA -> metric
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.evaluation.pca import fit_pca
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.progress import show_progress
from rqen.handcrafted.body_action import N_UNITS
from rqen.handcrafted.cycle_metric import (
    CycleLabels,
    CycleSets,
    MetricName,
    factor_form,
    learn_form,
)
from rqen.handcrafted.fisher_vector import MixtureConfig
from rqen.handcrafted.local_descriptor import Order, convert_frames, describe_pixels
from rqen.handcrafted.tracklet_frames import read_frames
from rqen.handcrafted.unit_model import UnitModels, encode_cycle, fit_units, iter_units
from rqen.handcrafted.walking_cycle import (
    RELEASED_RATE_HZ,
    Starts,
    WalkingCycle,
    find_cycles,
    measure_flow_energy,
    take_whole,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Frames whose flow is measured at once.
_FLOW_FRAMES = 64


@dataclass(frozen=True)
class StaConfig:
    """How STA is fitted.

    Attributes:
        order: of the derivatives in the descriptors: 2 as released for iLIDS-VID, 1 for PRID 2011.
        starts: where cycles begin, see `find_cycles`.
        mixture: of each unit.
        sample_share: share of the descriptors of each tracklet's median cycle that mixtures are
            fitted on.
        max_samples: descriptors of a unit, at most.
        n_dims: principal components of the Fisher vectors, at most: fewer where the cycles leave
            fewer degrees of freedom.
        max_cycles: cycles that principal components are fitted on, at most; others are drawn by
            seed and only projected.
        metric: see `learn_form`.
    """

    order: Order = 2
    starts: Starts = "minima"
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    sample_share: float = 0.01
    max_samples: int = 20_000
    n_dims: int = 100
    max_cycles: int = 2000
    metric: MetricName = "kissme"


@dataclass(frozen=True)
class StaModel:
    """A fitted model.

    Attributes:
        units: of the body-action units.
        centre: (F,) mean of the weighted Fisher vectors.
        projection: (F, r) principal components times the factor of the metric: squared Euclidean
            distances behind it are those of the metric.
        order, starts: see `StaConfig`.
    """

    units: UnitModels
    centre: Floats
    projection: Floats
    order: Order
    starts: Starts


@dataclass(frozen=True)
class FoundCycles:
    """The walking cycles of N tracklets.

    Attributes:
        rows: (N,) of the table of tracklets.
        cycles: of each tracklet, one or more.
        n_whole: tracklets without a cycle, each of which is taken as one of unknown phase.
    """

    rows: Ints
    cycles: list[list[WalkingCycle]]
    n_whole: int

    @property
    def starts(self) -> Ints:
        """(N + 1,) as `CycleSets` has it."""
        return np.cumsum([0, *(len(of_one) for of_one in self.cycles)])

    @property
    def sign(self) -> Ints:
        """(n,) of all cycles."""
        return np.array([cycle.sign for of_one in self.cycles for cycle in of_one])


def read_rates(index: TrackletIndex, rows: Ints) -> Floats:
    """Frames per second (N,) of tracklets, from their first and last times; 30, as released, where
    a tracklet has no times or one frame."""
    first, last, n_frames = (
        to_numpy(index.tracklets, name)[rows].astype(np.float64)
        for name in ("first_pts_s", "last_pts_s", "n_frames")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = (n_frames - 1) / (last - first)
    return np.where(np.isfinite(rate) & (rate > 0), rate, RELEASED_RATE_HZ)


def find_all_cycles(index: TrackletIndex, rows: Ints, starts: Starts = "minima") -> FoundCycles:
    """The walking cycles of the tracklets with these rows.

    Errors: CorruptCropError that names an image.
    """
    rates = dict(zip(rows.tolist(), read_rates(index, rows), strict=True))

    def find(row: int) -> list[WalkingCycle]:
        length = int(index.starts[row + 1] - index.starts[row])
        pieces = [
            measure_flow_energy(read_frames(index, row, start, start + _FLOW_FRAMES + 1))
            for start in range(0, max(1, length - 1), _FLOW_FRAMES)
        ]
        return find_cycles(np.concatenate(pieces), rates[row], starts=starts)

    with show_progress("walking cycles", len(rows), "tracklets") as progress:
        found = []
        for row, cycles in zip(rows.tolist(), prefetch(find, rows.tolist()), strict=True):
            whole = take_whole(int(index.starts[row + 1] - index.starts[row]))
            found.append(cycles or [whole])
            progress.advance()
    return FoundCycles(rows, found, sum(of_one[0].sign == 0 for of_one in found))


def fit_sta(
    index: TrackletIndex,
    found: FoundCycles,
    person: Ints,
    camera: Ints,
    config: StaConfig = StaConfig(),
    *,
    seed: int = 0,
) -> StaModel:
    """Fits everything on the cycles of training tracklets; the same seed gives the same bytes.

    Args:
        person, camera: (N,) codes of the tracklets of `found`.

    Errors: LpwError where they are too few or too alike, CorruptCropError that names an image.
    """
    units = fit_units(_sample_units(index, found, config, seed), config.mixture, seed)
    n_each = np.diff(found.starts)
    labels = CycleLabels(
        np.repeat(person, n_each), np.repeat(camera, n_each), np.repeat(found.rows, n_each),
        found.sign,
    )  # fmt: skip
    n_cycles = int(found.starts[-1])
    drawn = np.random.default_rng(seed).permutation(n_cycles)[: config.max_cycles]
    vectors = np.stack(list(_iter_vectors(index, found, units, config.order, np.sort(drawn))))
    n_free = max(1, (len(vectors) - len(np.unique(person))) // 2)
    pca = fit_pca(vectors, min(config.n_dims, n_free))
    projected = np.empty((n_cycles, pca.components.shape[1]))
    projected[np.sort(drawn)] = pca.project(vectors)
    rest = np.setdiff1d(np.arange(n_cycles), drawn)
    for place, vector in zip(
        rest, _iter_vectors(index, found, units, config.order, rest), strict=True
    ):
        projected[place] = pca.project(vector[None])[0]
    form = learn_form(projected, labels, config.metric)
    projection = pca.components @ factor_form(form)
    return StaModel(units, pca.mean, projection, config.order, config.starts)


def describe_cycles(index: TrackletIndex, found: FoundCycles, model: StaModel) -> CycleSets:
    """The vectors of all cycles. Errors: CorruptCropError that names an image."""
    every = np.arange(found.starts[-1])
    vectors = [
        (vector - model.centre) @ model.projection
        for vector in _iter_vectors(index, found, model.units, model.order, every)
    ]
    return CycleSets(np.stack(vectors).astype(np.float32), found.sign, found.starts)


def weigh(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each number x of Fisher vectors times the standard normal density at x / 2, as released.

    >>> weigh(np.float32([0, 2])).round(3)
    array([0.   , 0.484], dtype=float32)
    """
    return np.asarray(vector * np.exp(-(vector**2) / 8) / np.sqrt(2 * np.pi), dtype=np.float32)


def _read_pixels(
    index: TrackletIndex, row: int, cycle: WalkingCycle, order: Order
) -> NDArray[np.float32]:
    """`describe_pixels` of the frames of a cycle, whose neighbours in time are seen too."""
    before = min(1, cycle.start)
    frames = read_frames(index, row, cycle.start - before, cycle.stop + 1)
    pixels = describe_pixels(convert_frames(frames), order)
    return pixels[before : before + cycle.stop - cycle.start]


def _sample_units(
    index: TrackletIndex, found: FoundCycles, config: StaConfig, seed: int
) -> list[NDArray[np.float32]]:
    """Descriptors (N, C) of each unit: a share of those of every tracklet's median cycle."""

    def sample(place: int) -> list[NDArray[np.float32]]:
        row, cycles = int(found.rows[place]), found.cycles[place]
        cycle = cycles[(len(cycles) - 1) // 2]
        rng = np.random.default_rng([seed, place])
        taken = []
        for descriptors in iter_units(_read_pixels(index, row, cycle, config.order), cycle):
            n = int(np.ceil(config.sample_share * len(descriptors)))
            taken.append(descriptors[rng.permutation(len(descriptors))[:n]])
        return taken

    gathered: list[list[NDArray[np.float32]]] = [[] for _ in range(N_UNITS)]
    with show_progress("descriptors", len(found.rows), "tracklets") as progress:
        for taken in prefetch(sample, range(len(found.rows))):
            for unit, descriptors in zip(gathered, taken, strict=True):
                unit.append(descriptors)
            progress.advance()
    rng = np.random.default_rng(seed)
    joined = (np.concatenate(unit) for unit in gathered)
    return [unit[rng.permutation(len(unit))[: config.max_samples]] for unit in joined]


def _iter_vectors(
    index: TrackletIndex, found: FoundCycles, units: UnitModels, order: Order, places: Ints
) -> Iterator[NDArray[np.float32]]:
    """The weighted Fisher vectors of the cycles at these places, which ascend, in their order."""
    owner = np.repeat(found.rows, np.diff(found.starts))
    cycles = [cycle for of_one in found.cycles for cycle in of_one]

    def describe(place: int) -> NDArray[np.float32]:
        pixels = _read_pixels(index, int(owner[place]), cycles[place], order)
        return weigh(encode_cycle(pixels, cycles[place], units))

    with (
        threadpool_limits(1),
        show_progress("Fisher vectors", len(places), "cycles") as progress,
        closing(prefetch(describe, places.tolist())) as vectors,
    ):
        for vector in vectors:
            yield vector
            progress.advance()
