"""`lpw link`: the linker alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from lpw_cli.command import Changes, lpw_command, option
from lpw_cli.linking_options import linking_options, preset_option, take_link_config
from lpw_cli.options import FOLDER, OUT_FILE, mot_options
from lpw_cli.say import say_note, say_result
from lpw_toolkit.dataset.mot_text import (
    RATES_HZ,
    MotForm,
    parse_classes,
    read_rows_of,
    to_detections,
    write_tracks,
)
from lpw_toolkit.errors import LpwError, check_range
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.linker import SATURATED, explain_none, link_boxes
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.progress import show_progress


@dataclass(frozen=True, kw_only=True)
class LinkOptions:
    """The options of `lpw link`."""

    detections: Path
    out: Path
    fps: float | None
    scores: Literal["fraction", "percent", "log_odds"]
    first_frame: int | None
    classes: str | None
    strict: bool
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
@mot_options
@preset_option
@option(
    "--boxes",
    type=click.Choice(["smooth", "raw"]),
    help="Write boxes smoothed along their track, as in a dataset, or as detected.  "
    "[default: smooth; raw for the preset paper]",
)
@linking_options
def command(options: LinkOptions) -> None:
    """Links the boxes of DETECTIONS (MOT text) into tracks; no images are needed.

    The tracks count frames as DETECTIONS does.
    """
    detections, out = options.detections, options.out
    if out.resolve() == detections.resolve():
        raise LpwError("--out", str(out), "another file than the detections", "choose another name")
    config = take_link_config(options.preset, options.link)
    form = MotForm(options.first_frame, parse_classes(options.classes), options.strict)
    if options.fps is not None:
        check_range("option --fps", options.fps, *RATES_HZ)
    rows = read_rows_of(detections, form, log=say_note)
    table = to_detections(
        rows, form, fps=options.fps, video_id=detections.stem, scores=options.scores
    )
    with show_progress(f"link {detections.name}", table.num_rows, "boxes") as progress:
        linked = link_boxes(table, config, advance=progress.advance)
    tracks = linked.tracks
    raw = options.boxes == "raw" or (options.boxes is None and options.preset == "paper")
    smooth = table if raw else smooth_tracks(table, tracks)
    write_tracks(out, smooth, tracks, first_frame=rows.first_frame)
    n_tracks, n_boxes = int(tracks.max(initial=-1)) + 1, int((tracks >= 0).sum())
    if linked.is_saturated:
        say_note(SATURATED)
    if not n_tracks:
        say_note(f"warning: {explain_none(linked.left_out)}")
    say_result(
        {
            "tracks": n_tracks,
            "boxes": n_boxes,
            "boxes_read": table.num_rows,
            "left_out": linked.left_out,
            "out": str(out),
        },
        f"{out}: {n_tracks} tracks, {n_boxes} of {table.num_rows} boxes",
    )
