"""Re-identification metrics from plain arrays or from the embeddings of a dataset."""

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpw_toolkit.api.dataset import Dataset, Stored, to_stored
from lpw_toolkit.api.settings import take_path
from lpw_toolkit.dataset.labels import JUNK, PERSON, Labels
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings, read_embeddings
from lpw_toolkit.embedding.vector_pool import NOT_SAID
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation import evaluate as dataset_evaluation
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.learned_distance import open_distance
from lpw_toolkit.evaluation.protocol import open_protocol
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.summary import Summary, summarise


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
    query = _take_features("query", query_features, query_persons, query_cameras)
    gallery = _take_features("gallery", gallery_features, gallery_persons, gallery_cameras)
    if query.shape[1] != gallery.shape[1]:
        got = f"{query.shape[1]} and {gallery.shape[1]} dimensions"
        raise LpwError("features", got, "vectors of one model", "embed both with the same one")
    labels = Labels(
        _number(query_persons, gallery_persons),
        _number(query_cameras, gallery_cameras),
        np.where(_is_junk(query_persons, gallery_persons), JUNK, PERSON),
    )
    rows = np.arange(len(labels))
    relevance = rules.judge(labels.take(rows[: len(query)]), labels.take(rows[len(query) :]))
    return summarise(
        rank_queries(open_distance(metric).blocks(query, gallery), relevance),
        ap_form=rules.SPEC.ap_form,
        unmatched=rules.SPEC.unmatched,
        max_rank=max_rank,
    )


def evaluate_dataset(
    dataset: "Dataset | Stored | str | os.PathLike[str]",
    embeddings: "ArrayLike | Embeddings | str | os.PathLike[str]",
    protocol: str = "market",
    *,
    metric: str = "cosine",
    allow_seen: bool = False,
    **settings: Any,
) -> dataset_evaluation.Evaluation:
    """Evaluates a dataset's embeddings under a protocol, as `lpw eval` does.

    Args:
        dataset: the dataset or its folder.
        embeddings: (N, D), one vector for each row of `dataset.tracklets`; or a Parquet file of
            them.
        protocol: one of the files of `lpw_toolkit/evaluation/protocols`.
        metric: `cosine`, `euclidean`, `sqeuclidean`, or one that is learned: `xqda`, `kissme`,
            `tdl`.
        allow_seen: whether persons may be tested of whom a file of embeddings says that its model
            was trained on them; every row of the metrics then counts them (`n_seen`).
        **settings: further fields of `DistanceSettings`: `pca`, `rerank`, `seed`, ….

    Returns:
        `.results`, one for each split, with `.summary` as `evaluate` returns it; `.metrics`, an
        Arrow table in which each figure stands with its protocol, gallery, distance and the
        dataset's digest; `.notes`, what a reader of the figures should know.

    Raises:
        LpwError: the protocol does not fit the dataset, a tracklet has no vector, or persons are
            tested whom the model was trained on.
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
    if isinstance(embeddings, (str, os.PathLike)):
        embeddings = read_embeddings(take_path(embeddings), stored)
    elif not isinstance(embeddings, Embeddings):
        vectors = np.asarray(embeddings)
        n = stored.tracklets.num_rows
        if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
            got = f"an array of shape {vectors.shape}, or one with NaN or infinity"
            raise LpwError(
                "embeddings", got, f"finite numbers of shape ({n}, D)", "embed all of it"
            )
        facts = EmbeddingFacts(NOT_SAID, None, stored.digest, NOT_SAID)
        embeddings = Embeddings(vectors.astype(np.float32), np.ones(n, dtype=bool), facts, [])
    distance = DistanceSettings(metric=metric, **settings)
    return dataset_evaluation.evaluate(
        stored, embeddings, protocol, distance, allow_seen=allow_seen
    )


def _take_features(
    side: str, features: ArrayLike, persons: ArrayLike, cameras: ArrayLike
) -> NDArray[Any]:
    array = np.asarray(features)
    for name, values in (("persons", persons), ("cameras", cameras)):
        if array.ndim != 2 or np.shape(values) != (len(array),):
            got = f"features of shape {array.shape}, {name} of shape {np.shape(values)}"
            raise LpwError(side, got, "(n, D) and (n,)", "pass one row and one label for each")
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _number(query: ArrayLike, gallery: ArrayLike) -> NDArray[np.int64]:
    """Codes (Q + G,) that are equal where the values are."""
    values = np.concatenate([np.asarray(query), np.asarray(gallery)])
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _is_junk(query: ArrayLike, gallery: ArrayLike) -> NDArray[np.bool_]:
    return np.concatenate([np.zeros(len(np.asarray(query)), dtype=bool), np.asarray(gallery) == -1])
