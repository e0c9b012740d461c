"""Chooses the settings of a learned distance on validation persons inside the training part.

    training tracklets --split by persons, by seed--> folds: learn on some persons, rank the others
    candidates x folds -> mAP of all validation persons -> the best, with every figure on record

Nothing is chosen on persons who are tested. Each validation tracklet is a query, those of the other
persons' and of its own person's other cameras are its gallery.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import PERSON, Labels
from lpw_toolkit.embedding.embeddings import Embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.distance_choice import (
    DistanceSettings,
    MetricTrainingData,
    learn_distance,
    take_training,
)
from lpw_toolkit.evaluation.distances import Distance
from lpw_toolkit.evaluation.learned_distance import (
    LearningConfig,
    is_learned,
    open_distance,
    open_learner,
)
from lpw_toolkit.evaluation.protocol import QueryGallerySplit
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import judge_labels

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
N_FOLDS = 3
#: Fewer persons than this in a fold rank nothing that is worth choosing by.
MIN_PERSONS = 2
#: Principal components that are tried; None compares whole vectors.
PCA_CHOICES = (None, 32, 64, 128, 256)


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried.

    Attributes:
        settings: in which they are put.
        map, rank1: over all validation queries, as fractions; NaN where it could not be learned.
        fault: why it could not be learned; None where it could.
    """

    settings: DistanceSettings
    map: float
    rank1: float
    fault: str | None = None

    def describe(self) -> str:
        """What was tried, in words."""
        return describe_settings(self.settings)


@dataclass(frozen=True)
class Selection:
    """What was chosen, and on what.

    Attributes:
        candidates: all that were tried, plainest first.
        best: place of the chosen one: the highest mAP, of equals the first.
        cosine: mAP of the cosine on the same queries, to compare with.
        n_persons: validation persons, each in one fold.
        n_folds: in each, the persons of the other folds are learned from.
        are_seen: whether the model that made the vectors was trained on these persons; None where
            that is unknown.
    """

    candidates: tuple[Candidate, ...]
    best: int
    cosine: float
    n_persons: int
    n_folds: int
    are_seen: bool | None = field(default=None)

    @property
    def chosen(self) -> DistanceSettings:
        """The settings to learn with, on the whole training part."""
        return replace(self.candidates[self.best].settings, tune=False)

    def describe(self, split: int) -> str:
        """One sentence for people: the choice, its figure and those it is to be read with."""
        best, plain = self.candidates[self.best], self.candidates[0]
        seen = {
            True: ", whom the model was trained on",
            False: ", whom the model has not seen",
            None: "",
        }[self.are_seen]
        return (
            f"split {split}: {best.describe()} chosen of {len(self.candidates)} by mAP on "
            f"{self.n_persons} validation persons of the training part{seen} ({self.n_folds} "
            f"folds): {100 * best.map:.1f}; {plain.describe()} {100 * plain.map:.1f}, cosine "
            f"{100 * self.cosine:.1f}"
        )

    def record(self) -> dict[str, Any]:
        """All that was tried, as plain values (fractions; null where it could not be learned)."""
        return {
            "chosen": self.candidates[self.best].describe(),
            "chosen_by": "map",
            "cosine_map": self.cosine,
            "n_persons": self.n_persons,
            "n_folds": self.n_folds,
            "seed": self.candidates[0].settings.seed,
            "persons_seen_by_model": self.are_seen,
            "candidates": [
                {
                    "settings": one.describe(),
                    "map": one.map if one.fault is None else None,
                    "rank1": one.rank1 if one.fault is None else None,
                    "fault": one.fault,
                }
                for one in self.candidates
            ],
        }


def describe_settings(settings: DistanceSettings) -> str:
    """Metric, PCA and what is learned, in words.

    >>> describe_settings(DistanceSettings("euclidean", pca=64))
    'euclidean, PCA to 64'
    """
    if is_learned(settings.metric):
        return open_learner(settings.metric).describe(settings.learning, settings.pca)
    return settings.metric + (f", PCA to {settings.pca}" if settings.pca else "")


def choose_distance(
    dataset: Dataset,
    embeddings: Embeddings,
    labels: Labels,
    trial: QueryGallerySplit,
    settings: DistanceSettings,
    source: MetricTrainingData | None,
) -> tuple[Distance, Selection | None]:
    """The distance of one trial, learned on its training part or on `source` where it learns, and
    how its settings were chosen, where they were not given.

    Errors: LpwError as `take_training`, `select_settings` and the metric say.
    """
    if not settings.learns:
        return open_distance(settings.metric), None
    part = take_training(dataset, embeddings, labels, trial, settings, source)
    selection = select_settings(part.vectors, settings, part.seen) if settings.tune else None
    chosen = settings if selection is None else selection.chosen
    rng = np.random.default_rng([settings.seed, trial.split])
    return learn_distance(part.vectors, chosen, rng), selection


def describe_choice(selections: Sequence[Selection]) -> str | None:
    """How the settings of all splits were chosen, in words: which, where all splits chose alike;
    None where none were chosen."""
    if not selections:
        return None
    first = selections[0]
    chosen = dict.fromkeys(one.candidates[one.best].describe() for one in selections)
    what = first.candidates[0].settings.metric + ", settings by split"
    return (
        f"{next(iter(chosen)) if len(chosen) == 1 else what}, chosen of {len(first.candidates)} "
        f"by mAP on validation persons of the training part"
    )


def select_settings(
    training: TrainingVectors, settings: DistanceSettings, seen: Bools | None = None
) -> Selection:
    """Tries every candidate on validation persons.

    Args:
        training: the training part; rows without a person are left out.
        settings: what the user gave stays as it is; what he did not give is chosen.
        seen: (n,) whether the model was trained on the person of each row; None where that is
            unknown. Where enough persons are unseen they alone are validation persons.

    Errors: LpwError for too few persons in two cameras, and where no candidate can be learned.
    """
    is_named = training.person >= 0
    if seen is not None:
        seen = seen[is_named]
    training = TrainingVectors(
        training.features[is_named], training.person[is_named], training.camera[is_named]
    )
    persons, are_seen = _choose_persons(training, seen)
    rng = np.random.default_rng([settings.seed, 0x666F6C64])
    folds = np.array_split(rng.permutation(persons), N_FOLDS)
    masks = [np.isin(training.person, fold) for fold in folds]
    candidates = []
    for tried in list_candidates(settings, training, min(int((~m).sum()) for m in masks)):
        try:
            figures = _validate(training, masks, _learner(tried))
            candidates.append(Candidate(tried, *figures))
        except LpwError as error:
            candidates.append(Candidate(tried, float("nan"), float("nan"), str(error)))
    scores = [-1.0 if one.fault else one.map for one in candidates]
    best = int(np.argmax(scores))
    if candidates[best].fault is not None:
        raise LpwError(
            "option --tune",
            f"{len(candidates)} candidates of which none can be learned ({candidates[0].fault})",
            "one that can",
            "train on more persons, or use --metric cosine",
        )
    cosine, _ = _validate(training, masks, lambda training: open_distance("cosine"))
    return Selection(tuple(candidates), best, cosine, len(persons), len(folds), are_seen)


def _choose_persons(training: TrainingVectors, seen: Bools | None) -> tuple[Ints, bool | None]:
    """The validation persons, seen by two cameras each; those whom the model does not know where
    there are enough."""
    pairs = np.unique(np.stack([training.person, training.camera]), axis=1)
    codes, n_cameras = np.unique(pairs[0], return_counts=True)
    persons = codes[n_cameras > 1]
    needed = N_FOLDS * MIN_PERSONS
    are_seen = None
    if seen is not None:
        unseen = np.setdiff1d(persons, training.person[seen])
        are_seen = len(unseen) < needed
        persons = persons if are_seen else unseen
    if len(persons) < needed:
        raise LpwError(
            "option --tune",
            f"{len(persons)} training persons in two cameras",
            f"{needed} or more",
            "leave it (or +tuned) out, or take a dataset with more training persons",
        )
    return persons, are_seen


def list_candidates(
    settings: DistanceSettings, training: TrainingVectors, n_vectors: int
) -> Iterator[DistanceSettings]:
    """Settings to try, plainest first: PCA times what the metric's file says may be chosen.

    Args:
        n_vectors: that the smallest fold learns from; no more components than that are tried.
    """
    room = min(training.features.shape[1], n_vectors)
    pcas: Sequence[int | None] = [n for n in PCA_CHOICES if n is None or n < room]
    if settings.pca is not None:
        pcas = [settings.pca]
    choices = (
        getattr(open_learner(settings.metric), "CHOICES", {}) if is_learned(settings.metric) else {}
    )
    default = LearningConfig()
    free = {
        name: values
        for name, values in choices.items()
        if getattr(settings.learning, name) == getattr(default, name)
    }
    for pca in pcas:
        for values in product(*free.values()):
            changes = dict(zip(free, values, strict=True))
            n_dims = changes.get("n_dims")
            if n_dims is None or n_dims < (pca or room):
                yield replace(settings, pca=pca, learning=replace(settings.learning, **changes))


def _learner(settings: DistanceSettings) -> Callable[[TrainingVectors], Distance]:
    return lambda training: learn_distance(
        training, settings, np.random.default_rng([settings.seed, 0])
    )


def _validate(
    training: TrainingVectors,
    masks: Sequence[Bools],
    learn: Callable[[TrainingVectors], Distance],
) -> tuple[float, float]:
    """mAP and rank-1 over the queries of all folds."""
    precision, hits = [], []
    for held in masks:
        distance = learn(
            TrainingVectors(
                training.features[~held], training.person[~held], training.camera[~held]
            )
        )
        vectors = training.features[held]
        kind = np.full(len(vectors), PERSON, dtype=np.int64)
        labels = Labels(training.person[held], training.camera[held], kind)
        ranking = rank_queries(distance.blocks(vectors, vectors), judge_labels(labels, labels))
        counted = ~ranking.unmatched
        precision.append(ranking.average_precision("step")[counted])
        hits.append(ranking.first[counted] == 1)
    return float(np.concatenate(precision).mean()), float(np.concatenate(hits).mean())
