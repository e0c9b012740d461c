"""The training loop, readable from top to bottom: settings, sampling, one step, checkpoints.

    batch i of (seed, i) -> network -> loss (objective.py) -> optimiser -> every so often a
    checkpoint and the log

A stopped run resumes from its last checkpoint and ends with the same weights to the bit, on one
kind of processor. The test split is never looked at: the last iteration counts, or the best on
persons held out of training (validation.py).
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce, Estimate
from lpw_toolkit.files.writing import make_folder
from lpw_toolkit.progress import say_once, show_progress
from rqen.data.batches import Batch, Shard, open_loader
from rqen.inference.describe import EmbedRequest
from rqen.inference.embed import SetEmbedOptions
from rqen.model.method import FittedMethod, MethodSpec
from rqen.run import run_folder
from rqen.run.malloc import keep_freed_memory
from rqen.run.seen import Seen
from rqen.run.speed_trial import Mode, choose_mode, list_modes, wait_for
from rqen.training.cuda_graph import record_passes
from rqen.training.distributed import ProcessGroup
from rqen.training.fit import fit, forecast_fit
from rqen.training.forecast import estimate_training
from rqen.training.job import TrainJob, list_seen, open_folder
from rqen.training.loss_curve import draw_log
from rqen.training.objective import compute_loss
from rqen.training.optimiser import (
    freeze_statistics,
    make_optimiser,
    rate_at,
    refuse_non_finite,
    seed_step,
    set_rate,
)
from rqen.training.signals import hold_signals
from rqen.training.start import Start, prepare
from rqen.training.tensorboard_log import publish_events, require_tensorboard
from rqen.training.throughput import Throughput
from rqen.training.validation import Best, calibrate, validate

_LOG_EVERY = 20
_TRIAL = "measuring the speed of this machine on a few steps"


def train(job: TrainJob, team: ProcessGroup, announce: Announce | None = None) -> Path:
    """Trains, or resumes training; returns the folder of the run.

    Args:
        announce: gets an estimate from a few steps of a copy, before anything is written.

    Errors: LpwError for a job that cannot be done or a loss that is not finite, CorruptCropError
    naming an image, MismatchError for a damaged checkpoint. Whatever ends it, the last checkpoint
    stays; a signal is answered by one more, after the step that is under way, and then obeyed.
    """
    recipe = job.recipe
    if job.tensorboard:
        require_tensorboard()
    if team.device.type == "cpu":
        keep_freed_memory()
    if isinstance(recipe.specify(job.method), FittedMethod):
        return fit(job, team, announce)
    start = prepare(job, team)
    index, network, held_out = start.index, start.network, start.held_out
    said = _agree_on_run(job, team, start, announce)
    mode, digest = Mode(**said["mode"]), str(said["digest"])
    mode = replace(
        mode, cuda_graph=mode.cuda_graph and _can_record(job, team)
    )  # it may resume on another machine
    network = mode.prepare(network)
    optimiser = make_optimiser(network, recipe.optim)
    runner = Runner(job, team, network, optimiser, mode)
    done, rows = runner.restore(digest)
    n, throughput = recipe.train.iterations, Throughput()
    with (
        show_progress("train", n, "steps", done) as progress,
        hold_signals() as signals,
        closing(open_loader(start.batches, done, n, job.n_workers)) as batches,
    ):
        for iteration, batch in enumerate(throughput.watch(batches), done + 1):
            parts = runner.step(batch, iteration - 1)
            progress.note(
                f"loss {parts['loss']:.3f}, {throughput.images_per_s * team.share.n:.0f} images/s"
            )
            progress.advance()
            last = iteration == n or bool(signals)
            row = {"iteration": iteration, **parts, **throughput.read()}
            if len(held_out) and is_due(iteration, recipe.train.validate_every, end=iteration == n):
                row |= runner.validate(iteration, index, held_out)
            if is_due(iteration, _LOG_EVERY, end=last) or "val_map" in row:
                rows.append(row)
                throughput.restart()
            if is_due(iteration, recipe.train.checkpoint_every, end=last):
                runner.save(iteration, digest, rows)
            if signals:
                return job.out
    if team.leads and not (job.out / run_folder.MODEL).is_file():
        seen = np.concatenate([start.batches.pool.rows, held_out])
        runner.finish(n, rows, list_seen(job, index, seen), index, held_out)
    team.wait()
    return job.out


def is_due(iteration: int, every: int, *, end: bool) -> bool:
    """Whether something is done after this iteration, counted from 1: at the end, and `every` so
    often unless 0."""
    return end or (every > 0 and iteration % every == 0)


class Runner:
    """One network under training.

    Args:
        job: what is trained.
        team: the processes that train together.
        network, optimiser: on the device of this process.
        mode: precision and layout.
    """

    def __init__(
        self,
        job: TrainJob,
        team: ProcessGroup,
        network: Any,
        optimiser: torch.optim.Optimizer,
        mode: Mode,
    ) -> None:
        self.job, self.team, self.network, self.optimiser, self.mode = (
            job,
            team,
            network,
            optimiser,
            mode,
        )
        self.joined = team.join(torch.compile(network) if job.recipe.train.compile else network)
        self.best = Best()
        self._is_recorded = False

    def step(self, batch: Batch, iteration: int) -> dict[str, Any]:
        """One step of the optimiser; the loss, its parts and the rate.

        Errors: LpwError for a loss that is not finite (the weights are then unchanged), or where
        memory ends.
        """
        recipe = self.job.recipe
        set_rate(self.optimiser, rate_at(iteration, recipe.train.iterations, recipe.optim))
        if hasattr(self.network, "start_step"):
            self.network.start_step(iteration, recipe.train.iterations)
        seed_step(recipe.train.seed, iteration, self.team.share.rank)
        with _tell_shortage(recipe.data.batch):
            loss, parts = self._measure(batch)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            refuse_non_finite(float(loss.detach()), iteration + 1)  # waits for a GPU, so not sooner
            if recipe.optim.clamp:
                torch.nn.utils.clip_grad_value_(self.network.parameters(), recipe.optim.clamp)
            self.optimiser.step()
        values = {
            name: round(float(value), 6) for name, value in {"loss": loss.detach(), **parts}.items()
        }
        return {**values, "lr": self.optimiser.param_groups[0]["lr"]}

    def _measure(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        self.joined.train()
        if self.job.recipe.optim.freeze_bn:
            freeze_statistics(self.network)
        images = self.network.prepare(batch.images.to(self.team.device))
        n_sets, n_frames = images.shape[:2]
        images = self.mode.to_layout(images.flatten(0, 1)).unflatten(0, (n_sets, n_frames))
        if self.mode.cuda_graph and not self._is_recorded:
            record_passes(self.network, images, self.mode)
            self._is_recorded = True
        with self.mode.autocast(self.team.device):
            output = self.joined(images)
        gather = None if self.team.is_alone else self.team.gather
        return compute_loss(output, batch.person.to(self.team.device), self.job.recipe.loss, gather)

    def validate(
        self, iteration: int, index: TrackletIndex, held_out: NDArray[np.int64]
    ) -> dict[str, float]:
        """Ranks the tracklets held out, and keeps weights that are the best yet; only where this
        process leads."""
        if not self.team.leads:
            return {}
        figures = validate(self.network, index, held_out, self._test)
        self.best.offer(iteration, figures, self.network)
        return figures

    @property
    def _test(self) -> EmbedRequest:
        """How held-out tracklets are embedded."""
        data, job = self.job.recipe.data, self.job
        options = SetEmbedOptions(
            data.height, data.width, n_workers=job.n_workers, mode=self.mode,
            cut=data.input_size, views=data.views,
        )  # fmt: skip
        return EmbedRequest(job.method, job.recipe, options)

    def restore(self, digest: str) -> tuple[int, list[dict[str, Any]]]:
        """Steps done and the log of a run to resume; 0 and nothing for a new one."""
        file = self.job.out / run_folder.CHECKPOINT
        if not file.is_file():
            return 0, []
        state = run_folder.read_state(file, digest)
        self.network.load_state_dict(state.model)
        run_folder.restore_optimiser(self.optimiser, state.optimiser)
        if state.best:
            at = state.best_at
            self.best = Best(int(at["iteration"]), at["map"], at["rank1"], state.best)
        return state.iteration, run_folder.read_log(self.job.out, state.iteration)

    def save(self, iteration: int, digest: str, rows: list[dict[str, Any]]) -> None:
        """Publishes a checkpoint with the log up to it."""
        if not self.team.leads:
            return
        run_folder.write_log(self.job.out, rows)
        if self.job.tensorboard:
            publish_events(self.job.out, rows, iteration)
        flat, best = run_folder.flatten_optimiser(self.optimiser), self.best
        state = run_folder.TrainState(
            iteration,
            self.network.state_dict(),
            flat,
            best.model,
            best.figures if best.model else {},
        )
        run_folder.write_state(self.job.out / run_folder.CHECKPOINT, state, digest)

    def finish(
        self,
        iteration: int,
        rows: list[dict[str, Any]],
        seen: Seen,
        index: TrackletIndex,
        held_out: NDArray[np.int64],
    ) -> None:
        """Publishes the log, its curve, what was seen, which weights are kept, and these:
        the best on those held out, or the last."""
        out, best = self.job.out, self.best
        run_folder.write_log(out, rows)
        draw_log(rows, out / "curve.png")
        kept: dict[str, Any] = {"chosen_by": "last iteration", "iteration": iteration}
        model = self.network.state_dict()
        if best.model:
            kept, model = {"chosen_by": "validation mAP", **best.figures}, best.model
            self.network.load_state_dict(model)
        calibrated = calibrate(self.network, index, held_out, self._test)
        if calibrated is not None:
            kept, model = {**kept, "calibrated": calibrated}, self.network.state_dict()
        state = run_folder.TrainState(kept["iteration"], model, {})
        run_folder.complete_run(out, state, kept, seen)


def _agree_on_run(
    job: TrainJob, team: ProcessGroup, start: Start, announce: Announce | None
) -> dict[str, Any]:
    """run.json: as recorded when the run resumes, else with the mode that a trial chose, written by
    the leading process."""
    if team.leads:
        before = open_folder(job, start.facts)
        if before is None or announce is not None:
            say_once(_TRIAL)
        mode = Mode(**before["mode"]) if before else _choose(job, team, start)
        if announce is not None:
            announce(_estimate(job, team, start, mode))
        if before is None:
            make_folder(job.out)
            run_folder.write_run(job.out, {**start.facts, "mode": vars(mode)})
    team.wait()
    return run_folder.read_run(job.out)


def forecast(
    job: TrainJob, team: ProcessGroup, mode: Mode | None = None
) -> tuple[Estimate, Mode | None]:
    """What a training will cost, and the mode that it was tried in; nothing is written.

    Args:
        mode: None is chosen by a trial, as the training does, where there is a network.

    Errors: LpwError for a job that cannot be done.
    """
    if isinstance(job.recipe.specify(job.method), FittedMethod):
        return forecast_fit(job), mode
    start = prepare(job, team)
    say_once(_TRIAL)
    mode = mode or _choose(job, team, start)
    return _estimate(job, team, start, mode), mode


def _choose(job: TrainJob, team: ProcessGroup, start: Start) -> Mode:
    modes = list_modes(job.recipe.train, can_record=_can_record(job, team))
    if len(modes) == 1:
        return modes[0]
    batch = start.batches[0]

    def make_step(trial: Any, mode: Mode) -> Callable[[], None]:
        runner = _try_alone(job, team, trial, mode)
        return lambda: runner._measure(batch)[0].backward()

    return choose_mode(modes, start.network, make_step)


def _try_alone(job: TrainJob, team: ProcessGroup, trial: Any, mode: Mode) -> Runner:
    """Runs a copy of the network for a trial, in this process alone."""
    recipe = replace(job.recipe.train, compile=False)  # it takes minutes
    job = replace(job, recipe=replace(job.recipe, train=recipe))
    alone = ProcessGroup(Shard(), team.device)
    return Runner(job, alone, trial, torch.optim.SGD(trial.parameters(), lr=0.0), mode)


def _estimate(job: TrainJob, team: ProcessGroup, start: Start, mode: Mode) -> Estimate:
    """What the steps that are left will cost, from a few on a copy; the run's random numbers stay
    as they are."""
    mode = replace(mode, cuda_graph=False)
    trial = mode.prepare(copy.deepcopy(start.network))
    runner = _try_alone(job, team, trial, mode)
    done = run_folder.count_done(job.out)
    batch = start.batches[done]
    n_held_out = int(np.diff(start.index.starts)[start.held_out].sum())

    def step() -> None:
        with torch.random.fork_rng(), _tell_shortage(job.recipe.data.batch):
            runner._measure(batch)[0].backward()
            runner.optimiser.step()
            wait_for(team.device)

    return estimate_training(job, trial, lambda: start.batches[done], step, done, n_held_out)


def _can_record(job: TrainJob, team: ProcessGroup) -> bool:
    """Whether steps can be CUDA graphs; a network of a method's own may do what cannot be recorded.
    Errors: LpwError where the recipe insists on what cannot be."""
    recipe = job.recipe.train
    can = team.device.type == "cuda" and team.is_alone and not recipe.compile
    can = can and isinstance(job.recipe.specify(job.method), MethodSpec)
    if recipe.cuda_graph == "yes" and not can:
        got = (
            "yes, with train.compile"
            if recipe.compile
            else f"yes, for {team.share.n} x {team.device.type}"
        )
        raise LpwError(
            "train.cuda_graph", got, "one GPU, not compiled", "set train.cuda_graph=auto"
        )
    return can


@contextmanager
def _tell_shortage(batch: str) -> Iterator[None]:
    """Errors: LpwError in place of the libraries' own where memory ends."""
    smaller = {
        "sets": "data.n_persons or data.n_frames",
        "triplets": "data.n_frames",
        "frames": "data.n_frames",
        "pairs": "data.n_pairs",
    }
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
            do = f"train with smaller {smaller[batch]}, or smaller images (data.height, data.width)"
            raise LpwError("memory", "less than a step needs", "room for one batch", do) from error
        raise
