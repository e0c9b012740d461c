"""Top-push distance learning (TDL): same-person pairs are pulled together, and nearer than the
nearest tracklet of anybody else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.ranges import split_rows
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors, list_matching_pairs
from lpw_toolkit.evaluation.pca import Pca, fit_pca

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Weights a of the push that are tried on validation persons.
PUSH_WEIGHTS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
#: Weight where there are too few persons to choose it.
DEFAULT_PUSH_WEIGHT = 0.5
#: Share of the training persons that choose the weight, and how many have to be there for it.
VALIDATION_SHARE, MIN_PERSONS = 0.25, 8
#: Values that distances or differences may take at once.
N_VALUES = 1 << 22
#: Rows whose distances give the scale of the features.
N_SCALE_ROWS = 1000


@dataclass(frozen=True)
class TopPushConfig:
    """How the form is learned.

    Attributes:
        margin: rho; features are scaled so that the median squared distance of two persons is 1.
        max_steps: steps of projected gradient descent, at most.
        tolerance: the descent ends when a step lowers the objective by less than this share of it.
    """

    margin: float = 1.0
    max_steps: int = 200
    tolerance: float = 1e-5


@dataclass(frozen=True)
class Objective:
    """The objective at one form.

    Attributes:
        value: f, a sum over ordered pairs.
        gradient: df/dM (D, D), symmetric.
        violated_frac: share of the pairs that are not nearer than the nearest other person by the
            margin.
    """

    value: float
    gradient: Floats
    violated_frac: float


@dataclass(frozen=True)
class TopPush:
    """A learned form and the way to it.

    Attributes:
        form: M (D, D), symmetric, no eigenvalue below zero but for rounding.
        values: (S + 1,) the objective before the first step and after each; it never rises.
        violated_frac: (S + 1,) see `Objective`.
    """

    form: Floats
    values: Floats
    violated_frac: Floats


def measure_objective(
    form: Floats, features: Floats, person: Ints, pairs: Ints, *, weight: float, margin: float
) -> Objective:
    """f(M) = (1 - a) sum D_ij + a sum max(D_ij - min_k D_ik + rho, 0) over the pairs (i, j), where
    k is of another person than i.

    Args:
        form: M (D, D), symmetric.
        features: (n, D).
        person: (n,) codes, of two persons or more.
        pairs: (P, 2) ordered rows of one person each.
        weight: a, 0 to 1.
        margin: rho.

    Source: You et al. 2016.

    >>> x = np.array([[0.0], [1.0], [3.0]])
    >>> person, pairs = np.array([0, 0, 1]), np.array([[0, 1], [1, 0]])
    >>> measure_objective(np.eye(1), x, person, pairs, weight=0.0, margin=1.0).value
    2.0
    """
    nearest, nearest_distance = _find_impostors(form, features, person)
    first, second = pairs.T
    apart = np.empty(len(pairs))
    for a, b in split_rows(len(pairs), _block(features.shape[1])):
        difference = features[first[a:b]] - features[second[a:b]]
        apart[a:b] = np.einsum("ij,ij->i", difference @ form, difference)
    excess = apart - nearest_distance[first] + margin
    active = excess > 0
    value = (1 - weight) * apart.sum() + weight * excess[active].sum()
    gradient = np.zeros_like(form)
    for a, b in split_rows(len(pairs), _block(features.shape[1])):
        rows, on = first[a:b], active[a:b]
        pull = features[rows] - features[second[a:b]]
        gradient += (pull * (1 - weight + weight * on)[:, None]).T @ pull
        push = features[rows[on]] - features[nearest[rows[on]]]
        gradient -= weight * (push.T @ push)
    return Objective(float(value), (gradient + gradient.T) / 2, float(active.mean()))


def fit_top_push(
    features: Floats,
    person: Ints,
    pairs: Ints,
    *,
    weight: float,
    config: TopPushConfig = TopPushConfig(),
) -> TopPush:
    """Projected gradient descent from the identity; a step that would raise the objective is halved
    until it lowers it.

    Args: as `measure_objective`.

    Errors: LpwError where there is no pair, or only one person.
    """
    if not len(pairs) or len(np.unique(person)) < 2:
        got = f"{len(pairs)} pairs of tracklets of one person, {len(np.unique(person))} persons"
        do = "train on persons with two tracklets or more, best of two cameras"
        raise LpwError("TDL", got, "one pair and two persons or more", do)

    def measure(form: Floats) -> Objective:
        return measure_objective(form, features, person, pairs, weight=weight, margin=config.margin)

    form = np.eye(features.shape[1])
    found = [measure(form)]
    rate = 1 / max(np.linalg.norm(found[0].gradient), np.finfo(np.float64).tiny)
    smallest = rate * 1e-9
    while len(found) <= config.max_steps:
        new_form = project_positive(form - rate * found[-1].gradient)
        new = measure(new_form)
        if new.value > found[-1].value:
            rate /= 2
            if rate < smallest:
                break
            continue
        gain = found[-1].value - new.value
        found.append(new)
        form, rate = new_form, 1.5 * rate
        if gain <= config.tolerance * abs(new.value):
            break
    return TopPush(
        form, np.array([o.value for o in found]), np.array([o.violated_frac for o in found])
    )


def project_positive(form: Floats) -> Floats:
    """The nearest symmetric matrix (D, D) without negative eigenvalues.

    >>> project_positive(np.diag([2.0, -1.0])).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    values, vectors = np.linalg.eigh((form + form.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


@dataclass(frozen=True)
class LearnedTopPush:
    """TDL on vectors before PCA.

    Attributes:
        pca: of the training vectors.
        scale: factor of the projected vectors.
        top_push: the form on projected and scaled vectors.
        weight: a.
        tried: mean average precision of the validation persons by weight; empty where there were
            too few persons to choose it.
    """

    pca: Pca
    scale: float
    top_push: TopPush
    weight: float
    tried: dict[float, float]

    @property
    def subspace(self) -> Floats:
        """(D, r), so that the distance of x and z is (x - z)' W M W' (x - z)."""
        return self.pca.components * self.scale

    @property
    def projection(self) -> Floats:
        """(D, r), so that it is the squared Euclidean distance of x' P and z' P."""
        values, vectors = np.linalg.eigh(self.top_push.form)
        return np.asarray(self.subspace @ (vectors * np.sqrt(np.maximum(values, 0))))


def learn_top_push(
    training: TrainingVectors,
    rng: np.random.Generator,
    *,
    n_dims: int,
    weight: float | None = None,
    config: TopPushConfig = TopPushConfig(),
) -> LearnedTopPush:
    """TDL on the principal components of the training vectors.

    Args:
        rng: draws the validation persons, a quarter, who choose the weight; then all train, with
            the best weight whose form on all of them is not zero.
        n_dims: principal components, at most; one fewer than vectors at most.
        weight: a; None is chosen.

    Errors: LpwError where no person has two tracklets, there is one person only, or the form is
    zero: pulling everything into one point is all that the objective asks for.
    """
    named = np.flatnonzero(training.person >= 0)
    everybody = TrainingVectors(
        training.features[named], training.person[named], training.camera[named]
    )
    tried = {} if weight is not None else _try_weights(everybody, rng, n_dims, config)
    ranked = sorted(tried, key=lambda a: (-tried[a], a))
    candidates = ranked or [DEFAULT_PUSH_WEIGHT if weight is None else weight]
    for candidate in candidates:
        pca, scale, top_push = _fit(everybody, n_dims, candidate, config)
        if top_push.form.any():
            return LearnedTopPush(pca, scale, top_push, candidate, tried)
    got = f"a form of zeros with {'every weight' if ranked else f'weight {candidates[0]:g}'}"
    do = "set a larger weight of the push, keep more dimensions or train on more persons"
    raise LpwError("TDL", got, "one that tells persons apart", do)


def _fit(
    training: TrainingVectors, n_dims: int, weight: float, config: TopPushConfig
) -> tuple[Pca, float, TopPush]:
    pairs = list_matching_pairs(training)
    if not len(pairs):
        do = "train on persons with two tracklets or more, best of two cameras"
        raise LpwError("TDL", "one tracklet a person", "pairs of tracklets of one person", do)
    pca = fit_pca(training.features, min(n_dims, len(training.features) - 1))
    projected = pca.project(training.features)
    scale = 1 / np.sqrt(_measure_spread(projected, training.person))
    top_push = fit_top_push(projected * scale, training.person, pairs, weight=weight, config=config)
    return pca, float(scale), top_push


def _try_weights(
    training: TrainingVectors, rng: np.random.Generator, n_dims: int, config: TopPushConfig
) -> dict[float, float]:
    pairs = list_matching_pairs(training)
    persons = np.unique(training.person[pairs])
    if len(persons) < MIN_PERSONS:
        return {}
    n_held = max(MIN_PERSONS // 4, round(VALIDATION_SHARE * len(persons)))
    held = rng.permutation(persons)[:n_held]
    inside = np.isin(training.person, held)
    parts = [
        TrainingVectors(training.features[rows], training.person[rows], training.camera[rows])
        for rows in (~inside, inside)
    ]
    found = {}
    for weight in PUSH_WEIGHTS:
        pca, scale, top_push = _fit(parts[0], n_dims, weight, config)
        model = LearnedTopPush(pca, scale, top_push, weight, {})
        vectors = parts[1].features @ model.projection
        found[weight] = rank_matches(parts[1], vectors) if top_push.form.any() else 0.0
    return found


def rank_matches(labels: TrainingVectors, vectors: Floats) -> float:
    """Mean average precision of vectors (n, r), each of which asks all others of other cameras
    (where no person has two cameras: all others) by squared Euclidean distance.

    Args:
        labels: whose persons and cameras count.
    """
    pairs = list_matching_pairs(labels)
    across = bool((labels.camera[pairs[:, 0]] != labels.camera[pairs[:, 1]]).any())
    precisions = []
    for row in np.unique(pairs[:, 0]):
        hidden = labels.camera == labels.camera[row] if across else np.zeros(len(vectors), bool)
        hidden[row] = True
        rest = np.flatnonzero(~hidden)
        distance = ((vectors[rest] - vectors[row]) ** 2).sum(axis=1)
        hits = labels.person[rest[np.argsort(distance, kind="stable")]] == labels.person[row]
        ranks = np.flatnonzero(hits) + 1
        precisions.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    return float(np.mean(precisions)) if precisions else 0.0


def _find_impostors(form: Floats, features: Floats, person: Ints) -> tuple[Ints, Floats]:
    """Of each row the nearest row of another person (n,), and its distance (n,)."""
    mapped = features @ form
    squares = np.einsum("ij,ij->i", mapped, features)
    nearest = np.empty(len(features), dtype=np.int64)
    for a, b in split_rows(len(features), _block(len(features))):
        distance = squares[a:b, None] + squares - 2 * mapped[a:b] @ features.T
        distance[person[a:b, None] == person] = np.inf
        nearest[a:b] = distance.argmin(axis=1)
    exact = np.empty(len(features))
    for a, b in split_rows(len(features), _block(features.shape[1])):
        difference = features[a:b] - features[nearest[a:b]]
        exact[a:b] = np.einsum("ij,ij->i", difference @ form, difference)
    return nearest, exact


def _measure_spread(features: Floats, person: Ints) -> float:
    """Median squared distance of two persons, of evenly spaced rows."""
    rows = np.unique(np.linspace(0, len(features) - 1, N_SCALE_ROWS).round().astype(np.int64))
    few, who = features[rows], person[rows]
    squares = np.einsum("ij,ij->i", few, few)
    distance = np.maximum(squares[:, None] + squares - 2 * few @ few.T, 0)
    others = distance[who[:, None] != who]
    if not len(others) or not np.median(others) > 0:
        got = "equal vectors of different persons" if len(others) else "one person"
        do = "train on more persons, and on crops that are not blank"
        raise LpwError("TDL", got, "two persons or more whose vectors differ", do)
    return float(np.median(others))


def _block(n_values_per_row: int) -> int:
    return max(1, N_VALUES // max(1, n_values_per_row))
