"""CNN+RNN (McLaughlin 2016): frames and flow through a convolutional network and a recurrence,
their mean over time, trained by pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from rqen.flow.flow_frames import FlowFrames, mirror_frames
from rqen.flow.optical_flow import MIN_SIDE_PX
from rqen.model.method import Needs, NetworkMethod, NetworkRequest

if TYPE_CHECKING:
    from lpw_toolkit.dataset.clip_index import TrackletIndex
    from rqen.model.clip import Clip, Description, Descriptions
    from rqen.model.recurrent_network import RecurrentNetwork
    from rqen.model.view_distance import ViewDistance
#: Value of `model.backbone` for the frame network of the paper.
PAPER_FRAMES = "three_convolutions"


@dataclass(frozen=True)
class CnnRnnSettings:
    """The section `[method]` of a recipe of `cnn_rnn`.

    Attributes:
        norm: how the channels of each frame are standardised: `released` divides by the square root
            of the standard deviation, `paper` by the standard deviation. A backbone has its own.
        flow: `lucas_kanade` (the paper), `farneback`, `dis`, or `none`.
        signed_mirror: whether horizontal flow changes its sign in a mirror image.
        n_outputs: numbers in a vector.
        dropout: share of the features of a frame, and of the state, that is left out in training.
        test_frames: most frames of a tracklet in a test: the first ones of the first camera, the
            last ones of the others.
        test_shifts: corners of the parts in a test, pixels from above and from the left alike; each
            part is also mirrored.
    """

    norm: Literal["released", "paper"] = "released"
    flow: str = "lucas_kanade"
    signed_mirror: bool = False
    n_outputs: int = 128
    dropout: float = 0.6
    test_frames: int = 128
    test_shifts: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)


def _build(request: NetworkRequest) -> "RecurrentNetwork":
    from rqen.model.backbone import open_backbone
    from rqen.model.frame_channels import MARGIN_PX, part_size
    from rqen.model.recurrent_network import BackboneFrames, RecurrentNetwork, ThreeConvolutions

    settings: CnnRnnSettings = request.settings
    if min(request.size) < MIN_SIDE_PX + MARGIN_PX:
        got, least = "{} x {} pixels".format(*request.size), MIN_SIDE_PX + MARGIN_PX
        raise LpwError("data.height, data.width", got, f"{least} or more", "raise the smaller one")
    if not settings.test_shifts or max(settings.test_shifts) > MARGIN_PX:
        got = f"{settings.test_shifts}"
        raise LpwError("method.test_shifts", got, f"numbers from 0 to {MARGIN_PX}", "correct it")
    if settings.dropout >= 1 or min(settings.n_outputs, settings.test_frames) < 1:
        got = f"{settings.dropout}, {settings.n_outputs}, {settings.test_frames}"
        raise LpwError("method.dropout, n_outputs, test_frames", got,
                       "less than 1; 1 or more; 1 or more", "correct it")  # fmt: skip
    frames: Any
    if request.backbone.replace("-", "_") == PAPER_FRAMES:
        frames = ThreeConvolutions(part_size(*request.size), settings.norm)
    else:
        frames = BackboneFrames(open_backbone(request.backbone, request.options))
    return RecurrentNetwork(frames, request.n_persons, settings.n_outputs, settings.dropout)


def _open_reader(
    index: "TrackletIndex", size_px: tuple[int, int], settings: CnnRnnSettings
) -> FlowFrames:
    return FlowFrames(index, size_px, settings.flow, signed_mirror=settings.signed_mirror)


def choose_test_frames(images: NDArray[np.uint8], camera: int, most: int) -> NDArray[np.uint8]:
    """The frames of a tracklet that a test uses: the first `most` of camera 0, the last `most` of
    another camera.

    >>> choose_test_frames(np.arange(5), 0, 2), choose_test_frames(np.arange(5), 3, 2)
    (array([0, 1]), array([3, 4]))
    """
    return images[:most] if camera == 0 else images[-most:]


def _describe(network: "RecurrentNetwork", clip: "Clip", settings: CnnRnnSettings) -> "Description":
    """The mean of the vectors of all views, and these vectors (1, views, D)."""
    import torch

    from rqen.model.clip import Description
    from rqen.model.frame_channels import cut_parts

    device = next(network.parameters()).device
    frames = choose_test_frames(clip.images, clip.camera, settings.test_frames)
    vectors = []
    for flip in (True, False):
        images = mirror_frames(frames, signed=settings.signed_mirror) if flip else frames
        whole = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)
        prepared = network.prepare(whole)[None]
        shifts = torch.tensor(settings.test_shifts, device=device).split(1)
        vectors += [network.describe(cut_parts(prepared, at, at)) for at in shifts]
    views = torch.cat(vectors).float().cpu().numpy()
    return Description(views.mean(axis=0), {"views": views[None]})


def _compare(
    network: "RecurrentNetwork", found: "Descriptions", settings: CnnRnnSettings
) -> "ViewDistance":
    from rqen.model.view_distance import ViewDistance

    del network, settings
    views = np.zeros((len(found.vectors), *found.parts["views"].shape[1:]), dtype=np.float32)
    views[found.present] = found.parts["views"]
    return ViewDistance(views)


METHOD = NetworkMethod(
    build=_build,
    describe=_describe,
    open_reader=_open_reader,
    compare=_compare,
    settings=CnnRnnSettings,
    metric="own",
    frames_used="the first or last method.test_frames, in the views of method.test_shifts",
    recipe="cnn_rnn",
    small_recipe="cnn_rnn_small",
    needs=Needs(two_cameras=True),
)
