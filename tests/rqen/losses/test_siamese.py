"""The pair losses of CNN+RNN at distances chosen by hand, and their gradients."""

import pytest
import torch

from lpw_toolkit.errors import LpwError
from rqen.loss import LossRecipe
from rqen.losses import siamese, siamese_squared
from rqen.model.network import Output
from rqen.recipe import DataRecipe

FORMS = [(siamese, "siamese_loss"), (siamese_squared, "squared_siamese_loss")]


@pytest.mark.parametrize(
    ("distance", "same", "plain", "squared"),
    [(0.0, True, 0.0, 0.0), (0.5, True, 0.5, 0.125), (3.0, True, 3.0, 4.5),
     (0.0, False, 2.0, 2.0), (0.5, False, 1.5, 1.125), (2.0, False, 0.0, 0.0),
     (3.0, False, 0.0, 0.0)],
)  # fmt: skip
def test_values(distance, same, plain, squared):
    arguments = torch.tensor([distance]), torch.tensor([same]), 2.0
    assert siamese.siamese_loss(*arguments).item() == plain
    assert siamese_squared.squared_siamese_loss(*arguments).item() == squared


@pytest.mark.parametrize(("module", "function"), FORMS)
def test_pairs_are_the_halves_of_a_batch(module, function):
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0], [1.0, 1.0]], requires_grad=True)
    person = torch.tensor([7, 8, 7, 9])
    output = Output(vectors, *[None] * 3, (), vectors)
    term = module.measure_loss(output, person, LossRecipe(margin=2.0), None)["pair"]
    distance, same = torch.tensor([5.0, 1.0]), torch.tensor([True, False])
    expected = getattr(module, function)(distance, same, 2.0)
    assert term.value.item() == pytest.approx(expected.item(), abs=1e-4)
    assert term.weight == 1
    term.value.backward()
    assert vectors.grad[0] @ torch.tensor([3.0, 4.0]) < 0  # a step brings one person together
    assert vectors.grad[1] @ torch.tensor([0.0, 1.0]) > 0  # and drives two persons apart


@pytest.mark.parametrize(("module", "_"), FORMS)
def test_equal_vectors_have_a_finite_gradient(module, _):
    vectors = torch.ones(4, 3, requires_grad=True)
    output = Output(vectors, *[None] * 3, (), vectors)
    person = torch.tensor([0, 1, 0, 2])
    module.measure_loss(output, person, LossRecipe(margin=2.0), None)["pair"].value.backward()
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize(("module", "_"), FORMS)
def test_other_batches_are_refused(module, _):
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(LpwError, match=rf"got triplets; expected pairs with loss\.triplet={name}"):
        module.refuse_data(DataRecipe(batch="triplets"))
