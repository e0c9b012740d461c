"""The data contract: a folder of Parquet tables and images.

`dataset.json` describes it and vouches for it; `schema` is the only place that names columns.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.dataset.dataset import Dataset, open_dataset
    from lpw_toolkit.dataset.image_reader import ImageReader, open_images
    from lpw_toolkit.dataset.info import describe
    from lpw_toolkit.dataset.tables import read_table, write_table

__all__ = [
    "Dataset",
    "ImageReader",
    "describe",
    "open_dataset",
    "open_images",
    "read_table",
    "write_table",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "dataset": "Dataset open_dataset",
        "image_reader": "ImageReader open_images",
        "info": "describe",
        "tables": "read_table write_table",
    },
)
