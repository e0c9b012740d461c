"""The temporal attention model (TAM) of CNN+SRM+TAM: at each step of a recurrence all frames are
weighed anew.

    e_{t,i} = w' tanh(W f_i + U h_{t-1} + b),   a_t = softmax_i(e_t)
    v_t = sum_i a_{t,i} f_i,   h_t = LSTM(v_t, h_{t-1}),   F = mean_t h_t

A reconstruction: no code was published, and these equations are ours (docs/methods.md).
Source: Zhou et al., See the Forest for the Trees, CVPR 2017, for the idea.
"""

import torch
from torch import Tensor, nn


class TemporalAttention(nn.Module):
    """Sets of frame vectors to one vector each.

    The number of steps is fixed, so that a test sees the recurrence as long as training did; in
    each of them all frames are weighed, however many there are. Their order does not matter.

    Args:
        width: C, of the frame vectors.
        hidden: D, of h and F.
        n_steps: of the recurrence.

    >>> import torch
    >>> TemporalAttention(8, 5, 3)(torch.zeros(2, 4, 8)).shape
    torch.Size([2, 5])
    """

    def __init__(self, width: int, hidden: int, n_steps: int) -> None:
        super().__init__()
        self.hidden, self.n_steps = hidden, n_steps
        self.of_frame = nn.Linear(width, hidden)
        self.of_state = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.cell: nn.Module = nn.LSTMCell(width, hidden)

    def attend(self, keys: Tensor, state: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weights (B, T) that sum to 1, of keys W f + b (B, T, D) under h (B, D); 0 where `mask`
        (B, T) is False."""
        scores = self.score(torch.tanh(keys + self.of_state(state)[:, None])).squeeze(2)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(dim=1)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """F (B, D) of frames (B, T, C); `mask` (B, T) is True where there is a frame, at least once
        in each set."""
        if mask is not None:
            frames = frames.masked_fill(
                ~mask[..., None], 0.0
            )  # a NaN there must not count as 0 * NaN
        keys = self.of_frame(frames)
        state = cell_state = frames.new_zeros(len(frames), self.hidden)
        total = torch.zeros_like(state)
        for _ in range(self.n_steps):
            weights = self.attend(keys, state, mask)
            seen = torch.einsum("bt,btc->bc", weights, frames)
            state, cell_state = self.cell(seen, (state, cell_state))
            total = total + state
        return total / self.n_steps
