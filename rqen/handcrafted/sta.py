"""STA (spatio-temporal body-action model): Fisher vectors of walking cycles, a set of them for each
tracklet.

    flow energy -> walking cycles -> 24 body-action units -> Fisher vectors -> PCA -> metric
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lpw_toolkit.errors import check_range
from lpw_toolkit.evaluation.pca import fit_pca
from rqen.handcrafted.body_action import N_UNITS
from rqen.handcrafted.cycle_metric import CycleLabels, MetricName, factor_form, learn_form
from rqen.handcrafted.fisher_vector import MixtureConfig
from rqen.handcrafted.frames import stretch_frames
from rqen.handcrafted.local_descriptor import Order, convert_frames, describe_pixels
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
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class StaConfig:
    """How STA is fitted.

    Attributes:
        order: of the derivatives in the descriptors: 2 as released for iLIDS-VID, 1 for PRID 2011.
        starts: where cycles begin, see `find_cycles`.
        n_components: of the Gaussian mixture of each unit.
        n_starts: of each mixture, of which the best is kept.
        sample_share: share of the descriptors of each tracklet's median cycle that mixtures are
            fitted on.
        max_samples: descriptors of a unit, at most; each tracklet gives the same share of them.
        n_dims: principal components of the Fisher vectors, at most: fewer where the cycles leave
            fewer degrees of freedom.
        max_cycles: cycles that principal components are fitted on, at most; they are drawn by seed,
            the others are only projected.
        metric: see `learn_form`.

    Errors: LpwError that names the setting.
    """

    order: Order = 2
    starts: Starts = "minima"
    n_components: int = 32
    n_starts: int = 3
    sample_share: float = 0.01
    max_samples: int = 20_000
    n_dims: int = 100
    max_cycles: int = 2000
    metric: MetricName = "kissme"

    def __post_init__(self) -> None:
        for name in ("n_components", "n_starts", "max_samples", "n_dims"):
            check_range(f"method.{name}", getattr(self, name), 1, 10**6, whole=True)
        check_range("method.max_cycles", self.max_cycles, 2, 10**6, whole=True)
        check_range("method.sample_share", self.sample_share, 0, 1, above=True)


class Tracklet(Protocol):
    """What STA sees of a tracklet, see `rqen.model.clip.Clip`."""

    @property
    def images(self) -> NDArray[np.uint8]: ...  # noqa: D102
    @property
    def rows(self) -> Ints: ...  # noqa: D102
    @property
    def times_s(self) -> NDArray[np.float64] | None: ...  # noqa: D102


class TrainingTracklets(Protocol):
    """What STA is fitted on, see `rqen.model.clip.TrainingClips`."""

    person: Ints
    camera: Ints

    def __len__(self) -> int: ...
    def map(self, function: Callable[[Any], Any]) -> Iterable[Any]:
        """`function` of every tracklet, in order."""


@dataclass(frozen=True)
class StaModel:
    """A fitted model.

    Attributes:
        units: of the body-action units.
        centre: (F,) mean of the weighted Fisher vectors.
        projection: (F, r) principal components times the factor of the metric: squared Euclidean
            distances behind it are those of the metric.
        n_cycles: cycles that it was fitted on.
        n_whole: training tracklets without a cycle, each of which was taken as one.
    """

    units: UnitModels
    centre: Floats
    projection: Floats
    n_cycles: int
    n_whole: int


@dataclass(frozen=True)
class _Sample:
    """The cycles of a tracklet, and descriptors (N, C) of each unit."""

    cycles: list[WalkingCycle]
    descriptors: list[Vectors]


def list_cycles(tracklet: Tracklet, starts: Starts = "minima") -> list[WalkingCycle]:
    """The walking cycles of a tracklet; where there is none, all of it as one.

    The rate is that of its frame times; without times it is 30 frames a second, as released.
    """
    rate_hz, times_s = RELEASED_RATE_HZ, tracklet.times_s
    if times_s is not None and len(times_s) > 1 and times_s[-1] > times_s[0]:
        rate_hz = (len(times_s) - 1) / float(times_s[-1] - times_s[0])
    energy = measure_flow_energy(stretch_frames(tracklet.images))
    return find_cycles(energy, rate_hz, starts=starts) or [take_whole(len(tracklet.images))]


def fit_sta(
    tracklets: TrainingTracklets, config: StaConfig = StaConfig(), *, seed: int = 0
) -> StaModel:
    """Fits everything on training tracklets; the same seed gives the same bytes.

    Memory holds `max_samples` descriptors of each unit, the Fisher vectors of `max_cycles` cycles
    and the projections of all.

    Errors: LpwError where they are too few or too alike.
    """
    found, units = _fit_units(tracklets, config, seed)
    n_each = np.array([len(cycles) for cycles in found])
    signs = np.array([cycle.sign for cycles in found for cycle in cycles])
    owner = np.repeat(np.arange(len(tracklets)), n_each)
    labels = CycleLabels(tracklets.person[owner], tracklets.camera[owner], owner, signs)
    drawn = np.zeros(len(owner), dtype=bool)
    drawn[np.random.default_rng(seed).permutation(len(owner))[: config.max_cycles]] = True
    encode = partial(_encode_tracklet, units, config)
    starts = np.cumsum([0, *n_each])
    kept = [
        np.asarray(vectors)[drawn[start : start + len(vectors)]]
        for start, vectors in zip(starts, tracklets.map(encode), strict=False)
    ]
    vectors = np.concatenate(kept)
    n_free = (len(vectors) - len(np.unique(labels.person[drawn]))) // 2
    pca = fit_pca(vectors, min(config.n_dims, max(1, n_free)))
    projected = np.empty((len(owner), pca.components.shape[1]))
    projected[drawn] = pca.project(vectors)
    if not drawn.all():
        for start, more in zip(starts, tracklets.map(encode), strict=False):
            projected[start : start + len(more)] = pca.project(np.asarray(more))
    form = learn_form(projected, labels, config.metric)
    n_whole = sum(cycles[0].whole for cycles in found)
    return StaModel(units, pca.mean, pca.components @ factor_form(form), len(owner), n_whole)


def describe_tracklet(
    tracklet: Tracklet, model: StaModel, config: StaConfig
) -> tuple[Vectors, list[WalkingCycle]]:
    """The vectors (n, r) of the cycles of a tracklet, and the cycles."""
    cycles = list_cycles(tracklet, config.starts)
    vectors = _encode_cycles(model.units, config.order, tracklet, cycles)
    projected = (vectors.astype(np.float64) - model.centre) @ model.projection
    return projected.astype(np.float32), cycles


def explain_whole(n_whole: int, n_tracklets: int) -> str:
    """A sentence on the tracklets without a walking cycle; empty where there are none.

    >>> explain_whole(2, 40)
    'STA: 2 of 40 tracklets have no walking cycle: each counts as one cycle'
    """
    if not n_whole:
        return ""
    return (
        f"STA: {n_whole:,} of {n_tracklets:,} tracklets have no walking cycle: each counts as one "
        "cycle"
    )


def weigh(vector: Vectors) -> Vectors:
    """Each number x of Fisher vectors times the standard normal density at x / 2, as released.

    >>> [round(float(number), 3) for number in weigh(np.float32([0, 2]))]
    [0.0, 0.484]
    """
    return np.asarray(vector * np.exp(-(vector**2) / 8) / np.sqrt(2 * np.pi), dtype=np.float32)


def _fit_units(
    tracklets: TrainingTracklets, config: StaConfig, seed: int
) -> tuple[list[list[WalkingCycle]], UnitModels]:
    """The cycles of each tracklet, and the models of the units."""
    gathered: list[list[Vectors]] = [[] for _ in range(N_UNITS)]
    found = []
    n_most = max(1, config.max_samples // len(tracklets))
    for sample in tracklets.map(partial(_sample_tracklet, config, seed, n_most)):
        found.append(sample.cycles)
        for unit, descriptors in zip(gathered, sample.descriptors, strict=True):
            unit.append(descriptors)
    rng = np.random.default_rng(seed)
    joined = (np.concatenate(unit) for unit in gathered)
    samples = [unit[rng.permutation(len(unit))[: config.max_samples]] for unit in joined]
    mixture = MixtureConfig(config.n_components, config.n_starts)
    return found, fit_units(samples, mixture, seed)


def _sample_tracklet(config: StaConfig, seed: int, n_most: int, tracklet: Tracklet) -> _Sample:
    """Its cycles, and a share of the descriptors of the median one, `n_most` of a unit."""
    cycles = list_cycles(tracklet, config.starts)
    cycle = cycles[(len(cycles) - 1) // 2]
    rng = np.random.default_rng([seed, int(tracklet.rows[0])])
    taken = []
    for descriptors in iter_units(_describe_frames(tracklet, cycle, config.order), cycle):
        n = min(n_most, int(np.ceil(config.sample_share * len(descriptors))))
        taken.append(descriptors[rng.permutation(len(descriptors))[:n]])
    return _Sample(cycles, taken)


def _encode_tracklet(units: UnitModels, config: StaConfig, tracklet: Tracklet) -> Vectors:
    cycles = list_cycles(tracklet, config.starts)
    return _encode_cycles(units, config.order, tracklet, cycles)


def _encode_cycles(
    units: UnitModels, order: Order, tracklet: Tracklet, cycles: list[WalkingCycle]
) -> Vectors:
    """The weighted Fisher vectors (n, F) of cycles; one thread works, for the same bytes."""
    with threadpool_limits(1):
        return np.stack(
            [
                weigh(encode_cycle(_describe_frames(tracklet, cycle, order), cycle, units))
                for cycle in cycles
            ]
        )


def _describe_frames(tracklet: Tracklet, cycle: WalkingCycle, order: Order) -> Vectors:
    """`describe_pixels` of the frames of a cycle, whose neighbours in time are seen too."""
    before = min(1, cycle.start)
    images = stretch_frames(tracklet.images[cycle.start - before : cycle.stop + 1])
    pixels = describe_pixels(convert_frames(images), order)
    return pixels[before : before + cycle.stop - cycle.start]
