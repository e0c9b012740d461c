"""The shape of a video's pixels: where they are not square, frames are stretched to be displayed.

The shorter side of a pixel grows, as browsers do it, so that no stored pixel is lost: 720 x 576 of
16:15 becomes 768 x 576, and 720 x 480 of 8:9 becomes 720 x 540.
"""

from collections import deque
from fractions import Fraction
from typing import Protocol

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lpw_toolkit.video.ring import MAX_PIXELS, MAX_SIDE_PX

SQUARE = Fraction(1)
_MOST = 8  # anamorphic film has 2; a header that says 1000:1 is mistaken
_SAME = 0.01  # scalers round the sides of a picture: 854 x 480 comes with 1280:1281
_MAX_DELAYED = 64  # frames that a decoder holds back


class Ratio(Protocol):
    """A fraction as PyAV gives it: Python's, or from version 19 on one of its own."""

    @property
    def numerator(self) -> int: ...  # noqa: D102
    @property
    def denominator(self) -> int: ...  # noqa: D102


class PixelAspects:
    """The width of a pixel over its height, frame by frame.

    What the container declares holds for all frames; else what the codec declares, which may change
    within the stream. A decoder that has met a change may still hold frames from before it.

    Args:
        stream: whose decoder is asked.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._context: VideoCodecContext = stream.codec_context
        self._declared: Ratio | None = None
        self._seen: Ratio | None = None
        self._old: Ratio | None = None
        self._fed: deque[int | None] = deque(maxlen=_MAX_DELAYED)
        self._held: list[int | None] = []
        self._asked = False

    def feed(self, packet: "Packet[VideoStream]") -> None:
        """Notes a packet that the decoder gets next."""
        self._fed.append(packet.pts)

    def of(self, frame: VideoFrame) -> Fraction | None:
        """As declared for a frame that the decoder has just given; None where nothing is."""
        found = self._find(frame)
        if found is None or not found.denominator:
            return None
        return Fraction(found.numerator, found.denominator)

    def _find(self, frame: VideoFrame) -> Ratio | None:
        now = self._context.sample_aspect_ratio
        if not self._asked:
            self._asked, self._seen = True, now
            declared = self._stream.sample_aspect_ratio
            self._declared = declared if declared != now else None
        if now != self._seen:
            self._old, self._seen = self._seen, now
            self._held = list(self._fed)[:-1]
        if frame.pts in self._fed:
            self._fed.remove(frame.pts)
        if frame.pts in self._held:
            self._held.remove(frame.pts)
            return self._declared or self._old
        return self._declared or now


def usable_aspect(declared: Fraction | None, width: int, height: int) -> Fraction | None:
    """The aspect that a frame of that size is displayed with; None for one beyond all bounds.

    >>> usable_aspect(Fraction(2), 320, 360), usable_aspect(Fraction(1281, 1280), 854, 480)
    (Fraction(2, 1), Fraction(1, 1))
    """
    if declared is None or declared <= 0 or abs(declared - 1) <= _SAME:
        return SQUARE
    shown = displayed_size(declared, width, height)
    in_bounds = max(declared, 1 / declared) <= _MOST
    if not in_bounds or max(shown) > MAX_SIDE_PX or shown[0] * shown[1] > MAX_PIXELS:
        return None
    return declared


def displayed_size(aspect: Fraction, width: int, height: int) -> tuple[int, int]:
    """(width, height) in square pixels.

    >>> displayed_size(Fraction(2), 320, 360), displayed_size(Fraction(8, 9), 720, 480)
    ((640, 360), (720, 540))
    """
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def show_aspect(aspect: Fraction) -> str:
    """Width and height of a pixel as people write them.

    >>> show_aspect(Fraction(16, 15))
    '16:15'
    """
    return f"{aspect.numerator}:{aspect.denominator}"
