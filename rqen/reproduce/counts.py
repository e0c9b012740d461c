"""Table 1: the given datasets, counted in the paper's terms, above the paper's own numbers."""

from collections.abc import Sequence
from typing import Any

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.info import table1
from lpw_toolkit.evaluation.table_writer import TextTable
from rqen.reproduce.forms import Report
from rqen.reproduce.paper import read_doubts

_TITLES = ("dataset", "from", "identities", "boxes", "tracklets", "mean length", "failures")
_KEYS = ("identities", "boxes", "tracklets", "mean_length", "failures")


def report_counts(datasets: Sequence[Dataset]) -> Report:
    """The report of Table 1 for one dataset or more. Errors: MismatchError for damaged tables."""
    counted = [table1(dataset) for dataset in datasets]
    ours = [{**facts["dataset"], "failures": None} for facts in counted]
    doubts = read_doubts()
    marks = {name: number for number, name in enumerate(doubts, 1)}
    printed: list[dict[str, Any]] = counted[0]["paper"]
    lines = [[row["dataset"], "ours", *(_say(row[key]) for key in _KEYS)] for row in ours]
    for row in printed:
        mark = f" [{marks[row['dataset']]}]" if row["dataset"] in marks else ""
        lines.append([f"{row['dataset']}{mark}", "paper", *(_say(row[key]) for key in _KEYS)])
    notes = [f"[{marks[name]}] paper, {name}: {text}" for name, text in doubts.items()]
    notes += [
        f"{facts['dataset']['dataset']}: {facts['n_unidentified']:,} tracklets have no person yet"
        for facts in counted
        if facts["n_unidentified"]
    ]
    rows = [{**row, "doubtful": doubts.get(row["dataset"])} for row in printed]
    facts_of_all = {"ours": ours, "paper": rows, "source": counted[0]["source"]}
    head = [
        (
            "failures: whether detection and tracking failures are in it; mean length is computed, "
            "boxes / tracklets"
        )
    ]
    return Report(
        "Table 1, datasets", head, [TextTable([list(_TITLES), *lines], 2)], notes, facts_of_all
    )


def _say(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else f"{value:,}"
