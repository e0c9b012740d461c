"""The figures of a corruption study, for machines and as a table for people."""

from typing import Any

from lpw_toolkit.names import show_name
from rqen.corruption.plan import KINDS
from rqen.corruption.study import StudyResult, describe_lead, measure_leads

_TITLES = ["run", "rank-1", "mAP", "clean rank-1", "clean mAP", "AUC", *KINDS]


def make_studies_report(
    studies: dict[str, tuple[str, dict[str, StudyResult]]],
    methods: dict[str, str] | None = None,
) -> tuple[dict[str, Any], str]:
    """The figures of several kinds of corruption side by side; of one alone, as
    `make_study_report`.

    Args:
        studies: by folder of the corrupted sets, the corruption in words, and its results.
        methods: as in `make_study_report`.
    """
    reports = {
        name: make_study_report(results, noise, methods)
        for name, (noise, results) in studies.items()
    }
    if len(reports) == 1:
        return next(iter(reports.values()))
    text = "\n\n".join(f"{show_name(name)}\n{text}" for name, (_, text) in reports.items())
    return {"studies": {name: facts for name, (facts, _) in reports.items()}}, text


def make_study_report(
    results: dict[str, StudyResult], noise: str = "", methods: dict[str, str] | None = None
) -> tuple[dict[str, Any], str]:
    """The figures as plain values, and the same as text.

    Args:
        results: of one run or more, by name. The first, with all runs of its method, is compared
            with each of the others.
        noise: position and strength of the corruption, in words.
        methods: by run, what it is a run of: runs of one method with several seeds are compared as
            one, and the seeds are in the interval; None compares each run by itself.
    """
    groups: dict[str, list[str]] = {}
    for name in results:
        groups.setdefault(methods[name] if methods else name, []).append(name)
    first, *others = groups.values()
    runs = {name: result.describe() for name, result in results.items()}
    leads = {
        f"{_name_runs(first)} over {_name_runs(other)}": {
            figure: describe_lead(lead)
            for figure, lead in measure_leads(
                [results[name] for name in first], [results[name] for name in other]
            ).items()
        }
        for other in others
    }
    n_queries, n_tests = (
        len(results[first[0]].person),
        len(results[first[0]].hit) - 1,
    )
    facts = {"n_queries": n_queries, "n_tests": n_tests, "runs": runs, "leads_points": leads}
    facts |= {"noise": noise} if noise else {}
    head = f"{n_queries:,} queries, {n_tests} corrupted test sets; percent, AUC from 0 to 1"
    head += f"\ncorruption {noise}" if noise else ""
    if any(lead["rank1"]["n_seeds"] == 1 for lead in leads.values()):
        head += "\nof one run of a method, the noise of training is not in the interval"
    lines = [
        f"{show_name(pair)}: "
        + ", ".join(
            f"{title} {lead[key]['mean']:+.2f} [{lead[key]['low']:+.2f}, {lead[key]['high']:+.2f}]"
            for key, title in (("rank1", "rank-1"), ("map", "mAP"))
        )
        for pair, lead in leads.items()
    ]
    return facts, "\n".join(
        [head, *_align([_TITLES, *map(_make_row, runs, runs.values())]), *lines]
    )


def _name_runs(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} ({len(names)} seeds)"


def _make_row(name: str, facts: dict[str, Any]) -> list[str]:
    figures = [f"{facts[key]:.1f}" for key in ("rank1", "map", "clean_rank1", "clean_map")]
    auc = facts["auc"]["all"] if "auc" in facts else None
    aucs = [f"{auc[kind]:.2f}" if auc else "-" for kind in ("all", *KINDS)]
    return [show_name(name), *figures, *aucs]


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
