"""The timeline of decoded frames: which are consecutive, which repeat the previous one, what is
missing.

Pure bookkeeping over times and flags; no image and no decoder comes in here.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

GAP_FACTOR = 2.5
_N_INTERVALS = 120
_N_SETTLED = 8
_MAX_SENTENCES = 100


class Judge:
    """Gives every frame its segment and gathers what the report says.

    Args:
        send: takes the sentences of problems as they arise, so that they outlive a crash of the
            decoder.
    """

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self.notes: list[str] = []
        self.n_frames = self.n_lost = self.n_corrupt = self.n_problems = 0
        self.last_pts_s: float | None = None
        self.nominal_s: float | None = None
        self._segment = 0
        self._size: tuple[int, int] | None = None
        self._corrupt = False
        self._intervals: deque[float] = deque(maxlen=_N_INTERVALS)
        self._index = -1
        self._n_at_last_time = 1
        self._n_repeated = self._n_notes = 0
        self._first_repeated = ""

    def problem(self, sentence: str) -> None:
        """Records damage; after 100 sentences only their number."""
        self.n_problems += 1
        if self.n_problems <= _MAX_SENTENCES:
            self._send("problem", sentence)

    def note(self, sentence: str) -> None:
        """Records a harmless oddity; after 100 sentences only their number."""
        self._n_notes += 1
        if self._n_notes <= _MAX_SENTENCES:
            self.notes.append(sentence)

    def place(
        self, index: int, pts_s: float | None, size: tuple[int, int], *, cut: bool, corrupt: bool
    ) -> int:
        """The segment of the next frame.

        Args:
            index: its number.
            pts_s: its time.
            size: (width, height), displayed.
            cut: something was lost since the frame before.
            corrupt: the decoder calls it damaged.
        """
        gap = self._check_time(index, pts_s)
        changed = self._size is not None and size != self._size
        if changed and self._size is not None:
            self.note(
                f"frame {index}{at(pts_s)}: size changes from {_by(self._size)} to {_by(size)}"
            )
        if self.n_frames and (cut or gap or changed or corrupt != self._corrupt):
            self._segment += 1
        if corrupt and not self._corrupt:
            self.problem(f"frame {index}{at(pts_s)}: damaged pictures begin here")
        self.n_corrupt += corrupt
        self._corrupt, self._size, self._index = corrupt, size, index
        self.n_frames += 1
        self.last_pts_s = self.last_pts_s if pts_s is None else pts_s
        return self._segment

    def interval_s(self) -> float | None:
        """The longest usual time between two frames: the 95th percentile of the last 120, or the
        header's interval."""
        ordered = sorted(self._intervals)
        seen = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)] if ordered else None
        if len(ordered) >= _N_SETTLED or self.nominal_s is None:
            return seen
        return max(self.nominal_s, seen or 0.0)

    def end_s(self) -> float | None:
        """Where the last frame ends, as far as that can be known."""
        usual_s = self.interval_s()
        if self.last_pts_s is None or usual_s is None:
            return None
        return self.last_pts_s + usual_s * self._n_at_last_time

    def where(self) -> str:
        """The last frame, in words."""
        return (
            "before the first frame"
            if not self.n_frames
            else f"after frame {self._index}{at(self.last_pts_s)}"
        )

    def summary(self) -> dict[str, Any]:
        """What the parent cannot count by itself."""
        if self.n_problems > _MAX_SENTENCES:
            self._send(
                "problem", f"{self.n_problems - _MAX_SENTENCES} more problems are not listed"
            )
        if self._n_notes > _MAX_SENTENCES:
            self.notes.append(f"{self._n_notes - _MAX_SENTENCES} more notes are not listed")
        if self._n_repeated:
            self.notes.append(
                f"{self._n_repeated} frames have the time of the frame before them, first "
                f"{self._first_repeated}; they are kept"
            )
        return {"n_lost": self.n_lost, "n_corrupt": self.n_corrupt, "notes": self.notes}

    def _check_time(self, index: int, pts_s: float | None) -> bool:
        """True if time jumps between the frame before and this one.

        A clock with coarse steps gives several frames one time: they share the step to the next.
        """
        if pts_s is None or self.last_pts_s is None:
            return False
        if pts_s == self.last_pts_s:
            self._n_at_last_time += 1
            self._n_repeated += 1
            self._first_repeated = self._first_repeated or f"frame {index}{at(pts_s)}"
            return False
        interval_s = (pts_s - self.last_pts_s) / self._n_at_last_time
        self._n_at_last_time = 1
        usual_s = self.interval_s()
        if interval_s < 0:
            self.note(
                f"frame {index}{at(pts_s)}: time runs back by {self.last_pts_s - pts_s:.3f} s"
            )
            return True
        if usual_s is not None and interval_s > GAP_FACTOR * usual_s:
            self.note(
                f"frame {index}{at(pts_s)}: a gap of {interval_s:.3f} s where {usual_s:.3f} s are "
                f"usual"
            )
            return True
        self._intervals.append(interval_s)
        return False


def at(pts_s: float | None) -> str:
    """` (1.234 s)`, or nothing where the time is unknown."""
    return "" if pts_s is None else f" ({pts_s:.3f} s)"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
