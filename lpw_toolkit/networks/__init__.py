"""Networks of other people, and the runtimes that run them.

Weights files come from the user or, by a pinned digest, from the catalogue; they are checked before
they are read, and nothing in them is executed.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.networks.catalogue import CatalogueEntry, find_entry, load_catalogue
    from lpw_toolkit.networks.fetching import fetch, is_offline, offline
    from lpw_toolkit.networks.weights import (
        FoundWeights,
        WeightsFile,
        WeightsKind,
        choose_default,
        find_named,
        find_weights,
        list_weights,
        read_weights,
    )

__all__ = [
    "CatalogueEntry",
    "FoundWeights",
    "WeightsFile",
    "WeightsKind",
    "choose_default",
    "fetch",
    "find_entry",
    "find_named",
    "find_weights",
    "is_offline",
    "list_weights",
    "load_catalogue",
    "offline",
    "read_weights",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "catalogue": "CatalogueEntry find_entry load_catalogue",
        "fetching": "fetch is_offline offline",
        "weights": "FoundWeights WeightsFile WeightsKind choose_default find_named find_weights "
        "list_weights read_weights",
    },
)
