"""Evaluates a run on a corrupted dataset: hits with each camera as query, and the scores of
corrupted regions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distances import Cosine
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import judge_labels
from rqen.corruption.plan import KINDS, REGIONS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QueryResults:
    """The result of each of Q queries.

    Attributes:
        rows: (Q,) rows of the vectors that are the queries, camera by camera.
        person: (Q,) code of the person.
        hit: (Q,) 1 where the nearest is right, else 0.
        precision: (Q,) average precision (`step`).
    """

    rows: Ints
    person: Ints
    hit: Floats
    precision: Floats


def rank_by_each_camera(vectors: NDArray[np.float32], labels: Labels) -> QueryResults:
    """Ranks by cosine the tracklets of each camera against those of all other cameras.

    Args:
        vectors: (N, D).
        labels: of the N tracklets. Tracklets without a person are no queries; a person whom only
            one camera sees is a miss.

    Errors: LpwError with fewer than two cameras.
    """
    cameras = np.unique(labels.camera)
    if len(cameras) < 2:
        raise LpwError(
            "cameras", f"{len(cameras)}", "2 or more", "take a test set seen by several cameras"
        )
    parts = []
    for camera in cameras:
        query = np.flatnonzero((labels.camera == camera) & (labels.person >= 0))
        gallery = np.flatnonzero(labels.camera != camera)
        relevance = judge_labels(labels.take(query), labels.take(gallery))
        ranking = rank_queries(Cosine().blocks(vectors[query], vectors[gallery]), relevance)
        precision = np.nan_to_num(ranking.average_precision("step"))
        parts.append(
            (query, labels.person[query], (ranking.first == 1).astype(np.float64), precision)
        )
    rows, person, hit, precision = (np.concatenate(column) for column in zip(*parts, strict=True))
    return QueryResults(rows, person, hit, precision)


def measure_auc(low: NDArray[np.floating], high: NDArray[np.floating]) -> float:
    """Chance that one of `low` (N,) is below one of `high` (M,), ties half (Mann-Whitney); NaN
    where one is empty."""
    if not len(low) or not len(high):
        return float("nan")
    ordered = np.sort(low)
    below, upto = (np.searchsorted(ordered, high, side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(low)))


def compare_scores(
    scores: NDArray[np.float32], region: Ints, kind: Ints
) -> dict[str, dict[str, float]]:
    """AUC of corrupted against clean regions: {region or `all`: {kind or `all`: AUC}}.

    Clean are the scores of a region in all frames in which it was not corrupted, whatever was done
    to other regions. `all` regions is the mean over the regions, each against its own.

    Args:
        scores: (F, R) with R the number of REGIONS; or 1, a score of the whole frame, corrupted by
            any region.
        region, kind: (F,) as `read_mask` says, of one or several draws end to end.
    """
    found: dict[str, dict[str, float]] = {}
    names = REGIONS if scores.shape[1] > 1 else ("whole",)
    for r, name in enumerate(names):
        corrupted = region == r if len(names) > 1 else region >= 0
        clean = scores[~corrupted, r]
        found[name] = {"all": measure_auc(scores[corrupted, r], clean)}
        found[name] |= {
            k: measure_auc(scores[corrupted & (kind == i), r], clean) for i, k in enumerate(KINDS)
        }
    found["all"] = {k: float(np.mean([found[name][k] for name in names])) for k in ("all", *KINDS)}
    return found
