"""A pose model with random weights, from ultralytics' own plan, biased so that it is sure of persons."""

from collections.abc import Sequence
from pathlib import Path


def make_pose(
    path: Path,
    *,
    plan: str = "yolov8n-pose.yaml",
    n_points: int = 17,
    n_values: int = 3,
    bias: float = 4.0,
    heights_px: Sequence[float] | None = None,
) -> Path:
    """Saves a checkpoint at `path`.

    Args:
        bias: of the score of a person; -9 is unsure of everybody.
        heights_px: places of the key points below the top of the network's input; None leaves them random.
    """
    from lpw_toolkit.detection.detectors import ultralytics as plugin

    plugin.import_safely()
    import torch
    from ultralytics.nn import tasks

    torch.manual_seed(3)
    network = tasks.PoseModel(plan, ch=3, data_kpt_shape=(n_points, n_values), verbose=False)
    network.names = {0: "person"}
    layer = network.model[-1]
    for branch in layer.cv3:
        branch[-1].bias.data[:] = bias
    if heights_px is not None:  # every cell is as sure as the first, which lies at the corner: 16 px per unit
        for scores, points in zip(layer.cv3, layer.cv4, strict=True):
            scores[-1].weight.data[:] = 0
            points[-1].weight.data[:] = 0
            points[-1].bias.data[0::3] = 2.0
            points[-1].bias.data[1::3] = torch.tensor(heights_px) / 16
            points[-1].bias.data[2::3] = 3.0
    torch.save({"model": network, "train_args": {"task": "pose"}}, path)
    return path
