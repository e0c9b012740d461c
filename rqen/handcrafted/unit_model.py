"""The model of the body-action units: principal components and a Gaussian mixture each, and the
Fisher vector of a walking cycle."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lpw_toolkit.evaluation.pca import fit_pca
from lpw_toolkit.progress import show_progress
from rqen.handcrafted.body_action import N_UNITS, PARTS, cut_primitives, place_parts
from rqen.handcrafted.fisher_vector import Mixture, MixtureConfig, encode, fit_mixture, normalise
from rqen.handcrafted.local_descriptor import cut_part
from rqen.handcrafted.walking_cycle import WalkingCycle

Floats = NDArray[np.float64]
#: Principal components of the descriptors of a unit.
N_COMPONENTS = 12


@dataclass(frozen=True)
class UnitModels:
    """The models of all units U, in the order of `iter_units`.

    Attributes:
        centre: (U, C) mean descriptor.
        basis: (U, C, D) principal components.
        weights: (U, K) of the mixtures.
        means, variances: (U, K, D).
    """

    centre: Floats
    basis: Floats
    weights: Floats
    means: Floats
    variances: Floats

    @property
    def n_dims(self) -> int:
        """Numbers of the Fisher vector of a cycle: 18,432 as released."""
        return 2 * self.means.size


def iter_units(pixels: NDArray[np.float32], cycle: WalkingCycle) -> Iterator[NDArray[np.float32]]:
    """The descriptors (N, 3 + C) of each unit of a cycle: part by part, primitive by primitive.

    Args:
        pixels: (T, H, W, C) of the frames of the cycle, see `describe_pixels`.
    """
    boxes, primitives = place_parts(cycle), cut_primitives(cycle)
    for part in range(len(PARTS)):
        for frames in primitives:
            yield cut_part(pixels[frames], boxes[frames, part])


def fit_units(samples: list[NDArray[np.float32]], config: MixtureConfig, seed: int) -> UnitModels:
    """Models of the units from descriptors (N, C) of each.

    One thread works, so that the same samples give the same bytes.

    Errors: LpwError as `fit_mixture`.
    """
    fitted = []
    with threadpool_limits(1), show_progress("mixtures", N_UNITS, "units") as progress:
        for number, sample in enumerate(samples):
            pca = fit_pca(sample, N_COMPONENTS)
            mixture = fit_mixture(pca.project(sample), config, seed + number)
            fitted.append((pca.mean, pca.components, mixture))
            progress.advance()
    width = max(basis.shape[1] for _, basis, _ in fitted)
    return UnitModels(
        np.stack([centre for centre, _, _ in fitted]),
        np.stack([_widen(basis, width) for _, basis, _ in fitted]),
        np.stack([mixture.weights for _, _, mixture in fitted]),
        np.stack([_widen(mixture.means, width) for _, _, mixture in fitted]),
        np.stack([_widen(mixture.variances, width, 1.0) for _, _, mixture in fitted]),
    )


def encode_cycle(
    pixels: NDArray[np.float32], cycle: WalkingCycle, models: UnitModels
) -> NDArray[np.float32]:
    """The Fisher vector (U * 2KD,) of a cycle: those of its units, normalised, one after
    another."""
    out = np.zeros((len(models.centre), 2, *models.means.shape[1:]), dtype=np.float32)
    for number, descriptors in enumerate(iter_units(pixels, cycle)):
        live = models.basis[number].any(axis=0)  # others have no descriptor that differs along them
        mixture = Mixture(
            models.weights[number], models.means[number][:, live],
            models.variances[number][:, live],
        )  # fmt: skip
        projected = (descriptors - models.centre[number]) @ models.basis[number][:, live]
        vector = normalise(encode(projected, mixture))
        out[number][..., live] = vector.reshape(2, len(mixture.weights), -1)
    return out.ravel()


def _widen(table: Floats, width: int, fill: float = 0.0) -> Floats:
    """The table (n, D) with columns of `fill` up to `width`: a unit whose descriptors span fewer
    dimensions than others has nothing there."""
    return np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=fill)
