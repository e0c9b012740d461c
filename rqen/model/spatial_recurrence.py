"""The spatial recurrent model (SRM) of CNN+SRM+TAM: whether two maps show the same person, from
their difference.

    D = P (G_A - G_B)                               P: 1 x 1 convolution to 64 channels
    s(u) = ReLU(W_in D(u) + W_rec s(u - step) + b)  six directions with weights of their own
    six s side by side -> 1 x 1 convolution to 128, ReLU -> fully connected -> different, same

Scores of (A, B) and (B, A) are averaged, so that the order does not matter. Everything up to D is
linear: P is applied to each map once, and pairs cost the recurrences alone.

A reconstruction: no code was published, and these equations are ours (docs/methods.md).
Source: Zhou et al., See the Forest for the Trees, CVPR 2017, for the idea.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHANNELS, _MIXED = 64, 128


class Direction(NamedTuple):
    """A way across a map, as flips that turn it into the way down with a step to the side.

    Attributes:
        transpose: whether rows and columns are exchanged first.
        flip_rows: whether the last row then comes first.
        shift: columns to the right with each row: 0, or 1 for a diagonal.
        flip_columns: whether the last column comes first.
    """

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    shift: int


#: The six directions, by where they go.
DIRECTIONS = {
    "right": Direction(True, False, False, 0),
    "left": Direction(True, True, False, 0),
    "down": Direction(False, False, False, 0),
    "up": Direction(False, True, False, 0),
    "down_right": Direction(False, False, False, 1),
    "down_left": Direction(False, False, True, 1),
}


class DirectionalRecurrence(nn.Module):
    """One recurrence across maps: (N, H, W, C) to (N, H, W, C).

    Args:
        direction: a name of `DIRECTIONS`.
        channels: C.

    >>> import torch
    >>> DirectionalRecurrence("left", 4)(torch.zeros(2, 6, 3, 4)).shape
    torch.Size([2, 6, 3, 4])
    """

    def __init__(self, direction: str, channels: int) -> None:
        super().__init__()
        self.direction = DIRECTIONS[direction]
        self.of_input = nn.Linear(channels, channels)
        self.of_state = nn.Linear(channels, channels, bias=False)
        nn.init.eye_(self.of_state.weight)
        with torch.no_grad():
            self.of_state.weight.mul_(0.5)  # what was seen three steps ago still counts an eighth

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        inputs = self._turn(self.of_input(maps))
        before = torch.zeros_like(inputs[:, 0])
        rows = []
        for row in inputs.unbind(1):
            before = F.relu(row + self.of_state(before))
            rows.append(before)
            if self.direction.shift:
                before = F.pad(before[:, :-1], (0, 0, 1, 0))
        return self._turn_back(torch.stack(rows, dim=1))

    def _turn(self, maps: Tensor) -> Tensor:
        maps = maps.transpose(1, 2) if self.direction.transpose else maps
        return maps.flip(self._flipped) if self._flipped else maps

    def _turn_back(self, maps: Tensor) -> Tensor:
        maps = maps.flip(self._flipped) if self._flipped else maps
        return maps.transpose(1, 2) if self.direction.transpose else maps

    @property
    def _flipped(self) -> tuple[int, ...]:
        flips = {1: self.direction.flip_rows, 2: self.direction.flip_columns}
        return tuple(axis for axis, is_flipped in flips.items() if is_flipped)


class SpatialRecurrence(nn.Module):
    """Pairs of maps to the logit that both show the same person.

    Args:
        channels: of the maps.
        grid: height and width of the maps.

    >>> import torch
    >>> model = SpatialRecurrence(256, (6, 6))
    >>> maps = model.project(torch.zeros(3, 256, 6, 6))
    >>> model(maps[:2], maps[1:]).shape
    torch.Size([2])
    """

    def __init__(self, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.projection = nn.Conv2d(channels, _CHANNELS, 1, bias=False)  # a bias would cancel
        self.recurrences = nn.ModuleList(
            DirectionalRecurrence(name, _CHANNELS) for name in DIRECTIONS
        )
        self.mix = nn.Linear(len(DIRECTIONS) * _CHANNELS, _MIXED)
        self.decide = nn.Linear(_MIXED * grid[0] * grid[1], 2)

    @property
    def n_values(self) -> int:
        """Numbers that one pair takes for each cell of the map: the difference, a state and its
        input at a time, six states, their mixture."""
        return (3 + len(DIRECTIONS)) * _CHANNELS + _MIXED

    def project(self, maps: Tensor) -> Tensor:
        """P G (N, H, W, 64) of maps (N, C, H, W): what is kept of each tracklet."""
        projected: Tensor = self.projection(maps)
        return projected.permute(0, 2, 3, 1).contiguous()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits (N,) that the maps of `first` and `second` (N, H, W, 64), projected, show the same
        person; its sigmoid is the probability of the two-way softmax."""
        difference = first - second
        both = torch.cat([difference, -difference])
        states = torch.cat([recurrence(both) for recurrence in self.recurrences], dim=3)
        mixed = F.relu(self.mix(states))
        different, same = self.decide(mixed.flatten(1)).unbind(1)
        return (same - different).view(2, -1).mean(dim=0)
