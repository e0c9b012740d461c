"""Binomial deviance: values by hand, and what it must not do."""

import math

import pytest
import torch

from lpw_toolkit.errors import LpwError
from rqen.losses.binomial_deviance import binomial_deviance, refuse_data
from rqen.recipe import DataRecipe


def at_cosine(cosine: float, *, same: bool) -> float:
    """The loss of one pair with this cosine."""
    vectors = torch.tensor([[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]]).double()
    return float(binomial_deviance(vectors, torch.tensor([0, 0 if same else 1])))


@pytest.mark.parametrize("same", [True, False])
def test_at_beta_a_pair_counts_ln_2(same):
    assert at_cosine(0.5, same=same) == pytest.approx(math.log(2), abs=1e-9)


def test_values_by_hand():
    assert at_cosine(0.9, same=True) == pytest.approx(math.log(1 + math.exp(-2 * 0.4)))
    assert at_cosine(0.9, same=False) == pytest.approx(math.log(1 + math.exp(2 * 0.4 * 2)))


@pytest.mark.parametrize(("same", "sign"), [(True, -1), (False, 1)])
def test_it_is_monotone_in_the_cosine(same, sign):
    values = torch.tensor([at_cosine(s, same=same) for s in (-1.0, -0.3, 0.2, 0.5, 0.8, 1.0)])
    assert (sign * values.diff() > 0).all()


def test_each_kind_of_pair_weighs_one():
    """All vectors at a cosine of 1/2: ln 2 from 2 pairs of one person, ln 2 from 4 of two."""
    vectors = torch.linalg.cholesky(0.5 * torch.eye(4) + 0.5).double()
    assert float(binomial_deviance(vectors, torch.tensor([0, 0, 1, 1]))) == pytest.approx(
        2 * math.log(2), abs=1e-6
    )


def test_a_batch_of_one_person_has_a_gradient():
    vectors = torch.eye(3).requires_grad_()
    binomial_deviance(vectors, torch.zeros(3, dtype=torch.long)).backward()
    assert vectors.grad.abs().sum() > 0


def test_descent_separates_persons():
    torch.manual_seed(0)
    vectors, person = torch.randn(8, 4).requires_grad_(), torch.arange(8) // 2
    for _ in range(60):
        loss = binomial_deviance(torch.nn.functional.normalize(vectors, dim=1), person)
        (slope,) = torch.autograd.grad(loss, vectors)
        vectors = (vectors - slope).detach().requires_grad_()
    unit = torch.nn.functional.normalize(vectors.detach(), dim=1)
    same = person[:, None] == person
    assert (unit @ unit.T)[same].min() > (unit @ unit.T)[~same].max()


@pytest.mark.parametrize(
    "data", [DataRecipe(batch="frames"), DataRecipe(batch="sets", n_sets=1),
             DataRecipe(batch="sets", n_persons=1)],
)  # fmt: skip
def test_batches_without_both_kinds_are_refused(data):
    with pytest.raises(LpwError, match="with binomial_deviance"):
        refuse_data(data)


def test_triplets_have_both_kinds():
    assert refuse_data(DataRecipe(batch="triplets")) is None
