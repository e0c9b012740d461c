"""Cross-view quadratic discriminant analysis (XQDA): a subspace and a metric from pairs across
cameras."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors, Views, pair_covariances, take_views
from lpw_toolkit.evaluation.distances import Quadratic, make_quadratic
from lpw_toolkit.evaluation.learned_distance import LearningConfig
from lpw_toolkit.evaluation.shrinkage import SHRINKAGES, Shrinkage, shrink_covariances

Floats = NDArray[np.float64]
Solver = Literal["eigh", "svd"]
OWN_PCA = False
CHOICES = {"shrinkage": SHRINKAGES, "n_dims": (None, 32, 64, 128)}


def learn(
    training: TrainingVectors, rng: np.random.Generator | None, config: LearningConfig
) -> Quadratic:
    """XQDA on the views of the training persons."""
    views = take_views(training, rng)
    model = fit_xqda(
        views,
        solver=config.solver,
        n_dims=config.n_dims,
        ridge=config.ridge,
        shrinkage=config.shrinkage,
    )
    return xqda_distance(model, config.solver)


def describe(config: LearningConfig, pca: int | None) -> str:
    """The metric and its settings in a table."""
    shrunk = "" if config.shrinkage == "none" else f", {config.shrinkage} shrinkage"
    projected = "" if pca is None else f", PCA to {pca}"
    return (
        f"XQDA ({config.solver}, {config.n_dims or 'automatic'} dims, ridge "
        f"{config.ridge:g}{shrunk}{projected})"
    )


@dataclass(frozen=True)
class Xqda:
    """The learned form d(x, z) = (x - z)' W M W' (x - z).

    Attributes:
        subspace: W (D, r).
        form: M (r, r), symmetric; positive with the solver `eigh`, possibly not with `svd`.
        strength: (r,) ratio of between-person to within-person variance, largest first; from `svd`
            the singular values.
    """

    subspace: Floats
    form: Floats
    strength: Floats


def fit_xqda(
    views: Views,
    *,
    solver: Solver = "eigh",
    n_dims: int | None = None,
    ridge: float = 0.001,
    shrinkage: Shrinkage = "none",
) -> Xqda:
    """Learns XQDA.

    Args:
        solver: `eigh` solves the symmetric problem of the paper, so distances cannot be negative;
            `svd` takes the left singular vectors of inv(S_I) S_E as the reference code does, whose
            distances can.
        n_dims: dimensions of the subspace; None takes those whose strength is above 1, at least
            one.
        ridge: added to the diagonal of the covariance within persons.
        shrinkage: of the covariances, before the ridge.

    Source: Liao et al. 2015; liangzheng06/MARS-evaluation:LOMO_XQDA/code/XQDA.m.
    Errors: LpwError where the covariance within persons is singular, `n_dims` is below 1, or the
    solver is unknown.
    """
    if (
        solver not in ("eigh", "svd")
        or (n_dims is not None and n_dims < 1)
        or not 0 <= ridge < np.inf
    ):
        got = f"solver {solver}, {n_dims} dimensions, ridge {ridge}"
        raise LpwError("XQDA", got, "eigh or svd, 1 or more, 0 or more", "change the setting")
    basis, views = _shrink(views)
    same, different = shrink_covariances(*pair_covariances(views), views, shrinkage)
    same[np.diag_indices_from(same)] += ridge
    try:
        strength, subspace = _solve(same, different, solver)
    except (scipy.linalg.LinAlgError, np.linalg.LinAlgError) as error:
        expected = "a regular one"
        raise LpwError(
            "XQDA", "a singular covariance within persons", expected, "set a larger ridge"
        ) from error
    n = min(len(strength), n_dims or max(1, int((strength > 1).sum())))
    subspace = subspace[:, :n]
    form = _inverse(subspace.T @ same @ subspace) - _inverse(subspace.T @ different @ subspace)
    return Xqda(subspace if basis is None else basis @ subspace, form, strength[:n])


def xqda_distance(model: Xqda, solver: Solver) -> Quadratic:
    """The learned distance."""
    return make_quadratic(
        "xqda", f"XQDA ({solver}, {len(model.form)} dims)", model.subspace, model.form
    )


def _shrink(views: Views) -> tuple[Floats | None, Views]:
    """The same vectors in the basis they span, where they are fewer than their dimensions; algebra
    is done there."""
    n = len(views.first)
    if views.first.shape[1] <= n + len(views.second):
        return None, views
    basis, coordinates = scipy.linalg.qr(np.vstack([views.first, views.second]).T, mode="economic")
    return basis, Views(
        coordinates.T[:n], views.first_person, coordinates.T[n:], views.second_person
    )


def _solve(same: Floats, different: Floats, solver: Solver) -> tuple[Floats, Floats]:
    if solver == "eigh":
        values, vectors = scipy.linalg.eigh(different, same)
        return values[::-1], vectors[:, ::-1]
    left, values, _ = np.linalg.svd(scipy.linalg.solve(same, different, assume_a="pos"))
    return values, left


def _inverse(square: Floats) -> Floats:
    inverse = np.linalg.inv(square)
    return (inverse + inverse.T) / 2
