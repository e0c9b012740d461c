"""`lpw embed`: a vector for each tracklet of a dataset, by any ONNX model."""

import json
from pathlib import Path
from typing import Any

import click

from cli.options import FOLDER, dataset_folder, json_option, parse_size
from lpw_toolkit.errors import LpwError
from lpw_toolkit.index import open_index
from lpw_toolkit.onnx_embed import IMAGENET_MEAN, IMAGENET_STD, RUNTIMES, EmbedOptions, embed_dataset, open_embedder
from lpw_toolkit.progress import set_style


@click.command()
@click.option("--onnx", type=FOLDER, required=True, help="The model: images Nx3xHxW in, one vector for each out.")
@click.option("--data", type=FOLDER, help="The dataset.  [default: the only one at hand]")
@click.option("--out", type=FOLDER, default=Path("embeddings.parquet"), show_default=True)
@click.option("--pooling", type=click.Choice(["mean", "max"]), default="mean", show_default=True)
@click.option("--frames", default="all", show_default=True, help="Of each tracklet: all, or a number evenly spaced.")
@click.option("--per-frame", is_flag=True, help="Keep a row for each frame instead of pooling.")
@click.option("--flip", is_flag=True, help="Mean of each image's vector and its mirror image's.")
@click.option("--size", help="HEIGHTxWIDTH of the input, for models that leave it open.")
@click.option("--mean", default="imagenet", show_default=True, help="imagenet | none | R,G,B as fractions of 255.")
@click.option("--std", default="imagenet", show_default=True, help="imagenet | none | R,G,B as fractions of 255.")
@click.option("--bgr", is_flag=True, help="Channels in the order B, G, R.")
@click.option(
    "--batch-size", default=EmbedOptions.batch_size, show_default=True, help="Where the model leaves it open."
)
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["float32", "bfloat16", "auto"]), default="float32", show_default=True)
@click.option("--threads", type=int, help="Inference threads.  [default: every processor]")
@click.option(
    "--images", type=click.Choice(["auto", "files", "pack"]), default="auto", show_default=True, help="Where from."
)
@json_option
def command(onnx: Path, data: Path | None, out: Path, *, images: Any, as_json: bool, **values: Any) -> None:
    """Writes an embedding of every tracklet, in the order of the dataset, to a Parquet file."""
    set_style("json" if as_json else "auto")
    options = _read_options(values)
    index = open_index(dataset_folder(data), source=images)
    embedder = open_embedder(onnx, options)
    report = embed_dataset(index, embedder, out, options)
    if as_json:
        click.echo(json.dumps({"out": str(out), **vars(report), "settings": embedder.settings}))
        return
    rows = f"{report.n_images} frames" if options.per_frame else f"{report.n_tracklets} tracklets"
    how = "{runtime}, {precision}, {threads} threads, batches of {batch_size}".format(**embedder.settings)
    click.echo(f"{out}: {rows}, {report.dimension} numbers each, from {report.n_images} images ({how})")


def _read_options(values: dict[str, Any]) -> EmbedOptions:
    size, frames = values.pop("size"), values.pop("frames")
    if frames != "all" and not frames.isdecimal():
        raise LpwError("--frames", frames, "all, or a number of frames", "correct it")
    values["mean"] = _read_triple("--mean", values["mean"], IMAGENET_MEAN, 0.0)
    values["std"] = _read_triple("--std", values["std"], IMAGENET_STD, 1.0)
    return EmbedOptions(
        **values, size_px=parse_size(size) if size else None, frames=None if frames == "all" else int(frames)
    )


def _read_triple(
    option: str, text: str, imagenet: tuple[float, float, float], none: float
) -> tuple[float, float, float]:
    if text in ("imagenet", "none"):
        return imagenet if text == "imagenet" else (none, none, none)
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError as error:
        raise LpwError(option, text, "imagenet, none, or three numbers R,G,B", "correct it") from error
    return red, green, blue
