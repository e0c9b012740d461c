"""`lpw embed`: a vector for each tracklet of a dataset, by a trained run or any ONNX model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from lpw_cli.command import is_given, lpw_command, option
from lpw_cli.estimates import announcer, dry_run_option
from lpw_cli.options import (
    FOLDER,
    OUT_FILE,
    dataset_argument,
    find_run,
    offline_option,
    open_named,
    parse_size,
)
from lpw_cli.say import say_note, say_result
from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.embedding.onnx_embed import embed_dataset
from lpw_toolkit.embedding.onnx_embedder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    RUNTIMES,
    EmbedOptions,
    fit_to_entry,
    open_embedder,
)
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.weights import find_named

Precision = Literal["float32", "bfloat16", "auto"]


@dataclass(frozen=True, kw_only=True)
class EmbedCommandOptions:
    """The options of `lpw embed`: of RUN, of --onnx, and of both."""

    run: Path | None
    onnx: Path | None
    dataset: Path | None
    out: Path
    per_frame: bool
    quality: Path | None
    workers: int
    pooling: Literal["mean", "max"]
    frames: str
    flip: bool
    size: str | None
    mean: str
    std: str
    bgr: bool
    batch_size: int | None
    runtime: str
    precision: Precision
    threads: int | None
    images: Literal["auto", "files", "pack"]
    dry_run: bool


def _arrange(values: dict[str, Any]) -> None:
    """`--onnx MODEL DATASET`: what stands first is no run."""
    first = values["run"]
    is_dataset = first is not None and (first / MANIFEST).is_file()
    if values["onnx"] is not None and is_dataset and values["dataset"] is None:
        values["dataset"], values["run"] = first, None


@lpw_command(EmbedCommandOptions, one_of=("RUN", "--onnx"), arrange=_arrange)
@click.argument("run", type=FOLDER, required=False)
@dataset_argument
@option(
    "--onnx",
    type=FOLDER,
    help="Instead of RUN, a model: images Nx3xHxW in, one vector for each out; a file, or a re-id "
    "network of `lpw weights list`.",
)
@option("--out", type=OUT_FILE, default=Path("embeddings.parquet"), show_default=True,
        help="Parquet file to be written.")  # fmt: skip
@dry_run_option()
@option("--per-frame", is_flag=True, help="Keep a row for each frame instead of pooling.")
@option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "auto"]),
    default="float32",
    show_default=True,
    heading="Speed",
    help="Inference precision.",
)
@option("--batch-size", type=int, heading="Speed",
        help="Where the model leaves it open.  [default: 8; 64 with RUN]")  # fmt: skip
@option(
    "--images",
    type=click.Choice(["auto", "files", "pack"]),
    default="auto",
    show_default=True,
    heading="Speed",
    help="Where images are read from.",
)
@option("--workers", type=click.IntRange(0), default=1, show_default=True, needs="RUN",
        help="Processes that read ahead.")  # fmt: skip
@option(
    "--quality",
    type=OUT_FILE,
    needs=("RUN", "no --per-frame"),
    help="Also write the score of every region of every frame, as this .parquet.",
)
@option("--frames", default="all", show_default=True, needs="--onnx",
        help="Frames of each tracklet: all, or a number evenly spaced.")  # fmt: skip
@option(
    "--pooling",
    type=click.Choice(["mean", "max"]),
    default="mean",
    show_default=True,
    needs=("--onnx", "no --per-frame"),
    help="How the vectors of a tracklet's frames become one.",
)
@option("--flip", is_flag=True, needs="--onnx",
        help="Mean of each image's vector and its mirror image's.")  # fmt: skip
@option("--size", needs="--onnx",
        help="HEIGHTxWIDTH of the input, for models that leave it open.")  # fmt: skip
@option("--mean", default="imagenet", show_default=True, needs="--onnx",
        help="imagenet | none | R,G,B as fractions of 255.")  # fmt: skip
@option("--std", default="imagenet", show_default=True, needs="--onnx",
        help="imagenet | none | R,G,B as fractions of 255.")  # fmt: skip
@option("--bgr", is_flag=True, needs="--onnx", help="Channels in the order B, G, R.")
@option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True,
        needs="--onnx", help="What runs the model.")  # fmt: skip
@option("--threads", type=int, needs="--onnx",
        help="Inference threads.  [default: every processor]")  # fmt: skip
@offline_option
def command(options: EmbedCommandOptions) -> None:
    """Writes an embedding of every tracklet, in the order of the dataset, to a Parquet file.

    RUN is a folder made by `lpw train`; --onnx takes any other model. A run knows its own input
    size, normalisation and pooling.
    """
    if options.onnx is not None:
        _embed_by_model(options, options.onnx)
    elif options.run is not None and options.per_frame:
        _embed_frames(options, find_run(options.run))
    elif options.run is not None:
        _embed_by_run(options, find_run(options.run))


def _embed_by_model(options: EmbedCommandOptions, onnx: Path) -> None:
    from lpw_toolkit.dataset.clip_index import open_index

    settings = _take_settings(options)
    index = open_index(open_named(options.dataset).root, source=options.images)
    found = find_named(str(onnx), "re-id", (".onnx",))
    if found.entry is not None:
        say_note(found.note)
        if not any(map(is_given, ("size", "mean", "std", "bgr"))):
            settings = fit_to_entry(settings, found.entry)
    embedder = open_embedder(found.path, settings)
    report = embed_dataset(
        index, embedder, options.out, settings, announcer(dry_run=options.dry_run)
    )
    rows = f"{report.n_images} frames" if options.per_frame else f"{report.n_tracklets} tracklets"
    how = "{runtime}, {precision}, {threads} threads, batches of {batch_size}".format(
        **embedder.settings
    )
    say_result(
        {"out": str(options.out), **vars(report), "settings": embedder.settings},
        f"{options.out}: {rows}, {report.dimension} numbers each, from {report.n_images} images "
        f"({how})",
    )


def _embed_by_run(options: EmbedCommandOptions, run: Path) -> None:
    from lpw_toolkit.dataset.dataset import refuse_out
    from lpw_toolkit.embedding.embeddings import write_embeddings
    from rqen.inference.run_vectors import ScoringOptions, embed_run, refuse_unscored, write_quality

    out, quality = options.out, options.quality
    refuse_out(out)
    if quality is not None:
        refuse_out(quality)
        refuse_unscored(run)
    batch = ScoringOptions.batch if options.batch_size is None else options.batch_size
    scoring = ScoringOptions(batch, options.workers, options.images, options.precision)
    announce = announcer(dry_run=options.dry_run)
    found = embed_run(run, open_named(options.dataset).root, scoring, announce=announce)
    write_embeddings(
        out, found.dataset.tracklets["tracklet_id"].to_pylist(), found.vectors, found.facts
    )
    n_tracklets, dimension = found.vectors.shape
    n_images = len(found.scores)
    how = f"{found.facts.model}, {found.mode.name}, batches of {batch}"
    lines = [
        f"{out}: {n_tracklets} tracklets, {dimension} numbers each, from {n_images} images ({how})"
    ]
    if quality is not None:
        write_quality(quality, found)
        lines.append(f"{quality}: {found.n_regions} scores for each of {n_images} images")
    say_result(
        {
            "out": str(out),
            "quality": quality and str(quality),
            "n_tracklets": n_tracklets,
            "n_images": n_images,
            "dimension": dimension,
            "n_regions": found.n_regions,
            "model": found.facts.model,
            "mode": vars(found.mode),
        },
        *lines,
    )


def _embed_frames(options: EmbedCommandOptions, run: Path) -> None:
    from lpw_toolkit.dataset.dataset import refuse_out
    from rqen.inference.frame_vectors import write_frame_vectors
    from rqen.inference.run_vectors import ScoringOptions

    refuse_out(options.out)
    batch = ScoringOptions.batch if options.batch_size is None else options.batch_size
    n_images, dimension = write_frame_vectors(
        run,
        open_named(options.dataset).root,
        options.out,
        ScoringOptions(batch, options.workers, options.images, options.precision),
        announcer(dry_run=options.dry_run),
    )
    say_result(
        {"out": str(options.out), "n_images": n_images, "dimension": dimension},
        f"{options.out}: {n_images} frames, {dimension} numbers each, regions weighted by their "
        f"scores",
    )


def _take_settings(options: EmbedCommandOptions) -> EmbedOptions:
    """The settings of the model. Errors: LpwError."""
    if options.frames != "all" and not options.frames.isdecimal():
        raise LpwError("--frames", options.frames, "all, or a number of frames", "correct it")
    return EmbedOptions(
        pooling=options.pooling,
        frames=None if options.frames == "all" else int(options.frames),
        per_frame=options.per_frame,
        flip=options.flip,
        size_px=parse_size(options.size) if options.size else None,
        mean=_read_triple("--mean", options.mean, IMAGENET_MEAN, 0.0),
        std=_read_triple("--std", options.std, IMAGENET_STD, 1.0),
        bgr=options.bgr,
        batch_size=EmbedOptions.batch_size if options.batch_size is None else options.batch_size,
        runtime=options.runtime,
        precision=options.precision,
        threads=options.threads,
    )


def _read_triple(
    option: str, text: str, imagenet: tuple[float, float, float], none: float
) -> tuple[float, float, float]:
    if text in ("imagenet", "none"):
        return imagenet if text == "imagenet" else (none, none, none)
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError as error:
        raise LpwError(
            option, text, "imagenet, none, or three numbers R,G,B", "correct it"
        ) from error
    return red, green, blue
