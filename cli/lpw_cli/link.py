"""`lpw link`: the linker alone."""

from pathlib import Path
from typing import Any

import click

from lpw_cli.options import FOLDER, OUT_FILE, config_options, json_option, take_config
from lpw_cli.say import say, say_json
from lpw_toolkit.dataset.mot_text import read_detections, write_tracks
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.config import PRESETS, LinkConfig
from lpw_toolkit.linking.linker import link
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.progress import set_style, show_progress


@click.command()
@click.argument("detections", type=FOLDER)
@click.option(
    "--out",
    type=OUT_FILE,
    required=True,
    help="MOT text to be written: frame,id,left,top,width,height,score,…",
)
@click.option("--fps", type=float, help="Frames per second, where a rule speaks of seconds.")
@click.option(
    "--scores",
    type=click.Choice(["fraction", "percent", "log_odds"]),
    default="fraction",
    show_default=True,
)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="default", show_default=True)
@click.option(
    "--boxes",
    type=click.Choice(["smooth", "raw"]),
    help="Write boxes smoothed along their track, as a dataset holds them, or as detected. "
    "[default: smooth; "
    "raw for the preset paper]",
)
@config_options(LinkConfig, skip=("extra",))
@json_option
def command(
    detections: Path,
    out: Path,
    fps: float | None,
    scores: Any,
    preset: str,
    boxes: str | None,
    *,
    as_json: bool,
    **values: Any,
) -> None:
    """Links the boxes of DETECTIONS (MOT text) into tracks; no images are needed."""
    set_style("json" if as_json else "auto")
    if out.resolve() == detections.resolve():
        raise LpwError("--out", str(out), "another file than the detections", "choose another name")
    config = take_config(LinkConfig, values, base=PRESETS[preset])
    table = read_detections(detections, fps=fps, video_id=detections.stem, scores=scores)
    with show_progress(f"link {detections.name}", table.num_rows, "boxes") as progress:
        tracks = link(table, config, advance=progress.advance)
    raw = boxes == "raw" or (boxes is None and preset == "paper")
    write_tracks(out, table if raw else smooth_tracks(table, tracks), tracks)
    n_tracks, n_boxes = int(tracks.max(initial=-1)) + 1, int((tracks >= 0).sum())
    facts = {"tracks": n_tracks, "boxes": n_boxes, "boxes_read": table.num_rows, "out": str(out)}
    if as_json:
        say_json(facts)
    else:
        say(f"{out}: {n_tracks} tracks, {n_boxes} of {table.num_rows} boxes")
