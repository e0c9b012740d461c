"""A finished run opens again, also one of an older version whose scores did not learn."""

import numpy as np
import pytest
import torch
from tiny_runs import ALONE, OPTIONS
from tiny_training import make_data, make_job

from lpw_toolkit.errors import LpwError
from rqen.inference.run_vectors import embed_run
from rqen.run import run_folder
from rqen.run.trained_network import open_network
from rqen.training.train import train

WIDTH = 3 * 1280


CHANGES = ("train.iterations=1", "optim.warmup=0", "model.heads=necks")


@pytest.fixture
def older_run(tmp_path):
    """A run of more_params as it was written when its neck had no columns for the scores."""
    run = train(
        make_job(make_data(tmp_path / "data"), tmp_path / "run", *CHANGES, method="more_params"),
        ALONE,
    )
    facts = {k: v for k, v in run_folder.read_run(run).items() if k not in ("digest", "scores")}
    run_folder.write_run(run, {**facts, "digest": run_folder.digest_settings(facts)})
    state = run_folder.read_state(run / run_folder.MODEL)
    for key, value in state.model.items():
        if key.startswith("neck.") and value.ndim:
            state.model[key] = value[:WIDTH].clone()
        if key.startswith("main."):
            state.model[key] = value[:, :1280].clone()
    run_folder.complete_run(run, state, {"chosen_by": "last iteration", "iteration": 1})
    return run


def test_an_older_run_of_more_params_gives_the_vectors_that_it_gave(older_run, capsys):
    found = embed_run(older_run, older_run.parent / "data", OPTIONS)
    assert "its scores did not learn" in capsys.readouterr().err
    network, _ = open_network(older_run)
    assert network.spec.heads == "frame"
    images = torch.zeros(2, 3, 64, 32)
    with torch.no_grad():
        _, features, scores = network.describe_frames(images)
        frames = torch.cat([features.flatten(1), scores], dim=1)
        expected = torch.nn.functional.normalize(frames, dim=1).mean(0)
        said = network(images[None]).embedding[0]
    torch.testing.assert_close(said, torch.nn.functional.normalize(expected, dim=0))
    assert found.vectors.shape[1] == WIDTH + 3
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)


def test_an_older_run_of_more_params_is_not_taken_for_one_of_today(older_run):
    job = make_job(
        older_run.parent / "data", older_run, *CHANGES, method="more_params", resume=True
    )
    with pytest.raises(LpwError, match="scores: None then, learned behind the neck now"):
        train(job, ALONE)
