"""Who has done what in a review: per reviewer and per camera."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lpw_toolkit.cleaning.agreement import compare_reviewers
from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.operation import VERDICTS, Role
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.state import State

_HOUR_MS = 3_600_000
_OPEN = "up?"


def summarise_team(
    base: Base, decisions: Sequence[Decision], state: State, codes: Mapping[str, str]
) -> dict[str, Any]:
    """The work so far.

    Args:
        decisions: all of them.
        state: what they come to.
        codes: status code of every tracklet, by name.

    Returns:
        `reviewers`: for each, the tracklets that he has judged, how many an hour of the time that
        his decisions took, why he rejected, in how many open conflicts he is. `cameras`: how many
        tracklets each has, and how many are done. `agreement`: of every two people, tracklets that
        both have judged, Cohen's kappa and F1 of their links; null is not defined.
    """
    in_force = [d for d in decisions if d.uuid not in state.undone]
    by: dict[str, list[Decision]] = {}
    for decision in in_force:
        by.setdefault(decision.reviewer, []).append(decision)
    owners = {decision.uuid: decision.reviewer for decision in decisions}
    guilty = [{owners.get(uuid) for uuid in conflict.decisions} for conflict in state.conflicts]
    reviewers = [
        _describe_reviewer(base, name, by[name]) | {"n_conflicts": sum(name in g for g in guilty)}
        for name in sorted(by)
    ]
    cameras: dict[str, list[int]] = {}
    for name, tracklet in base.tracklets.items():
        counts = cameras.setdefault(tracklet.camera_id, [0, 0])
        counts[0] += codes[name] not in _OPEN
        counts[1] += 1
    pairs = compare_reviewers(base, in_force)
    return {
        "reviewers": reviewers,
        "cameras": [
            {"camera": name, "n_done": done, "n": n} for name, (done, n) in sorted(cameras.items())
        ],
        "agreement": [
            {"reviewers": list(pair.reviewers), "n_both": pair.n_both, "kappa": pair.kappa,
             "link_f1": pair.link_f1} for pair in pairs
        ],
    }  # fmt: skip


def _describe_reviewer(base: Base, name: str, own: Sequence[Decision]) -> dict[str, Any]:
    judged = {
        piece.tracklet
        for decision in own
        if decision.role in VERDICTS
        for one in decision.tracklets
        if (piece := find_piece(one, base.n_frames))
    }
    spent_ms = sum(decision.spent_ms for decision in own)
    reasons = Counter(str(d.value or "no reason") for d in own if d.role is Role.REJECT)
    return {
        "reviewer": name,
        "n_decisions": len(own),
        "n_tracklets": len(judged),
        "per_hour": round(len(judged) * _HOUR_MS / spent_ms) if spent_ms else None,
        "reasons": dict(reasons.most_common()),
    }
