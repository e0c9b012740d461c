"""The contract of a figure of the paper, and its page. Figures are files in `drawings/`.

request (dataset, run, what is shown) -> drawing (facts, sections with pictures) -> folder
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lpw_toolkit.dataset.output_folder import check_free
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce
from lpw_toolkit.pages.plotting import require_matplotlib
from rqen.figures import FIGURES
from rqen.inference.run_vectors import ScoringOptions
from rqen.quality_page.picture_page import Section, publish_page
from rqen.quality_page.scored_tracklets import QualityOptions, ScoredRun

MARKER = ".lpw-figure"


@dataclass(frozen=True)
class FigureRequest:
    """The request of the user; a figure uses what concerns it.

    Attributes:
        data: dataset that is shown.
        run: folder of a trained run whose frames are weighed by scores; None where a figure needs
            none.
        names: tracklets by id; empty: those of the largest spread of scores.
        n_among: the tracklets are chosen among so many, drawn by seed 0; None is all.
        n_rows: tracklets, or persons of each scene; None is the figure's own number.
        n_frames: most frames of a tracklet; None likewise.
        pose: weights of a pose model; None takes the only one at hand, or the catalogue's.
        landmarks: a table of landmarks in place of a pose model.
        n_images: on how many images landmarks are looked for.
        n_workers: processes that read ahead.
        announce: gets an estimate before long work.
    """

    data: Path
    run: Path | None = None
    names: tuple[str, ...] = ()
    n_among: int | None = 200
    n_rows: int | None = None
    n_frames: int | None = None
    pose: str | None = None
    landmarks: Path | None = None
    n_images: int = 500
    n_workers: int = 1
    announce: Announce | None = None

    def score(self, n_rows: int, n_frames: int) -> ScoredRun:
        """The scores of the run on the dataset, and the tracklets that are shown.

        Args:
            n_rows, n_frames: where the request leaves them open.

        Errors: LpwError where there is no run, or as `ScoredRun`.
        """
        if self.run is None:
            raise LpwError("run", "none", "a trained run", "train one with `lpw train rqen`")
        options = QualityOptions(
            n_tracklets=self.n_rows or n_rows,
            names=self.names,
            n_among=self.n_among,
            n_frames=self.n_frames or n_frames,
        )
        scoring = ScoringOptions(n_workers=self.n_workers)
        return ScoredRun(self.run, self.data, options, scoring, self.announce)


@dataclass(frozen=True)
class Drawing:
    """What a figure shows.

    Attributes:
        facts: what it is made from.
        sections: pictures with what stands beside them, by the name of the picture's file.
    """

    facts: tuple[tuple[str, str], ...]
    sections: Mapping[str, Section]


class Figure(Protocol):
    """What each file of `drawings/` has.

    Attributes:
        TITLE: of the page.
        NEEDS_RUN: whether it shows the scores of a run.
    """

    TITLE: str
    NEEDS_RUN: bool

    def draw_figure(self, request: FigureRequest) -> Drawing:
        """The figure. Errors: LpwError for data or a run that cannot be shown so."""


def write_figure(name: str, request: FigureRequest, out: Path) -> list[Path]:
    """Draws the figure called `name` (`fig1`, …) and publishes its page in the folder `out`.
    Returns the files, the page first.

    Errors: LpwError for an unknown name, an `out` that holds other things, data that the figure
    cannot show, or no matplotlib.
    """
    figure: Figure = FIGURES.load(name)
    check_free(out, marker=MARKER)
    require_matplotlib()
    drawing = figure.draw_figure(request)
    return publish_page(out, MARKER, figure.TITLE, drawing.facts, drawing.sections)
