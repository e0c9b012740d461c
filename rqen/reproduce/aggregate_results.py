"""Aggregates the results of a row over seeds and splits: mean and standard deviation of the
finished runs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rqen.reproduce.plan import ReproducePlan
from rqen.reproduce.record import Record


@dataclass(frozen=True)
class Figures:
    """A row of ours.

    Attributes:
        n: results that there are.
        n_planned: results that there would be.
        mean: fraction by metric; empty where nothing was run.
        deviation: standard deviation (of a sample: n - 1) over splits, each the mean of its seeds,
            or over seeds where there is one split; empty where there is only one of them.
        splits: rank-1 by split, the mean of its seeds.
        curve: (K,) the mean CMC; None where nothing was run.
    """

    n: int
    n_planned: int
    mean: dict[str, float]
    deviation: dict[str, float]
    splits: dict[int, float]
    curve: NDArray[np.float64] | None

    def show(self, metric: str) -> str:
        """Percent with the deviation, or `-` where there is nothing."""
        if metric not in self.mean:
            return "-"
        spread = f" ±{100 * self.deviation[metric]:.1f}" if metric in self.deviation else ""
        return f"{100 * self.mean[metric]:.1f}{spread}"


def summarise_rows(plan: ReproducePlan, records: dict[str, Record]) -> dict[str, Figures]:
    """Figures of every row of the plan by its name, from the results that are there."""
    summaries = {}
    for row in plan.rows:
        items = [item for item in plan.items if item.row.name == row.name]
        found = [records[item.name] for item in items if item.name in records]
        summaries[row.name] = _summarise(found, len(items))
    return summaries


def _summarise(found: list[Record], n_planned: int) -> Figures:
    if not found:
        return Figures(0, n_planned, {}, {}, {}, None)
    of_split: dict[int, list[dict[str, float]]] = {}
    for record in found:
        of_split.setdefault(record["split"], []).append(record["metrics"])
    means = {split: _mean(metrics) for split, metrics in sorted(of_split.items())}
    parts = list(means.values()) if len(means) > 1 else [record["metrics"] for record in found]
    deviation = (
        {m: float(np.std([p[m] for p in parts], ddof=1)) for m in parts[0]}
        if len(parts) > 1
        else {}
    )
    curve = np.mean([record["cmc"] for record in found], axis=0)
    splits = {split: values["cmc@1"] for split, values in means.items()}
    return Figures(len(found), n_planned, _mean(list(means.values())), deviation, splits, curve)


def _mean(metrics: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in metrics])) for name in metrics[0]}
