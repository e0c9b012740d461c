"""Writes evaluations as files: tables, CMC curves as a picture, and the worst queries as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lpw_toolkit.dataset.output_folder import mark_folder, publish_folder
from lpw_toolkit.dataset.schema import METRICS, QUERIES
from lpw_toolkit.dataset.tables import encode_table
from lpw_toolkit.evaluation.evaluate import Evaluation, SplitResult
from lpw_toolkit.evaluation.metrics_table import LOCKED, SUFFIXES, format_table, read_lines
from lpw_toolkit.evaluation.provenance import describe_junk
from lpw_toolkit.evaluation.ranking import top_columns
from lpw_toolkit.files.writing import write_file
from lpw_toolkit.names import json_text

if TYPE_CHECKING:  # the page draws crops with OpenCV, which a table needs not wait for
    from lpw_toolkit.evaluation.ranked_page import Answer

MARKER = "results.txt"
N_WORST, N_ANSWERS = 50, 10


def format_results(
    evaluations: Sequence[Evaluation], notes: Sequence[str], *, form: str, mix: bool
) -> str:
    """The table of `evaluations` in one of metrics_table.FORMS. Errors: LpwError by the lock."""
    skipped = list(dict.fromkeys(name for one in evaluations for name in one.skipped))
    lines = read_lines([one.metrics for one in evaluations])
    return format_table(lines, mix=mix, form=form, notes=notes, skipped=skipped)


def write_results(
    out: Path, evaluations: Sequence[Evaluation], notes: Sequence[str], *, mix: bool
) -> None:
    """Publishes the folder `out`: metrics.parquet, queries.parquet and the table as CSV, JSON,
    Markdown and LaTeX.

    A folder of earlier results is replaced as a whole.

    Args:
        notes: what the tables say beside the figures.
        mix: as in `format_table`.

    queries.parquet is of the first evaluation; so is selection.json, which is there where settings
    of the distance were chosen: all that was tried, with its figures.

    Errors: LpwError for a place that is not free, and by the lock.
    """
    metrics = pa.concat_tables(one.metrics for one in evaluations)
    tables = {form: format_results(evaluations, notes, form=form, mix=mix) for form in SUFFIXES}
    with publish_folder(out, marker=MARKER) as folder:
        write_file(folder / "metrics.parquet", encode_table(metrics, METRICS))
        write_file(folder / "queries.parquet", encode_table(evaluations[0].queries, QUERIES))
        if evaluations[0].selections:
            chosen = {
                str(split): found.record() for split, found in evaluations[0].selections.items()
            }
            write_file(folder / "selection.json", f"{json_text(chosen, indent=2)}\n".encode())
        for form, suffix in SUFFIXES.items():
            write_file(folder / f"table.{suffix}", f"{tables[form]}\n".encode())
        mark_folder(folder, MARKER)


def write_page(evaluation: Evaluation, out: Path) -> list[str]:
    """Publishes the worst queries of the first split as one HTML file; returns a line for each crop
    that is missing."""
    from lpw_toolkit.evaluation.ranked_page import About, RankedQuery, pick_worst, write_ranked_page

    result = evaluation.results[0]
    ranking = result.ranking
    found = np.flatnonzero(~ranking.unmatched)
    ap = ranking.average_precision(evaluation.spec.ap_form)
    worst = found[pick_worst(ap[found], ranking.first[found], N_WORST)]
    names = evaluation.dataset.tracklets["tracklet_id"].to_pylist()
    queries = [
        RankedQuery(
            names[result.trial.query[q]],
            float(ap[q]),
            int(ranking.first[q]),
            int(ranking.n_relevant[q]),
            _list_answers(result, int(q), names),
        )
        for q in worst
    ]
    lost = tuple(names[row] for row in result.trial.query[ranking.unmatched])
    about = About(
        f"{evaluation.protocol}, {evaluation.facts['model']}",
        _list_facts(evaluation),
        lost,
        len(found),
    )
    return write_ranked_page(
        evaluation.dataset, out, queries, about, max_queries=N_WORST, max_answers=N_ANSWERS
    )


def _list_answers(result: SplitResult, query: int, names: Sequence[str]) -> "tuple[Answer, ...]":
    """The first answers, and the first right one where it is not among them."""
    from lpw_toolkit.evaluation.ranked_page import Answer

    distances = result.blocks.block(query, query + 1)
    columns, right = top_columns(distances, result.relevance, N_ANSWERS, start=query)
    entries = [
        (int(column), bool(good), rank)
        for rank, (column, good) in enumerate(zip(columns[0], right[0], strict=True), 1)
        if column >= 0
    ]
    if not right.any():
        good = result.relevance.good[query]
        entries.append(
            (int(good[np.argmin(distances[0, good])]), True, int(result.ranking.first[query]))
        )
    return tuple(
        Answer(names[result.trial.gallery[column]], float(distances[0, column]), is_right, rank)
        for column, is_right, rank in entries
    )


def _list_facts(evaluation: Evaluation) -> dict[str, str]:
    result = evaluation.results[0]
    facts = {
        **evaluation.facts,
        "gallery": evaluation.tables.gallery,
        "junk_rule": describe_junk(evaluation.spec),
        "ap_form": evaluation.spec.ap_form,
        "splits": f"split {result.trial.split}, one of {len(evaluation.results)} that were "
        f"evaluated",
    }
    facts["dataset_digest"] = f"{facts['dataset']} ({facts['dataset_digest'][:12]})"
    shown = {title: facts[name] for name, title in LOCKED.items()}
    return {**shown, "model": facts["model"], "distance": facts["distance"]}
