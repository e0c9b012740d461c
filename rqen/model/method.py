"""The contract of a method: the parts of RQEN, of its ablations and of the methods it is compared
with."""

from dataclasses import dataclass
from typing import Literal

from lpw_toolkit.plugins import PluginFolder

METHODS = PluginFolder("rqen.model.methods", "method")
#: Upper, middle and lower part of the body, in rows of a map of 7 (from the landmarks of the data
#: set).
DIVISION = (3.0, 2.0, 2.0)
Quality = Literal["predicted", "uniform", "appended"]
PredictorVariant = Literal["paper", "released_pool2", "released_image"]
Heads = Literal["frame", "neck", "necks"]


@dataclass(frozen=True)
class MethodSpec:
    """What a method is made of; each file in `methods/` has one, called `METHOD`.

    Attributes:
        division: parts of the height, from above; one part is the whole body.
        region: number of the only part that is used; None: all.
        quality: `predicted` weighs frames by their scores; `uniform` takes the mean; `appended`
            puts the scores behind the features of each frame and takes the mean of unit vectors (as
            many parameters as `predicted`).
        predictor: variant of the quality predictor; not used by `uniform`.
        heads: where identities are learned: `frame`, `neck` or `necks`.
        auxiliary: whether `frame` has auxiliary heads on the middle maps of the backbone, where
            there are any.
        distance_loss: whether the distance loss of the recipe is used. Without it, identities are
            learned from single frames where other methods draw triplets.
    """

    division: tuple[float, ...] = DIVISION
    region: int | None = None
    quality: Quality = "predicted"
    predictor: PredictorVariant = "paper"
    heads: Heads = "frame"
    auxiliary: bool = True
    distance_loss: bool = True

    @property
    def n_regions(self) -> int:
        """Regions that a vector is made of."""
        return len(self.division) if self.region is None else 1


def open_method(name: str) -> MethodSpec:
    """The method called `name`; `-` and `_` mean the same. Errors: LpwError that lists the names.

    >>> open_method("qan").n_regions
    1
    """
    spec: MethodSpec = METHODS.load(name).METHOD
    return spec


def list_spellings() -> list[str]:
    """The names of all methods, with `-` and with `_`."""
    return sorted({name.replace("_", sign) for name in METHODS.names() for sign in "-_"})
