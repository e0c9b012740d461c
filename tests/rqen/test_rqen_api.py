"""`rqen.RQEN` and `rqen.load`: what a user calls; and every example in the docstrings of rqen."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from make_reid import make_reid
from tiny_runs import OPTIONS, make_run

import rqen
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import LpwError
from rqen.inference.run_vectors import embed_run

MODULES = sorted(m.name for m in pkgutil.walk_packages(rqen.__path__, "rqen.") if not m.ispkg)


def test_every_example_runs():
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = [doctest.testmod(importlib.import_module(name), optionflags=flags) for name in MODULES]
    assert sum(result.failed for result in found) == 0
    assert sum(result.attempted for result in found) >= 6


def test_names_are_imported_when_they_are_used():
    code = "import rqen, sys; assert 'torch' not in sys.modules; rqen.RQEN; print(dir(rqen))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'RQEN'" in done.stdout and "'load'" in done.stdout
    with pytest.raises(AttributeError, match="'best'"):
        rqen.best  # noqa: B018


@pytest.mark.parametrize("method", ["rqen", "more-params"])
def test_a_loaded_run_embeds_as_the_command_does(tmp_path, method):
    dataset = make_reid(tmp_path / "d")
    run = make_run(dataset, tmp_path / "run", method=method)
    expected, index = embed_run(run, dataset.root, OPTIONS), open_index(dataset.root)
    model, first, end = rqen.load(str(run)), int(index.starts[0]), int(index.starts[1])
    frames = np.stack([index.images.decode(row, model.size) for row in range(first, end)])
    images = torch.from_numpy(frames).permute(0, 3, 1, 2)[None]
    padded = torch.cat([images, torch.zeros_like(images)], dim=1)
    mask = torch.arange(padded.shape[1])[None] < end - first
    with torch.no_grad():
        for embeddings, scores in (
            model(images, return_scores=True),
            model(padded.float(), mask, return_scores=True),
        ):
            np.testing.assert_allclose(embeddings[0], expected.vectors[0], atol=1e-4)
            np.testing.assert_allclose(
                scores[0, : end - first], expected.scores[first:end], atol=1e-4
            )
        assert torch.equal(model(images), model(images, return_scores=True)[0])


def test_it_trains_with_a_loss_of_ones_own():
    model = rqen.RQEN("qan", weights="random", size=(64, 32))
    model(torch.rand(2, 2, 3, 64, 32) * 255).square().sum().backward()
    assert all(p.grad is not None for p in model.network.backbone.parameters())


@pytest.mark.parametrize(
    ("shape", "mask", "thing"),
    [
        ((2, 3, 64, 32), None, "images"),
        ((1, 2, 3, 32, 64), None, "images"),
        ((1, 0, 3, 64, 32), None, "images"),
        ((1, 2, 3, 64, 32), (1, 3), "mask"),
    ],
)
def test_other_shapes_are_refused(shape, mask, thing):
    model = rqen.RQEN("mean", weights="random", size=(64, 32)).eval()
    with pytest.raises(LpwError, match=thing):
        model(torch.zeros(shape), None if mask is None else torch.ones(mask, dtype=torch.bool))
