"""What all decisions add up to: resolved pieces, merged tracklets, persons, conflicts.

The same state results whatever the order in which decisions arrive.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.cleaning.state.base_tables import Base, read_base
    from lpw_toolkit.cleaning.state.review import Review, open_review, read_union
    from lpw_toolkit.cleaning.state.state import State

__all__ = ["Base", "Review", "State", "open_review", "read_base", "read_union"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"base_tables": "Base read_base", "review": "Review open_review read_union", "state": "State"},
)
