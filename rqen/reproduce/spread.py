"""How sure the figures of a table are: intervals over persons and training seeds together, and how
far RQEN is ahead of each row, beside what the paper prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.evaluation.bootstrap import Interval, Lead, measure_lead, measure_mean
from lpw_toolkit.evaluation.evaluate import Evaluation
from rqen.reproduce.paper import PaperTable
from rqen.reproduce.plan import ReproducePlan
from rqen.reproduce.record import Record

#: The row that the others are compared with, where it was run.
OURS = "rqen"
#: What intervals are given for.
METRICS = ("cmc@1", "map")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QueryScores:
    """What each query of a row scored, the same Q queries in every seed.

    Attributes:
        query: (Q,) split and tracklet.
        person: (Q,) whose query it is.
        values: (S, Q) by metric of METRICS: 1 where the nearest is right, and average precision.
    """

    query: tuple[tuple[int, str], ...]
    person: tuple[str, ...]
    values: dict[str, Floats]


@dataclass(frozen=True)
class Spread:
    """How sure the rows are.

    Attributes:
        intervals: by row and metric.
        leads: by row and metric, how far OURS is ahead.
    """

    intervals: dict[str, dict[str, Interval]]
    leads: dict[str, dict[str, Lead]]


def describe_queries(evaluation: Evaluation) -> dict[str, list[Any]]:
    """Tracklet, person, first right rank (null: missed) and average precision of each query that
    counts, as plain lists for a record."""
    kept = [row for row in evaluation.queries.to_pylist() if not row["skipped"]]
    return {
        "tracklet": [row["tracklet_id"] for row in kept],
        "person": [row["person_id"] for row in kept],
        "rank": [row["first_rank"] for row in kept],
        "ap": [round(row["average_precision"] or 0.0, 6) for row in kept],
    }


def measure_spread(plan: ReproducePlan, records: Mapping[str, Record]) -> Spread:
    """Intervals of the rows whose results hold their queries; results of older versions do not."""
    scores = {}
    for row in plan.rows:
        items = [item for item in plan.items if item.row.name == row.name and item.name in records]
        found = _join([records[item.name] for item in items], len(plan.splits))
        if found is not None and len(set(found.person)) > 1:
            scores[row.name] = found
    intervals = {
        name: {
            metric: measure_mean(_code(of.person), of.values[metric], np.random.default_rng(0))
            for metric in METRICS
        }
        for name, of in scores.items()
    }
    ours = scores.get(OURS)
    leads = {
        name: {
            metric: measure_lead(
                _code(of.person), ours.values[metric], of.values[metric], np.random.default_rng(0)
            )
            for metric in METRICS
        }
        for name, of in scores.items()
        if ours is not None and name != OURS and of.query == ours.query
    }
    return Spread(intervals, leads)


def _join(found: Sequence[Record], n_splits: int) -> QueryScores | None:
    """The queries of all splits, end to end, in the seeds that were tested on every split."""
    of_seed: dict[int, list[Record]] = {}
    for record in sorted(found, key=lambda record: int(record["split"])):
        if not record.get("queries"):
            return None
        of_seed.setdefault(record["seed"], []).append(record)
    whole = [records for records in of_seed.values() if len(records) == n_splits]
    if not whole:
        return None
    names = [
        tuple((int(r["split"]), str(name)) for r in records for name in r["queries"]["tracklet"])
        for records in whole
    ]
    if len(set(names)) > 1:
        return None
    ranks = [[rank for r in records for rank in r["queries"]["rank"]] for records in whole]
    values = {
        "cmc@1": np.array([[rank == 1 for rank in seed] for seed in ranks], dtype=np.float64),
        "map": np.array([[ap for r in records for ap in r["queries"]["ap"]] for records in whole]),
    }
    person = tuple(str(name) for r in whole[0] for name in r["queries"]["person"])
    return QueryScores(names[0], person, values)


def _code(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def compare_leads(
    paper: PaperTable, columns: Sequence[str], rank1: Mapping[str, float], spread: Spread
) -> list[dict[str, Any]]:
    """RQEN's rank-1 against each row, in percent points: ours, its interval, the paper's by
    dataset, and whether they agree.

    Args:
        columns: the paper's datasets that are shown.
        rank1: ours in percent, by row; rows that were not run are not there.

    Returns: dictionaries with `row`, `ours`, `interval` (low, high; None where it is unknown),
    `paper` (points by dataset) and `verdict`: `as the paper` or `against the paper`, with `, not
    shown` behind it where the interval holds 0 or is unknown; `split` where the paper's datasets
    disagree; None where the paper prints no such pair.
    """
    compared = []
    for row in rank1:
        if row == OURS or OURS not in rank1:
            continue
        printed = {
            on: values[OURS] - values[row]
            for on in columns
            if {OURS, row} <= (values := _list_printed(paper, on)).keys()
        }
        lead = spread.leads.get(row, {}).get("cmc@1")
        interval = None if lead is None else (100 * lead.low, 100 * lead.high)
        ours = rank1[OURS] - rank1[row]
        compared.append(
            {
                "row": row,
                "ours": ours,
                "interval": interval,
                "paper": printed,
                "verdict": _judge(ours, interval, list(printed.values())),
            }
        )
    return compared


def _list_printed(paper: PaperTable, on: str) -> dict[str, float]:
    """Printed rank-1 on a dataset, by row of ours."""
    return {
        row.row: row.values["cmc@1"]
        for row in paper.rows
        if row.row is not None and row.on == on and "cmc@1" in row.values
    }


def _judge(ours: float, interval: tuple[float, float] | None, paper: list[float]) -> str | None:
    if not paper:
        return None
    if ours == 0:
        return "level"
    signs = {value > 0 for value in paper}
    if len(signs) > 1:
        return "split"
    word = "as the paper" if (ours > 0) in signs else "against the paper"
    is_shown = interval is not None and (interval[0] > 0 or interval[1] < 0)
    return word if is_shown else f"{word}, not shown"
