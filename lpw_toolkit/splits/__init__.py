"""Who trains, who is query and who is gallery.

Published splits are data; drawn ones come from a seed and say so.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.splits.splits import Halves, draw_halves, read_published

__all__ = ["Halves", "draw_halves", "read_published"]

__getattr__, __dir__ = lazy_names(__name__, {"splits": "Halves draw_halves read_published"})
