"""Provenance of every figure, in words: gallery, rules, splits; and results as rows of metrics and
queries."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.dataset.schema import KINDS, METRICS, QUERIES
from lpw_toolkit.dataset.tables import make_table
from lpw_toolkit.evaluation.metrics_table import MEAN, STD, SUMMARY
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.ranking import Ranking
from lpw_toolkit.evaluation.summary import Summary

RANKS = (1, 5, 10, 20)


def name_metrics(summary: Summary) -> dict[str, float]:
    """The figures of a summary by the names that tables know, as fractions."""
    return {
        **{f"cmc@{k}": float(summary.cmc[k - 1]) for k in RANKS},
        "map": summary.map,
        "minp": summary.minp,
    }


def describe_gallery(
    spec: ProtocolSpec, labels: Labels, trials: Sequence[QueryGallerySplit]
) -> str:
    """The counts of the gallery, as a range where they differ between trials."""
    sizes = [len(trial.gallery) for trial in trials]
    kinds = np.array(
        [np.bincount(labels.kind[trial.gallery], minlength=len(KINDS)) for trial in trials]
    )
    queries = [len(np.intersect1d(trial.query, trial.gallery)) for trial in trials]
    parts = ", ".join(
        f"{_range(kinds[:, i])} {kind}" for i, kind in enumerate(KINDS) if kinds[:, i].any()
    )
    return (
        f"{spec.gallery}: {_range(sizes)} tracklets ({parts}), {_range(queries)} queries among them"
    )


def _range(numbers: Sequence[int] | NDArray[Any]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def describe_junk(spec: ProtocolSpec) -> str:
    """What is ignored, and what happens to queries without a relevant gallery item."""
    lost = {"skip": "skipped", "zero": "counted as missed"}[spec.unmatched]
    return f"{spec.junk_rule}; queries without a right answer are {lost}"


def describe_splits(dataset: Dataset) -> str:
    """Where the splits come from, whether they were drawn, and what must be said beside a number
    that rests on them."""
    if dataset.splits is None:
        return "no splits: all of the dataset"
    said = dataset.manifest.get("splits")
    said = said if isinstance(said, dict) else {}
    parts = [str(said.get("source") or "not said by the dataset")]
    parts += ["DRAWN, no published split"] * bool(said.get("drawn"))
    parts += [str(said["note"])] if said.get("note") else []
    parts += [f"digest {str(said['digest'])[:12]}"] if said.get("digest") else []
    parts += [f"made from {_shorten(said['origins'])}"] if said.get("origins") else []
    return " ".join("; ".join(parts).split())


def _shorten(digests: Sequence[object]) -> str:
    return ", ".join(str(digest)[:12] for digest in digests)


class ResultTables(NamedTuple):
    """The output of an evaluation.

    Attributes:
        gallery: what the gallery holds, over all splits.
        metrics: rows of schema.METRICS.
        queries: rows of schema.QUERIES.
    """

    gallery: str
    metrics: pa.Table
    queries: pa.Table


def tabulate(
    dataset: Dataset,
    labels: Labels,
    spec: ProtocolSpec,
    facts: dict[str, str],
    parts: Sequence[tuple[QueryGallerySplit, Ranking, Summary]],
    n_seen: Mapping[int, int] = MappingProxyType({}),
) -> ResultTables:
    """The tables of an evaluation.

    Args:
        labels: of the dataset's tracklets.
        facts: the text columns of schema.METRICS but gallery, junk_rule and ap_form.
        parts: for each split, its queries and gallery, their ranking, and its figures.
        n_seen: by split, how many queries show persons whom the model was trained on.
    """
    facts = {**facts, "junk_rule": describe_junk(spec), "ap_form": spec.ap_form}
    gallery = describe_gallery(spec, labels, [trial for trial, _, _ in parts])
    rows = [
        (trial, describe_gallery(spec, labels, [trial]), summary) for trial, _, summary in parts
    ]
    metrics = make_metrics(facts, rows, n_seen)
    if len(parts) > 1:
        pairs = [(trial, summary) for trial, _, summary in parts]
        total = make_summary(facts, gallery, pairs, sum(n_seen.values()) if n_seen else None)
        metrics = pa.concat_tables([metrics, total])
    queries = [make_queries(dataset, trial, ranking, spec) for trial, ranking, _ in parts]
    return ResultTables(gallery, metrics, pa.concat_tables(queries))


def make_metrics(
    facts: dict[str, str],
    parts: Sequence[tuple[QueryGallerySplit, str, Summary]],
    n_seen: Mapping[int, int] = MappingProxyType({}),
) -> pa.Table:
    """Rows of metrics (schema.METRICS), split by split; n_query counts all queries, skipped ones
    among them.

    Args:
        facts: the text columns but `gallery`.
        parts: trials, their galleries in words, and their figures.
        n_seen: as in `tabulate`.
    """
    rows = []
    for trial, gallery, summary in parts:
        counts = (
            len(trial.query),
            summary.n_gallery,
            summary.n_skipped,
            n_seen.get(trial.split),
        )
        rows += [
            (trial.split, name, value, counts, gallery)
            for name, value in name_metrics(summary).items()
        ]
    return _make_rows(facts, rows)


def make_summary(
    facts: dict[str, str],
    gallery: str,
    parts: Sequence[tuple[QueryGallerySplit, Summary]],
    n_seen: int | None = None,
) -> pa.Table:
    """Rows of mean and standard deviation (of a sample: n - 1) over two splits or more: split -1,
    `cmc@1:mean` etc.

    n_query, n_skipped and n_seen are totals over the splits, so that rates are multiples of
    1 / n_query; n_gallery is the largest.
    """
    figures = [name_metrics(summary) for _, summary in parts]
    counts = (
        sum(len(trial.query) for trial, _ in parts),
        max(summary.n_gallery for _, summary in parts),
        sum(summary.n_skipped for _, summary in parts),
        n_seen,
    )
    rows = []
    for name in figures[0]:
        values = np.array([figure[name] for figure in figures])
        rows += [(SUMMARY, name + MEAN, float(values.mean()), counts, gallery)]
        rows += [(SUMMARY, name + STD, float(values.std(ddof=1)), counts, gallery)]
    return _make_rows(facts, rows)


def _make_rows(
    facts: dict[str, str],
    rows: Sequence[tuple[int, str, float, tuple[int, int, int, int | None], str]],
) -> pa.Table:
    records = [
        {**facts, "split": split, "metric": metric, "value": value, "gallery": gallery}
        | dict(zip(("n_query", "n_gallery", "n_skipped", "n_seen"), counts, strict=True))
        for split, metric, value, counts, gallery in rows
    ]
    return pa.Table.from_pylist(records, schema=METRICS)


def make_queries(
    dataset: Dataset, trial: QueryGallerySplit, ranking: Ranking, spec: ProtocolSpec
) -> pa.Table:
    """One row for each query of a trial (schema.QUERIES), in its order."""
    names = dataset.tracklets.select(["tracklet_id", "person_id", "camera_id"]).take(
        pa.array(trial.query)
    )
    lost = ranking.unmatched
    columns = [
        np.full(len(trial.query), trial.split),
        *(column.combine_chunks() for column in names.columns),
        ranking.n_relevant,
        pa.array(ranking.first, pa.int32(), mask=lost),
        pa.array(ranking.average_precision(spec.ap_form), mask=lost),
        pa.array(ranking.inverse_negative_penalty, mask=lost),
        lost & (spec.unmatched == "skip"),
    ]
    return make_table(columns, QUERIES)
