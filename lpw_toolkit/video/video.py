"""Reads videos and image sequences: frames in the decoder's order with index and exact time, and a
report of damage.

Decoding runs in a process of its own (`video.child`) under resource limits, because media decoders
are memory-unsafe and the files are untrusted. It hands images over in shared memory and works
ahead, so that decoding overlaps with whatever the caller does. Whatever happens to it, the caller
gets a report and keeps the frames delivered so far.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links, is_folder, open_file
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.video.process import ChildDiedError, DecodingProcess
from lpw_toolkit.video.sequences import IMAGE_FOLDER


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded image.

    Args:
        index: 0-based position in the order of the decoder; of an image sequence, the number in the
            file name minus 1.
        pts_s: exact presentation time in seconds as the container gives it; None where it gives
            none.
        segment: 0-based; a new one starts where two frames must not be called consecutive: a change
            of size, a gap in time, time running back, lost or corrupt frames.
        duplicate: the same image as the last frame that was no duplicate.
        width: displayed pixels (rotation applied, pixels square).
        height: displayed pixels.
        image: (H, W, 3) uint8 BGR in displayed orientation, or None where none was asked for. It
            lies in shared memory and is valid until the next frame is asked for; copy it to keep
            it.
        stored: (width, height) before pixels were made square, rotation applied.
    """

    index: int
    pts_s: float | None
    segment: int
    duplicate: bool
    width: int
    height: int
    image: NDArray[np.uint8] | None
    stored: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class VideoHeader:
    """Declared properties of a source before a frame is read.

    Args:
        container: format as the demuxer names it; `images` for an image sequence.
        codec: name of the decoder.
        width: displayed pixels of the first image (rotation applied).
        height: displayed pixels of the first image.
        rotation: degrees clockwise in 0, 90, 180, 270 that the images were turned to be
            displayed.
        rate_hz: frames per second; of a finished report the average over its time stamps, but for
            steps back.
        n_declared: number of frames as the header says; None where it says nothing.
        duration_s: length of the video stream as the header says; None where it says nothing.
        n_threads: threads of the decoder, fixed because damaged streams may decode otherwise with
            more.
        pixel_aspect: width to height of a stored pixel, as `16:15`; None where pixels are square.
    """

    container: str
    codec: str
    width: int
    height: int
    rotation: int
    rate_hz: float | None
    n_declared: int | None
    duration_s: float | None
    n_threads: int
    pixel_aspect: str | None = None


@dataclass(frozen=True, kw_only=True)
class VideoReport(VideoHeader):
    """The report on a source that was read to its end.

    Args:
        n_frames: frames delivered.
        n_duplicates: of these, flagged as duplicates.
        n_corrupt: of these, flagged as damaged by the decoder.
        n_lost: packets or images that gave no frame.
        n_segments: segments of consecutive frames.
        sizes: (first index, width, height) of each run of frames of one size.
        first_pts_s: time of the first frame that has one.
        last_pts_s: time of the last frame that has one.
        problems: one sentence for each damage, with frame and time; `complete` is False where there
            is any.
        notes: one sentence for each harmless oddity.
        complete: the source was read to its end and nothing in it was damaged or missing.
    """

    n_frames: int
    n_duplicates: int
    n_corrupt: int
    n_lost: int
    n_segments: int
    sizes: tuple[tuple[int, int, int], ...]
    first_pts_s: float | None
    last_pts_s: float | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    complete: bool


class VideoReader:
    """Iterator over the frames of one source and context manager; leaving the context ends the
    decoding process.

    Args:
        path: a video file, or a folder of numbered images or with `img1/000001.jpg` (`seqinfo.ini`
            in it gives the frame rate).
        sequence: which of several image sequences of a folder; empty for the only one.
        first_image: frames before this index carry no image (they are decoded, not converted).
        images: False: no frame carries an image.
        n_threads: threads of the decoder.
        stall_s: seconds without a sign of life after which the decoding process is ended.

    Errors: LpwError where the path is no readable video; on entering the context or at the first
    frame, not here.
    """

    def __init__(
        self,
        path: Path,
        *,
        sequence: str = "",
        first_image: int = 0,
        images: bool = True,
        n_threads: int = 1,
        stall_s: float = 60.0,
    ) -> None:
        self.path = Path(path)
        order = {
            "sequence": sequence,
            "first_image": first_image,
            "images": images,
            "n_threads": n_threads,
        }
        self._process = _start_process(self.path, order, stall_s)
        self._tally = _Tally()
        self._header: VideoHeader | None = None
        self._ended = False

    @property
    def header(self) -> VideoHeader:
        """Declared properties of the source; waits for the decoding process to open it. Errors:
        LpwError."""
        while self._header is None:
            self._take(self._receive())
        return self._header

    @property
    def report(self) -> VideoReport:
        """The report so far; final once the iterator is exhausted."""
        return self._tally.report(self.header, ended=self._ended)

    def __enter__(self) -> Self:
        try:
            self.header  # noqa: B018  (an unreadable source fails here)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        while not self._ended:
            frame = self._take(self._receive())
            if frame is not None:
                return frame
        raise StopIteration

    def close(self) -> None:
        """Ends the decoding process and frees its memory; the report stays. May be called more than
        once."""
        self._process.close()

    def _receive(self) -> list[Any]:
        try:
            return self._process.receive()
        except ChildDiedError as error:
            return ["died", str(error)]

    def _take(self, message: list[Any]) -> Frame | None:
        kind, *rest = message
        if kind == "frame":
            return self._take_frame(*rest)
        if kind == "header":
            self._header = VideoHeader(**rest[0])
        elif kind == "problem":
            self._tally.problems.append(rest[0])
        elif kind == "end":
            self._end(rest[0])
        elif kind == "refused":
            self.close()
            raise LpwError(self.path, *rest)
        elif kind == "bug":
            self.close()
            raise RuntimeError(f"the decoding process failed on {self.path}:\n{rest[0]}")
        else:
            self._die(rest[0])
        return None

    def _take_frame(
        self,
        index: int,
        pts_s: float | None,
        segment: int,
        duplicate: bool,
        sizes: list[int],
        slot: int,
    ) -> Frame:
        width, height, *stored = sizes
        image = None if slot < 0 else self._process.picture(slot, width, height)
        size = stored[0], stored[1]
        frame = Frame(index, pts_s, segment, duplicate, width, height, image, size)
        self._tally.add(frame)
        return frame

    def _end(self, summary: dict[str, Any]) -> None:
        self._ended = True
        self._tally.n_lost, self._tally.n_corrupt = summary["n_lost"], summary["n_corrupt"]
        self._tally.notes.extend(summary["notes"])
        self.close()
        if self._tally.n_frames == 0:
            raise LpwError(
                self.path,
                "no frame that can be decoded",
                "at least one picture",
                "record or copy it again",
            )

    def _die(self, cause: str) -> None:
        self.close()
        if self._header is None or self._tally.n_frames == 0:
            raise LpwError(
                self.path,
                f"{cause} before the first frame",
                "a readable video",
                "copy or convert it again",
            )
        self._ended = True
        self._tally.problems.append(f"{cause} after {self._tally.where()}; what follows is missing")


def open_video(path: Path, *, first_image: int = 0, images: bool = True) -> VideoReader:
    """A reader of a video file or an image sequence; see `VideoReader`."""
    return VideoReader(path, first_image=first_image, images=images)


class _Tally:
    """Running counts over the frames delivered."""

    def __init__(self) -> None:
        self.n_frames = self.n_duplicates = self.n_lost = self.n_corrupt = 0
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._sizes: list[tuple[int, int, int]] = []
        self._last: tuple[int, float | None, int] | None = (
            None  # no Frame: it would keep the shared memory alive
        )
        self._first_pts_s: float | None = None
        self._last_pts_s: float | None = None
        self._back_s, self._n_back = 0.0, 0

    def add(self, frame: Frame) -> None:
        self.n_frames += 1
        self.n_duplicates += frame.duplicate
        if not self._sizes or self._sizes[-1][1:] != (frame.width, frame.height):
            self._sizes.append((frame.index, frame.width, frame.height))
        if frame.pts_s is not None:
            self._first_pts_s = frame.pts_s if self._first_pts_s is None else self._first_pts_s
            if self._last_pts_s is not None and frame.pts_s < self._last_pts_s:
                self._back_s += self._last_pts_s - frame.pts_s
                self._n_back += 1
            self._last_pts_s = frame.pts_s
        self._last = frame.index, frame.pts_s, frame.segment

    def where(self) -> str:
        if self._last is None:
            return "no frame"
        index, pts_s, _ = self._last
        return f"frame {index}" + ("" if pts_s is None else f" ({pts_s:.3f} s)")

    def report(self, header: VideoHeader, *, ended: bool) -> VideoReport:
        problems = [
            *self.problems,
            *([] if ended else [f"reading was stopped after {self.where()}"]),
        ]
        facts = asdict(header) | {"rate_hz": self._rate_hz() or header.rate_hz}
        if self._sizes:
            _, facts["width"], facts["height"] = self._sizes[0]
        return VideoReport(
            **facts,
            n_frames=self.n_frames,
            n_duplicates=self.n_duplicates,
            n_corrupt=self.n_corrupt,
            n_lost=self.n_lost,
            n_segments=0 if self._last is None else self._last[2] + 1,
            sizes=tuple(self._sizes),
            first_pts_s=self._first_pts_s,
            last_pts_s=self._last_pts_s,
            problems=tuple(problems),
            notes=tuple(self.notes),
            complete=not problems,
        )

    def _rate_hz(self) -> float | None:
        """The average over the steps of time that lead forward."""
        if self._first_pts_s is None or self._last_pts_s is None:
            return None
        elapsed_s = self._last_pts_s - self._first_pts_s + self._back_s
        return (self.n_frames - 1 - self._n_back) / elapsed_s if elapsed_s > 0 else None


def _start_process(path: Path, order: dict[str, Any], stall_s: float) -> DecodingProcess:
    """Opens the source without ever blocking and hands it to a decoding process."""
    real = follow_links(path)  # a film may be a link to another disk
    if is_folder(real):
        inner = IMAGE_FOLDER if is_folder(real / IMAGE_FOLDER) else ""
        return DecodingProcess({**order, "folder": os.fspath(real), "inner": inner}, None, stall_s)
    try:
        descriptor = open_file(real)
    except OSError as error:
        raise LpwError(
            path, describe_os_error(error), "a readable video", "check the path and its permissions"
        ) from error
    try:
        if os.fstat(descriptor).st_size == 0:
            raise LpwError(path, "an empty file", "a video", "record or copy it again")
        return DecodingProcess(order, descriptor, stall_s)
    finally:
        os.close(descriptor)
