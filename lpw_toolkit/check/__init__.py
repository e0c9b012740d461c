"""Whether a dataset is what its own `dataset.json` and index say (`lpw check`).

Tables, rows, images, splits, pack and published counts; each problem is one line.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.check.check import CheckReport, check_dataset

__all__ = ["CheckReport", "check_dataset"]

__getattr__, __dir__ = lazy_names(__name__, {"check": "CheckReport check_dataset"})
