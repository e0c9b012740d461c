"""Tracklets beside ground truth: purity, cleanup cost, tracking metrics.

Also the scripted reviewer, who knows the truth, for the demo and for measurements.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.truth.cleanup_cost import CleanupCosts
    from lpw_toolkit.truth.name_by_ground_truth import NamingConfig, name_by_truth
    from lpw_toolkit.truth.score import format_score, score_against
    from lpw_toolkit.truth.scripted_reviewer import review_by_truth

__all__ = [
    "CleanupCosts",
    "NamingConfig",
    "format_score",
    "name_by_truth",
    "review_by_truth",
    "score_against",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "cleanup_cost": "CleanupCosts",
        "name_by_ground_truth": "NamingConfig name_by_truth",
        "score": "format_score score_against",
        "scripted_reviewer": "review_by_truth",
    },
)
