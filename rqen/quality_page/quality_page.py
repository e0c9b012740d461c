"""The page of `lpw quality`: how the scores of a run are spread, and the tracklets whose scores
differ most."""

from pathlib import Path

import numpy as np

from lpw_toolkit.dataset.output_folder import check_free
from lpw_toolkit.files.estimate import Announce
from rqen.inference.run_vectors import ScoringOptions, name_regions
from rqen.quality_page.picture_page import Section, publish_page
from rqen.quality_page.score_pictures import draw_scores, draw_set
from rqen.quality_page.scored_tracklets import (
    QualityOptions,
    ScoredRun,
    ScoredTracklet,
    measure_spread,
)

MARKER = ".lpw-quality"
_SPREAD_WORDS = "(largest − smallest score) / mean score of a region, averaged over the regions"


def write_quality_page(
    run: Path,
    data: Path,
    out: Path,
    options: QualityOptions,
    scoring: ScoringOptions,
    announce: Announce | None = None,
) -> list[Path]:
    """Publishes the folder `out`: index.html, scores.png and a PNG per tracklet. Returns the files,
    the page first.

    Args:
        announce: gets an estimate from a few batches.

    Errors: LpwError for a run without weights for frames, unknown tracklets, or an `out` that holds
    other things; CorruptCropError that names an image.
    """
    check_free(out, marker=MARKER)
    scored = ScoredRun(run, data, options, scoring, announce)
    picture = draw_scores(scored.scores, scored.view.regions)
    alt = "a histogram of the scores of each region"
    sections = {"scores": Section("Scores of all frames", (), picture, alt)}
    for number, tracklet in enumerate(scored.tracklets(), start=1):
        sections[f"tracklet-{number:03d}"] = _make_section(tracklet)
    title = f"Quality: {scored.found.facts.model}"
    return publish_page(out, MARKER, title, list_facts(scored), sections)


def _make_section(tracklet: ScoredTracklet) -> Section:
    shown = tracklet.shown
    lines = (
        f"{tracklet.caption}; spread {measure_spread(tracklet.scores):.3f}",
        f"best frame {shown.positions[shown.best]}, worst frame {shown.positions[shown.worst]}",
    )
    alt = "frames in a row with the score of each region, and below them their last feature maps"
    numbers = tracklet.list_numbers()
    return Section(tracklet.said["tracklet_id"], lines, draw_set(shown), alt, numbers)


def list_facts(scored: ScoredRun) -> list[tuple[str, str]]:
    """What the pictures of a run are made from."""
    found, frames = scored.found, scored.scores
    options = scored.options
    n, of = int(np.sum(found.present)), found.dataset.tracklets.num_rows
    drawn = "" if n == of else f"of {n:,} drawn by seed {options.seed}, "
    chosen = "by id" if options.names else f"{drawn}largest spread first: {_SPREAD_WORDS}"
    means = zip(name_regions(found.n_regions), frames.mean(axis=0).tolist(), strict=True)
    return [
        ("run", found.run.name),
        ("weights", f"SHA-256 {found.facts.checkpoint_sha256}"),
        ("dataset", f"{found.dataset.name}, digest {found.dataset.digest}"),
        ("scored", f"{int(np.sum(found.present)):,} tracklets, {len(frames):,} frames"),
        ("tracklets", chosen),
        ("mean score", ", ".join(f"{name} {value:.3f}" for name, value in means)),
        ("µ", "score divided by the sum of the scores of the frames shown, per region"),
    ]
