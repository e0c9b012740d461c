"""Which tracklets to look at first, why, and which may show the same person.

Signals of boxes and appearance become reasons, a queue and candidates for links.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.cleaning.suggest.suggest import SuggestOptions, SuggestReport, read_suggestions

__all__ = ["SuggestOptions", "SuggestReport", "read_suggestions"]

__getattr__, __dir__ = lazy_names(
    __name__, {"suggest": "SuggestOptions SuggestReport read_suggestions"}
)
