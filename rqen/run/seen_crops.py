"""`seen_crops.bin` of a run: where in the source videos the crops lie that it was trained on, so
that whoever they show is known again in another build of the same videos, with images of other
bytes.

    video, frame of the run    trained A [   ]   [   ] B, named but not trained
    the same frame here              p [   ]     [   ] q      A and p are each other's best match:
                                                              p shows a person whom the run has seen

The file holds 21 bytes for each crop, sorted, each once: the first 8 bytes of the SHA-256 of the
video, the frame, the box in whole pixels, and whether the crop was trained on. Crops of other named
persons are there too: of two who pass each other, a box belongs to whom it fits best.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.boxes import iou_pairs
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.dataset.tables import to_integers, to_numpy
from lpw_toolkit.dataset.video_prints import read_video_prints
from lpw_toolkit.errors import MismatchError
from rqen.run.vouched_file import read_vouched

SEEN_CROPS = "seen_crops.bin"
#: Of run.json: the SHA-256 of the file. Runs of older versions have neither.
CROPS_DIGEST = "seen_crops_sha256"
#: Two boxes of one frame show the same person from this overlap on: the threshold by which
#: detections are matched with ground truth since PASCAL VOC (2007), and in MOTChallenge. Builds
#: with other settings (smoothing, linking) move the box of a person by less; people side by side
#: overlap less, and of those who pass each other the best match decides.
MIN_IOU = 0.5
_SIDES = ("x1", "y1", "x2", "y2")
_STORED = np.dtype(
    [("video", ">u8"), ("frame", ">u4"), *((side, ">u2") for side in _SIDES), ("trained", "u1")]
)
_MAX_IN_FRAME = 4_096  # people; of a crowd that fills a frame some 300 are cut out
_N_PAIRS = 1 << 20  # at once: 0.1 GB
_VIDEO_BYTES = 8

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CropPlaces:
    """Where crops lie, one by one.

    Attributes:
        video: (n,) uint64, the first 8 bytes of the SHA-256 of the video.
        frame: (n,) uint32, number of its frame.
        boxes: (n, 4) uint16, `x1 y1 x2 y2` in whole pixels of it.
        trained: (n,) bool, whether a run was trained on them.
    """

    video: NDArray[np.uint64]
    frame: NDArray[np.uint32]
    boxes: NDArray[np.uint16]
    trained: Mask

    def take(self, rows: Ints | Mask, trained: bool | None = None) -> "CropPlaces":
        """Some of them; `trained` says of all whether a run was trained on them."""
        kept = self.trained[rows]
        mark = kept if trained is None else np.full(len(kept), trained)
        return CropPlaces(self.video[rows], self.frame[rows], self.boxes[rows], mark)


def join_places(*parts: CropPlaces) -> CropPlaces:
    """All places of `parts`, sorted by video and frame, each once."""
    video, frame, boxes, trained = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("video", "frame", "boxes", "trained")
    )
    order = np.lexsort((trained, *boxes.T, frame, video))
    joined = CropPlaces(video[order], frame[order], boxes[order], trained[order])
    columns = (joined.video, joined.frame, *joined.boxes.T, joined.trained)
    is_new = np.ones(len(order), bool)
    is_new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return joined.take(is_new)


@dataclass(frozen=True, eq=False)
class DatasetCrops:
    """The crops of a dataset that lie in videos which it knows by their SHA-256.

    Attributes:
        rows: (n,) of its table of frames.
        source: (n,) which of its videos, by number; two may have the same SHA-256.
        places: of these crops.
    """

    rows: Ints
    source: Ints
    places: CropPlaces


def read_crops(dataset: Dataset) -> DatasetCrops:
    """Errors: MismatchError."""
    columns = ["frame_index", *_SIDES]
    frames = dataset.read_table("frames.parquet", FRAMES, columns=columns)
    prints = read_video_prints(dataset)
    names = sorted(prints)
    number = {name: i for i, name in enumerate(names)}
    videos = dataset.tracklets["video_id"].to_pylist()
    owners = np.array([number.get(name, -1) for name in videos], np.int64)
    source = np.repeat(owners, to_integers(dataset.tracklets, "n_frames"))
    index = to_numpy(frames, "frame_index").astype(np.float64)
    boxes = np.stack([to_numpy(frames, side).astype(np.float64) for side in _SIDES], axis=1)
    rows = np.flatnonzero((source >= 0) & (index >= 0) & np.isfinite(boxes).all(axis=1))
    words = [int.from_bytes(prints[name][:_VIDEO_BYTES], "big") for name in names]
    return DatasetCrops(
        rows,
        source[rows],
        CropPlaces(
            np.array(words, np.uint64)[source[rows]],
            index[rows].astype(np.uint32),
            np.clip(np.rint(boxes[rows]), 0, np.iinfo(np.uint16).max).astype(np.uint16),
            np.zeros(len(rows), bool),
        ),
    )


def find_trained(here: DatasetCrops, seen: CropPlaces) -> Mask:
    """Which crops (n,) of a dataset show whom the trained crops of `seen` show.

    Those of the same video and frame whose box overlaps a trained one by `MIN_IOU` or more, where
    no other crop fits better on either side: of two who pass each other only one is the person.

    Args:
        seen: sorted, as `join_places` gives it.

    Errors: MismatchError for a frame with more crops than people find room in.
    """
    found = np.zeros(len(here.rows), bool)
    order = np.argsort(here.source, kind="stable")
    borders = np.flatnonzero(np.diff(here.source[order])) + 1
    for rows in np.split(order, borders) if len(order) else ():
        first, last = (
            int(np.searchsorted(seen.video, here.places.video[rows[0]], side))
            for side in ("left", "right")
        )
        known = seen.take(np.arange(first, last))
        if known.trained.any():
            found[rows] = _match(here.places.take(rows), known)
    return found


def _match(here: CropPlaces, known: CropPlaces) -> Mask:
    """`find_trained` within one video."""
    best = np.zeros(len(known.frame))  # overlap of each known crop with the crop that fits it best
    for _, theirs, overlap in _iter_pairs(here, known):
        np.maximum.at(best, theirs, overlap)
    found, best_here = np.zeros(len(here.frame), bool), np.zeros(len(here.frame))
    for mine, theirs, overlap in _iter_pairs(here, known):
        np.maximum.at(best_here, mine, overlap)
        fits = (overlap >= MIN_IOU) & (overlap == best[theirs]) & (overlap == best_here[mine])
        found[mine[fits & known.trained[theirs]]] = True
    return found


def _iter_pairs(
    here: CropPlaces, known: CropPlaces
) -> Iterator[tuple[Ints, Ints, NDArray[np.float64]]]:
    """Pairs of crops of one frame, with their overlap; all pairs of a crop come at once."""
    first = np.searchsorted(known.frame, here.frame, "left")
    counts = np.searchsorted(known.frame, here.frame, "right") - first
    if counts.max(initial=0) > _MAX_IN_FRAME:
        got, expected = f"{counts.max():,} trained crops", f"{_MAX_IN_FRAME:,} at most"
        raise MismatchError("one frame of a video", got, expected, "restore the run from a copy")
    ends = np.cumsum(counts)
    if not ends[-1]:
        return
    stops = np.searchsorted(ends, np.arange(_N_PAIRS, ends[-1] + _N_PAIRS, _N_PAIRS), "right")
    for start, stop in zip([0, *stops[:-1]], stops, strict=True):
        part = counts[start:stop]
        mine = np.repeat(np.arange(start, stop), part)
        theirs = np.repeat(first[start:stop], part) + ragged_arange(part)
        boxes = (here.boxes[mine].astype(np.float64), known.boxes[theirs].astype(np.float64))
        yield mine, theirs, iou_pairs(*boxes)


def encode_crops(places: CropPlaces) -> bytes:
    """The content of the file, of places as `join_places` gives them."""
    stored = np.empty(len(places.frame), _STORED)
    stored["video"], stored["frame"] = places.video, places.frame
    for side, values in zip(_SIDES, places.boxes.T, strict=True):
        stored[side] = values
    stored["trained"] = places.trained
    return stored.tobytes()


def read_seen_crops(folder: Path, facts: dict[str, Any]) -> CropPlaces | None:
    """What the run in `folder` was trained on; None for a run of an older version.

    Args:
        facts: its run.json, which vouches for the file.

    Errors: MismatchError for a file that is missing, another one, or not as we write it.
    """
    said = facts.get(CROPS_DIGEST)
    if said is None:
        return None
    file = folder / SEEN_CROPS
    data = read_vouched(file, said, _STORED.itemsize, "the places of the crops it trained on")
    stored = np.frombuffer(data, _STORED)
    video, frame = stored["video"].astype(np.uint64), stored["frame"].astype(np.uint32)
    falls = (video[1:] < video[:-1]) | ((video[1:] == video[:-1]) & (frame[1:] < frame[:-1]))
    if falls.any():
        got, expected = "crops that are not sorted", "the file that lpw writes"
        raise MismatchError(file, got, expected, "restore it from a copy")
    boxes = np.stack([stored[side] for side in _SIDES], axis=1).astype(np.uint16)
    return CropPlaces(video, frame, boxes, stored["trained"] > 0)
