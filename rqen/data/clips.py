"""Reads tracklets as clips: RGB frames or what a method's own reader gives, with times and
camera."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch.utils.data import Dataset

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.errors import LpwError
from rqen.data.prefetch import iter_ahead
from rqen.model.clip import Clip, FrameReader, Ints, Pixels
from rqen.model.method import MethodSpec, Needs


class RgbReader:
    """Reads frames in RGB, stretched to one size; a `rqen.model.clip.FrameReader`.

    Args:
        index: the opened dataset.
        size: height and width in pixels.
    """

    def __init__(self, index: TrackletIndex, size: tuple[int, int]) -> None:
        self._images, self._size = index.images, size

    def read(self, rows: Ints) -> Pixels:
        """Frames (T, H, W, 3). Errors: CorruptCropError that names an image."""
        return np.stack([self._images.decode(int(row), self._size) for row in rows])

    def mirror(self, images: Pixels) -> Pixels:
        """The mirror image."""
        return images[:, :, ::-1]


def open_reader(
    method: Any, index: TrackletIndex, size: tuple[int, int], settings: Any = None
) -> FrameReader:
    """What reads the frames of `method` (`rqen.model.method.Method`; None: RGB)."""
    if method is None or isinstance(method, MethodSpec) or method.open_reader is None:
        return RgbReader(index, size)
    reader: FrameReader = method.open_reader(index, size, settings)
    return reader


class Clips(Dataset):
    """Tracklets of a dataset, read one by one; with labels a `rqen.model.clip.TrainingClips`.

    Args:
        index: the opened dataset.
        tracklets: (N,) rows of its table.
        reader: of frames.
        person: (N,) labels; None where nobody trains.
        n_workers: processes in which `map` makes what is asked for.
    """

    def __init__(
        self,
        index: TrackletIndex,
        tracklets: Ints,
        reader: FrameReader,
        person: Ints | None = None,
        n_workers: int = 0,
    ) -> None:
        self._index, self._rows, self._reader, self._n_workers = index, tracklets, reader, n_workers
        self._names = index.tracklets["tracklet_id"].take(pa.array(tracklets)).to_pylist()
        self._times_s = _read_times(index)
        self.person = np.full(len(tracklets), -1, np.int64) if person is None else person
        self.camera: Ints = number_cameras(index)[tracklets]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> Clip:
        """Errors: CorruptCropError that names an image."""
        first, end = self._index.starts[self._rows[place] :][:2].tolist()
        rows = np.arange(first, end)
        times_s = None if self._times_s is None else self._times_s[first:end]
        return Clip(
            self._names[place], self._reader.read(rows), int(self.camera[place]), rows, times_s
        )

    def map(self, function: Callable[[Clip], Any]) -> Iterator[Any]:
        """`function` of every clip, in order, made by other processes ahead of its use.

        Errors: as `iter_ahead`.
        """
        with closing(iter_ahead(_Mapped(self, function), self._n_workers)) as made:
            yield from made


class _Mapped(Dataset):
    """What a function makes of each clip."""

    def __init__(self, clips: Clips, function: Callable[[Clip], Any]) -> None:
        self._clips, self._function = clips, function

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, place: int) -> Any:
        return self._function(self._clips[place])


def number_cameras(index: TrackletIndex) -> Ints:
    """The number (N,) of each tracklet's camera: cameras in the order of their names, from 0."""
    names = index.tracklets["camera_id"].to_pylist()
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names], dtype=np.int64)


def _read_times(index: TrackletIndex) -> NDArray[np.float64] | None:
    """Seconds of each frame; None where some frame has none."""
    column = index.dataset.read_table("frames.parquet", FRAMES, columns=["pts_s"])["pts_s"]
    if column.null_count:
        return None
    return np.asarray(column.to_numpy(), dtype=np.float64)


def refuse_dataset(method: str, needs: Needs, index: TrackletIndex, rows: Ints) -> Ints:
    """The tracklets among `rows` from which `method` can learn: those that are long enough.

    Errors: LpwError in one line for a dataset of another kind than the method needs.
    """
    name, do = index.dataset.name, "choose another dataset or method"
    if needs.frame_times and _read_times(index) is None:
        raise LpwError(name, "frames without times", f"a dataset of video, as {method} needs", do)
    kept = rows[np.diff(index.starts)[rows] >= needs.min_frames]
    if len(rows) and not len(kept):
        got = f"no tracklet of {needs.min_frames} frames or more"
        raise LpwError(f"{name}, training", got, f"some, as {method} needs", do)
    if needs.two_cameras and len(kept):
        labels = read_labels(index.tracklets).take(kept)
        named = labels.person >= 0
        seen = np.unique(np.stack([labels.person[named], labels.camera[named]]), axis=1)
        if not (np.bincount(seen[0]) > 1).any():
            got = "no person seen by two cameras"
            raise LpwError(f"{name}, training", got, f"some, as {method} needs", do)
    return kept


def describe_left_out(method: str, n_frames: int, n_left_out: int, n_all: int) -> str:
    """A sentence on the tracklets of less than `n_frames` frames that do not train; empty where
    there are none.

    >>> describe_left_out("cnn_rnn", 16, 3, 40)
    '3 of 40 training tracklets have less than 16 frames: cnn_rnn leaves them out'
    """
    if not n_left_out:
        return ""
    return (
        f"{n_left_out:,} of {n_all:,} training tracklets have less than {n_frames} frames: "
        f"{method} leaves them out"
    )
