"""Decodes a container with PyAV, packet by packet, so that damage costs only the damaged frames."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.names import count_of
from lpw_toolkit.video.bytes import find_missing_bytes
from lpw_toolkit.video.motion import BLOCK_PX, DuplicateFinder
from lpw_toolkit.video.orientation import Orientation, orientation_of
from lpw_toolkit.video.pixel_aspect import (
    SQUARE,
    PixelAspects,
    Ratio,
    displayed_size,
    show_aspect,
    usable_aspect,
)
from lpw_toolkit.video.ring import MAX_PIXELS, MAX_SIDE_PX, Ring
from lpw_toolkit.video.timeline import Judge

FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,gif,h264,hevc"
_OPTIONS = {
    "format_whitelist": FORMATS,
    "protocol_whitelist": "file",
    "max_pixels": str(MAX_PIXELS),
}
#: PyAV up to 18 raises on tags that are no UTF-8 unless told otherwise; 19 never does, and knows no
#: such option.
_TAGS: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
_DO = "copy or convert it again"
_MAX_DEMUX_ERRORS = 1000
_RAW = ("h264", "hevc")  # streams without a container have no times


def deliver_video(order: dict[str, Any], ring: Ring, judge: Judge) -> None:
    """Decodes the file behind the descriptor `order["source"]` and sends header, frames and end."""
    container = open_container(order["source"])
    stream = choose_stream(container)
    salvage = Salvage(container, stream, judge, order["n_threads"])
    judge.nominal_s = float(1 / stream.average_rate) if stream.average_rate else None
    sender = FrameSender(order, ring, judge)
    # In the order of the decoder, whatever the clock says: boxes made elsewhere count frames so.
    for frame, declared in salvage.frames():
        layout = sender.lay(frame, declared)
        if not judge.n_frames:
            ring.send("header", _describe(container, stream, layout, order["n_threads"]))
        sender.deliver(frame, layout, salvage)
    if not judge.n_frames:
        raise LpwError("", "no picture that can be decoded", "at least one frame", _DO)
    if container.format.name in _RAW:
        judge.note("a stream without a container: its frames have no times")
    salvage.settle(None)
    salvage.tell_foreign()
    _check_complete(order["source"], container, stream, judge)
    ring.send("end", judge.summary())


def open_container(descriptor: int) -> InputContainer:
    """Opens the inherited descriptor: no name is interpreted, so none can be taken for a protocol
    or a pattern."""
    try:
        container: InputContainer = av.open(
            f"file:/dev/fd/{descriptor}", "r", options=_OPTIONS, **_TAGS
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        got = f"a file that cannot be opened as video ({_reason(error)})"
        raise LpwError("", got, f"a whole video of one of the formats {FORMATS}", _DO) from error
    return container


def choose_stream(container: InputContainer) -> VideoStream:
    """The video in a container. Errors: LpwError where there is none that can be decoded."""
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise LpwError("", "a file without a video stream", "a video", "name a video file")
    best = container.streams.best("video")
    stream = next((s for s in streams if s is best), streams[0])
    context = stream.codec_context
    if context is None:
        raise LpwError(
            "", "a video stream that no decoder knows", "a common codec such as H.264", "convert it"
        )
    _check_size(context.width, context.height)
    return stream


def _check_size(width: int, height: int) -> None:
    if width > MAX_SIDE_PX or height > MAX_SIDE_PX or width * height > MAX_PIXELS:
        limit = f"at most {MAX_SIDE_PX} pixels a side and {MAX_PIXELS} in all"
        raise LpwError("", f"pictures of {width}x{height}", limit, "convert it to a smaller size")


class Salvage:
    """Frames of a stream in decoder order; remembers where packets were lost or damaged."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        judge: Judge,
        n_threads: int,
    ) -> None:
        self._container, self._stream, self._judge = container, stream, judge
        stream.thread_type = "FRAME" if n_threads > 1 else "NONE"
        stream.thread_count = n_threads
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "ignore_err"}
        self._bad_pts: list[int] = []
        self._n_undecodable = 0
        self._n_marked = 0
        self._n_foreign = 0
        self._cut_now = False
        self._aspects = PixelAspects(stream)

    def frames(self) -> Iterator[tuple[VideoFrame, Fraction | None]]:
        """Every frame that the decoder gives, with its pixel aspect as declared."""
        for packet in self._packets():
            self._aspects.feed(packet)
            if packet.is_corrupt:
                self._n_marked += 1
                self._remember(packet.pts)
            for frame in self._decode(packet):
                yield frame, self._aspects.of(frame)

    def seek(self, time: int) -> bool:
        """Goes to the last key frame before a time in the stream's unit, as far as the container
        knows it; False where it cannot."""
        try:
            self._container.seek(time, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return False
        return True

    def settle(self, frame: VideoFrame | None) -> bool:
        """True if something was lost before `frame` (None: the end); tells the judge what."""
        due = len(self._bad_pts)
        if frame is not None and frame.pts is not None:
            due = bisect.bisect_right(self._bad_pts, frame.pts)
        cut = bool(due) or self._cut_now
        if cut:
            self._tell()
        del self._bad_pts[:due]
        self._cut_now = False
        return cut

    def tell_foreign(self) -> None:
        """Notes packets of streams that begin later than the one that is read."""
        if self._n_foreign:
            self._judge.note(
                f"not read: {count_of(self._n_foreign, 'packet')} of streams that begin later"
            )

    def _tell(self) -> None:
        causes = []
        if self._n_undecodable:
            causes.append(f"{count_of(self._n_undecodable, 'packet')} could not be read or decoded")
        if self._n_marked:
            causes.append(f"{count_of(self._n_marked, 'packet')} marked as damaged")
        if causes:
            sentence = f"{self._judge.where()}: {', '.join(causes)}"
            # A recording that begins between two key frames has leading packets that nobody can
            # decode.
            (self._judge.problem if self._judge.n_frames else self._judge.note)(sentence)
        self._judge.n_lost += self._n_undecodable
        self._n_undecodable = self._n_marked = 0

    def _remember(self, pts: int | None) -> None:
        if pts is None:
            self._cut_now = True
        else:
            bisect.insort(self._bad_pts, pts)

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        n_errors = 0
        while n_errors < _MAX_DEMUX_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    n_errors = 0
                    yield packet
                return
            except IndexError:  # PyAV, on a packet of a stream that was not there at the start
                self._n_foreign += 1
            except (av.error.FFmpegError, OSError):
                n_errors += 1
                self._n_undecodable += 1
                self._cut_now = True

    def _decode(self, packet: "Packet[VideoStream]") -> Iterator[VideoFrame]:
        try:
            yield from packet.decode()
        except EOFError:
            return
        except (av.error.FFmpegError, OSError, ValueError):
            self._n_undecodable += 1
            self._remember(packet.pts)


@dataclass(frozen=True)
class Layout:
    """How a stored frame is displayed.

    Args:
        orientation: how it is turned.
        aspect: width over height of a stored pixel.
        shown: (width, height) before it is turned.
    """

    orientation: Orientation
    aspect: Fraction
    shown: tuple[int, int]


class FrameSender:
    """Turns decoded frames into messages and images."""

    def __init__(self, order: dict[str, Any], ring: Ring, judge: Judge) -> None:
        self._order, self._ring, self._judge = order, ring, judge
        self._finder = DuplicateFinder()
        self.to_bgr, self._to_grey = VideoReformatter(), VideoReformatter()
        self._index = 0
        self._layout: tuple[tuple[object, ...], Layout] | None = None

    def lay(self, frame: VideoFrame, declared: Fraction | None) -> Layout:
        """How a frame is displayed. Asks the frame itself only where its kind changes: PyAV keeps a
        frame whose side data was looked at."""
        kind = frame.width, frame.height, frame.rotation, declared
        if self._layout is None or self._layout[0] != kind:
            _check_size(frame.width, frame.height)
            aspect = self._choose_aspect(declared, frame.width, frame.height)
            shown = displayed_size(aspect, frame.width, frame.height)
            self._layout = kind, Layout(orientation_of(frame), aspect, shown)
        return self._layout[1]

    def _choose_aspect(self, declared: Fraction | None, width: int, height: int) -> Fraction:
        aspect = usable_aspect(declared, width, height)
        if aspect is None and declared is not None:
            self._judge.note(
                f"frame {self._index}: declares pixels of {show_aspect(declared)}, which are taken "
                f"as square"
            )
        elif aspect is not None and aspect != SQUARE:
            shown_width, shown_height = displayed_size(aspect, width, height)
            self._judge.note(
                f"frame {self._index}: pixels of {show_aspect(aspect)}: pictures stored as "
                f"{width}x{height} are read as {shown_width}x{shown_height}"
            )
        return aspect or SQUARE

    def deliver(self, frame: VideoFrame, layout: Layout, salvage: Salvage) -> None:
        """Sends one frame."""
        size = layout.orientation.size(*layout.shown)
        pts_s = exact_seconds(frame.pts, frame.time_base)
        cut = salvage.settle(frame)
        segment = self._judge.place(self._index, pts_s, size, cut=cut, corrupt=frame.is_corrupt)
        duplicate = self._finder.is_duplicate(shrink(frame, self._to_grey))
        slot = -1
        if self._order["images"] and self._index >= self._order["first_image"]:
            image = convert(frame, self.to_bgr, layout.shown)
            slot = self._ring.put(layout.orientation.turn(image))
        stored = layout.orientation.size(frame.width, frame.height)
        sizes = (*size, *stored)
        self._ring.send("frame", self._index, pts_s, segment, duplicate, sizes, slot)
        self._index += 1


def exact_seconds(pts: int | None, time_base: Ratio | None) -> float | None:
    """The double nearest to `pts` x `time_base`."""
    if pts is None or time_base is None:
        return None
    return pts * time_base.numerator / time_base.denominator


def convert(
    frame: VideoFrame, reformatter: VideoReformatter, shown: tuple[int, int]
) -> NDArray[np.uint8]:
    """(H, W, 3) BGR of a frame in stored orientation and square pixels, colour matrix and range as
    the stream says."""
    width, height = shown
    kind = "POINT" if shown == (frame.width, frame.height) else "BICUBIC"
    bgr = reformatter.reformat(
        frame, width=width, height=height, format="bgr24", interpolation=kind, threads=1
    )
    return _rows(bgr)[: bgr.height, : bgr.width * 3].reshape(bgr.height, bgr.width, 3)


def shrink(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """(H / 8, W / 8) grey means of a frame."""
    width, height = max(1, frame.width // BLOCK_PX), max(1, frame.height // BLOCK_PX)
    grey = reformatter.reformat(
        frame, width=width, height=height, format="gray", interpolation="AREA", threads=1
    )
    return _rows(grey)[:height, :width]


def _rows(frame: VideoFrame) -> NDArray[np.uint8]:
    """The first plane of a frame with its padding, without a copy."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)


def _describe(
    container: InputContainer, stream: VideoStream, layout: Layout, n_threads: int
) -> dict[str, Any]:
    width, height = layout.orientation.size(*layout.shown)
    return {
        "container": container.format.name,
        "codec": stream.codec_context.name,
        "width": width,
        "height": height,
        "rotation": layout.orientation.degrees,
        "pixel_aspect": None if layout.aspect == SQUARE else show_aspect(layout.aspect),
        "rate_hz": float(stream.average_rate) if stream.average_rate else None,
        "n_declared": stream.frames or None,
        "duration_s": _declared_duration_s(container, stream),
        "n_threads": n_threads,
    }


def _declared_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Length of the video stream as its own header or tag says; of the container only where nothing
    else is in it."""
    if stream.duration:
        return exact_seconds(stream.duration, stream.time_base)
    tag = stream.metadata.get("DURATION", "")
    parts = tag.split(":")
    if len(parts) == 3 and all(p.replace(".", "", 1).isdigit() for p in parts):
        return int(float(parts[0])) * 3600 + int(float(parts[1])) * 60 + float(parts[2])
    if container.duration and len(container.streams) == 1:
        return container.duration / 1e6
    return None


def _check_complete(
    descriptor: int,
    container: InputContainer,
    stream: VideoStream,
    judge: Judge,
) -> None:
    missing = find_missing_bytes(descriptor)
    if missing:
        judge.problem(f"{judge.where()}: {missing}")
    if stream.frames and stream.frames != judge.n_frames:
        judge.note(f"the header declares {stream.frames} frames, the decoder gave {judge.n_frames}")
    duration_s, usual_s = _declared_duration_s(container, stream), judge.interval_s()
    end_s = judge.end_s()
    # AVI has no duration of its own, only the number of frames, and that is the number that lies.
    if duration_s is None or usual_s is None or end_s is None or container.format.name == "avi":
        return
    start_s = exact_seconds(stream.start_time, stream.time_base) or 0.0
    short_s = start_s + duration_s - end_s
    if short_s > max(3 * usual_s, 0.1):
        judge.problem(
            f"{judge.where()}: the header declares {duration_s:.3f} s; the last {short_s:.3f} s "
            f"are missing"
        )


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
