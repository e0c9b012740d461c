"""Networks of other people, and the runtimes that run them.

Weights files are checked before they are read; nothing in them is executed.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.networks.weights import (
        WeightsFile,
        WeightsKind,
        find_weights,
        list_weights,
        read_weights,
    )

__all__ = ["WeightsFile", "WeightsKind", "find_weights", "list_weights", "read_weights"]

__getattr__, __dir__ = lazy_names(
    __name__, {"weights": "WeightsFile WeightsKind find_weights list_weights read_weights"}
)
