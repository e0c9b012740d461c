"""Formats rows of metrics as tables; rows that must not be compared are kept apart (the lock)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lpw_toolkit.dataset.schema import METRICS
from lpw_toolkit.dataset.tables import read_table
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.protocol import list_protocols, open_protocol
from lpw_toolkit.evaluation.table_writer import (
    TextTable,
    format_csv_table,
    format_latex,
    format_markdown,
    format_markdown_list,
    format_text,
)
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import is_file, is_folder
from lpw_toolkit.names import json_text, show_name

SUMMARY = -1
MEAN, STD = ":mean", ":std"
#: What must be equal in all lines of a table, and how messages call it. Model and distance are what
#: tables compare.
LOCKED = {
    "dataset_digest": "dataset",
    "protocol": "protocol",
    "gallery": "gallery",
    "junk_rule": "junk rule",
    "ap_form": "AP form",
    "frames_used": "frames used",
    "split_source": "splits from",
    "splits": "splits",
}
_TITLES = {"map": "mAP", "minp": "mINP"}
_COUNTS = {"n_query": "queries", "n_gallery": "gallery", "n_skipped": "skipped"}
#: A column of its own where a line has any: figures of persons who trained are no test.
_SEEN = "trained on"
_MAX_CELL_CHARS = 28
_MAX_NAME_CHARS = 200  # of a model: nobody reads more, and every line is as wide as the widest


@dataclass(frozen=True)
class MetricsLine:
    """One line of a table: the figures of one run on one split, or on all of its splits.

    Attributes:
        facts: the columns of schema.METRICS but metric and value, and `splits`: which one, or of
            how many the mean.
        values: fraction by metric; in a summary the mean over the splits.
        spread: in a summary, the standard deviation over the splits (of a sample: n - 1) by metric;
            else empty.
    """

    facts: dict[str, Any]
    values: dict[str, float]
    spread: dict[str, float]


def read_lines(metrics: Sequence[pa.Table]) -> list[MetricsLine]:
    """Lines of tables of metrics (schema.METRICS), in their order; equal ones once."""
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    n_splits: dict[tuple[Any, ...], set[int]] = {}
    columns = [name for name in METRICS.names if name not in ("metric", "value")]
    for number, table in enumerate(metrics):
        for row in table.to_pylist():
            found.setdefault((number, *(row[name] for name in columns)), {})[row["metric"]] = row[
                "value"
            ]
            if row["split"] != SUMMARY:
                n_splits.setdefault((number, *_run_of(row)), set()).add(row["split"])
    lines: dict[Any, MetricsLine] = {}
    for (number, *key), values in found.items():
        facts = dict(zip(columns, key, strict=True))
        n_of = len(n_splits.get((number, *_run_of(facts)), ()))
        facts["splits"] = (
            f"mean of {n_of}" if facts["split"] == SUMMARY else f"split {facts['split']}"
        )
        line = MetricsLine(facts, _take(values, MEAN, plain=True), _take(values, STD))
        same = tuple(frozenset(part.items()) for part in (line.facts, line.values, line.spread))
        lines.setdefault(same, line)
    return list(lines.values())


def _run_of(row: dict[str, Any]) -> tuple[Any, ...]:
    named = (
        "dataset_digest",
        "protocol",
        "model",
        "junk_rule",
        "ap_form",
        "distance",
        "frames_used",
        "split_source",
    )
    return tuple(row[name] for name in named)


def _take(values: dict[str, float], suffix: str, *, plain: bool = False) -> dict[str, float]:
    return {
        name.removesuffix(suffix): value
        for name, value in values.items()
        if name.endswith(suffix) or (plain and ":" not in name)
    }


def read_metrics(files: Sequence[Path]) -> list[pa.Table]:
    """Tables of metrics; a folder stands for the metrics.parquet in it. Errors: LpwError,
    MismatchError."""
    places = [file / "metrics.parquet" if is_folder(file) else file for file in files]
    for place in places:
        if not is_file(place):
            do = "name a folder that `lpw eval --out` made"
            raise LpwError(place, "no such file", "metrics.parquet, or a folder that holds it", do)
    tables = [read_table(place, METRICS) for place in places]
    if (n_rows := sum(table.num_rows for table in tables)) > limit("metrics_rows"):
        got = explain_limit("metrics_rows", f"{n_rows} rows in all tables")
        raise LpwError("tables of metrics", got, "fewer", "name fewer of them")
    return tables


def choose_headlines(lines: Sequence[MetricsLine]) -> list[MetricsLine]:
    """Of every run with a summary only that; every line of the others."""
    summed = {_run_of(line.facts) for line in lines if line.facts["split"] == SUMMARY}
    return [
        line
        for line in lines
        if line.facts["split"] == SUMMARY or _run_of(line.facts) not in summed
    ]


def find_differences(lines: Sequence[MetricsLine]) -> dict[str, list[str]]:
    """By column of LOCKED the values that differ among `lines`; empty where they may stand in one
    table."""
    values = {name: list(dict.fromkeys(str(line.facts[name]) for line in lines)) for name in LOCKED}
    return {name: found for name, found in values.items() if len(found) > 1}


def check_lock(lines: Sequence[MetricsLine]) -> None:
    """Errors: LpwError that names what differs among lines that would stand in one table."""
    different = find_differences(lines)
    if not different:
        return
    shown = [
        f"{LOCKED[name]}: {' / '.join(_shorten(v) for v in values[:3])}"
        for name, values in different.items()
    ]
    expected = f"one {', one '.join(LOCKED[name] for name in different)}"
    raise LpwError(
        "protocol lock", "; ".join(shown), expected, "make two tables, or mix them with --mix"
    )


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def format_table(
    lines: Sequence[MetricsLine],
    *,
    mix: bool = False,
    form: str = "table",
    notes: Sequence[str] = (),
    skipped: Sequence[str] = (),
) -> str:
    """The lines as `table` (terminal), `csv`, `json`, `markdown` or `latex`.

    Terminal, Markdown and LaTeX have a line for each run (`choose_headlines`), percent, and below
    what holds for all; CSV and JSON have every line, as fractions, with every fact. LaTeX has the
    figures that the protocol is known by.

    Args:
        mix: sets lines of different rules side by side and says in what they differ, instead of
            refusing.
        notes: further sentences to stand with the figures; CSV has no place for them.
        skipped: queries that no mean counts: JSON names them all.

    Errors: LpwError for nothing to show, and by `check_lock`.
    """
    if not lines:
        raise LpwError("table", "no rows of metrics", "at least one", "run `lpw eval` first")
    headlines = choose_headlines(lines)
    if not mix:
        check_lock(headlines)
    if form == "json":
        return _format_json(lines, notes, skipped)
    return FORMS[form](lines if form == "csv" else headlines, notes)


def _grid(
    lines: Sequence[MetricsLine], *, headline: bool = False
) -> tuple[list[list[str]], list[str]]:
    """Titles and cells (who, what differs, figures, counts), and a legend of what is too long for a
    cell.

    Args:
        headline: only the figures by which the lines' protocols are known, as papers print them.
    """
    columns = list(find_differences(lines))
    metrics = list(dict.fromkeys(name for line in lines for name in line.values))
    if headline:
        metrics = [name for name in metrics if name in _known_by(lines)] or metrics
    named = [LOCKED.get(name, name) for name in columns]
    titles = [
        "model",
        *named,
        "distance",
        *(_TITLES.get(name, name.replace("cmc@", "R-")) for name in metrics),
        *_COUNTS.values(),
    ]
    tells_seen = any(line.facts.get("n_seen") for line in lines)
    titles += [_SEEN] * tells_seen
    keys: dict[str, dict[str, str]] = {name: {} for name in columns}
    rows = []
    for line in lines:
        different = [_abbreviate(_say(line, name), keys[name]) for name in columns]
        figures = [_percent(line, metric) for metric in metrics]
        counts = [f"{line.facts[name]:,}" for name in _COUNTS]
        counts += [_tell_seen(line)] * tells_seen
        rows.append(
            [str(line.facts["model"]), *different, str(line.facts["distance"]), *figures, *counts]
        )
    legend = [
        f"{name} {key}: {text}"
        for name, of in zip(named, keys.values(), strict=True)
        for text, key in of.items()
    ]
    return [[show_name(cell, _MAX_NAME_CHARS) for cell in row] for row in (titles, *rows)], legend


def _tell_seen(line: MetricsLine) -> str:
    n_seen = line.facts.get("n_seen")
    return "not said" if n_seen is None else f"{n_seen:,} of {line.facts['n_query']:,}"


def _known_by(lines: Sequence[MetricsLine]) -> set[str]:
    """Metrics by which the protocols are known; none where one of them is not of this version."""
    protocols = {str(line.facts["protocol"]) for line in lines}
    if not protocols <= set(list_protocols()):
        return set()
    return {name for protocol in protocols for name in open_protocol(protocol).SPEC.headline}


def _say(line: MetricsLine, name: str) -> str:
    """A fact of LOCKED; a dataset by its name too."""
    digest = f"{line.facts['dataset']} ({line.facts['dataset_digest'][:12]})"
    return digest if name == "dataset_digest" else str(line.facts[name])


def _abbreviate(text: str, keys: dict[str, str]) -> str:
    """The text where it is short, else a key to it: [a], [b] and so on."""
    if len(text) <= _MAX_CELL_CHARS:
        return text
    return keys.setdefault(
        text, f"[{chr(ord('a') + len(keys)) if len(keys) < 26 else len(keys) + 1}]"
    )


def _percent(line: MetricsLine, metric: str) -> str:
    if metric not in line.values:
        return "-"
    spread = f" ±{100 * line.spread[metric]:.1f}" if metric in line.spread else ""
    return f"{100 * line.values[metric]:.1f}{spread}"


def _shared_facts(lines: Sequence[MetricsLine]) -> list[str]:
    """What holds for all lines, one sentence each; and what does not, in one."""
    different = find_differences(lines)
    shown = [
        f"{title}: {_say(lines[0], name)}"
        for name, title in LOCKED.items()
        if name not in different
    ]
    if different:
        names = ", ".join(LOCKED[name] for name in different)
        shown.append(f"mixed: these figures differ in {names}, so they do not rank the models")
    return shown


def _make_table(
    lines: Sequence[MetricsLine], notes: Sequence[str], *, headline: bool = False
) -> tuple[TextTable, list[str]]:
    """The table, and the sentences that stand with it."""
    grid, legend = _grid(lines, headline=headline)
    sentences = [*legend, *_shared_facts(lines), *notes]
    caption = f"Percent; {'; '.join(sentences)}"
    return TextTable(grid, grid[0].index("distance") + 1, caption), sentences


def _format_text(lines: Sequence[MetricsLine], notes: Sequence[str]) -> str:
    table, sentences = _make_table(lines, notes)
    return "\n".join([format_text(table), "", *map(show_name, sentences)])


def _format_markdown(lines: Sequence[MetricsLine], notes: Sequence[str]) -> str:
    table, sentences = _make_table(lines, notes)
    return f"{format_markdown(table)}\n\n{format_markdown_list(sentences)}"


def _format_latex(lines: Sequence[MetricsLine], notes: Sequence[str]) -> str:
    return format_latex(_make_table(lines, notes, headline=True)[0])


def _records(lines: Sequence[MetricsLine]) -> list[dict[str, Any]]:
    spread = [{f"{name}{STD}": value for name, value in line.spread.items()} for line in lines]
    return [{**line.facts, **line.values, **wide} for line, wide in zip(lines, spread, strict=True)]


def _format_csv(lines: Sequence[MetricsLine], _: Sequence[str]) -> str:
    records = _records(lines)
    columns = list(dict.fromkeys(key for record in records for key in record))
    rows = [[record.get(column, "") for column in columns] for record in records]
    return format_csv_table([columns, *rows])


def _format_json(
    lines: Sequence[MetricsLine], notes: Sequence[str], skipped: Sequence[str] = ()
) -> str:
    different = find_differences(choose_headlines(lines))
    record = {
        "lines": _records(lines),
        "differ": different,
        "notes": list(notes),
        "skipped": list(skipped),
    }
    return json_text(record, indent=2)


FORMS: dict[str, Callable[[Sequence[MetricsLine], Sequence[str]], str]] = {
    "table": _format_text,
    "csv": _format_csv,
    "json": _format_json,
    "markdown": _format_markdown,
    "latex": _format_latex,
}
SUFFIXES = {"csv": "csv", "json": "json", "markdown": "md", "latex": "tex"}
