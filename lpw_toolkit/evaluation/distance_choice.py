"""Builds the distance of an evaluation: metric, PCA, re-ranking, and its description in words."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import PERSON, Labels, read_labels
from lpw_toolkit.embedding.embeddings import Embeddings
from lpw_toolkit.embedding.tracklet_distance import TrackletDistance
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.distance_blocks import DenseDistances, DistanceBlocks
from lpw_toolkit.evaluation.distances import Distance, FeatureBlocks, Features
from lpw_toolkit.evaluation.learned_distance import (
    LearningConfig,
    is_learned,
    open_distance,
    open_learner,
)
from lpw_toolkit.evaluation.pca import Pca, fit_pca
from lpw_toolkit.evaluation.protocol import QueryGallerySplit
from lpw_toolkit.evaluation.rerank import RerankConfig, rerank, rerank_features

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DistanceSettings:
    """How vectors are compared.

    Attributes:
        metric: one of `learned_distance.list_metrics()`, or `own`: as the model compares.
        pca: principal components of the training vectors to compare by; None compares whole
            vectors, and leaves KISSME its own number.
        learning: of a metric that learns.
        rerank: k-reciprocal re-ranking; None leaves the distances as they are.
        deduplicate_queries: in re-ranking, counts a query that is in the gallery too only once
            among the neighbours; published scripts count it twice.
        seed: of what learning draws at random.
        tune: whether what is not given here (PCA, and what the metric's file names) is chosen on
            validation persons of the training part (`metric_selection`).
    """

    metric: str = "cosine"
    pca: int | None = None
    learning: LearningConfig = field(default_factory=LearningConfig)
    rerank: RerankConfig | None = None
    deduplicate_queries: bool = False
    seed: int = 0
    tune: bool = False

    @property
    def learns(self) -> bool:
        """Whether training tracklets are needed."""
        return is_learned(self.metric) or self.pca is not None or self.tune


#: Value of `DistanceSettings.metric` for the model's own way to compare.
OWN = "own"


def resolve_metric(settings: DistanceSettings, embeddings: Embeddings) -> DistanceSettings:
    """The settings with the metric that `own` stands for, where the model compares vectors.

    Errors: LpwError for principal components, or settings to choose, of what is compared by more
    than vectors.
    """
    if settings.metric != OWN:
        return settings
    if embeddings.own is None:
        return replace(settings, metric=embeddings.facts.metric)
    if settings.pca is not None or settings.tune:
        raise LpwError(
            "option --tune" if settings.tune else "option --pca",
            embeddings.own.title
            if settings.tune
            else f"{settings.pca}, with {embeddings.own.title}",
            "a metric of vectors",
            "leave it out, or give --metric cosine",
        )
    return settings


@dataclass(frozen=True)
class MetricTrainingData:
    """Another dataset to learn the metric on, all of it."""

    dataset: Dataset
    embeddings: Embeddings


def check_vectors(dataset: Dataset, embeddings: Embeddings, rows: Ints, metric: str) -> None:
    """Errors: LpwError that names tracklets in `rows` without a vector, or with one that the metric
    cannot compare."""
    missing = rows[~embeddings.present[rows]]
    thing, do = f"embeddings of {dataset.name}", "embed the whole dataset again"
    if len(missing):
        got = (
            f"no vector for {len(missing):,} of {len(rows):,} tracklets: {_name(dataset, missing)}"
        )
        raise LpwError(thing, got, "one for each that the protocol needs", do)
    zero = rows[~embeddings.vectors[rows].any(axis=1)] if metric == "cosine" else rows[:0]
    if len(zero):
        got = f"vectors of length 0, which have no direction: {_name(dataset, zero)}"
        raise LpwError(
            thing,
            got,
            "vectors that a cosine can compare",
            "check the model, or use --metric euclidean",
        )


def _name(dataset: Dataset, rows: Ints) -> str:
    return join_names(dataset.tracklets["tracklet_id"].take(pa.array(rows)).to_pylist(), 3)


@dataclass(frozen=True)
class TrainingPart:
    """What the distance of one trial is learned on.

    Attributes:
        vectors: of the training tracklets.
        seen: (n,) whether the model was trained on the person of each; None where that is unknown.
    """

    vectors: TrainingVectors
    seen: NDArray[np.bool_] | None


def take_training(
    dataset: Dataset,
    embeddings: Embeddings,
    labels: Labels,
    trial: QueryGallerySplit,
    settings: DistanceSettings,
    source: MetricTrainingData | None,
) -> TrainingPart:
    """The training part of a trial, or all of `source`.

    Errors: LpwError where there is nothing to learn from, or the source is the test or has other
    vectors.
    """
    rows = trial.train
    if source is not None:
        _check_source(dataset, embeddings, source)
        dataset, embeddings, labels = (
            source.dataset,
            source.embeddings,
            read_labels(source.dataset.tracklets),
        )
        rows = np.flatnonzero((labels.kind == PERSON) & (labels.person >= 0))
    if not len(rows):
        option = f"--metric {settings.metric}" if is_learned(settings.metric) else "--pca"
        option = "--tune" if settings.tune else option
        do = "give --train-data and --train-embeddings, or use --metric cosine"
        raise LpwError(f"option {option}", "no training tracklets", "tracklets to learn from", do)
    check_vectors(dataset, embeddings, rows, settings.metric)
    persons, seen = embeddings.facts.seen_persons, None
    if persons is not None:
        names = dataset.tracklets["person_id"].take(pa.array(rows))
        seen = pc.is_in(names, pa.array(persons, pa.string())).to_numpy()
    vectors = TrainingVectors(embeddings.vectors[rows], labels.person[rows], labels.camera[rows])
    return TrainingPart(vectors, seen)


def learn_distance(
    training: TrainingVectors, settings: DistanceSettings, rng: np.random.Generator
) -> Distance:
    """The distance that `settings` describe, learned on `training`. Errors: LpwError where training
    is too small."""
    if settings.pca is None:
        return open_distance(settings.metric, training, rng=rng, config=settings.learning)
    if is_learned(settings.metric) and open_learner(settings.metric).OWN_PCA:
        config = replace(settings.learning, pca_dims=settings.pca)
        return open_distance(settings.metric, training, rng=rng, config=config)
    pca = fit_pca(training.features, settings.pca)
    training = replace(training, features=pca.project(training.features))
    inner = open_distance(settings.metric, training, rng=rng, config=settings.learning)
    return Projected(inner, pca)


def _check_source(dataset: Dataset, embeddings: Embeddings, source: MetricTrainingData) -> None:
    if source.dataset.manifest.get("digest") == dataset.manifest.get("digest"):
        got = f"{source.dataset.name}, which is what is tested"
        raise LpwError(
            "option --train-data",
            got,
            "another dataset",
            "leave it out to learn on the training part",
        )
    ours, theirs = embeddings.vectors.shape[1], source.embeddings.vectors.shape[1]
    if ours != theirs:
        expected = f"{ours}, as the tested ones have"
        raise LpwError(
            "option --train-embeddings",
            f"vectors of {theirs} numbers",
            expected,
            "embed with one model",
        )


@dataclass(frozen=True)
class Projected:
    """A distance between principal components."""

    inner: Distance
    pca: Pca

    @property
    def name(self) -> str:
        """Name of the inner distance."""
        return self.inner.name

    @property
    def title(self) -> str:
        """As a table prints it."""
        return f"{self.inner.title}, PCA {self.pca.components.shape[1]}"

    @property
    def squared(self) -> bool:
        """Whether its values already are squares."""
        return self.inner.squared

    def blocks(self, query: Features, gallery: Features) -> FeatureBlocks:
        """Distances (Q, G) of vectors (Q, D) and (G, D)."""
        return self.inner.blocks(self.pca.project(query), self.pca.project(gallery))


def compare(
    vectors: Features, trial: QueryGallerySplit, distance: Distance, settings: DistanceSettings
) -> DistanceBlocks:
    """Distances (Q, G) of a trial.

    Re-ranking uses the neighbours of every query and gallery item. A query that is in the
    gallery too has itself as a neighbour, at distance 0, which takes one of its k1 places. The
    published numbers count it so; `deduplicate_queries` counts it once.
    """
    if settings.rerank is None:
        return distance.blocks(vectors[trial.query], vectors[trial.gallery])
    if not settings.deduplicate_queries:
        query, gallery = vectors[trial.query], vectors[trial.gallery]
        return DenseDistances(rerank_features(distance, query, gallery, config=settings.rerank))
    rows = np.concatenate([trial.query, np.setdiff1d(trial.gallery, trial.query)])
    order = np.argsort(rows)
    columns = order[np.searchsorted(rows[order], trial.gallery)]
    blocks = distance.blocks(vectors[rows], vectors[rows])
    squared, config = distance.squared, settings.rerank
    return DenseDistances(
        rerank(blocks, len(trial.query), squared=squared, config=config, columns=columns)
    )


def compare_tracklets(
    own: TrackletDistance, trial: QueryGallerySplit, settings: DistanceSettings
) -> DistanceBlocks:
    """Distances (Q, G) of a trial by the model's own way to compare; re-ranking as in `compare`."""
    if settings.rerank is None:
        return own.blocks(trial.query, trial.gallery)
    rows = np.concatenate([trial.query, trial.gallery])
    columns: Ints | None = None
    if settings.deduplicate_queries:
        rows = np.concatenate([trial.query, np.setdiff1d(trial.gallery, trial.query)])
        order = np.argsort(rows)
        columns = order[np.searchsorted(rows[order], trial.gallery)]
    blocks, squared = own.blocks(rows, rows), own.squared
    return DenseDistances(
        rerank(blocks, len(trial.query), squared=squared, config=settings.rerank, columns=columns)
    )


def describe_distance(
    settings: DistanceSettings,
    title: str,
    source: MetricTrainingData | None,
    *,
    queries_in_gallery: bool,
    chosen: str | None = None,
) -> str:
    """The distance in words, the same for all splits: what it is, where and how it was learned, and
    re-ranking.

    Args:
        title: how the distance calls itself.
        queries_in_gallery: whether a split has queries in its gallery too.
        chosen: how the settings were chosen; None where they were given.
    """
    if chosen is not None:
        text = chosen
    elif is_learned(settings.metric):
        text = open_learner(settings.metric).describe(settings.learning, settings.pca)
    else:
        text = title.split(",")[0] + (f", PCA to {settings.pca}" if settings.pca else "")
    if settings.learns:
        learned_on = "the training part"
        if source is not None:
            learned_on = f"{source.dataset.name} ({str(source.dataset.manifest['digest'])[:12]})"
        text += f", learned on {learned_on}, seed {settings.seed}"
    if settings.rerank is not None:
        k = settings.rerank
        times = "once" if settings.deduplicate_queries else "twice"
        shown = f", queries in the gallery count {times}" if queries_in_gallery else ""
        text += f" + re-ranking (k1 {k.k1}, k2 {k.k2}, lambda {k.lambda_:g}, half {k.half}{shown})"
    return text
