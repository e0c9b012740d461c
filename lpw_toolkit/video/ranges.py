"""Decodes stretches of a video as they are asked for, in the decoding process: from the key frame
before, or on from where it is if that is nearer."""

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lpw_toolkit.errors import LpwError
from lpw_toolkit.video.decode import (
    FrameSender,
    Salvage,
    choose_stream,
    convert,
    exact_seconds,
    open_container,
)
from lpw_toolkit.video.ring import Ring
from lpw_toolkit.video.timeline import Judge

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_NEAR_S = 4.0  # so far ahead decoding on costs less than seeking, with key frames 10 s apart
_BACK_S = 5.0  # further back where a container has sought beyond the place
_EPSILON_S = 1e-6

_Decoded = tuple["VideoFrame", Fraction | None]


def deliver_ranges(order: dict[str, Any], ring: Ring) -> None:
    """Answers lines `[first_s, last_s]` of the descriptor `order["requests"]`, each with the frames
    whose time lies between the two, and an end."""
    ranges = _Ranges(order, ring)
    with os.fdopen(order["requests"]) as requests:
        for line in requests:
            first_s, last_s = json.loads(line)
            ranges.deliver(first_s, last_s)


class _Ranges:
    def __init__(self, order: dict[str, Any], ring: Ring) -> None:
        judge = Judge(lambda *_: None)  # the build has said what is damaged
        self._ring = ring
        container = open_container(order["source"])
        stream = choose_stream(container)
        if stream.time_base is None:
            raise LpwError("", "a stream without times", "a video in a container", "convert it")
        self._time_base = Fraction(stream.time_base)
        self._salvage = Salvage(container, stream, judge, order["n_threads"])
        self._sender = FrameSender(order, ring, judge)
        self._frames: Iterator[_Decoded] = iter(())
        self._ahead: _Decoded | None = None  # decoded already, and behind the range before

    def deliver(self, first_s: float, last_s: float) -> None:
        """Sends the frames of a range."""
        for frame, declared in self._find(first_s):
            pts_s = exact_seconds(frame.pts, frame.time_base)
            if pts_s is not None and pts_s > last_s + _EPSILON_S:
                self._ahead = frame, declared
                break
            layout = self._sender.lay(frame, declared)
            image = layout.orientation.turn(convert(frame, self._sender.to_bgr, layout.shown))
            self._ring.send("picture", pts_s, image.shape[1], image.shape[0], self._ring.put(image))
        self._ring.send("done")

    def _find(self, first_s: float) -> Iterator[_Decoded]:
        """The frames from a time on."""
        ahead_s = self._ahead_s
        if ahead_s is None or not ahead_s - _EPSILON_S <= first_s < ahead_s + _NEAR_S:
            self._seek(first_s)
        ahead, self._ahead = self._ahead, None
        found = ahead or next(self._frames, None)
        while found is not None:
            pts_s = exact_seconds(found[0].pts, found[0].time_base)
            if pts_s is not None and pts_s >= first_s - _EPSILON_S:
                yield found
            found = next(self._frames, None)

    @property
    def _ahead_s(self) -> float | None:
        if self._ahead is None:
            return None
        frame = self._ahead[0]
        return exact_seconds(frame.pts, frame.time_base)

    def _seek(self, first_s: float) -> None:
        """Goes to the last key frame before a time; some containers overshoot it."""
        for back_s in (0.0, _BACK_S, first_s + 1.0):
            at = round(max(first_s - back_s, 0.0) / self._time_base)
            if not self._salvage.seek(at):
                continue
            self._frames = self._salvage.frames()
            self._ahead = next(self._frames, None)
            if self._ahead_s is not None and self._ahead_s <= first_s + _EPSILON_S:
                return
