"""Re-identification metrics from plain arrays or from the embeddings of a dataset."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpw_toolkit.api.arrays import as_array, as_floats, as_labels
from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.dataset import Dataset, Stored, to_stored
from lpw_toolkit.api.settings import deal_settings, take_path
from lpw_toolkit.dataset.labels import JUNK, PERSON, Labels
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings, read_embeddings
from lpw_toolkit.embedding.vector_pool import NOT_SAID
from lpw_toolkit.errors import LpwError, check_range
from lpw_toolkit.evaluation import evaluate as dataset_evaluation
from lpw_toolkit.evaluation.choices import take_protocol, take_splits
from lpw_toolkit.evaluation.distance_choice import OWN, DistanceSettings, MetricTrainingData
from lpw_toolkit.evaluation.learned_distance import LearningConfig, open_distance
from lpw_toolkit.evaluation.protocol import open_protocol
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.rerank import RerankConfig
from lpw_toolkit.evaluation.summary import Summary, summarise

_MAX_RANK = 10**6


@public_call
def evaluate(
    query_features: ArrayLike,
    gallery_features: ArrayLike,
    query_persons: ArrayLike,
    gallery_persons: ArrayLike,
    query_cameras: ArrayLike,
    gallery_cameras: ArrayLike,
    *,
    protocol: str = "mars",
    metric: str = "cosine",
    max_rank: int = 50,
) -> Summary:
    """Ranks a gallery for every query and averages CMC, AP and INP as a protocol does.

    Args:
        query_features: (Q, D) floating numbers, finite.
        gallery_features: (G, D). The gallery as the protocol has it: for `mars` the queries are
            part of it.
        query_persons: (Q,) integers or strings; equal values are the same person.
        gallery_persons: (G,) likewise. The number -1 marks junk, which no query sees, as in
            Market-1501 and MARS.
        query_cameras: (Q,) integers or strings. A gallery item with a query's person and camera is
            not seen by that query.
        gallery_cameras: (G,) likewise.
        protocol: whose rules hold: junk, form of the average precision, queries without a match;
            one of the files of `lpw_toolkit/evaluation/protocols`.
        metric: `cosine`, `euclidean` or `sqeuclidean`.
        max_rank: length R of the CMC.

    Returns:
        Fractions: `.cmc` (R,), `.map`, `.minp`; and what they rest on: `.n_query`, `.n_gallery`,
        `.n_skipped`, `.ap_form`, …

    Raises:
        LpwError: shapes that do not fit, NaN, an unknown protocol or metric, or no query with a
            match in the gallery.

    Source:
        each protocol names its own, as `lpw eval` prints it.

    >>> import numpy as np
    >>> from lpw_toolkit import evaluate
    >>> gallery = np.array([[1.0, 0.0], [0.0, 1.0], [-0.2, 1.0]])
    >>> found = evaluate(gallery[:2] + 0.1, gallery, ["ann", "bob"], ["ann", "bob", "ann"],
    ...                  [1, 1], [2, 2, 2], protocol="market")
    >>> float(found.cmc[0]), round(found.map, 3)
    (1.0, 0.917)
    """
    rules = open_protocol(protocol)
    check_range("max_rank", max_rank, 1, _MAX_RANK, whole=True)
    query = _take_features("query", query_features, query_persons, query_cameras)
    gallery = _take_features("gallery", gallery_features, gallery_persons, gallery_cameras)
    if query.shape[1] != gallery.shape[1]:
        got = f"{query.shape[1]} and {gallery.shape[1]} dimensions"
        raise LpwError("features", got, "vectors of one model", "embed both with the same one")
    persons = as_labels("persons", query_persons, gallery_persons)
    cameras = as_labels("cameras", query_cameras, gallery_cameras)
    is_junk = np.concatenate([np.zeros(len(query), dtype=bool), persons[len(query) :] == -1])
    labels = Labels(_number(persons), _number(cameras), np.where(is_junk, JUNK, PERSON))
    rows = np.arange(len(labels))
    relevance = rules.judge(labels.take(rows[: len(query)]), labels.take(rows[len(query) :]))
    return summarise(
        rank_queries(open_distance(metric).blocks(query, gallery), relevance),
        ap_form=rules.SPEC.ap_form,
        unmatched=rules.SPEC.unmatched,
        max_rank=max_rank,
    )


@public_call
def evaluate_dataset(
    dataset: "Dataset | Stored | str | os.PathLike[str]",
    embeddings: "ArrayLike | Embeddings | str | os.PathLike[str]",
    protocol: str | None = None,
    *,
    split: int | Sequence[int] | str | None = None,
    metric: str = OWN,
    rerank: RerankConfig | bool | None = None,
    source: MetricTrainingData | None = None,
    pooling: Literal["mean", "max"] | None = None,
    normalize_frames: bool = False,
    allow_seen: bool = False,
    **settings: Any,
) -> dataset_evaluation.Evaluation:
    """Evaluates a dataset's embeddings under a protocol, as `lpw eval --embeddings` does.

    Args:
        dataset: the dataset or its folder.
        embeddings: (N, D), one vector for each row of `dataset.tracklets`; or a Parquet file of
            them.
        protocol: one of the files of `lpw_toolkit/evaluation/protocols`; None: the one that fits
            the dataset, which the notes name with the reason.
        split: number of a split, or several numbers; None or `all`: all splits.
        metric: `cosine`, `euclidean`, `sqeuclidean`, or one that is learned: `xqda`, `kissme`,
            `tdl`; `own` is as the model says, cosine for plain arrays.
        rerank: k-reciprocal re-ranking, with the settings of `RerankConfig` or, for True, its
            defaults.
        source: another dataset, with its embeddings, to learn the metric on.
        pooling: how the vectors of a tracklet's frames become one in a file; None: the mean.
        normalize_frames: whether the vectors of frames in a file are scaled to length 1 before.
        allow_seen: whether persons may be tested of whom a file of embeddings says that its model
            was trained on them; every row of the metrics then counts them (`n_seen`).
        **settings: further fields of `DistanceSettings` and `LearningConfig`: `pca`, `seed`,
            `deduplicate_queries`, `solver`, `n_dims`, ….

    Returns:
        `.results`, one for each split, with `.summary` as `evaluate` returns it; `.metrics`, an
        Arrow table in which each figure stands with its protocol, gallery, distance and the
        dataset's digest; `.notes`, what a reader of the figures should know.

    Raises:
        LpwError: the protocol does not fit the dataset, a split is not there, a tracklet has no
            vector, a setting is unknown, or persons are tested whom the model was trained on.
        MismatchError: the file says that it was made from another dataset.

    >>> import numpy as np
    >>> from lpw_toolkit import evaluate_dataset, open_dataset
    >>> dataset = open_dataset("mini")
    >>> colours = np.stack([t.images().mean(axis=(0, 1, 2)) - 110 for t in dataset])
    >>> found = evaluate_dataset(dataset, colours, "market")
    >>> 0 < found.results[0].summary.map <= 1
    True
    """
    stored = to_stored(dataset)
    distance, learning = deal_settings(settings, DistanceSettings(metric), LearningConfig())
    reranking = (RerankConfig() if rerank else None) if isinstance(rerank, bool) else rerank
    distance = replace(distance, learning=learning, rerank=reranking)
    if isinstance(embeddings, (str, os.PathLike)):
        embeddings = read_embeddings(
            take_path(embeddings), stored, pooling=pooling, normalize_frames=normalize_frames
        )
    elif pooling or normalize_frames:
        thing = "argument pooling" if pooling else "argument normalize_frames"
        raise LpwError(thing, "vectors of tracklets", "a file of embeddings", "leave it out")
    elif not isinstance(embeddings, Embeddings):
        embeddings = _take_vectors(stored, embeddings)
    name, notes = take_protocol(stored, protocol)
    return dataset_evaluation.evaluate(
        stored,
        replace(embeddings, notes=[*notes, *embeddings.notes]),
        name,
        distance,
        splits=take_splits(split),
        source=source,
        allow_seen=allow_seen,
    )


def _take_vectors(stored: Stored, embeddings: ArrayLike) -> Embeddings:
    vectors = as_floats("embeddings", embeddings)
    n = stored.tracklets.num_rows
    if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
        got = f"an array of {vectors.dtype} of shape {vectors.shape}, or one with NaN or infinity"
        raise LpwError("embeddings", got, f"finite numbers of shape ({n}, D)", "embed all of it")
    facts = EmbeddingFacts(NOT_SAID, None, stored.digest, NOT_SAID)
    return Embeddings(vectors.astype(np.float32), np.ones(n, dtype=bool), facts, [])


def _take_features(
    side: str, features: ArrayLike, persons: ArrayLike, cameras: ArrayLike
) -> NDArray[Any]:
    array = as_floats(f"{side}_features", features)
    for name, given in (("persons", persons), ("cameras", cameras)):
        values = as_array(f"{side}_{name}", given)
        if array.ndim != 2 or np.shape(values) != (len(array),):
            got = f"features of shape {array.shape}, {name} of shape {np.shape(values)}"
            raise LpwError(side, got, "(n, D) and (n,)", "pass one row and one label for each")
    return array


def _number(values: NDArray[Any]) -> NDArray[np.int64]:
    """Codes (Q + G,) that are equal where the values are."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
