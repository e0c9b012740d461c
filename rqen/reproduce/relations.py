"""Checks the paper's statements about its figures against ours: one sentence each, `-` where a row
was not run."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from rqen.reproduce.paper import Relation


def check_relation(relation: Relation, rank1: Mapping[str, float]) -> dict[str, Any]:
    """A relation in our figures.

    Args:
        rank1: percent, by row of ours; rows that were not run are not there.

    Returns: `text`, `paper_points`, `ours` (percent by row), `missing` rows, `points` (a difference
    of ours), `holds` (a best or an order as stated, a difference of the stated sign); None where
    something was not run, or nothing is to be said.
    """
    ours = {row: rank1[row] for row in relation.rows if row in rank1}
    missing = [row for row in relation.rows if row not in rank1]
    said: dict[str, Any] = {
        "text": relation.text, "paper_points": relation.points, "ours": ours, "missing": missing,
        "points": None, "holds": None, "doubtful": relation.doubtful,
    }  # fmt: skip
    if missing:
        return said
    values = [ours[row] for row in relation.rows]
    if relation.kind == "difference":
        points, stated = values[0] - values[1], relation.points
        holds = None if stated is None else points * stated > 0
        return {**said, "points": points, "holds": holds}
    if relation.kind == "best":
        return {**said, "holds": values[0] > max(values[1:])}
    return {**said, "holds": all(a < b for a, b in pairwise(values))}


def describe_relation(said: dict[str, Any]) -> str:
    """What `check_relation` found, in one sentence."""
    shown = ", ".join(f"{row} {value:.1f}" for row, value in said["ours"].items())
    doubt = f" ({said['doubtful']})" if said["doubtful"] else ""
    text = f"the paper's text: {said['text']}{doubt}; ours: "
    if said["missing"]:
        return f"{text}- (not run: {', '.join(said['missing'])})"
    verdict = {True: "so too", False: "not so", None: ""}[said["holds"]]
    points = "" if said["points"] is None else f"{said['points']:+.1f}"
    return f"{text}{', '.join(filter(None, (verdict, points)))} ({shown})"
