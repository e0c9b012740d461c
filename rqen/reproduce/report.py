"""The report: our results beside the paper's, one line per method, `-` where not run, a mark where
doubtful."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lpw_toolkit.errors import join_names
from lpw_toolkit.evaluation.table_writer import TextTable
from rqen.model.method import FittedMethod, MethodSpec, open_method
from rqen.reproduce.aggregate_results import Figures, summarise_rows
from rqen.reproduce.forms import Report
from rqen.reproduce.identity import describe_identity, identify
from rqen.reproduce.paper import METRICS, PaperRow, PaperTable, read_paper
from rqen.reproduce.plan import ReproducePlan, make_plan, name_recipe
from rqen.reproduce.record import Record, read_records
from rqen.reproduce.relations import check_relation, describe_relation
from rqen.reproduce.rows import EXTRAS, list_added, list_table_rows
from rqen.reproduce.spread import compare_leads, measure_spread
from rqen.reproduce.spread_table import describe_spread, make_spread_grid

#: Ours, as tables call them.
_TITLES = {"cmc@1": "R-1", "cmc@5": "R-5", "cmc@10": "R-10", "cmc@20": "R-20", "map": "mAP"}
_KEPT = {"gallery": "gallery", "junk_rule": "junk rule", "ap_form": "AP form",
"distance": "distance",
         "frames_used": "frames used", "split_source": "splits from"}  # fmt: skip


@dataclass(frozen=True)
class ReportLine:
    """One line.

    Attributes:
        label: the paper's name of the method, or ours where the paper has none.
        row: of ours; None where this tool has none.
        figures: of ours; None as above.
        paper: by dataset, what the paper prints.
        marks: numbers of the footnotes.
    """

    label: str
    row: str | None
    figures: Figures | None
    paper: dict[str, PaperRow]
    marks: tuple[int, ...]


def widen_plan(plan: ReproducePlan) -> ReproducePlan:
    """The plan with every row of its table, and of EXTRAS and added methods those that have a
    result: what a report shows."""
    request, asked = plan.request, tuple(row.name for row in plan.rows)
    others = (
        name for name in (*EXTRAS, *list_added()) if name != "onnx" or request.onnx is not None
    )
    own = list_table_rows(request.table)
    names = tuple(dict.fromkeys((*own, *asked, *others)))
    wide = make_plan(replace(request, methods=names))
    done = {item.row.name for item in wide.items if item.name in read_records(request.out, [item])}
    kept = {*own, *asked, *done}
    rows = tuple(row for row in wide.rows if row.name in kept)
    return replace(
        wide, rows=rows, items=tuple(item for item in wide.items if item.row.name in kept)
    )


def make_report(plan: ReproducePlan, records: dict[str, Record]) -> Report:
    """The report of a plan from the results that are there."""
    paper = read_paper(plan.request.table)
    # The paper's datasets that stand beside ours: the one at hand, or all where it is none of them.
    own = identify(plan.test)
    shown = tuple(
        name for name in paper.datasets if any(row.values for row in paper.rows if row.on == name)
    )
    columns = (own,) if own in shown else shown
    figures = summarise_rows(plan, records)
    doubts = [row for row in paper.rows if row.doubtful is not None and row.on in columns]
    lines = _list_lines(plan, paper, columns, figures, doubts)
    rank1 = {name: 100 * found.mean["cmc@1"] for name, found in figures.items() if found.n}
    relations = [check_relation(relation, rank1) for relation in paper.relations]
    spread = measure_spread(plan, records)
    compared = compare_leads(paper, columns, rank1, spread)
    used = [records[item.name] for item in plan.items if item.name in records]
    notes = [
        *(
            f"[{number}] paper, {row.label} on {row.on}: {row.doubtful}"
            for number, row in enumerate(doubts, 1)
        ),
        *map(describe_relation, relations),
        *_note_classifiers(plan, figures),
        *paper.notes,
        *dict.fromkeys(note for record in used for note in record["notes"]),
    ]
    grids = [
        _make_grid(lines, columns),
        *make_spread_grid({line.row: line.label for line in lines if line.row}, spread, compared),
        *_make_split_grid(plan, lines),
    ]
    facts = _describe_lines(plan, lines, columns, relations)
    facts |= {"spread": describe_spread(spread), "compared_points": compared}
    return Report(paper.title, _write_head(plan, paper, used), grids, notes, facts)


def _list_lines(
    plan: ReproducePlan,
    paper: PaperTable,
    columns: Sequence[str],
    figures: dict[str, Figures],
    doubts: Sequence[PaperRow],
) -> list[ReportLine]:
    """The paper's methods in its order, then rows of ours that it does not have."""
    methods: dict[str, list[PaperRow]] = {}
    for row in paper.rows:
        if row.on in columns or not columns:
            methods.setdefault(row.label, []).append(row)
    lines = []
    for label, printed in methods.items():
        marks = tuple(number for number, row in enumerate(doubts, 1) if row in printed)
        name = printed[0].row
        lines.append(
            ReportLine(
                label, name, figures.get(name or ""), {row.on: row for row in printed}, marks
            )
        )
    shown = {line.row for line in lines}
    return [
        *lines,
        *(
            ReportLine(r.label, r.name, figures[r.name], {}, ())
            for r in plan.rows
            if r.name not in shown
        ),
    ]


def _make_grid(lines: Sequence[ReportLine], columns: Sequence[str]) -> TextTable:
    """Label, ours, how many runs, and one column for each dataset of the paper."""
    with_map = [
        name
        for name in columns
        if any("map" in line.paper[name].values for line in lines if name in line.paper)
    ]
    titles = ["", *(f"ours {title}" for title in _TITLES.values()), "runs"]
    for name in columns:
        titles += [
            f"paper {name} R-1/5/10/20",
            *([f"paper {name} mAP"] if name in with_map else []),
        ]
    rows = []
    for line in lines:
        label = line.label + "".join(f" [{mark}]" for mark in line.marks)
        ours = [line.figures.show(metric) if line.figures else "-" for metric in _TITLES]
        cells = [label, *ours, _count(line.figures)]
        for name in columns:
            printed = line.paper[name].values if name in line.paper else {}
            ranks = [_show(printed.get(metric)) for metric in METRICS.values() if metric != "map"]
            cells.append("/".join(ranks) if printed else "-")
            cells += [_show(printed.get("map"))] if name in with_map else []
        rows.append(cells)
    return TextTable([titles, *rows])


def _show(value: float | None) -> str:
    """As the paper prints it."""
    if value is None or isinstance(value, int):
        return "-" if value is None else str(value)
    return f"{value:.1f}" if value == round(value, 1) else f"{value:.2f}"


def _count(figures: Figures | None) -> str:
    if figures is None or not figures.n:
        return "-"
    return (
        str(figures.n) if figures.n == figures.n_planned else f"{figures.n} of {figures.n_planned}"
    )


def _make_split_grid(plan: ReproducePlan, lines: Sequence[ReportLine]) -> list[TextTable]:
    """Rank-1 of every split, where there are several."""
    if len(plan.splits) < 2:
        return []
    titles = ["", *map(str, plan.splits), "mean", "deviation"]
    rows = []
    for line in lines:
        found = line.figures
        if found is None:
            continue
        cells = [f"{100 * found.splits[s]:.1f}" if s in found.splits else "-" for s in plan.splits]
        mean = f"{100 * found.mean['cmc@1']:.1f}" if found.n else "-"
        wide = f"{100 * found.deviation['cmc@1']:.1f}" if found.deviation else "-"
        rows.append([line.label, *cells, mean, wide])
    return [TextTable([titles, *rows], 1, "ours, R-1 by split (the mean over seeds)")]


def _write_head(plan: ReproducePlan, paper: PaperTable, used: Sequence[Record]) -> list[str]:
    """What the figures rest on."""
    request, recipe = plan.request, plan.recipe
    same = plan.data.root == plan.test.root
    learned = {"table5": "all of it, ", "table6": ""}.get(request.table, "")
    where = (
        f"trained on {describe_identity(plan.data)}, {learned}tested on "
        f"{describe_identity(plan.test)}"
    )
    if same:
        where = f"trained and tested on {describe_identity(plan.test)}"
    if request.table == "table6":
        where = (
            f"pre-trained on {describe_identity(plan.data)}, trained and tested on "
            f"{describe_identity(plan.test)}"
        )
    model = recipe.model
    how = (
        f"recipe {recipe.name}, backbone {model.backbone} ({model.weights}), "
        f"{recipe.train.iterations:,} iterations"
    )
    how += "".join(f"; {label} {n:,}" for label, n in _list_other_lengths(plan).items())
    changes = f", {', '.join(request.changes)}" if request.changes else ""
    which = f"seeds {join_names(request.seeds)}; splits {join_names(plan.splits, 12)}"
    head = [
        f"ours: {where}",
        f"protocol {plan.protocol}; {how}{changes}; {which}; the last iteration counts",
    ]
    if not _is_the_papers(plan, paper):
        head.append(
            f"the data at hand is not the paper's ({', '.join(paper.datasets)}): its columns stand "
            f"for themselves"
        )
    others = {
        f"{row.label}: {name}"
        for row in plan.rows
        if (name := name_recipe(request.recipe, row.method)) != request.recipe
    }
    if others:
        head.append(f"recipes of their own: {join_names(sorted(others), 12)}")
    head += [_join_facts(used)] if used else ["nothing was run yet"]
    parts = "splits, each the mean of its seeds" if len(plan.splits) > 1 else "seeds"
    return [
        *head,
        f"percent; ± is the standard deviation over {parts}; - was not run, or is not printed",
    ]


def _list_other_lengths(plan: ReproducePlan) -> dict[str, int]:
    """Iterations of the rows that train for another number than the recipe says, by label."""
    lengths = {
        item.row.label: item.training.recipe.train.iterations
        for item in plan.items
        if item.training is not None
        and not isinstance(open_method(item.training.method), FittedMethod)
    }
    return {label: n for label, n in lengths.items() if n not in (0, plan.recipe.train.iterations)}


def _note_classifiers(plan: ReproducePlan, figures: dict[str, Figures]) -> list[str]:
    """That the rows with figures differ in their number of classifiers, where they do."""
    labels: dict[int, dict[str, None]] = {}
    for item in plan.items:
        if item.training is not None and item.training.recipe.train.iterations:
            spec = item.training.recipe.specify(item.training.method)
            n = spec.n_classifiers if isinstance(spec, MethodSpec) else 0
            if n and figures[item.row.name].n:
                labels.setdefault(n, {})[item.row.label] = None
    if len(labels) < 2:
        return []
    counts = "; ".join(f"{n} for {join_names(list(labels[n]))}" for n in sorted(labels))
    do = "--set model.heads=neck gives every method one, rows rqen_neck and qfix_neck show the rest"
    return [f"classifiers in training, beside what the rows are named for: {counts}; {do}"]


def _is_the_papers(plan: ReproducePlan, paper: PaperTable) -> bool:
    data, test = identify(plan.data), identify(plan.test)
    name = f"{data}->{test}" if plan.request.table == "table5" else test
    return name in paper.datasets and (plan.request.table != "table6" or data == "LPW")


def _join_facts(used: Sequence[Record]) -> str:
    """What holds for the results; where they differ, all of it."""
    said = [
        f"{title}: {' / '.join(dict.fromkeys(record[key] for record in used))}"
        for key, title in _KEPT.items()
    ]
    counts = [("n_query", "queries"), ("n_gallery", "in the gallery"), ("n_skipped", "skipped")]
    said += [
        f"{' / '.join(dict.fromkeys(f'{record[key]:,}' for record in used))} {title}"
        for key, title in counts
    ]
    return "; ".join(said)


def _describe_lines(
    plan: ReproducePlan,
    lines: Sequence[ReportLine],
    columns: Sequence[str],
    relations: list[dict[str, Any]],
) -> dict[str, Any]:
    """The report for machines: fractions of ours, percent of the paper's; null is what was not run
    or not printed."""
    rows = []
    for line in lines:
        found = line.figures
        ours = None
        if found is not None and found.n:
            ours = {"n": found.n, "n_planned": found.n_planned, "mean": found.mean,
            "deviation": found.deviation,
                    "rank1_by_split": {str(split): value for split,
                    value in found.splits.items()}}  # fmt: skip
        paper = [
            {
                "on": name,
                "values_percent": line.paper[name].values,
                "doubtful": line.paper[name].doubtful,
            }
            for name in columns
            if name in line.paper
        ]
        rows.append({"label": line.label, "row": line.row, "ours": ours, "paper": paper})
    return {
        "table": plan.request.table,
        "data": {"name": plan.data.name, "digest": plan.data.digest, "paper": identify(plan.data)},
        "test_data": {
            "name": plan.test.name,
            "digest": plan.test.digest,
            "paper": identify(plan.test),
        },
        "protocol": plan.protocol,
        "recipe": plan.recipe.values(),
        "seeds": list(plan.request.seeds),
        "splits": list(plan.splits),
        "rows": rows,
        "relations": relations,
    }
