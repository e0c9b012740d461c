"""Clips for training: frames of a tracklet, sampled and decoded to tensors.

A loader gives batches (B, T, 3, H, W); its state can be saved and resumed.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.clips.clip_loader import ClipLoader
    from lpw_toolkit.clips.clips import ClipDataset, ClipOptions

__all__ = ["ClipDataset", "ClipLoader", "ClipOptions"]

__getattr__, __dir__ = lazy_names(
    __name__, {"clip_loader": "ClipLoader", "clips": "ClipDataset ClipOptions"}
)
