"""Embeds tracklets with a trained network: all frames, streamed, one vector each, with the score of
every region."""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.files.estimate import Clock, Estimate, time_steps
from lpw_toolkit.progress import show_progress
from rqen.data.prefetch import iter_ahead
from rqen.model.aggregate import SetLargest, SetSums, append_scores
from rqen.model.network import SetNetwork
from rqen.run.speed_trial import PLAIN, Mode

Ints = NDArray[np.int64]
Views = Literal["one", "ten"]


@dataclass(frozen=True)
class Embedded:
    """What a network says of N tracklets.

    Attributes:
        vectors: (N, D) float32, unit length unless the method says otherwise.
        scores: (F, R) float32 of all their frames, in the order of tracklets and positions.
        n_frames: (N,) frames of each.
    """

    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]
    n_frames: Ints


class _Frames(Dataset):
    """Pieces of at most `size` frames: images (n, 3, H, W) uint8 of consecutive rows of the table
    of frames."""

    def __init__(self, index: TrackletIndex, rows: Ints, size: int, shape: tuple[int, int]) -> None:
        self._index, self._rows, self._size, self._shape = index, rows, size, shape

    def __len__(self) -> int:
        return -(-len(self._rows) // self._size)

    def __getitem__(self, piece: int) -> Tensor:
        rows = self._rows[piece * self._size : (piece + 1) * self._size]
        images = np.stack([self._index.images.decode(int(row), self._shape) for row in rows])
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class SetEmbedOptions:
    """How tracklets are embedded.

    Attributes:
        height, width: images are stretched to this size, in pixels.
        batch: frames that go through the network at once.
        n_workers: processes that read images ahead.
        mode: precision and layout.
        cut: height and width of the part in the middle that is seen; None: all of the image.
        views: `one`, or `ten`: corners, middle and their mirror images, averaged.
    """

    height: int
    width: int
    batch: int = 64
    n_workers: int = 1
    mode: Mode = PLAIN
    cut: tuple[int, int] | None = None
    views: Views = "one"


@torch.no_grad()
def embed_tracklets(
    network: SetNetwork, index: TrackletIndex, tracklets: Ints, options: SetEmbedOptions
) -> Embedded:
    """Embeds the tracklets with these rows, each from all of its frames.

    Errors: CorruptCropError that names an image.
    """
    network.eval()
    counts = np.diff(index.starts)[tracklets]
    rows = np.concatenate([np.arange(index.starts[t], index.starts[t + 1]) for t in tracklets])
    owner = np.repeat(np.arange(len(tracklets)), counts)
    vectors, scores, sums, last = [], [], _open_sums(network), 0
    first = 0
    with (
        show_progress("embed", len(rows), "images") as progress,
        closing(iter_frames(network, index, rows, options)) as pieces,
    ):
        for features, piece_scores in pieces:
            stop = first + len(features)
            for tracklet in range(owner[first], owner[stop - 1] + 1):
                if tracklet != last:
                    vectors.append(_finish(network, sums))
                    sums, last = _open_sums(network), tracklet
                mine = torch.from_numpy(owner[first:stop] == tracklet)
                _add(network, sums, features[mine], piece_scores[mine])
            scores.append(piece_scores)
            progress.advance(stop - first)
            first = stop
    vectors.append(_finish(network, sums))
    return Embedded(torch.stack(vectors).numpy(), torch.cat(scores).numpy(), counts)


def iter_frames(
    network: SetNetwork, index: TrackletIndex, rows: Ints, options: SetEmbedOptions
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Regional features (n, R, C) and scores (n, R) of these rows of the table of frames, a batch
    at a time; to be closed, as `iter_ahead`."""
    device = next(network.parameters()).device
    frames = _Frames(index, rows, options.batch, (options.height, options.width))
    with closing(iter_ahead(frames, options.n_workers)) as ahead:
        for images in ahead:
            seen = []
            for view in list_views(images, options.cut, options.views):
                pixels = options.mode.to_layout(network.prepare(view.to(device)))
                with options.mode.autocast(device):
                    _, features, scores = network.describe_frames(pixels)
                seen.append((features.float().cpu(), scores.float().cpu()))
            features, scores = (sum(parts[1:], start=parts[0]) for parts in zip(*seen, strict=True))
            yield (features, scores) if len(seen) == 1 else (
                features / len(seen), scores / len(seen)
            )  # fmt: skip


def list_views(images: Tensor, cut: tuple[int, int] | None, views: Views) -> list[Tensor]:
    """What is seen of images (N, C, H, W) in a test: the part in the middle, or ten views: the four
    corners and the middle, each with its mirror image.

    >>> [tuple(view.shape) for view in list_views(torch.zeros(1, 3, 8, 6), (4, 4), "one")]
    [(1, 3, 4, 4)]
    """
    height, width = images.shape[2:] if cut is None else cut
    low, right = images.shape[2] - height, images.shape[3] - width
    places = [(low // 2, right // 2)]
    if views == "ten":
        places += [(0, 0), (0, right), (low, 0), (low, right)]
    parts = [images[:, :, top : top + height, left : left + width] for top, left in places]
    return [*parts, *(part.flip(3) for part in parts)] if views == "ten" else parts


def estimate_embedding(
    network: SetNetwork,
    index: TrackletIndex,
    tracklets: Ints,
    options: SetEmbedOptions,
    *,
    per_frame: bool = False,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """What embedding these tracklets will cost, from a few batches.

    Args:
        per_frame: whether each frame gets a row of the file, or each tracklet.
    """
    counts = np.diff(index.starts)[tracklets]
    rows = np.repeat(index.starts[tracklets], counts) + ragged_arange(counts)
    first, alone = rows[: options.batch], replace(options, n_workers=0)
    shapes: list[torch.Size] = []

    def step() -> None:
        with torch.no_grad(), closing(iter_frames(network, index, first, alone)) as pieces:
            shapes.extend(features.shape for features, _ in pieces)

    network.eval()
    seconds = time_steps(step, len(rows) / len(first), clock)
    n_bytes = 4 * shapes[0][1:].numel() * (len(rows) if per_frame else len(tracklets))
    basis = f"a trial of {len(first)} images, {len(rows):,} in all"
    return Estimate("embed", seconds, 1, n_bytes, basis)


def _add(network: SetNetwork, sums: SetSums | SetLargest, features: Tensor, scores: Tensor) -> None:
    if network.spec.quality == "appended":
        features, scores = append_scores(features, scores), torch.ones(len(features), 1)
    sums.add(features, scores)


def _open_sums(network: SetNetwork) -> SetSums | SetLargest:
    return SetLargest() if network.spec.pooling == "max" else SetSums()


def _finish(network: SetNetwork, sums: SetSums | SetLargest) -> Tensor:
    vector = sums.finish().flatten()
    if network.spec.heads in ("neck", "necks"):
        device = next(network.parameters()).device
        vector = network.neck(vector[None].to(device))[0].cpu()
    return F.normalize(vector, dim=0) if network.spec.unit else vector
