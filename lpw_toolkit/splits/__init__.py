"""Who trains, who is query and who is gallery.

Published splits are data; those of one's own data are drawn for a test across cameras or within
one, and say so.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.splits.config import SplitConfig
    from lpw_toolkit.splits.draw import DrawnSplits, draw_splits
    from lpw_toolkit.splits.split_version import write_split
    from lpw_toolkit.splits.splits import Halves, draw_halves, read_published

__all__ = [
    "DrawnSplits",
    "Halves",
    "SplitConfig",
    "draw_halves",
    "draw_splits",
    "read_published",
    "write_split",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "config": "SplitConfig",
        "draw": "DrawnSplits draw_splits",
        "split_version": "write_split",
        "splits": "Halves draw_halves read_published",
    },
)
