"""Video becomes a dataset: detect, link, crop, close (`lpw build-tracklets`, `lpw relink`).

`build` shows the stages in order; everything else here serves one of them.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.build.assembly import BuildResult, BuildSettings, Notes
    from lpw_toolkit.build.build import BuildConfig, RelinkConfig, build_tracklets, relink
    from lpw_toolkit.build.crops import CropConfig

__all__ = [
    "BuildConfig",
    "BuildResult",
    "BuildSettings",
    "CropConfig",
    "Notes",
    "RelinkConfig",
    "build_tracklets",
    "relink",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "assembly": "BuildResult BuildSettings Notes",
        "build": "BuildConfig RelinkConfig build_tracklets relink",
        "crops": "CropConfig",
    },
)
