"""`lpw link`: the linker alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from lpw_cli.command import Changes, lpw_command, option
from lpw_cli.linking_options import linking_options, preset_option, take_link_config
from lpw_cli.options import FOLDER, OUT_FILE
from lpw_cli.say import say_result
from lpw_toolkit.dataset.mot_text import read_detections, write_tracks
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.linker import link
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.progress import show_progress


@dataclass(frozen=True, kw_only=True)
class LinkOptions:
    """The options of `lpw link`."""

    detections: Path
    out: Path
    fps: float | None
    scores: Literal["fraction", "percent", "log_odds"]
    preset: str
    boxes: Literal["smooth", "raw"] | None
    link: Changes[LinkConfig]


@lpw_command(LinkOptions)
@click.argument("detections", type=FOLDER)
@option(
    "--out",
    type=OUT_FILE,
    required=True,
    help="MOT text to be written: frame,id,left,top,width,height,score,…",
)
@option("--fps", type=float, help="Frames per second, where a rule speaks of seconds.")
@option(
    "--scores",
    type=click.Choice(["fraction", "percent", "log_odds"]),
    default="fraction",
    show_default=True,
    help="What the score column holds.",
)
@preset_option
@option(
    "--boxes",
    type=click.Choice(["smooth", "raw"]),
    help="Write boxes smoothed along their track, as in a dataset, or as detected.  "
    "[default: smooth; raw for the preset paper]",
)
@linking_options
def command(options: LinkOptions) -> None:
    """Links the boxes of DETECTIONS (MOT text) into tracks; no images are needed."""
    detections, out = options.detections, options.out
    if out.resolve() == detections.resolve():
        raise LpwError("--out", str(out), "another file than the detections", "choose another name")
    config = take_link_config(options.preset, options.link)
    table = read_detections(
        detections, fps=options.fps, video_id=detections.stem, scores=options.scores
    )
    with show_progress(f"link {detections.name}", table.num_rows, "boxes") as progress:
        tracks = link(table, config, advance=progress.advance)
    raw = options.boxes == "raw" or (options.boxes is None and options.preset == "paper")
    write_tracks(out, table if raw else smooth_tracks(table, tracks), tracks)
    n_tracks, n_boxes = int(tracks.max(initial=-1)) + 1, int((tracks >= 0).sum())
    say_result(
        {"tracks": n_tracks, "boxes": n_boxes, "boxes_read": table.num_rows, "out": str(out)},
        f"{out}: {n_tracks} tracks, {n_boxes} of {table.num_rows} boxes",
    )
