"""Agreement of reviewers: their decisions compared on the tracklets that both have judged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.log.decision_set import unite
from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.resolve import ACCEPTED, EDITED, REJECTED, UNACCEPTED, UNREVIEWED
from lpw_toolkit.cleaning.state.state import State

CATEGORIES = (ACCEPTED, REJECTED, EDITED)
Pair = tuple[str, str]


@dataclass(frozen=True)
class Agreement:
    """Two reviewers compared.

    Attributes:
        reviewers: the two.
        table: number of tracklets (3, 3) by what the first and the second say, in the order of
            `CATEGORIES`.
        n_pairs: pairs of tracklets that both have judged and that the first, the second, and both
            take for one person.
        different: tracklets that they judge differently, with both verdicts.
        different_pairs: pairs that one links and the other does not, with who links them.
    """

    reviewers: tuple[str, str]
    table: tuple[tuple[int, ...], ...]
    n_pairs: tuple[int, int, int]
    different: list[tuple[str, str, str]]
    different_pairs: list[tuple[str, str, str]]

    @property
    def n_both(self) -> int:
        """Tracklets that both have judged."""
        return sum(map(sum, self.table))

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where it is not defined (nothing in common, or all in one
        category)."""
        return compute_kappa(self.table)

    @property
    def link_f1(self) -> float | None:
        """Twice the pairs that both link over those of the one and the other; None where neither
        links any."""
        one, other, both = self.n_pairs
        return 2 * both / (one + other) if one + other else None

    def as_fields(self) -> dict[str, Any]:
        """The comparison for machines."""
        figures = {"n_both": self.n_both, "kappa": self.kappa, "link_f1": self.link_f1}
        lists = {
            "different": [list(d) for d in self.different],
            "links": [list(d) for d in self.different_pairs],
        }
        tables = {"categories": list(CATEGORIES), "table": [list(row) for row in self.table]}
        return {
            "reviewers": list(self.reviewers),
            **figures,
            **tables,
            "n_pairs": list(self.n_pairs),
            **lists,
        }


def compute_kappa(table: Sequence[Sequence[int]]) -> float | None:
    """Cohen's kappa of a square table of counts; None where chance alone agrees always, or there is
    nothing.

    Source: J. Cohen, A coefficient of agreement for nominal scales, Educ. and Psych. Measurement 20
    (1960).
    """
    total = sum(map(sum, table))
    if not total:
        return None
    seen = sum(table[i][i] for i in range(len(table))) / total
    columns = [sum(row[i] for row in table) for i in range(len(table))]
    chance = sum(sum(row) * column for row, column in zip(table, columns, strict=True)) / total**2
    return None if chance >= 1 else (seen - chance) / (1 - chance)


def count_checks(decisions: Iterable[Decision]) -> dict[str, tuple[int, int]]:
    """Attention checks of each reviewer who had any: found, and all; of several verdicts on one the
    last counts."""
    verdicts: dict[str, dict[str, bool]] = {}
    for decision in decisions:
        if decision.role is Role.CHECK:
            seam = decision.arguments["seam"]
            verdicts.setdefault(decision.reviewer, {})[str(seam["parts"])] = seam["found"]
    return {name: (sum(found.values()), len(found)) for name, found in sorted(verdicts.items())}


def compare_reviewers(base: Base, decisions: Sequence[Decision]) -> list[Agreement]:
    """Every two people among those who made `decisions`, by name; rules do not count."""
    by_reviewer: dict[str, list[Decision]] = {}
    for decision in decisions:
        if not decision.is_by_rule:
            by_reviewer.setdefault(decision.reviewer, []).append(decision)
    states = {name: apply(base, unite([log])) for name, log in sorted(by_reviewer.items())}
    verdicts = {name: _judge_tracklets(state) for name, state in states.items()}
    return [_compare((one, other), states, verdicts) for one, other in combinations(states, 2)]


def _judge_tracklets(state: State) -> dict[str, str]:
    """One verdict for each tracklet that was judged: what all its pieces are, otherwise edited."""
    verdicts = {}
    for tracklet, resolved in state.resolved.items():
        found = {piece.status for piece in resolved.pieces}
        if found != {UNREVIEWED} and UNACCEPTED not in found:
            verdicts[tracklet] = found.pop() if len(found) == 1 else EDITED
    return verdicts


def _compare(
    reviewers: Pair, states: dict[str, State], verdicts: dict[str, dict[str, str]]
) -> Agreement:
    one, other = reviewers
    named = [set(states[name].resolved) for name in reviewers]
    both = sorted(verdicts[one].keys() & verdicts[other].keys())
    counts = {(a, b): 0 for a in CATEGORIES for b in CATEGORIES}
    for tracklet in both:
        counts[verdicts[one][tracklet], verdicts[other][tracklet]] += 1
    links = [_list_pairs(states[name], named[0] & named[1]) for name in reviewers]
    apart = [(*pair, one) for pair in links[0] - links[1]] + [
        (*pair, other) for pair in links[1] - links[0]
    ]
    return Agreement(
        reviewers,
        tuple(tuple(counts[a, b] for b in CATEGORIES) for a in CATEGORIES),
        (len(links[0]), len(links[1]), len(links[0] & links[1])),
        [
            (t, verdicts[one][t], verdicts[other][t])
            for t in both
            if verdicts[one][t] != verdicts[other][t]
        ],
        sorted(apart),
    )


def _list_pairs(state: State, tracklets: set[str]) -> set[Pair]:
    """Pairs of `tracklets` that any of their pieces make one person, merged or linked."""
    pairs: set[Pair] = set()
    merged = [names for names in state.members if names not in state.person_of]
    for names in (*state.groups, *((name,) for name in merged)):
        found = sorted(
            {part.piece.tracklet for name in names for part in state.parts_of(name)} & tracklets
        )
        pairs |= set(combinations(found, 2))
    return pairs
