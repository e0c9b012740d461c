"""Embedding streams: what it holds does not grow with the length of a tracklet."""

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from make_dataset import make_dataset

from lpw_toolkit.dataset.clip_index import open_index
from rqen.inference import embed
from rqen.inference.embed import SetEmbedOptions, embed_tracklets
from rqen.model.backbone import IMAGENET, Maps
from rqen.model.method import open_method
from rqen.model.network import SetNetwork


class Backbone(torch.nn.Module):
    """Two convolutions, which is enough to be embedded with."""

    tap_channels, last_channels, middle_channels, pixels, weights = 4, 6, (), IMAGENET, "random"

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 4, 8, 8), torch.nn.Conv2d(4, 6, 4, 4)

    def forward(self, images: torch.Tensor) -> Maps:
        tap = self.first(images)
        return Maps(tap, self.second(tap), ())


@pytest.mark.parametrize("method", ["rqen", "more_params"])
@pytest.mark.parametrize("n_frames", [3, 60])
def test_at_most_two_batches_are_held_however_long_a_tracklet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_frames: int, method: str
) -> None:
    make_dataset(tmp_path / "d", n_tracklets=60 // n_frames, n_frames=n_frames)
    index = open_index(tmp_path / "d")
    torch.manual_seed(0)
    network = SetNetwork(Backbone(), open_method(method), 3, (64, 32))
    held: list[weakref.ref[torch.Tensor]] = []
    most = []
    describe = network.describe_frames

    def watch(images: torch.Tensor) -> tuple[Maps, torch.Tensor, torch.Tensor]:
        most.append(sum(one() is not None for one in held))
        maps, features, scores = describe(images)
        held.extend([weakref.ref(images), weakref.ref(maps.last), weakref.ref(features)])
        return maps, features, scores

    monkeypatch.setattr(network, "describe_frames", watch)
    found = embed_tracklets(
        network, index, np.arange(len(index)), SetEmbedOptions(64, 32, batch=4, n_workers=0)
    )
    n = int(index.starts[-1])
    assert len(most) == -(-n // 4) and max(most) <= 3 * 2  # three tensors of a batch
    assert len(found.vectors) == len(index) and len(found.scores) == n


def test_a_tracklet_is_summed_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between batches there is one running sum, as large as a vector."""
    make_dataset(tmp_path / "d", n_tracklets=1, n_frames=40)
    index = open_index(tmp_path / "d")
    network = SetNetwork(Backbone(), open_method("rqen"), 3, (64, 32))
    sizes = []
    add = embed.SetSums.add

    def watch(self: embed.SetSums, features: torch.Tensor, scores: torch.Tensor) -> None:
        add(self, features, scores)
        sizes.append(sum(value.numel() for value in vars(self).values()))

    monkeypatch.setattr(embed.SetSums, "add", watch)
    embed_tracklets(network, index, np.arange(1), SetEmbedOptions(64, 32, batch=4, n_workers=0))
    assert len(sizes) >= 10 and set(sizes) == {3 * 6 + 3}
