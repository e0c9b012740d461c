"""Temporal attention: what its weights are, and what they must not depend on."""

import pytest
import torch

from rqen.model.temporal_attention import TemporalAttention


@pytest.fixture
def attention() -> TemporalAttention:
    torch.manual_seed(0)
    return TemporalAttention(6, 5, 4).double()


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(1)).double()


class Identity(torch.nn.Module):
    def forward(self, seen, state):
        return seen, state[1]


def test_uniform_attention_and_a_cell_that_hands_on_give_the_mean(frames):
    attention = TemporalAttention(6, 6, 4).double()
    torch.nn.init.zeros_(attention.score.weight)
    attention.cell = Identity()
    torch.testing.assert_close(attention(frames), frames.mean(1))


def test_weights_sum_to_one_and_follow_their_frames(attention, frames):
    state = torch.randn(3, 5).double()
    weights = attention.attend(attention.of_frame(frames), state)
    torch.testing.assert_close(weights.sum(1), torch.ones(3).double())
    assert weights.std() > 0
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    turned = attention.attend(attention.of_frame(frames[:, order]), state)
    torch.testing.assert_close(turned, weights[:, order])


def test_the_vector_of_a_set_does_not_depend_on_the_order_of_its_frames(attention, frames):
    torch.testing.assert_close(attention(frames.flip(1)), attention(frames))


def test_weights_depend_on_the_state(attention, frames):
    keys = attention.of_frame(frames)
    one, other = attention.attend(keys, torch.zeros(3, 5).double()), None
    other = attention.attend(keys, 3 * torch.ones(3, 5).double())
    assert (one - other).abs().max() > 1e-3


def test_a_step_is_that_of_the_equations(attention, frames):
    """One step by hand: e = w' tanh(W f + b), h = LSTM(sum a f, 0)."""
    attention.n_steps = 1
    weight, bias = attention.of_frame.weight, attention.of_frame.bias
    scores = torch.tanh(frames @ weight.T + bias) @ attention.score.weight[0]
    share = scores.exp() / scores.exp().sum(1, keepdim=True)
    seen = (share[..., None] * frames).sum(1)
    gates = seen @ attention.cell.weight_ih.T + attention.cell.bias_ih + attention.cell.bias_hh
    enter, _, fresh, leave = gates.chunk(4, dim=1)
    expected = leave.sigmoid() * torch.tanh(enter.sigmoid() * torch.tanh(fresh))
    torch.testing.assert_close(attention(frames), expected)


def test_padding_counts_nothing_whatever_stands_there(attention, frames):
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[:, 5:] = False
    padded = frames.clone()
    padded[:, 5:] = float("nan")
    torch.testing.assert_close(attention(padded, mask), attention(frames[:, :5]))


def test_every_parameter_has_a_gradient(attention, frames):
    attention(frames).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in attention.parameters())
