"""The contract of a loss, and the settings that all losses share.

`softmax` is part of every objective. `loss.triplet` of a recipe names the file in `losses/` that is
added to it. Another package adds a loss by an entry point in the group `rqen.losses`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from lpw_toolkit.errors import LpwError
from lpw_toolkit.plugins import PluginFolder
from rqen.model.network import Output

if TYPE_CHECKING:
    from rqen.recipe import DataRecipe

LOSSES = PluginFolder("rqen.losses", "loss.triplet")
#: Value of `loss.triplet` for identity classification alone.
NO_DISTANCE_LOSS = "none"
#: Joins the rows of all processes, with gradient.
Gather = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LossRecipe:
    """What is minimised.

    Attributes:
        softmax: weight of the identity losses, each head alike.
        smoothing: label smoothing.
        triplet: name of a file in `losses/`, such as `printed` (Eq. 3 as the paper has it),
            `released` (the same of squared distances, halved) or `batch_hard`, or `none`.
        margin: of the triplet; 0 with `batch_hard` and `batch_hard_euclidean` means their soft
            form.
        pull: weight of the undocumented term that draws anchor and positive together.
    """

    softmax: float = 1.0
    smoothing: float = 0.0
    triplet: str = "released"
    margin: float = 1.8
    pull: float = 0.0


class Term(NamedTuple):
    """One summand of the objective: `weight` times `value`, a scalar with gradient."""

    weight: float
    value: Tensor


class Loss(Protocol):
    """What the module of a loss provides.

    It may also have `refuse_data(data: DataRecipe) -> None`, which raises LpwError for batches from
    which it cannot learn; it is called before a training begins.
    """

    def measure_loss(
        self, output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
    ) -> dict[str, Term]:
        """The terms of one step by the names that the log gives them.

        Args:
            output: of the network in training, for B sets; of triplets the first third are anchors,
                then positives, then negatives.
            person: (B,) integer labels.
            recipe: margins and weights.
            gather: joins the rows of all processes, for losses that compare the whole batch. None
                where there is one process.
        """


def mine_hardest(distance: Tensor, person: Tensor) -> Tensor:
    """How much farther the farthest positive is than the nearest negative, for each row (n,) that
    has both.

    Args:
        distance: (B, B) between the sets of a batch.
        person: (B,) labels.

    >>> import torch
    >>> d = torch.tensor([[0.0, 2.0, 5.0], [2.0, 0.0, 1.0], [5.0, 1.0, 0.0]])
    >>> mine_hardest(d, torch.tensor([7, 7, 8]))
    tensor([-3.,  1.])
    """
    same = person[:, None] == person[None]
    positive = same & ~torch.eye(len(person), dtype=torch.bool, device=person.device)
    usable = positive.any(1) & (~same).any(1)
    farthest = distance.masked_fill(~positive, float("-inf")).amax(1)[usable]
    nearest = distance.masked_fill(same, float("inf")).amin(1)[usable]
    return farthest - nearest


def refuse_other_batches(data: "DataRecipe", batch: str, loss: str, otherwise: str) -> None:
    """Errors: LpwError for batches that are not `batch`, of which the loss is made.

    Args:
        otherwise: what else can be done than to set `data.batch`.
    """
    if data.batch != batch:
        expected, do = (
            f"{batch} with loss.triplet={loss}",
            f"set data.batch={batch}, or {otherwise}",
        )
        raise LpwError("data.batch", data.batch, expected, do)


def compare_pairs(output: Output, person: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distances (P,) of the pairs that the two halves of a batch are, and whether each
    shows one person."""
    (one, other), (first, second) = output.raw.chunk(2), person.chunk(2)
    return F.pairwise_distance(one, other), first == second


def refuse_unpaired_sets(
    data: "DataRecipe", loss: str, do: str = "raise it, or train with loss.triplet=none"
) -> None:
    """Errors: LpwError for a recipe whose batches hold no set with both a positive and a negative,
    which `loss` needs; `do` says what to do then."""
    if data.batch != "sets":
        return
    for name in ("n_persons", "n_sets"):
        if getattr(data, name) < 2:
            raise LpwError(f"data.{name}", f"{getattr(data, name)}", f"2 or more with {loss}", do)


def list_distance_losses() -> list[str]:
    """The values that `loss.triplet` may have."""
    return [*(name for name in LOSSES.names() if name != "softmax"), NO_DISTANCE_LOSS]
