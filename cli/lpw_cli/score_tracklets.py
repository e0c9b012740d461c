"""`lpw score-tracklets`: tracklets against ground truth."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import Changes, lpw_command, option
from lpw_cli.options import FOLDER, config_options, dataset_folder
from lpw_cli.say import output, say_json, say_text
from lpw_toolkit.truth.cleanup_cost import CleanupCosts
from lpw_toolkit.truth.score import format_score, score_against


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The options of `lpw score-tracklets`."""

    tracklets: Path | None
    truth: Path
    iou: float
    detections: Path | None
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
    )
    if output().as_json:
        say_json(facts)
    else:
        say_text(format_score(facts))
