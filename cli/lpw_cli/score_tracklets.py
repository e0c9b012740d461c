"""`lpw score-tracklets`: tracklets against ground truth."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import Changes, lpw_command, option
from lpw_cli.options import FOLDER, config_options, dataset_folder, mot_options
from lpw_cli.say import output, say_json, say_note, say_text
from lpw_toolkit.dataset.mot_text import MotForm, parse_classes
from lpw_toolkit.truth.cleanup_cost import CleanupCosts
from lpw_toolkit.truth.score import format_score, score_against


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The options of `lpw score-tracklets`."""

    tracklets: Path | None
    truth: Path
    iou: float
    detections: Path | None
    first_frame: int | None
    tracks_first_frame: int | None
    classes: str | None
    strict: bool
    costs: Changes[CleanupCosts]


@lpw_command(ScoreOptions)
@click.argument("tracklets", type=FOLDER, required=False)
@option("--data", type=FOLDER, instead_of="tracklets", help="The dataset, in place of TRACKLETS.")
@option(
    "--truth",
    type=FOLDER,
    required=True,
    help="MOT ground truth, or a folder with one file per video.",
)
@option(
    "--iou",
    type=float,
    default=0.3,
    show_default=True,
    help="A box holds a person at this overlap or more.",
)
@option(
    "--detections",
    type=FOLDER,
    help="MOT text: only boxes with a detection behind them count as kept.",
)
@mot_options
@option(
    "--tracks-first-frame",
    type=click.IntRange(0),
    help="The same of TRACKLETS as MOT text.  [default: 1, or 0 where it has a 0]",
)
@config_options(CleanupCosts, "costs", heading="Costs of cleaning")
def command(options: ScoreOptions) -> None:
    """Scores TRACKLETS (a dataset, or tracks as MOT text): purity, yield, cleanup cost, IDF1, HOTA,
    MOTA."""
    facts = score_against(
        dataset_folder(options.tracklets),
        options.truth,
        iou=options.iou,
        prices=options.costs.apply(CleanupCosts()),
        detections=options.detections,
        form=MotForm(options.first_frame, parse_classes(options.classes), options.strict),
        tracks_first_frame=options.tracks_first_frame,
        log=say_note,
    )
    if output().as_json:
        say_json(facts)
    else:
        say_text(format_score(facts))
