"""The spread of a table for people and for machines: intervals, and what agrees with the paper
beside what contradicts it."""

from collections.abc import Mapping, Sequence
from typing import Any

from lpw_toolkit.evaluation.bootstrap import Interval, Lead
from lpw_toolkit.evaluation.table_writer import TextTable
from rqen.reproduce.spread import METRICS, OURS, Spread


def make_spread_grid(
    labels: Mapping[str, str], spread: Spread, compared: Sequence[Mapping[str, Any]]
) -> list[TextTable]:
    """Intervals of each row, how far RQEN is ahead of it, and the paper's figures of that; empty
    where nothing is known.

    Args:
        labels: by row, what tables call it.
        compared: as `spread.compare_leads` gives it.
    """
    if not spread.intervals and not compared:
        return []
    of_row = {found["row"]: found for found in compared}
    datasets = list(dict.fromkeys(on for found in compared for on in found["paper"]))
    rows = [["", "ours R-1", "ours mAP", "RQEN ahead, R-1", "mAP"]]
    rows[0] += [*(f"paper {on}, R-1" for on in datasets), "verdict"]
    for name, label in labels.items():
        if name not in spread.intervals and name not in of_row:
            continue
        own, leads = spread.intervals.get(name, {}), spread.leads.get(name, {})
        found = of_row.get(name, {"paper": {}, "verdict": None})
        ahead = [_show_lead(leads[metric]) if leads else "-" for metric in METRICS]
        if not leads and "ours" in found:
            ahead[0] = f"{found['ours']:+.1f}"
        printed = [f"{found['paper'][on]:+.1f}" if on in found["paper"] else "-" for on in datasets]
        cells = [_show_interval(own[metric]) if own else "-" for metric in METRICS]
        rows.append([label, *cells, *ahead, *printed, found["verdict"] or "-"])
    return [TextTable(rows, 1, _say_how(spread))]


def _say_how(spread: Spread) -> str:
    text = "ours, 95 % intervals: persons and training seeds resampled together, pairs by person"
    seeds = {of["cmc@1"].n_seeds for of in spread.intervals.values()}
    if not seeds:
        return f"{text}; unknown: results of an older version do not hold their queries"
    if 1 in seeds:
        text += "; of one seed, the noise of training is not in the interval"
    return f"{text}; not shown: the interval holds 0"


def _show_interval(found: Interval) -> str:
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def _show_lead(lead: Lead) -> str:
    return f"{100 * lead.mean:+.1f} ({100 * lead.low:+.1f} to {100 * lead.high:+.1f})"


def describe_spread(spread: Spread) -> dict[str, Any]:
    """The same as plain values, in fractions."""
    return {
        "intervals": _describe(spread.intervals),
        f"leads_of_{OURS}": _describe(spread.leads),
    }


def _describe(found: Mapping[str, Mapping[str, Interval | Lead]]) -> dict[str, Any]:
    return {
        name: {metric: vars(value) for metric, value in of.items()} for name, of in found.items()
    }
