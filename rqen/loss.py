"""The contract of a loss, and the settings that all losses share.

`softmax` is part of every objective. `loss.triplet` of a recipe names the file in `losses/` that is
added to it. Another package adds a loss by an entry point in the group `rqen.losses`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from lpw_toolkit.plugins import PluginFolder
from rqen.model.network import Output

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
        triplet: name of a file in `losses/`, such as `released` (Eq. 3, squared distances, halved)
            or `batch_hard`, or `none`.
        margin: of the triplet; 0 with `batch_hard` means its soft form.
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


def list_distance_losses() -> list[str]:
    """The values that `loss.triplet` may have."""
    return [*(name for name in LOSSES.names() if name != "softmax"), NO_DISTANCE_LOSS]
