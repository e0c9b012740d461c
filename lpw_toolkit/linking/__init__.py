"""Boxes become tracks: association from frame to frame, cuts, joins, trimming.

A track is cut where its identity is ambiguous, and joined over a gap where nothing rivals it.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.linking.config import PRESETS, LinkConfig
    from lpw_toolkit.linking.linker import link
    from lpw_toolkit.linking.smoothing import smooth_tracks

__all__ = ["PRESETS", "LinkConfig", "link", "smooth_tracks"]

__getattr__, __dir__ = lazy_names(
    __name__, {"config": "PRESETS LinkConfig", "linker": "link", "smoothing": "smooth_tracks"}
)
