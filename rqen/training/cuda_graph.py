"""A training step's passes as CUDA graphs: recorded once and replayed, so that a GPU does not wait
for Python.

At 24 images a step of several hundred small operations takes longer to ask for than to compute.
Losses and optimiser stay outside; the numbers are those of the same operations asked for one by
one.
"""

import torch
from torch import Tensor

from lpw_toolkit.errors import LpwError
from rqen.model.network import SetNetwork
from rqen.run.speed_trial import Mode


def record_passes(network: SetNetwork, images: Tensor, mode: Mode) -> None:
    """From now on `network(images)` in training, with images of this shape, and its backward pass
    are replays.

    Recording runs the network; its weights and statistics are afterwards what they were before.

    Args:
        network: on a GPU, set to training as its steps are.
        images: (B, T, 3, H, W), laid out as those of its steps are.

    Errors: LpwError for a network that cannot be recorded (it asks the processor something on its
    way); OutOfMemoryError.
    """
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(
        False
    )  # recorded on a stream of its own: meant
    before = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        with mode.autocast(images.device):
            torch.cuda.make_graphed_callables(network, (torch.zeros_like(images),))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        got = f"a network that cannot be recorded ({str(error).splitlines()[0]})"
        raise LpwError("train.cuda_graph", got, "no or auto", "set train.cuda_graph=no") from error
    network.load_state_dict(before)
