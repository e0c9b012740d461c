"""`lpw embed`: a vector for each tracklet of a dataset, by a trained run or any ONNX model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.options import FOLDER, OUT_FILE, json_option, open_named, parse_size, refuse_idle
from lpw_cli.say import say, say_json
from lpw_toolkit.embedding.onnx_embed import embed_dataset
from lpw_toolkit.embedding.onnx_embedder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    RUNTIMES,
    EmbedOptions,
    open_embedder,
)
from lpw_toolkit.errors import LpwError
from lpw_toolkit.progress import set_style

if TYPE_CHECKING:
    from rqen.inference.run_vectors import ScoringOptions

_OF_MODEL = ("pooling", "frames", "flip", "size", "mean", "std", "bgr", "runtime", "threads")
_OF_RUN = ("quality", "workers")


@click.command()
@click.argument("run", type=FOLDER, required=False)
@click.option(
    "--onnx",
    type=FOLDER,
    help="Instead of RUN, a model: images Nx3xHxW in, one vector for each out.",
)
@click.option("--data", type=FOLDER, help="The dataset.  [default: the only one at hand]")
@click.option("--out", type=OUT_FILE, default=Path("embeddings.parquet"), show_default=True)
@click.option(
    "--quality",
    type=OUT_FILE,
    help="With RUN: also the score of every region of every frame, as this .parquet.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="With RUN: processes that read.",
)
@click.option("--pooling", type=click.Choice(["mean", "max"]), default="mean", show_default=True)
@click.option(
    "--frames",
    default="all",
    show_default=True,
    help="Of each tracklet: all, or a number evenly spaced.",
)
@click.option("--per-frame", is_flag=True, help="Keep a row for each frame instead of pooling.")
@click.option("--flip", is_flag=True, help="Mean of each image's vector and its mirror image's.")
@click.option("--size", help="HEIGHTxWIDTH of the input, for models that leave it open.")
@click.option(
    "--mean",
    default="imagenet",
    show_default=True,
    help="imagenet | none | R,G,B as fractions of 255.",
)
@click.option(
    "--std",
    default="imagenet",
    show_default=True,
    help="imagenet | none | R,G,B as fractions of 255.",
)
@click.option("--bgr", is_flag=True, help="Channels in the order B, G, R.")
@click.option(
    "--batch-size", type=int, help="Where the model leaves it open.  [default: 8; 64 with RUN]"
)
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "auto"]),
    default="float32",
    show_default=True,
)
@click.option("--threads", type=int, help="Inference threads.  [default: every processor]")
@click.option(
    "--images",
    type=click.Choice(["auto", "files", "pack"]),
    default="auto",
    show_default=True,
    help="Where from.",
)
@json_option
def command(run: Path | None, onnx: Path | None, *, as_json: bool, **values: Any) -> None:
    """Writes an embedding of every tracklet, in the order of the dataset, to a Parquet file.

    RUN is a folder made by `lpw train`; --onnx takes any other model. Options of the model (pooling
    to threads) belong to --onnx: a run knows its own.
    """
    if (run is None) == (onnx is None):
        raise click.UsageError("give either RUN or --onnx")
    set_style("json" if as_json else "auto")
    if run is not None:
        refuse_idle(_OF_MODEL, "--onnx", needed=False)
        _embed_by_run(run, values, as_json=as_json)
    elif onnx is not None:
        refuse_idle(_OF_RUN, "RUN", needed=False)
        _embed_by_model(onnx, values, as_json=as_json)


def _embed_by_model(onnx: Path, values: dict[str, Any], *, as_json: bool) -> None:
    from lpw_toolkit.dataset.clip_index import open_index

    data, out, images = (values.pop(name) for name in ("data", "out", "images"))
    values = {name: value for name, value in values.items() if name not in _OF_RUN}
    options = _read_options(values)
    index = open_index(open_named(data).root, source=images)
    embedder = open_embedder(onnx, options)
    report = embed_dataset(index, embedder, out, options)
    if as_json:
        say_json({"out": str(out), **vars(report), "settings": embedder.settings})
        return
    rows = f"{report.n_images} frames" if options.per_frame else f"{report.n_tracklets} tracklets"
    how = "{runtime}, {precision}, {threads} threads, batches of {batch_size}".format(
        **embedder.settings
    )
    say(f"{out}: {rows}, {report.dimension} numbers each, from {report.n_images} images ({how})")


def _embed_by_run(run: Path, values: dict[str, Any], *, as_json: bool) -> None:
    from lpw_toolkit.dataset.dataset import refuse_inside_dataset
    from lpw_toolkit.embedding.embeddings import write_embeddings
    from rqen.inference.run_vectors import ScoringOptions, embed_run, refuse_unscored, write_quality

    out, quality = values["out"], values["quality"]
    for place in (out, quality):
        if place is not None:
            refuse_inside_dataset(place)
    if quality is not None:
        refuse_unscored(run)
        if values["per_frame"]:
            raise click.UsageError("--quality goes with vectors of tracklets, not with --per-frame")
    batch = ScoringOptions.batch if values["batch_size"] is None else values["batch_size"]
    options = ScoringOptions(batch, values["workers"], values["images"], values["precision"])
    if values["per_frame"]:
        _embed_frames(run, values, options, as_json=as_json)
        return
    found = embed_run(run, open_named(values["data"]).root, options)
    write_embeddings(
        out, found.dataset.tracklets["tracklet_id"].to_pylist(), found.vectors, found.facts
    )
    if quality is not None:
        write_quality(quality, found)
    n_tracklets, dimension = found.vectors.shape
    facts = {"n_tracklets": n_tracklets, "n_images": len(found.scores), "dimension": dimension}
    if as_json:
        said = {
            "out": str(out),
            "quality": quality and str(quality),
            **facts,
            "n_regions": found.n_regions,
        }
        say_json({**said, "model": found.facts.model, "mode": vars(found.mode)})
        return
    how = f"{found.facts.model}, {found.mode.name}, batches of {options.batch}"
    say(
        f"{out}: {n_tracklets} tracklets, {dimension} numbers each, from {len(found.scores)} "
        f"images ({how})"
    )
    if quality is not None:
        say(f"{quality}: {found.n_regions} scores for each of {len(found.scores)} images")


def _embed_frames(
    run: Path, values: dict[str, Any], options: "ScoringOptions", *, as_json: bool
) -> None:
    from rqen.inference.frame_vectors import write_frame_vectors

    n_images, dimension = write_frame_vectors(
        run, open_named(values["data"]).root, values["out"], options
    )
    if as_json:
        say_json({"out": str(values["out"]), "n_images": n_images, "dimension": dimension})
        return
    say(
        f"{values['out']}: {n_images} frames, {dimension} numbers each, regions weighted by their "
        f"scores"
    )


def _read_options(values: dict[str, Any]) -> EmbedOptions:
    size, frames = values.pop("size"), values.pop("frames")
    if frames != "all" and not frames.isdecimal():
        raise LpwError("--frames", frames, "all, or a number of frames", "correct it")
    if values["batch_size"] is None:
        del values["batch_size"]
    values["mean"] = _read_triple("--mean", values["mean"], IMAGENET_MEAN, 0.0)
    values["std"] = _read_triple("--std", values["std"], IMAGENET_STD, 1.0)
    return EmbedOptions(
        **values,
        size_px=parse_size(size) if size else None,
        frames=None if frames == "all" else int(frames),
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
