"""The queue of a review: what is left, the likeliest mistakes first, with random checks among
them."""

from collections.abc import Mapping, Sequence
from typing import Any

from lpw_toolkit.cleaning.suggest.queue import QueueFeatures, order, prepare_features
from lpw_toolkit.review_page.status_codes import OPEN_CODES
from lpw_toolkit.review_page.suggestions import Suggestions


class ReviewQueue:
    """Orders the tracklets of a dataset.

    Args:
        names: of the tracklets, in the order of the table.
        suggestions: what speaks for mistakes.
        seed: of the places that are drawn at random.

    Attributes:
        risk: chance of a mistake by number of the tracklet, as `order` last had it.
    """

    def __init__(self, names: Sequence[str], suggestions: Suggestions, seed: int) -> None:
        self._numbers = {name: i for i, name in enumerate(names)}
        self._features: QueueFeatures | None = None
        if "suggestions" in suggestions.tables and suggestions.tables["suggestions"].num_rows:
            self._features = prepare_features(suggestions.tables["suggestions"], seed)
        self.known = frozenset(self._features.names if self._features else ())
        self.risk: dict[int, float] = {}

    @property
    def has_suggestions(self) -> bool:
        """Whether anything speaks for mistakes."""
        return self._features is not None

    def order(self, codes: Sequence[str], outcomes: Mapping[str, str]) -> dict[str, Any]:
        """The numbers of what is left, the next first, and how much has been found.

        Args:
            codes: status code of every tracklet.
            outcomes: of the decided ones among `known`, by name (`find_outcome`).
        """
        left = [i for i, code in enumerate(codes) if code in OPEN_CODES]
        if self._features is None:
            return {
                "order": left,
                "chances": [],
                "random": [],
                "estimate": "no suggestions yet, so no estimate of how many mistakes are left",
            }
        found = order(self._features, dict(outcomes))
        numbers = [self._numbers[name] for name in found.tracklet_ids]
        chances = found.chances.tolist()
        self.risk = dict(zip(numbers, chances, strict=True))
        ordered = set(numbers)
        rest = [number for number in left if number not in ordered]
        drawn = zip(numbers, found.at_random.tolist(), strict=True)
        return {
            "order": numbers + rest,
            "chances": [round(chance, 3) for chance in chances] + [0.0] * len(rest),
            "random": [number for number, is_random in drawn if is_random],
            "estimate": found.estimate.describe(),
        }
