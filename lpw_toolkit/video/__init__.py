"""Video files and image sequences: found, named, decoded and timed.

Decoding happens in a process of its own, so that a damaged file cannot end ours.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.video.sources import Source, SourceList, find_sources
    from lpw_toolkit.video.video import Frame, VideoReader, open_video

__all__ = ["Frame", "Source", "SourceList", "VideoReader", "find_sources", "open_video"]

__getattr__, __dir__ = lazy_names(
    __name__, {"sources": "Source SourceList find_sources", "video": "Frame VideoReader open_video"}
)
