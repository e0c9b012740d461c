"""Spatial recurrence: directions, symmetry, and that it tells planted differences apart."""

import pytest
import torch
from torch.nn import functional as F

from rqen.model.spatial_recurrence import DIRECTIONS, DirectionalRecurrence, SpatialRecurrence

STEPS = {
    "right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0),
    "down_right": (1, 1), "down_left": (1, -1),
}  # fmt: skip
C = 3


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn(2, 5, 4, C, generator=torch.Generator().manual_seed(1)).double()


def make(direction: str) -> DirectionalRecurrence:
    torch.manual_seed(0)
    recurrence = DirectionalRecurrence(direction, C).double()
    torch.nn.init.normal_(recurrence.of_state.weight, std=0.5)
    return recurrence


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_each_state_follows_from_the_one_before_it(direction, maps):
    recurrence, (down, right) = make(direction), STEPS[direction]
    states = recurrence(maps)
    expected = torch.zeros_like(states)
    rows = range(5) if down >= 0 else range(4, -1, -1)
    columns = range(4) if right >= 0 else range(3, -1, -1)
    for y in rows:
        for x in columns:
            inside = 0 <= y - down < 5 and 0 <= x - right < 4
            before = expected[:, y - down, x - right] if inside else torch.zeros(2, C).double()
            expected[:, y, x] = F.relu(
                recurrence.of_input(maps[:, y, x]) + recurrence.of_state(before)
            )
    torch.testing.assert_close(states, expected)
    assert states.abs().sum() > 0


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_without_recurrent_weights_it_is_a_1_x_1_convolution(direction, maps):
    recurrence = make(direction)
    torch.nn.init.zeros_(recurrence.of_state.weight)
    inner = recurrence.of_input
    convolved = F.conv2d(maps.permute(0, 3, 1, 2), inner.weight[:, :, None, None], inner.bias)
    torch.testing.assert_close(recurrence(maps), F.relu(convolved).permute(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("direction", "other", "axis"),
    [("right", "left", 2), ("down", "up", 1), ("down_right", "down_left", 2)],
)
def test_a_direction_on_flipped_maps_is_the_opposite_one_flipped(direction, other, axis, maps):
    torch.testing.assert_close(make(direction)(maps.flip(axis)), make(other)(maps).flip(axis))


def test_the_number_of_parameters():
    """1 x 1 to 64, six times (64 x 64 + 64 and 64 x 64), 384 x 128 + 128, 36 x 128 x 2 + 2."""
    n = sum(p.numel() for p in SpatialRecurrence(256, (6, 6)).parameters())
    assert n == 256 * 64 + 6 * (2 * 64 * 64 + 64) + 384 * 128 + 128 + 36 * 128 * 2 + 2


def test_the_order_of_a_pair_does_not_matter():
    torch.manual_seed(0)
    model = SpatialRecurrence(5, (4, 2)).double()
    one, other = model.project(torch.randn(2, 3, 5, 4, 2).double().flatten(0, 1)).chunk(2)
    logits = model(one, other)
    torch.testing.assert_close(model(other, one), logits)
    assert logits.std() > 0


def test_projecting_each_map_is_projecting_the_difference():
    torch.manual_seed(0)
    model = SpatialRecurrence(5, (4, 2)).double()
    one, other = torch.randn(2, 3, 5, 4, 2).double()
    both = model.project(one - other)
    torch.testing.assert_close(model.project(one) - model.project(other), both)
    torch.testing.assert_close(
        model(model.project(one), model.project(other)), model(both, torch.zeros_like(both))
    )


def test_every_parameter_has_a_gradient():
    torch.manual_seed(0)
    model = SpatialRecurrence(5, (4, 3))
    maps = model.project(torch.randn(6, 5, 4, 3))
    F.softplus(model(maps[:3], maps[3:])).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def draw_pairs(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps of persons with a pattern of their own, in noise: of the same person in half of n
    pairs."""
    rng = torch.Generator().manual_seed(seed)
    patterns = torch.randn(40, 8, 4, 2, generator=rng)
    first = torch.randint(40, (n,), generator=rng)
    apart = torch.randint(1, 40, (n,), generator=rng)
    same = torch.arange(n) % 2 == 0
    second = torch.where(same, first, (first + apart) % 40)
    noise = 0.5 * torch.randn(2, n, 8, 4, 2, generator=rng)
    return patterns[first] + noise[0], patterns[second] + noise[1], same


def test_it_learns_to_tell_planted_differences_apart():
    torch.manual_seed(0)
    model = SpatialRecurrence(8, (4, 2))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    one, other, same = draw_pairs(0, 512)
    for start in range(0, 512 * 12, 64):
        rows = torch.arange(start, start + 64) % 512
        logits = model(model.project(one[rows]), model.project(other[rows]))
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(logits, same[rows].float()).backward()
        optimiser.step()
    one, other, same = draw_pairs(1, 200)  # other persons
    with torch.no_grad():
        found = model(model.project(one), model.project(other)) > 0
    assert (found == same).float().mean() > 0.9
