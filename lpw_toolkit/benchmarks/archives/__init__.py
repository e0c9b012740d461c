"""Raw trees: a folder, a .zip or a .tar (.gz, .bz2, .xz).

They are read without being unpacked by their own paths, and bounded before memory is taken.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.benchmarks.archives.archive import RawTree, find_prefix, open_tree
    from lpw_toolkit.benchmarks.archives.limits import Limits

__all__ = ["Limits", "RawTree", "find_prefix", "open_tree"]

__getattr__, __dir__ = lazy_names(
    __name__, {"archive": "RawTree find_prefix open_tree", "limits": "Limits"}
)
