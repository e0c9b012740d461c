"""Assigns tracklets to the reviewers of a team: a function of names alone, the same on each
machine."""

import hashlib
from dataclasses import dataclass

from lpw_toolkit.cleaning.field import BadLineError
from lpw_toolkit.cleaning.log.decisions import RULE_PREFIX, check_reviewer
from lpw_toolkit.errors import LpwError, check_range


def refuse_rule_name(option: str, name: str) -> None:
    """Errors: LpwError for a person who is called as a rule: what the rule decided can be taken
    back at once."""
    if name.startswith(RULE_PREFIX):
        expected = f"a person's, which does not begin with {RULE_PREFIX}"
        raise LpwError(option, f"{name}, a name that rules have", expected, "choose another name")


@dataclass(frozen=True)
class Team:
    """The people of a review.

    Attributes:
        reviewers: their names; empty: every reviewer gets all tracklets.
        both_frac: share of the tracklets that all of them review, each without seeing what the
            others said, 0 to 1.

    Errors: LpwError for names that are none or stand twice, and for a share out of range.
    """

    reviewers: tuple[str, ...] = ()
    both_frac: float = 0.1

    def __post_init__(self) -> None:
        check_range("option --both", self.both_frac, 0, 1)
        try:
            for name in self.reviewers:
                check_reviewer(name)
                refuse_rule_name("option --team", name)
        except BadLineError as error:
            raise LpwError(
                "option --team", str(error), "names such as anna,ben", "correct it"
            ) from error
        if len(set(self.reviewers)) < len(self.reviewers) or len(self.reviewers) == 1:
            raise LpwError(
                "option --team",
                ",".join(self.reviewers),
                "two names or more, each once",
                "correct it",
            )

    def is_shared(self, tracklet: str) -> bool:
        """Whether all reviewers get `tracklet`."""
        return bool(self.reviewers) and _draw("both", tracklet) < self.both_frac

    def looks_at(self, reviewer: str, tracklet: str) -> bool:
        """Whether `reviewer` gets `tracklet`."""
        if not self.reviewers or self.is_shared(tracklet):
            return True
        return self.reviewers[int(_draw("whose", tracklet) * len(self.reviewers))] == reviewer


def _draw(what: str, tracklet: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    digest = hashlib.sha256(f"{what}\n{tracklet}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)
