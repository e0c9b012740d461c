"""RQEN as a `torch.nn.Module`: sets of frames in, embeddings out; with random, public or trained
weights."""

from os import PathLike
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lpw_toolkit.api.calls import public_call
from lpw_toolkit.errors import LpwError, check_range
from rqen.inference.run_descriptions import OpenDescriber, open_describer
from rqen.inference.run_vectors import is_family
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.clip import Clip, Description
from rqen.model.method import open_spec
from rqen.model.network import SetNetwork
from rqen.recipe import read_recipe
from rqen.run.trained_network import open_network, read_run_recipe

MAX_PERSONS = 10**7  # classes: beyond, a classifier fills the memory
MAX_SIDE_PX = 4096


class RQEN(nn.Module):
    """A method on a backbone, as a recipe describes it.

    Args:
        method: name of a file in `rqen/model/methods/`, such as `rqen`, `qan` or `mean`.
        recipe: name of a recipe, or the path of a `.toml` file; None: the method's own.
        backbone: name of a file in `rqen/model/backbones/`, or `timm:NAME`; None: the recipe's.
        weights: of the backbone: `imagenet`, `random`, or the path of a file; None: the recipe's.
            What has no public weights starts at random, from PyTorch's generator.
        size: height and width of the images in pixels; None: the recipe's.
        n_persons: classes of the classifiers in `network`; embeddings do not depend on it.
        download: whether a `timm:` backbone may fetch its weights itself, without a pinned digest.

    Attributes:
        network: the network with its classifiers, for training.
        size: height and width of the images in pixels.

    Errors: LpwError for an unknown name, or weights that are missing.

    >>> import torch, rqen
    >>> model = rqen.RQEN("rqen", weights="random", size=(64, 32)).eval()
    >>> images = torch.zeros(2, 4, 3, 64, 32, dtype=torch.uint8)  # 2 sets of 4 RGB frames
    >>> with torch.no_grad():
    ...     embeddings, scores = model(images, return_scores=True)
    >>> embeddings.shape, scores.shape
    (torch.Size([2, 3840]), torch.Size([2, 4, 3]))
    """

    network: SetNetwork
    size: tuple[int, int]

    @public_call
    def __init__(
        self,
        method: str = "rqen",
        *,
        recipe: str | PathLike[str] | None = None,
        backbone: str | None = None,
        weights: str | PathLike[str] | None = None,
        size: tuple[int, int] | None = None,
        n_persons: int = 1,
        download: bool = False,
    ) -> None:
        super().__init__()
        check_range("n_persons", n_persons, 1, MAX_PERSONS, whole=True)
        given = read_recipe(str(recipe or open_spec(method).recipe))
        self.size = size or given.data.input_size
        for side in self.size:
            check_range("size", side, 1, MAX_SIDE_PX, whole=True)
        options = BackboneOptions(
            str(weights or given.model.weights), download, given.model.last_stride
        )
        maps = open_backbone(backbone or given.model.backbone, options)
        self.network = SetNetwork(maps, given.specify(method), n_persons, self.size)

    @classmethod
    def from_network(cls, network: SetNetwork, size: tuple[int, int]) -> "RQEN":
        """A module around a network for images of this height and width in pixels."""
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.network, model.size = network, size
        return model

    @overload
    def forward(
        self, images: Tensor, mask: Tensor | None = None, *, return_scores: Literal[False] = False
    ) -> Tensor: ...

    @overload
    def forward(
        self, images: Tensor, mask: Tensor | None = None, *, return_scores: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, images: Tensor, mask: Tensor | None = None, *, return_scores: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Embeds sets of frames.

        Args:
            images: (B, T, 3, H, W) RGB from 0 to 255, uint8 or floating point; H and W are `size`.
            mask: (B, T) bool, True where there is a frame; None: everywhere. What is masked may
                hold anything.
            return_scores: whether the scores are returned too.

        Returns:
            Embeddings (B, D), float32, of unit length unless the method says otherwise; with
            `return_scores` also the scores (B, T, R) of each frame and region, in (0, 1); 1 for a
            method that predicts none, 0 for what is masked.

        Errors: LpwError for images or a mask of another shape, or a set without frames.
        """
        _refuse_no_tensor("images", images)
        if mask is not None:
            _refuse_no_tensor("mask", mask)
        n_sets, n_frames = images.shape[:2] if images.ndim > 1 else (0, 0)
        if images.shape != (n_sets, n_frames, 3, *self.size) or not images.numel():
            expected = f"(B, T, 3, {self.size[0]}, {self.size[1]})"
            raise LpwError("images", f"shape {tuple(images.shape)}", expected, "resize the frames")
        if mask is not None and mask.shape != (n_sets, n_frames):
            got, expected = f"shape {tuple(mask.shape)}", f"({n_sets}, {n_frames})"
            raise LpwError("mask", got, expected, "give one value for each frame")
        if mask is not None and not mask.bool().any(dim=1).all():
            do = "leave that set out, or mark its frames"
            raise LpwError("mask", "a set without frames", "a frame or more in each", do)
        _, features, scores = self.network.describe_sets(self.network.prepare(images), mask)
        scores = scores.float()
        embedding = self.network.join(features, scores, mask).embedding
        return (embedding, scores) if return_scores else embedding


def _refuse_no_tensor(name: str, given: object) -> None:
    if not isinstance(given, Tensor):
        got = f"{type(given).__module__}.{type(given).__name__}"
        do = f"torch.as_tensor({name}) makes one of an array"
        raise LpwError(name, got, "a torch.Tensor", do)


class TrackletModel:
    """A finished run of a method without regions, such as `sta`: it describes one tracklet at a
    time.

    Args:
        opened: the model of the run.

    Attributes:
        method: its name.
        size: height and width in pixels of the images that it takes.
    """

    def __init__(self, opened: OpenDescriber) -> None:
        self._opened = opened
        request = opened.request
        self.method, self.size = request.method, (request.options.height, request.options.width)

    @public_call
    @torch.no_grad()
    def describe(
        self,
        images: NDArray[np.uint8],
        *,
        camera: int = 0,
        times_s: NDArray[np.float64] | None = None,
    ) -> Description | None:
        """What the method keeps of the frames of one tracklet.

        Args:
            images: (T, H, W, C) uint8 in the order of time, RGB unless the method's reader gives
                more; H and W are `size`.
            camera: number of the camera.
            times_s: (T,) seconds of the frames, where they are known.

        Returns the vector (D,) and what else the method keeps; None where it cannot describe the
        tracklet, for example because it is too short.

        Errors: LpwError for images of another shape.
        """
        if images.ndim != 4 or images.shape[1:3] != self.size or not len(images):
            expected = f"(T, {self.size[0]}, {self.size[1]}, C)"
            raise LpwError("images", f"shape {images.shape}", expected, "resize the frames")
        request = self._opened.request
        clip = Clip("", images, camera, np.arange(len(images)), times_s)
        found: Description | None = request.spec.describe(
            self._opened.model, clip, request.settings
        )
        return found


@public_call
def load(run: str | PathLike[str]) -> RQEN | TrackletModel:
    """The model of a finished run of `lpw train`, in evaluation on the CPU: an `RQEN`, or a
    `TrackletModel` for a method without regions.

    Args:
        run: folder of the run. Its weights are verified against run.json; nothing is unpickled.

    Errors: LpwError where there is no finished run, MismatchError for a damaged one.

    >>> import rqen
    >>> rqen.load("runs/missing")
    Traceback (most recent call last):
    lpw_toolkit.errors.LpwError: runs/missing: got no such folder; ...
    """
    if not is_family(Path(run)):
        return TrackletModel(open_describer(Path(run), on_gpu=False))
    network, facts = open_network(Path(run))
    return RQEN.from_network(network, read_run_recipe(facts).data.input_size)
