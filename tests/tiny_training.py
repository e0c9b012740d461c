"""A run of training that takes a second: a few sets of two small frames, a network that steps in a tenth of one."""

from pathlib import Path

from make_dataset import make_dataset

from rqen.recipe import read_recipe
from rqen.training.job import Job

SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32", "data.n_persons=4",
    "data.n_sets=2", "data.n_frames=2", "data.crop=2", "train.iterations=5", "train.checkpoint_every=2",
    "train.precision=float32", "train.channels_last=no", "optim.warmup=2",
)  # fmt: skip


def make_data(root: Path) -> Path:
    """A dataset of 24 tracklets of 2 frames; its folder."""
    make_dataset(root, n_tracklets=24, n_frames=2)
    return root


def make_job(
    data: Path, out: Path, *changes: str, method: str = "rqen", recipe: str = "modern", resume: bool = False
) -> Job:
    """A job on all tracklets of `data`."""
    return Job(data, out, method, read_recipe(recipe, (*SMALL, *changes)), split=None, n_workers=0, resume=resume)
