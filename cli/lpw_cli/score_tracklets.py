"""`lpw score-tracklets`: tracklets against ground truth."""

from pathlib import Path
from typing import Any

import click

from lpw_cli.options import FOLDER, config_options, dataset_folder, json_option, take_config
from lpw_cli.say import say_json, say_text
from lpw_toolkit.truth.cleanup_cost import CleanupCosts
from lpw_toolkit.truth.score import format_score, score_against


@click.command()
@click.argument("tracklets", type=FOLDER, required=False)
@click.option(
    "--truth",
    type=FOLDER,
    required=True,
    help="MOT ground truth, or a folder with one file per video.",
)
@click.option(
    "--iou",
    type=float,
    default=0.3,
    show_default=True,
    help="A box holds a person at this overlap or more.",
)
@click.option(
    "--detections",
    type=FOLDER,
    help="MOT text: only boxes with a detection behind them count as kept.",
)
@config_options(CleanupCosts)
@json_option
def command(
    tracklets: Path | None,
    truth: Path,
    iou: float,
    detections: Path | None,
    *,
    as_json: bool,
    **values: Any,
) -> None:
    """Scores TRACKLETS (a dataset, or tracks as MOT text): purity, yield, cleanup cost, IDF1, HOTA,
    MOTA."""
    source = dataset_folder(tracklets)
    prices = take_config(CleanupCosts, values)
    facts = score_against(source, truth, iou=iou, prices=prices, detections=detections)
    if as_json:
        say_json(facts)
    else:
        say_text(format_score(facts))
