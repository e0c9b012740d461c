"""What a method of another kind than RQEN's family keeps of tracklets, and the vectors of any
method's network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.embedding.tracklet_distance import TrackletDistance
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Estimate, time_steps
from lpw_toolkit.progress import show_progress
from rqen.data.clips import Clips, open_reader
from rqen.inference.embed import SetEmbedOptions, embed_tracklets
from rqen.model.clip import Clip, Description, Descriptions, join_descriptions
from rqen.model.method import MethodSpec, NetworkMethod
from rqen.recipe import Recipe

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class EmbedRequest:
    """How tracklets are embedded by a method.

    Attributes:
        method: its name.
        recipe: that it was trained by.
        options: size, batch, precision and helpers.
    """

    method: str
    recipe: Recipe
    options: SetEmbedOptions

    @property
    def spec(self) -> Any:
        """The method, a `rqen.model.method.Method`."""
        return self.recipe.specify(self.method)

    @property
    def settings(self) -> Any:
        """The method's own settings."""
        return self.recipe.read_settings(self.method)


def describe_tracklets(
    model: Any, index: TrackletIndex, tracklets: Ints, request: EmbedRequest
) -> Descriptions:
    """What the method keeps of the tracklets with these rows (ascending), row by row as the table.

    Args:
        model: the network, or the arrays of a fitted method.

    Tracklets that are too short for the method are not described. Errors: LpwError where none can
    be described, CorruptCropError that names an image.
    """
    counts = np.diff(index.starts)
    long = tracklets[counts[tracklets] >= request.spec.needs.min_test_frames]
    found: list[Description | None] = []
    with show_progress("embed", int(counts[long].sum()), "images") as progress:
        for row, one in zip(long, _describe_each(model, index, long, request), strict=True):
            found.append(one)
            progress.advance(int(counts[row]))
    if all(one is None for one in found):
        got = f"no tracklet that {request.method} can describe, of {len(tracklets):,}"
        expected = f"tracklets of {request.spec.needs.min_test_frames} frames or more"
        raise LpwError(index.dataset.name, got, expected, "choose another dataset or method")
    return join_descriptions(found, len(index), long)


def _describe_each(
    model: Any, index: TrackletIndex, tracklets: Ints, request: EmbedRequest
) -> Iterator[Description | None]:
    spec, settings, options = request.spec, request.settings, request.options
    reader = open_reader(spec, index, (options.height, options.width), settings)
    clips = Clips(index, tracklets, reader, n_workers=options.n_workers)
    if not isinstance(spec, NetworkMethod):  # no network: other processes do the whole work
        yield from clips.map(lambda clip: spec.describe(model, clip, settings))
        return
    device = next(model.parameters()).device
    for clip in clips.map(_take):
        with torch.no_grad(), options.mode.autocast(device):
            yield spec.describe(model, clip, settings)


def _take(clip: Clip) -> Clip:
    return clip


def open_own_distance(
    model: Any, descriptions: Descriptions, request: EmbedRequest
) -> TrackletDistance | None:
    """The method's own distance between these tracklets; None where it compares vectors."""
    spec = request.spec
    if isinstance(spec, MethodSpec) or spec.compare is None:
        return None
    distance: TrackletDistance = spec.compare(model, descriptions, request.settings)
    return distance


def embed_by_method(
    network: Any, index: TrackletIndex, tracklets: Ints, request: EmbedRequest
) -> tuple[NDArray[np.float32], NDArray[np.bool_], TrackletDistance | None]:
    """Vectors (N, D) of these tracklets by any method's network, which of them there are (N,), and
    the method's own distance between them (by their places in `tracklets`), if it has one."""
    network.eval()
    if isinstance(request.spec, MethodSpec):
        vectors = embed_tracklets(network, index, tracklets, request.options).vectors
        return vectors, np.ones(len(tracklets), bool), None
    found = describe_tracklets(network, index, tracklets, request).take(tracklets)
    return found.vectors, found.present, open_own_distance(network, found, request)


def estimate_describing(
    model: Any, index: TrackletIndex, tracklets: Ints, request: EmbedRequest
) -> Estimate:
    """What describing these tracklets will cost, from one of them of middle length."""
    counts = np.diff(index.starts)[tracklets]
    middle = tracklets[[int(np.argsort(counts)[len(counts) // 2])]]
    alone = EmbedRequest(request.method, request.recipe, SetEmbedOptions(
        request.options.height, request.options.width, n_workers=0, mode=request.options.mode,
    ))  # fmt: skip
    found: list[Description | None] = []
    seconds = time_steps(
        lambda: found.extend(_describe_each(model, index, middle, alone)),
        float(counts.sum()) / float(np.sort(counts)[len(counts) // 2]),
    )
    width = len(found[0].vector) if found and found[0] is not None else 0
    basis = f"a trial of one tracklet, {len(tracklets):,} in all"
    return Estimate("embed", seconds, 1, 4 * width * len(tracklets), basis)
