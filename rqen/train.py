"""Training, read from top to bottom: what is asked, what is drawn, one step, what is kept.

    batch i of (seed, i) -> network -> loss (objective.py) -> optimiser -> every so often a checkpoint and the log

A stopped run goes on at its last checkpoint and ends with the same weights to the bit, on one kind of processor. The
test split is never looked at: the last iteration counts.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lpw_toolkit.errors import LpwError
from lpw_toolkit.index import ClipIndex, open_index
from lpw_toolkit.progress import show_progress
from rqen import runs
from rqen.augment import Augmentation
from rqen.batches import Batch, Batches, Share, open_loader
from rqen.curve import draw_log
from rqen.job import Job, build_network, choose_rows, describe_job, open_folder
from rqen.network import SetNetwork
from rqen.objective import measure_loss
from rqen.optimiser import freeze_statistics, make_optimiser, rate_at, refuse_non_finite, set_rate
from rqen.pixels import fill_colour, normalise
from rqen.plans import Pool, make_pool
from rqen.team import Team
from rqen.trial import Mode, choose_mode, list_modes

_LOG_EVERY = 20


def train(job: Job, team: Team) -> Path:
    """Trains, or goes on training; returns the folder of the run.

    Errors: LpwError for a job that cannot be done or a loss that is no number, CorruptCropError naming an image,
    MismatchError for a damaged checkpoint. Whatever ends it, the last checkpoint stays; a signal is answered by one
    more, after the step that is under way, and then obeyed.
    """
    recipe = job.recipe
    index = open_index(job.data)
    pool = make_pool(index.tracklets, choose_rows(index, job.split))
    torch.manual_seed(recipe.train.seed)
    network = build_network(job, pool.n_persons).to(team.device)
    facts = describe_job(job, index, pool, network)
    facts["mode"] = _agree_on_mode(job, facts, team, network, index, pool)
    mode = Mode(**facts["mode"])
    network = mode.prepare(network)
    optimiser = make_optimiser(network, recipe.optim)
    done, rows = _restore(job, facts["digest"], network, optimiser)
    runner = Runner(job, team, network, optimiser, mode)
    batches = _make_batches(job, index, pool, network, team.share)
    n = recipe.train.iterations
    with show_progress("train", n, "steps") as progress, hold_signals() as signals:
        progress.advance(done)
        for iteration, batch in enumerate(open_loader(batches, done, n, job.n_workers), done):
            parts = runner.step(batch, iteration)
            progress.advance()
            last = iteration + 1 == n or bool(signals)
            if (iteration + 1) % _LOG_EVERY == 0 or last:
                rows.append({"iteration": iteration + 1, **parts})
            if (iteration + 1) % recipe.train.checkpoint_every == 0 or last:
                runner.save(runs.CHECKPOINT, iteration + 1, facts["digest"], rows)
            if signals:
                return job.out
    if team.leads and not (job.out / runs.MODEL).is_file():
        runner.save(runs.MODEL, n, facts["digest"], rows)
    team.wait()
    return job.out


class Runner:
    """One network under training.

    Args:
        job: what is trained.
        team: the processes that train together.
        network, optimiser: on the device of this process.
        mode: precision and layout.
    """

    def __init__(self, job: Job, team: Team, network: SetNetwork, optimiser: torch.optim.Optimizer, mode: Mode) -> None:
        self.job, self.team, self.network, self.optimiser, self.mode = job, team, network, optimiser, mode
        self.joined = team.join(torch.compile(network) if job.recipe.train.compile else network)
        self._since = time.perf_counter()

    def step(self, batch: Batch, iteration: int) -> dict[str, Any]:
        """One step of the optimiser; the loss, its parts, the rate and the speed.

        Errors: LpwError for a loss that is no number (the weights are then as before), or where memory ends.
        """
        recipe = self.job.recipe
        set_rate(self.optimiser, rate_at(iteration, recipe.train.iterations, recipe.optim))
        try:
            loss, parts = self._measure(batch)
            refuse_non_finite(float(loss.detach()), iteration + 1)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        except RuntimeError as error:
            if _is_shortage(error):
                raise _describe_shortage(recipe.data.batch) from error
            raise
        now = time.perf_counter()
        speed, self._since = batch.images.shape[0] * batch.images.shape[1] / (now - self._since), now
        values = {name: round(float(value), 6) for name, value in {"loss": loss.detach(), **parts}.items()}
        return {**values, "lr": self.optimiser.param_groups[0]["lr"], "images_per_s": round(speed, 1)}

    def _measure(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        self.joined.train()
        if self.job.recipe.optim.freeze_bn:
            freeze_statistics(self.network)
        images = normalise(batch.images.to(self.team.device), self.network.backbone.pixels)
        n_sets, n_frames = images.shape[:2]
        images = self.mode.lay(images.flatten(0, 1)).unflatten(0, (n_sets, n_frames))
        with self.mode.autocast(self.team.device):
            output = self.joined(images)
        gather = None if self.team.is_alone else self.team.gather
        return measure_loss(output, batch.person.to(self.team.device), self.job.recipe.loss, gather)

    def save(self, name: str, iteration: int, digest: str, rows: list[dict[str, Any]]) -> None:
        """Publishes a checkpoint with the log up to it, or the weights at the end with the curve."""
        if not self.team.leads:
            return
        ends = name == runs.MODEL
        optimiser = {} if ends else runs.flatten_optimiser(self.optimiser)
        runs.write_log(self.job.out, rows)
        if ends:
            draw_log(rows, self.job.out / "curve.png")
        state = runs.State(iteration, self.network.state_dict(), optimiser)
        runs.write_state(self.job.out / name, state, digest)


def _agree_on_mode(
    job: Job, facts: dict[str, Any], team: Team, network: SetNetwork, index: ClipIndex, pool: Pool
) -> dict[str, Any]:
    """The mode of the run: as recorded when it goes on, else by a trial; the leading process writes run.json."""
    if team.leads:
        before = open_folder(job, facts)
        if before is None:
            facts = {**facts, "mode": vars(_choose(job, team, network, index, pool))}
            runs.write_run(job.out, facts)
    team.wait()
    mode: dict[str, Any] = runs.read_run(job.out)["mode"]
    return mode


def _choose(job: Job, team: Team, network: SetNetwork, index: ClipIndex, pool: Pool) -> Mode:
    modes = list_modes(job.recipe.train)
    if len(modes) == 1:
        return modes[0]
    batch = _make_batches(job, index, pool, network, team.share)[0]

    def step(trial: torch.nn.Module, mode: Mode) -> None:
        alone = Team(Share(), team.device)
        runner = Runner(job, alone, trial, torch.optim.SGD(trial.parameters(), lr=0.0), mode)
        loss, _ = runner._measure(batch)
        loss.backward()

    return choose_mode(modes, network, step)


def _make_batches(job: Job, index: ClipIndex, pool: Pool, network: SetNetwork, share: Share) -> Batches:
    data = job.recipe.data
    augmentation = Augmentation(data.flip, data.crop, data.erase, fill_colour(network.backbone.pixels))
    return Batches(index, pool, data, augmentation, job.recipe.train.seed, share)


def _restore(
    job: Job, digest: str, network: SetNetwork, optimiser: torch.optim.Optimizer
) -> tuple[int, list[dict[str, Any]]]:
    """Steps done and the log of a run that goes on; nothing of a new one."""
    file = job.out / runs.CHECKPOINT
    if not file.is_file():
        return 0, []
    state = runs.read_state(file, digest)
    network.load_state_dict(state.model)
    runs.restore_optimiser(optimiser, state.optimiser)
    return state.iteration, runs.read_log(job.out, state.iteration)


@contextmanager
def hold_signals() -> Iterator[list[int]]:
    """Signals that would end the process are noted in the list, and obeyed when the block ends."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    held = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in held}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if noted:
            os.kill(os.getpid(), noted[0])


def _is_shortage(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def _describe_shortage(batch: str) -> LpwError:
    smaller = {"sets": "data.n_persons or data.n_frames", "triplets": "data.n_frames", "frames": "data.n_frames"}
    do = f"train with smaller {smaller[batch]}, or smaller images (data.height, data.width)"
    return LpwError("memory", "less than a step needs", "room for one batch", do)
