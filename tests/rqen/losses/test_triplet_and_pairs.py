"""Triplets and pairs: values by hand, stages, and what is refused."""

import math
from types import SimpleNamespace

import pytest
import torch

from lpw_toolkit.errors import LpwError
from rqen.loss import LossRecipe
from rqen.losses.triplet_and_pairs import (
    all_triplets_loss,
    measure_loss,
    pairs_loss,
    refuse_data,
)
from rqen.recipe import DataRecipe

PERSON = torch.tensor([0, 0, 1])


def on_circle(*degrees: float) -> torch.Tensor:
    angles = torch.tensor(degrees).double() * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_triplets_by_hand():
    """Squared distances: 2 - 2 cos 60 = 1 (a p), 2 - 2 cos 90 = 2 (p n), 2 - 2 cos 150 (a n)."""
    vectors = on_circle(0, 60, 150)
    far = 2 + math.sqrt(3)
    assert float(all_triplets_loss(vectors, PERSON, 0.5)) == 0
    expected = 1.5 + 1 - 2  # of the triplet (p, a, n) alone: (a, p, n) keeps the margin
    assert float(all_triplets_loss(vectors, PERSON, 1.5)) == pytest.approx(expected)
    both = ((3 + 1 - 2) + (3 + 1 - far)) / 2
    assert float(all_triplets_loss(vectors, PERSON, 3.0)) == pytest.approx(both)


def test_triplets_that_keep_the_margin_have_no_gradient():
    vectors = on_circle(0, 1, 180).requires_grad_()
    all_triplets_loss(vectors, PERSON, 1.0).backward()
    assert vectors.grad.abs().sum() == 0


def test_pairs_by_hand():
    """Logits 0, 1, -1 of pairs (0, 1) of one person, (0, 2) and (1, 2) of two."""
    same = torch.tensor([0.0, 1.0, -1.0]).double()
    different = (math.log(1 + math.e) + math.log(1 + 1 / math.e)) / 2
    assert float(pairs_loss(same, PERSON)) == pytest.approx((math.log(2) + different) / 2)


def make_output(weights: tuple[float, float]) -> SimpleNamespace:
    return SimpleNamespace(
        embedding=on_circle(0, 60, 150), same=torch.zeros(3).double(), weights=weights
    )


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_terms_weigh_as_the_stage_says(weights):
    terms = measure_loss(make_output(weights), PERSON, LossRecipe(margin=1.5), None)
    assert (terms["triplet"].weight, terms["pairs"].weight) == weights
    assert float(terms["triplet"].value) == pytest.approx(0.5)
    assert float(terms["pairs"].value) == pytest.approx(math.log(2))


def test_triplets_are_those_of_all_processes():
    joined = [torch.tensor([[0.0, 1.0]]).double(), torch.tensor([5])]

    def gather(rows):
        return torch.cat([rows, joined[rows.ndim == 1]])

    terms = measure_loss(make_output((1.0, 1.0)), PERSON, LossRecipe(margin=3.0), gather)
    alone = all_triplets_loss(torch.cat([on_circle(0, 60, 150), joined[0]]),
                              torch.tensor([0, 0, 1, 5]), 3.0)  # fmt: skip
    assert float(terms["triplet"].value) == pytest.approx(float(alone))


def test_a_method_without_pairs_is_refused():
    output = SimpleNamespace(embedding=on_circle(0, 60, 150))
    with pytest.raises(LpwError, match="train srm_tam"):
        measure_loss(output, PERSON, LossRecipe(), None)


@pytest.mark.parametrize(
    "data", [DataRecipe(batch="frames"), DataRecipe(batch="sets", n_sets=1),
             DataRecipe(batch="sets", n_persons=1)],
)  # fmt: skip
def test_batches_without_both_kinds_are_refused(data):
    with pytest.raises(LpwError, match="with triplet_and_pairs"):
        refuse_data(data)


def test_triplets_have_both_kinds():
    assert refuse_data(DataRecipe(batch="triplets")) is None
