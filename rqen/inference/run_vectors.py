"""The outputs of a trained run on a dataset: vectors, vectors of one region, region scores, and
figures."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex, open_index
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.image_reader import Source
from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.dataset.schema import QUALITY
from lpw_toolkit.dataset.tables import to_integers, write_table
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings
from lpw_toolkit.embedding.tracklet_distance import TrackletDistance
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce
from rqen.inference.embed import SetEmbedOptions, embed_tracklets, estimate_embedding
from rqen.inference.run_descriptions import describe_dataset
from rqen.inference.test_splits import find_seen_persons
from rqen.model.method import MethodSpec, open_method
from rqen.model.network import SetNetwork
from rqen.recipe import TrainRecipe
from rqen.run import run_folder
from rqen.run.malloc import keep_freed_memory
from rqen.run.speed_trial import Mode, choose_mode, list_modes
from rqen.run.trained_network import open_network, read_run_recipe

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
_DIGEST = b"lpw_dataset_digest"
_TRIAL_IMAGES = 16


@dataclass(frozen=True)
class ScoringOptions:
    """How a dataset goes through a network; none of it but the precision moves the numbers beyond
    rounding.

    Attributes:
        batch: frames at once.
        n_workers: processes that read images ahead.
        images: where images are read from.
        precision: `float32`, `bfloat16`, or `auto`: whichever a short trial finds faster.
    """

    batch: int = 64
    n_workers: int = 1
    images: Source = "auto"
    precision: Literal["float32", "bfloat16", "auto"] = "float32"


@dataclass(frozen=True)
class RunVectors:
    """What a run says of the tracklets of a dataset.

    Attributes:
        run: its folder.
        dataset: what went in.
        vectors: (N, D) float32, unit length unless the method says otherwise, row by row as the
            table of tracklets; zeros where not embedded.
        scores: (F, R) float32 in (0, 1), row by row as the table of frames; NaN where not embedded.
        present: (N,) which tracklets were embedded.
        facts: what a file of embeddings says of itself.
        separable: whether each region has a part of the vector of its own (see `cut_region`).
        scored: whether the scores are the network's; a method without a predictor has ones.
        mode: precision and layout, with the seconds of the trial where there was one.
        own: the method's own distance between the tracklets; None where it compares vectors.
        left_out: why some tracklets were not embedded; empty where each was.
    """

    run: Path
    dataset: Dataset
    vectors: Floats
    scores: Floats
    present: NDArray[np.bool_]
    facts: EmbeddingFacts
    separable: bool
    scored: bool
    mode: Mode = field(repr=False)
    own: TrackletDistance | None = None
    left_out: str = ""

    @property
    def n_regions(self) -> int:
        """R."""
        return int(self.scores.shape[1])


def name_regions(n_regions: int) -> list[str]:
    """What regions are called in tables, from above: `whole`; `upper`, `middle`, `lower`; otherwise
    `1`, `2`, …"""
    named = {1: ["whole"], 3: ["upper", "middle", "lower"]}
    return named.get(n_regions, [str(i + 1) for i in range(n_regions)])


def shorten_regions(n_regions: int) -> list[str]:
    """The same as the paper's tables write them: `RU`, `RM`, `RL`; otherwise `R1`, `R2`, …"""
    return ["RU", "RM", "RL"] if n_regions == 3 else [f"R{i + 1}" for i in range(n_regions)]


def embed_run(
    run: Path,
    data: Path,
    options: ScoringOptions = ScoringOptions(),
    rows: Ints | None = None,
    announce: Announce | None = None,
) -> RunVectors:
    """Embeds the dataset `data`, each tracklet from all of its frames, with the trained network of
    `run`.

    Args:
        rows: of the table of tracklets (ascending) that are embedded; None is all.
        announce: gets an estimate from a few batches.

    Errors: LpwError for a run that is not complete or a dataset that is not there, MismatchError
    for damaged ones, CorruptCropError that names an image.
    """
    if not is_family(run):
        return _embed_described(run, data, options, rows, announce)
    opened = open_run(run, options)
    index = open_index(data, source=options.images)
    rows = _list_rows(index, rows)
    if announce is not None:
        announce(estimate_embedding(opened.network, index, rows, opened.embed))
    found = embed_tracklets(opened.network, index, rows, opened.embed)
    vectors = np.zeros((len(index), found.vectors.shape[1]), dtype=np.float32)
    vectors[rows] = found.vectors
    scores = np.full((int(index.starts[-1]), found.scores.shape[1]), np.nan, dtype=np.float32)
    frames = [np.arange(index.starts[row], index.starts[row + 1]) for row in rows]
    scores[np.concatenate(frames)] = found.scores
    present = np.isin(np.arange(len(index)), rows)
    facts, quality = describe_run(run, opened, index.dataset), opened.network.spec.quality
    return RunVectors(
        run, index.dataset, vectors, scores, present, facts, quality != "appended",
        quality != "uniform",
        opened.embed.mode,
    )  # fmt: skip


def is_family(run: Path) -> bool:
    """Whether the method of a run is one of RQEN's family, with regions. Errors: LpwError where
    there is no run, MismatchError for a damaged one."""
    said = run_folder.read_run(run)
    return isinstance(open_method(said["method"]), MethodSpec)


def _list_rows(index: TrackletIndex, rows: Ints | None) -> Ints:
    rows = np.arange(len(index)) if rows is None else rows
    if not len(rows):
        raise LpwError(
            index.dataset.name, "no tracklets to embed", "one or more", "choose another dataset"
        )
    return rows


def _embed_described(
    run: Path, data: Path, options: ScoringOptions, rows: Ints | None, announce: Announce | None
) -> RunVectors:
    """`embed_run` of a method without regions: one region, which is not scored."""
    index = open_index(data, source=options.images)
    rows = _list_rows(index, rows)
    found = describe_dataset(run, index, rows, options.n_workers, announce)
    owner = np.repeat(np.arange(len(index)), np.diff(index.starts))
    scores = np.where(found.present[owner], 1.0, np.nan).astype(np.float32)[:, None]
    mode = Mode("float32", False, {})
    return RunVectors(
        run, index.dataset, found.vectors, scores, found.present, found.facts, False, False, mode,
        found.own, found.left_out,
    )  # fmt: skip


@dataclass(frozen=True)
class OpenRun:
    """A trained network, ready to see images; what its run says of itself, and how images go
    through it."""

    network: SetNetwork
    said: dict[str, Any]
    embed: SetEmbedOptions


def open_run(run: Path, options: ScoringOptions) -> OpenRun:
    """Errors: LpwError for a batch below 1 or a run that is not complete, MismatchError for a
    damaged one."""
    if options.batch < 1:
        raise LpwError(
            "option --batch-size", str(options.batch), "1 or more", "choose another value"
        )
    network, said = open_network(run)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    network = network.to(device)
    recipe = read_run_recipe(said).data
    mode = _choose_mode(network, Mode(**said["mode"]), options.precision, recipe.input_size)
    embed = SetEmbedOptions(
        recipe.height, recipe.width, options.batch, options.n_workers, mode, recipe.input_size,
        recipe.views,
    )  # fmt: skip
    return OpenRun(mode.prepare(network), said, embed)


def _choose_mode(network: SetNetwork, trained: Mode, precision: str, size: tuple[int, int]) -> Mode:
    """The layout it was trained in, or what a trial of forward passes finds fastest."""
    if precision != "auto":
        return Mode(precision, trained.channels_last, {})
    images = torch.zeros(_TRIAL_IMAGES, 3, *size, device=next(network.parameters()).device)

    def make_step(trial: SetNetwork, mode: Mode) -> Callable[[], object]:
        @torch.no_grad()
        def describe() -> object:
            with mode.autocast(images.device):
                return trial.describe_frames(mode.to_layout(images))

        return describe

    return choose_mode(
        list_modes(TrainRecipe(precision="auto", channels_last="auto")), network, make_step
    )


def describe_run(run: Path, opened: OpenRun, dataset: Dataset) -> EmbeddingFacts:
    """What a file of embeddings says of itself."""
    recipe, precision = opened.said["recipe"], opened.embed.mode.precision
    model = f"{opened.said['method']}-{recipe['name']}-{recipe['model']['backbone']}"
    model += "" if precision == "float32" else f" {precision}"
    digest, seen = str(dataset.manifest["digest"]), find_seen_persons(run, dataset)
    used = "all" if opened.embed.views == "one" else "all, ten views of each"
    metric = opened.network.spec.metric
    return EmbeddingFacts(model, opened.said["model_sha256"], digest, used, seen, metric)


def cut_region(found: RunVectors, region: int) -> Floats:
    """The vectors (N, D / R), unit length, of one region alone: its columns, normalised again.

    Exact behind a neck too: batch normalisation acts on each column by itself, so that a region's
    columns are what they would be without the others.

    Errors: LpwError where no region has columns of its own, or there is no such region.
    """
    thing, n = f"regions of {found.facts.model}", found.n_regions
    if not found.separable or n == 1:
        got = "one region" if n == 1 else "a vector whose numbers mix the regions"
        raise LpwError(thing, got, "a method with parts, such as rqen or qfix", "name another run")
    if not 0 <= region < n:
        raise LpwError(thing, f"region {region}", f"0 to {n - 1}", "choose one of them")
    width = found.vectors.shape[1] // n
    part = found.vectors[:, region * width : (region + 1) * width]
    length = np.linalg.norm(part, axis=1, keepdims=True)
    vectors: Floats = np.divide(part, np.maximum(length, np.finfo(np.float32).tiny))
    return vectors


def make_embeddings(
    found: RunVectors, vectors: Floats | None = None, *, part: str = ""
) -> Embeddings:
    """The vectors, or other ones (N, D') of the same tracklets, as `evaluate` takes them.

    Args:
        part: which part of the model they are of, for tables; `+RU` for example.
    """
    facts = replace(found.facts, model=f"{found.facts.model} {part}".strip())
    if vectors is not None:
        return Embeddings(vectors, found.present, facts, [], left_out=found.left_out)
    return Embeddings(found.vectors, found.present, facts, [], found.own, found.left_out)


def list_parts(found: RunVectors, *, regions: bool) -> dict[str, Embeddings]:
    """`all` of a run, and with `regions` each region alone (`RU`, …).

    Regions are cut from the jointly trained network: nothing is trained again, as in the released
    test script.

    Errors: as `cut_region`.
    """
    parts = {"all": make_embeddings(found)}
    for number, name in enumerate(shorten_regions(found.n_regions) if regions else ()):
        parts[name] = make_embeddings(found, cut_region(found, number), part=f"+{name}")
    return parts


def refuse_unscored(run: Path) -> None:
    """Errors: LpwError where the method of the run predicts no quality, or there is no run."""
    method = run_folder.read_run(run)["method"]
    if getattr(open_method(method), "quality", "uniform") == "uniform":
        do = "leave the quality out, or name a run of rqen, qan or more_params"
        raise LpwError(
            run, f"a run of {method}, which scores no frame", "a method with a predictor", do
        )


def write_quality(path: Path, found: RunVectors) -> None:
    """Publishes the scores as rows of schema.QUALITY. Errors: LpwError where the method predicts
    none, OSError."""
    refuse_unscored(found.run)
    n_frames = to_integers(found.dataset.tracklets, "n_frames")
    owner = np.repeat(np.arange(len(n_frames)), n_frames)
    position = ragged_arange(n_frames)
    frames, n = np.flatnonzero(found.present[owner]), found.n_regions
    names = pa.array(name_regions(n)).take(pa.array(np.tile(np.arange(n), len(frames))))
    ids = (
        found.dataset.tracklets["tracklet_id"]
        .combine_chunks()
        .take(pa.array(np.repeat(owner[frames], n)))
    )
    positions = pa.array(np.repeat(position[frames], n).astype(np.int32))
    columns = [ids, positions, names, pa.array(found.scores[frames].ravel())]
    metadata = {**QUALITY.metadata, _DIGEST: str(found.facts.dataset_digest).encode()}
    write_table(
        path, pa.Table.from_arrays(columns, schema=QUALITY.with_metadata(metadata)), QUALITY
    )
