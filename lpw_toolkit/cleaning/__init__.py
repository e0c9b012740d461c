"""Manual cleaning (`lpw clean`): suggestions, decisions, and what they make of a dataset.

`suggest/` proposes, `log/` keeps decisions, `state/` resolves them, `cleaned` writes the result.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.cleaning.cleaned import Cleaned, CleanOptions, write_cleaned
    from lpw_toolkit.cleaning.state.review import Review, open_review, read_union
    from lpw_toolkit.cleaning.suggest.suggest import read_suggestions

__all__ = [
    "CleanOptions",
    "Cleaned",
    "Review",
    "open_review",
    "read_suggestions",
    "read_union",
    "write_cleaned",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "cleaned": "CleanOptions Cleaned write_cleaned",
        "state.review": "Review open_review read_union",
        "suggest.suggest": "read_suggestions",
    },
)
