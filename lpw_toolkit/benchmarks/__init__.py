"""Published datasets become the same tables as our own (`lpw import`).

A reader (a plug-in in `readers/`) says what a raw tree holds; `importing` makes the dataset.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.benchmarks.importing import ImportConfig, ImportResult, import_benchmark
    from lpw_toolkit.benchmarks.reader import (
        Benchmark,
        RawDataset,
        RawTracklet,
        ReadOptions,
        list_benchmarks,
        open_benchmark,
    )

__all__ = [
    "Benchmark",
    "ImportConfig",
    "ImportResult",
    "RawDataset",
    "RawTracklet",
    "ReadOptions",
    "import_benchmark",
    "list_benchmarks",
    "open_benchmark",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "importing": "ImportConfig ImportResult import_benchmark",
        "reader": "Benchmark RawDataset RawTracklet ReadOptions list_benchmarks open_benchmark",
    },
)
