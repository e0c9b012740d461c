"""Automatic clean-up: rules that decide clear cases, each in its own log
(`cleanup/auto-<rule>.jsonl`).

A rule's decision can be undone like any other, and a person's decision on the same thing overrides
it. A rule decides once: a second run skips what was undone and what a person has judged.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpw_toolkit.cleaning.log.decisions import RULE_PREFIX, Request
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.review import open_review
from lpw_toolkit.cleaning.suggest.suggest import read_suggestions
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import unknown_name

MIN_FRAMES = 8  # cleaning throws shorter ones away unseen (`truth.Prices`)
_SURE_DUPLICATE = 0.7  # score: nearly all frames of it lie on another tracklet's boxes
_SURE_ODD = 0.75  # score of a frame that is unlike both its neighbours
_SPACE = uuid.UUID("8e0d9a52-6f0b-4d52-9a0c-3c1f2f8c5a77")

RulePlan = tuple[str, list[str], dict[str, Any]]  # operation, tracklets, arguments
Suggested = dict[str, dict[str, dict[str, Any]]]  # tracklet -> reason -> row


@dataclass(frozen=True)
class CleanupRule:
    """What it does, in words, and the decisions it would make."""

    title: str
    plan: Callable[[Base, Suggested], Iterator[RulePlan]]


def _reject_short(base: Base, suggested: Suggested) -> Iterator[RulePlan]:
    for name, n in base.n_frames.items():
        if n < MIN_FRAMES:
            yield "reject", [name], {"reason": "too_short"}


def _reject_duplicates(base: Base, suggested: Suggested) -> Iterator[RulePlan]:
    for name, reasons in suggested.items():
        row = reasons.get("duplicate")
        if row is None or row["score"] < _SURE_DUPLICATE or row["other_id"] not in base.n_frames:
            continue
        other = row["other_id"]
        if (base.n_frames[name], name) < (
            base.n_frames[other],
            other,
        ):  # of two the longer one stays
            yield "reject", [name], {"reason": "duplicate"}


def _drop_odd_frames(base: Base, suggested: Suggested) -> Iterator[RulePlan]:
    for name, reasons in suggested.items():
        row = reasons.get("odd_frame")
        if row is None or row["score"] < _SURE_ODD or row["first_position"] is None:
            continue
        first, end = row["first_position"], row["end_position"] or 0
        if 0 <= first < end <= base.n_frames[name] and end - first < base.n_frames[name]:
            yield "drop_frames", [name], {"frames": [[first, end]]}


RULES = {
    "short": CleanupRule(f"rejects tracklets of fewer than {MIN_FRAMES} frames", _reject_short),
    "duplicate": CleanupRule(
        "rejects the shorter of two tracklets that lie on each other", _reject_duplicates
    ),
    "odd-frame": CleanupRule("drops a frame unlike both its neighbours", _drop_odd_frames),
}


def run_rule(dataset: Dataset, name: str, state: Path | None = None) -> int:
    """Writes the decisions of a rule that it has not made before, about what no person has judged;
    how many.

    Errors: LpwError for an unknown rule or without suggestions; as `open_review`.
    """
    rule = _find(name)
    suggested: Suggested = {}
    for row in read_suggestions(
        dataset, folder=state / "suggestions" if state else None
    ).to_pylist():
        suggested.setdefault(row["tracklet_id"], {})[row["reason"]] = row
    with open_review(dataset, f"{RULE_PREFIX}{name}", state) as review:
        judged = {
            d
            for known in review.decisions.values()
            if not known.is_by_rule
            for d in known.tracklets
        }
        before = len(review.log.decisions)
        for operation, names, arguments in rule.plan(review.base, suggested):
            own = str(uuid.uuid5(_SPACE, f"{review.base.digest}\n{name}\n{names}"))
            if own not in review.decisions and not judged & set(names):
                review.decide(Request(own, operation, tuple(names), arguments, 0))
        return len(review.log.decisions) - before


def undo_rule(dataset: Dataset, name: str, state: Path | None = None) -> int:
    """Takes back all that a rule has decided; how many decisions that were. Errors: as
    `run_rule`."""
    _find(name)
    with open_review(dataset, f"{RULE_PREFIX}{name}", state) as review:
        undone = review.state.undone
        standing = [
            d.uuid for d in review.log.decisions if d.role is not Role.UNDO and d.uuid not in undone
        ]
        for own in standing:
            review.decide(
                Request(str(uuid.uuid5(_SPACE, f"undo\n{own}")), "undo", (), {"of": own}, 0)
            )
        return len(standing)


def _find(name: str) -> CleanupRule:
    if name not in RULES:
        raise unknown_name("option --auto", name, list(RULES))
    return RULES[name]
