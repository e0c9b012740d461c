"""The contract of a method: the parts of RQEN, of its ablations and of the methods it is compared
with.

Each file in `methods/` has one `METHOD`, of one of three kinds:

    MethodSpec      parts of RQEN's network (network.py), trained by the common loop
    NetworkMethod   a network of its own, trained by the common loop
    FittedMethod    no gradients: `fit` makes named arrays of the training tracklets

A method gives one vector for each tracklet. It may keep more (the vectors of a set, maps for a
scorer of pairs), which its own `compare` makes distances of. Learned metrics and re-ranking follow
after any of them: `rqen+xqda+rerank`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lpw_toolkit.errors import LpwError
from lpw_toolkit.plugins import PluginFolder

if TYPE_CHECKING:  # lists of methods are printed without PyTorch
    from torch import nn

    from lpw_toolkit.dataset.clip_index import TrackletIndex
    from lpw_toolkit.embedding.tracklet_distance import TrackletDistance
    from rqen.model.backbone import BackboneOptions
    from rqen.model.clip import Arrays, Clip, Description, Descriptions, FrameReader, TrainingClips

METHODS = PluginFolder("rqen.model.methods", "method")
#: Upper, middle and lower part of the body, in rows of a map of 7 (from the landmarks of the data
#: set).
DIVISION = (3.0, 2.0, 2.0)
Quality = Literal["predicted", "uniform", "appended"]
PredictorVariant = Literal["paper", "released_pool2", "released_image"]
Heads = Literal["frame", "neck", "necks", "none"]
Pooling = Literal["mean", "max"]
Metric = Literal["cosine", "euclidean", "own"]


@dataclass(frozen=True)
class Needs:
    """What a dataset must have; a method refuses another one in one line.

    Attributes:
        min_frames: of a tracklet that trains; shorter ones are left out, counted and told.
        min_test_frames: of a tracklet that is tested; shorter ones are left out of queries and
            gallery, counted and told.
        two_cameras: whether a person must be seen by two cameras.
        frame_times: whether frames must have times, as those of a video have.
    """

    min_frames: int = 1
    min_test_frames: int = 1
    two_cameras: bool = False
    frame_times: bool = False


@dataclass(frozen=True)
class MethodSpec:
    """What a method is made of; each file in `methods/` has one, called `METHOD`.

    Attributes:
        division: parts of the height, from above; one part is the whole body.
        region: number of the only part that is used; None: all.
        quality: `predicted` weighs frames by their scores; `uniform` takes the mean; `appended`
            puts the scores behind the features of each frame and takes the mean of unit vectors (as
            many parameters as `predicted`; behind a neck, those of one more column a region).
        predictor: variant of the quality predictor; not used by `uniform`.
        heads: where identities are learned: `frame`, `neck`, `necks`, or `none`. `neck` gives every
            method one classifier.
        auxiliary: whether `frame` has auxiliary heads on the middle maps of the backbone, where
            there are any.
        distance_loss: whether the distance loss of the recipe is used. Without it, identities are
            learned from single frames where other methods draw triplets.
        pooling: how the frames of a set become one vector with `uniform`: their mean, or the
            largest of each number.
        projection: widths of an embedding layer on the features of each frame: fully connected,
            batch normalisation and ReLU up to the last, which is fully connected alone. Empty: the
            features themselves.
        dropout: share of the numbers that is left out before the classifiers of `frame`.
        unit: whether vectors have length 1.
        fixed_heads: whether the method keeps its own `heads`, whatever the recipe says.
        metric: how its vectors are compared.
        recipe, small_recipe: that it is trained by unless another one is asked for, and the one for
            small data.
        needs: of a dataset.
    """

    division: tuple[float, ...] = DIVISION
    region: int | None = None
    quality: Quality = "predicted"
    predictor: PredictorVariant = "paper"
    heads: Heads = "frame"
    auxiliary: bool = True
    distance_loss: bool = True
    pooling: Pooling = "mean"
    projection: tuple[int, ...] = ()
    dropout: float = 0.0
    unit: bool = True
    fixed_heads: bool = False
    metric: Metric = "cosine"
    recipe: str = "modern"
    small_recipe: str = "modern"
    needs: Needs = Needs()

    @property
    def n_regions(self) -> int:
        """Regions that a vector is made of."""
        return len(self.division) if self.region is None else 1

    @property
    def n_classifiers(self) -> int:
        """Classifiers on the vector of a set: with `necks` one for each region, so that methods
        differ in them; 0 with heads on frames, which are the same for every method."""
        return {"neck": 1, "necks": self.n_regions}.get(self.heads, 0)


def describe_form(spec: Any) -> dict[str, str]:
    """What runs and results record of a method whose vectors were others in an older version, so
    that one of that version is not taken for its own. Mostly nothing.

    >>> describe_form(MethodSpec(quality="appended", heads="neck"))
    {'scores': 'learned behind the neck'}
    """
    learns = isinstance(spec, MethodSpec) and (
        spec.quality == "appended" and spec.heads in ("neck", "necks")
    )
    return {"scores": "learned behind the neck"} if learns else {}


@dataclass(frozen=True)
class NoSettings:
    """The settings of a method that has none."""


@dataclass(frozen=True)
class NetworkRequest:
    """What the network of a `NetworkMethod` is made for.

    Attributes:
        n_persons: identities to tell apart in training.
        size: height and width in pixels of the images that it sees.
        n_frames: T, of a set in training.
        backbone: name of a backbone, as the recipe has it, for networks that take one.
        options: how it is opened (`rqen.model.backbone.open_backbone`).
        settings: of the method, an instance of its `settings`.
    """

    n_persons: int
    size: tuple[int, int]
    n_frames: int
    backbone: str
    options: "BackboneOptions"
    settings: Any


@dataclass(frozen=True)
class NetworkMethod:
    """A method with a network of its own, trained by the common loop.

    The network that `build` makes is a `torch.nn.Module` with

    * `weights`: what it started from, as `rqen.model.backbone.Backbone` has it;
    * `fill`: the RGB colour (three numbers, 0-255) of erased rectangles;
    * `prepare(images)`: what the reader gave, (…, C, H, W) uint8, as the network sees it;
    * `forward(images, mask=None)`: prepared sets (B, T, C, H, W) to a
      `rqen.model.network.Output`, or to a tuple that has its fields and more; the losses of the
      recipe take it;
    * optionally `backbone` (its rate is `optim.lr` without the factor of the heads),
      `start_step(iteration, n_iterations)` (called before each step of training: for stages), and
      `classifiers` (beginnings of names of weights that `--start-from` leaves out).

    Attributes:
        build: makes the network.
        describe: what is kept of a tracklet: a function of the network in evaluation (without
            gradient), the clip and the settings; None for a tracklet that cannot be described.
        open_reader: what reads frames of this height and width; None reads RGB.
        compare: the method's own distance, of the network, the descriptions and the settings, where
            `metric` is `own`.
        calibrate: called once after training with the network, the descriptions of the persons held
            out of it (`train.validation`), their labels (N,) and cameras (N,); may change what the
            network stores, and returns figures for run.json.
        settings: a frozen dataclass whose fields are the recipe's section `[method]`.
        metric: how vectors are compared: `cosine`, `euclidean`, or `own`.
        frames_used: which frames of a tracklet a description is made of, in words.
        recipe, small_recipe: that it is trained by unless another one is asked for, and the one for
            small data.
        needs: of a dataset.
        distance_loss: as in `MethodSpec`.
    """

    build: "Callable[[NetworkRequest], nn.Module]"
    describe: "Callable[[Any, Clip, Any], Description | None]"
    recipe: str
    small_recipe: str
    open_reader: "Callable[[TrackletIndex, tuple[int, int], Any], FrameReader] | None" = None
    compare: "Callable[[Any, Descriptions, Any], TrackletDistance] | None" = None
    calibrate: "Callable[[Any, Descriptions, Any, Any], Mapping[str, float]] | None" = None
    settings: type = NoSettings
    metric: Metric = "cosine"
    frames_used: str = "all"
    needs: Needs = Needs()
    distance_loss: bool = True


@dataclass(frozen=True)
class FittedMethod:
    """A method without gradients: its model is what `fit` makes of the training tracklets.

    Attributes:
        fit: named arrays, of the training clips, the settings and a generator by the recipe's seed.
        describe: what is kept of a tracklet: a function of the arrays, the clip and the settings;
            None for a tracklet that cannot be described.
        compare, settings, metric, frames_used, recipe, small_recipe, needs: as in `NetworkMethod`.
        open_reader: as there.
    """

    fit: "Callable[[TrainingClips, Any, np.random.Generator], Arrays]"
    describe: "Callable[[Any, Clip, Any], Description | None]"
    recipe: str
    small_recipe: str
    open_reader: "Callable[[TrackletIndex, tuple[int, int], Any], FrameReader] | None" = None
    compare: "Callable[[Any, Descriptions, Any], TrackletDistance] | None" = None
    settings: type = NoSettings
    metric: Metric = "euclidean"
    frames_used: str = "all"
    needs: Needs = Needs()


Method = MethodSpec | NetworkMethod | FittedMethod


def open_method(name: str) -> Any:
    """The method called `name`, a `Method`; `-` and `_` mean the same. Errors: LpwError that lists
    the names, or for a file that is none.

    >>> open_method("qan").n_regions
    1
    """
    method = METHODS.load(name).METHOD
    if not isinstance(method, MethodSpec | NetworkMethod | FittedMethod):
        expected = "a MethodSpec, NetworkMethod or FittedMethod"
        raise LpwError(f"METHOD of {name}", type(method).__name__, expected, "correct its file")
    return method


def open_spec(name: str) -> MethodSpec:
    """The method called `name` where it is one of RQEN's family.

    Errors: as `open_method`; LpwError for a method of another kind, which has no regions and no
    quality.
    """
    method = open_method(name)
    if not isinstance(method, MethodSpec):
        raise LpwError(
            f"method {name}",
            "a method without regions and quality",
            f"one of {', '.join(list_family())}",
            "choose one of them",
        )
    return method


def list_family() -> list[str]:
    """The names of the methods that are parts of RQEN's network."""
    return [name for name in METHODS.names() if isinstance(open_method(name), MethodSpec)]


def list_spellings() -> list[str]:
    """The names of all methods, with `-` and with `_`."""
    return sorted({name.replace("_", sign) for name in METHODS.names() for sign in "-_"})
