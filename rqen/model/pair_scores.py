"""Distances of pairs of tracklets from their vectors and from a scorer of their maps, so many pairs
at a time that they fit a fixed memory.

    distance = alpha |F_A - F_B| / 2 + (1 - alpha) (1 - p_same)

|F_A - F_B| is the distance of unit vectors, in [0, 2]; p_same is the scorer's.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpw_toolkit.dataset.ranges import split_rows
from rqen.model.spatial_recurrence import SpatialRecurrence

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
#: Memory of the pairs that are scored at once. tests/bench/bench_pair_scores.py --mb chose it: 4 MB
#: take 8 % longer, 64 MB no less.
PAIR_BYTES = 16 << 20


@dataclass(frozen=True)
class PairScores:
    """Distances of pairs among N tracklets.

    Attributes:
        scorer: of pairs of maps, in evaluation.
        alpha: share of the distance of vectors, in [0, 1].
        vectors: (N, D), unit length.
        maps: (N, H, W, 64), projected (`SpatialRecurrence.project`).
    """

    scorer: SpatialRecurrence
    alpha: float
    vectors: Floats
    maps: Floats

    @property
    def n_at_once(self) -> int:
        """Pairs that are scored at once: difference, six states and their mixture, both ways."""
        height, width = self.scorer.grid
        return max(1, PAIR_BYTES // (2 * 4 * height * width * self.scorer.n_values))

    def measure(self, first: Ints, second: Ints) -> Floats:
        """The distances (n,) of the tracklets `first` (n,) and `second` (n,)."""
        out = np.empty(len(first), dtype=np.float32)
        for a, b in split_rows(len(out), self.n_at_once):
            apart = np.linalg.norm(self.vectors[first[a:b]] - self.vectors[second[a:b]], axis=1)
            out[a:b] = self.alpha * apart / 2
            out[a:b] += (1 - self.alpha) * self._score(first[a:b], second[a:b])
        return out

    @torch.inference_mode()
    def _score(self, first: Ints, second: Ints) -> Floats:
        device = next(self.scorer.parameters()).device
        sides = (torch.from_numpy(self.maps[rows]).to(device) for rows in (first, second))
        different: Tensor = torch.sigmoid(-self.scorer(*sides))
        return np.asarray(different.cpu().numpy())
