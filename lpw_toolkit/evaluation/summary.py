"""Means over the queries of a ranking: cumulative matches (CMC), mAP and mINP."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.ranking import APForm, Floats, Ranking

Unmatched = Literal["skip", "zero"]


@dataclass(frozen=True)
class Summary:
    """Means over the queries, as fractions, with what they must be read with.

    Attributes:
        cmc: (R,) share of queries with a right answer among the first k, at place k - 1.
        map: mean average precision.
        minp: mean inverse negative penalty.
        n_query: queries that the means are over.
        n_gallery: gallery items, hidden ones among them.
        n_unmatched: queries without a right answer.
        n_skipped: those of them that were left out of the means.
        ap_form: form of the average precision.
        unmatched: what queries without a right answer did.
    """

    cmc: Floats
    map: float
    minp: float
    n_query: int
    n_gallery: int
    n_unmatched: int
    n_skipped: int
    ap_form: APForm
    unmatched: Unmatched


def summarise(
    ranking: Ranking, *, ap_form: APForm = "step", unmatched: Unmatched = "skip", max_rank: int = 50
) -> Summary:
    """Means over all queries, or over those with a right answer.

    Args:
        unmatched: `skip` leaves queries without a right answer out, `zero` counts them as missed.
        max_rank: length of the curve; beyond the gallery's end it stays level.

    Errors: LpwError where no query would be counted, or the curve would have no rank.
    """
    if max_rank < 1:
        raise LpwError("max_rank", str(max_rank), "1 or more", "ask for the ranks to report")
    lost = ranking.unmatched
    counted = np.ones_like(lost) if unmatched == "zero" else ~lost
    if not counted.any():
        got = (
            f"none of {ranking.n_query} queries with a right answer in {ranking.n_gallery} "
            f"gallery items"
        )
        raise LpwError(
            "ranking", got, "at least one", "check the person and camera ids of queries and gallery"
        )
    hits = np.bincount(np.clip(ranking.first[~lost], 1, max_rank + 1), minlength=max_rank + 2)[
        1 : max_rank + 1
    ]
    n = int(counted.sum())
    return Summary(
        cmc=np.cumsum(hits) / n,
        map=float(np.nansum(ranking.average_precision(ap_form)) / n),
        minp=float(np.nansum(ranking.inverse_negative_penalty) / n),
        n_query=n,
        n_gallery=ranking.n_gallery,
        n_unmatched=int(lost.sum()),
        n_skipped=int((~counted).sum()),
        ap_form=ap_form,
        unmatched=unmatched,
    )
