"""New versions of a dataset: videos added, datasets merged, tracklets filtered, cameras renamed.

Each is a new folder that names its parents; decisions of reviewers hold on tracklets that stayed.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.versions.adding import AddConfig, add_videos
    from lpw_toolkit.versions.carrying import Made
    from lpw_toolkit.versions.filtering import FilterConfig, FilterRules, filter_dataset
    from lpw_toolkit.versions.merging import MergeConfig, merge_datasets
    from lpw_toolkit.versions.renaming import RenameConfig, rename_dataset

__all__ = [
    "AddConfig",
    "FilterConfig",
    "FilterRules",
    "Made",
    "MergeConfig",
    "RenameConfig",
    "add_videos",
    "filter_dataset",
    "merge_datasets",
    "rename_dataset",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "adding": "AddConfig add_videos",
        "carrying": "Made",
        "filtering": "FilterConfig FilterRules filter_dataset",
        "merging": "MergeConfig merge_datasets",
        "renaming": "RenameConfig rename_dataset",
    },
)
