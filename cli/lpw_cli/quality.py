"""`lpw quality`: the region scores of a run, drawn on frames."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.estimates import announcer
from lpw_cli.options import FOLDER, dataset_argument, dataset_folder, find_run
from lpw_cli.say import say_result


@dataclass(frozen=True, kw_only=True)
class QualityCommandOptions:
    """The options of `lpw quality`."""

    run: Path
    dataset: Path | None
    out: Path
    n_tracklets: int
    names: tuple[str, ...]
    n_among: int | None
    n_frames: int
    seed: int
    mask: Path | None
    workers: int


@lpw_command(QualityCommandOptions)
@click.argument("run", type=FOLDER)
@dataset_argument
@option(
    "--out", type=FOLDER, default=Path("quality"), show_default=True, help="Folder to be written."
)
@option(
    "--tracklets",
    "n_tracklets",
    type=click.IntRange(1, 500),
    default=6,
    show_default=True,
    needs="no --tracklet",
    help="How many tracklets.",
)
@option(
    "--tracklet",
    "names",
    multiple=True,
    metavar="ID",
    help="Show this tracklet; can be given several times.",
)
@option(
    "--among",
    "n_among",
    type=click.IntRange(1),
    needs="no --tracklet",
    help="Choose among this many tracklets, drawn by --seed.  [default: all]",
)
@option(
    "--frames",
    "n_frames",
    type=click.IntRange(2, 24),
    default=10,
    show_default=True,
    help="Frames in a row.",
)
@option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    needs="no --tracklet",
    help="Random seed of draws, and of the order of equal scores.",
)
@option(
    "--mask",
    type=FOLDER,
    help="Outline the corrupted regions: the table made with a corrupted dataset.",
)
@option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that read ahead.",
)
def command(options: QualityCommandOptions) -> None:
    """Paints the scores that RUN gives to every region on frames, with the last maps beneath: PNGs
    and a local page.

    Shown are the tracklets whose scores differ most, or those named by --tracklet.
    """
    from rqen.inference.run_vectors import ScoringOptions
    from rqen.quality_page.quality_page import write_quality_page
    from rqen.quality_page.scored_tracklets import QualityOptions, refuse_unweighted

    run = find_run(options.run)
    refuse_unweighted(run)
    shown = QualityOptions(
        n_tracklets=options.n_tracklets,
        names=options.names,
        n_among=options.n_among,
        n_frames=options.n_frames,
        seed=options.seed,
        mask=options.mask,
    )
    files = write_quality_page(
        run,
        dataset_folder(options.dataset),
        options.out,
        shown,
        ScoringOptions(n_workers=options.workers),
        announcer(dry_run=False),
    )
    say_result(
        {"page": str(files[0]), "pictures": [str(file) for file in files[1:]]},
        f"open {files[0]}",
    )
