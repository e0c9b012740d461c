"""`lpw reproduce`: the tables of the paper, with our results beside them, and its figures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.estimates import announcer, dry_run_option
from lpw_cli.options import (
    FOLDER,
    NEWEST,
    OUT_FILE,
    check_suffix,
    dataset_folder,
    find_run,
    offline_option,
)
from lpw_cli.say import output, say_note, say_result, say_table
from lpw_toolkit.errors import LpwError
from rqen.figures import FIGURES
from rqen.reproduce.forms import FORMS, format_report
from rqen.reproduce.paper import NAMES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rqen.reproduce.forms import Report
    from rqen.reproduce.plan import ReproducePlan, ReproduceRequest, WorkItem
    from rqen.reproduce.record import Record
    from rqen.training.distributed import ProcessGroup

_FIGURES = FIGURES.names()  # pictures of data; fig6 is a table with curves
_CHOICES = sorted((*NAMES, *_FIGURES), key=lambda name: ("fig" in name, name))
_DRAWS = "TABLE " + " or TABLE ".join(_FIGURES)
_SCORED = "no TABLE fig3 or TABLE fig5"  # those show no run
_RUNS = f"no TABLE table1 or {_DRAWS}"  # table1 counts datasets and runs nothing


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """The options of `lpw reproduce`."""

    table: str
    dataset: tuple[Path, ...]
    test_data: Path | None
    protocol: str | None
    recipe: str
    backbone: str | None
    weights: str | None
    changes: tuple[str, ...]
    methods: tuple[str, ...]
    onnx: Path | None
    seeds: str
    splits: str
    out: Path | None
    only_report: bool
    plot: Path | None
    download: bool
    workers: int
    form: str
    dry_run: bool
    run: Path | None
    names: tuple[str, ...]
    n_among: int
    n_rows: int | None
    n_frames: int | None
    pose: str | None
    landmarks: Path | None
    n_images: int


@lpw_command(ReproduceOptions)
@click.argument("table", type=click.Choice(_CHOICES))
@click.argument("dataset", type=FOLDER, nargs=-1, metavar="[DATASET]...")
@option(
    "--data",
    type=FOLDER,
    multiple=True,
    instead_of="dataset",
    help="The dataset, in place of DATASET; several for table1.  [default: the only one at hand]",
)
@option(
    "--out",
    type=FOLDER,
    needs="no TABLE table1",
    heading="Options",
    help="Folder of runs and results, or of a figure's page.  "
    "[default: runs/reproduce-DATA-RECIPE, ./fig1 and so on]",
)
@option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    default="table",
    show_default=True,
    needs=f"no {_DRAWS}",
    heading="Options",
    help="How the table is printed.",
)
@option("--only-report", is_flag=True, needs=_RUNS, help="Run nothing: print the finished rows.")
@dry_run_option(_RUNS, "no --only-report")
@option("--plot", type=OUT_FILE, needs=_RUNS, help="CMC curves of the rows as this .png or .svg.")
@option(
    "--method",
    "methods",
    multiple=True,
    needs=_RUNS,
    heading="Rows",
    help="A row to run, such as qan or rqen+xqda+rerank; can be given several times.  "
    "[default: the table's]",
)
@option("--onnx", type=FOLDER, needs=_RUNS, heading="Rows",
        help="An ONNX model that gets a row too.")  # fmt: skip
@option("--seeds", default="0", show_default=True, needs=_RUNS, heading="Rows",
        help="Numbers, such as 0,1,2.")  # fmt: skip
@option("--splits", default="all", show_default=True, needs=_RUNS, heading="Rows",
        help="Numbers, such as 0,1, or all.")  # fmt: skip
@option("--recipe", default="modern", show_default=True, needs=_RUNS, heading="Training",
        help="A recipe by name, or a .toml file; methods without regions take their "
        "own.")  # fmt: skip
@option("--backbone", needs=_RUNS, heading="Training",
        help="A backbone by name, or timm:NAME.  [default: the recipe's]")  # fmt: skip
@option("--weights", needs=_RUNS, heading="Training",
        help="imagenet, random, or a file.  [default: the recipe's]")  # fmt: skip
@option("--set", "changes", multiple=True, metavar="SECTION.KEY=VALUE", needs=_RUNS,
        heading="Training", help="Change a value of the recipe.")  # fmt: skip
@option("--download", is_flag=True, needs=_RUNS, heading="Training",
        help="Let a timm:NAME backbone fetch its weights itself, unpinned.")  # fmt: skip
@option("--workers", type=click.IntRange(0), default=1, show_default=True,
        needs="no TABLE table1 or TABLE fig3 or TABLE fig5",
        heading="Training", help="Processes that read ahead.")  # fmt: skip
@option("--test-data", type=FOLDER, needs=_RUNS, heading="Test",
        help="Dataset of the test, for table5 and table6.")  # fmt: skip
@option("--protocol", needs=_RUNS, heading="Test",
        help="Its protocol.  [default: the dataset's own; for table5, cross_dataset]")  # fmt: skip
@option("--run", type=FOLDER, needs=(_DRAWS, _SCORED), heading="Figures",
        help="The run whose scores are shown.  [default: the newest]")  # fmt: skip
@option("--tracklet", "names", multiple=True, metavar="ID", needs=(_DRAWS, _SCORED),
        heading="Figures",
        help="Show this tracklet; can be given several times.  "
        "[default: those whose scores differ most]")  # fmt: skip
@option("--among", "n_among", type=click.IntRange(1), default=200, show_default=True,
        needs=(_DRAWS, _SCORED, "no --tracklet"), heading="Figures",
        help="Choose among this many tracklets, drawn by seed 0.")  # fmt: skip
@option("--rows", "n_rows", type=click.IntRange(1, 500), needs=(_DRAWS, "no --tracklet"),
        heading="Figures",
        help="How many tracklets, images of each kind (fig3), or persons of a scene "
        "(fig5).  [default: 2, 8, 4, 4]")  # fmt: skip
@option("--frames", "n_frames", type=click.IntRange(2, 24),
        needs=(_DRAWS, "no TABLE fig3"), heading="Figures",
        help="Frames of a tracklet.  [default: 6, 4, 8]")  # fmt: skip
@option("--pose", metavar="WEIGHTS", needs=("TABLE fig3", "no --landmarks"),
        heading="Figures",
        help="A pose model, a file or a name of `lpw weights list`.  "
        "[default: BlazePose]")  # fmt: skip
@option("--landmarks", type=FOLDER, needs="TABLE fig3", heading="Figures",
        help="Table of 14 joints per image, in place of a pose model.")  # fmt: skip
@option("--images", "n_images", type=click.IntRange(1), default=500, show_default=True,
        needs=("TABLE fig3", "no --landmarks"), heading="Figures",
        help="On how many images joints are looked for.")  # fmt: skip
@offline_option
def command(options: ReproduceOptions) -> None:
    """Runs what is missing of TABLE on the data at hand, and prints it beside what the paper
    prints; or draws a figure of the paper.

    A row is trained, embedded and tested once: the same command again resumes after the last
    finished row. A cell that was not run stays empty. A figure is a folder with a page.
    """
    roots = options.dataset or (dataset_folder(None),)
    if options.table != "table1" and len(roots) > 1:
        raise click.UsageError(f"{options.table} takes one dataset; table1 takes several")
    if options.table in _FIGURES:
        _draw_figure(options, roots[0])
        return
    if options.table == "table1":
        from lpw_toolkit.dataset.dataset import open_dataset
        from rqen.reproduce.counts import report_counts

        report = report_counts([open_dataset(root) for root in roots])
    else:
        report = _reproduce(options, roots[0])
    say_table(format_report(report, "json" if output().as_json else options.form))


def _draw_figure(options: ReproduceOptions, data: Path) -> None:
    from rqen.figures.figure import FigureRequest, write_figure
    from rqen.quality_page.scored_tracklets import refuse_unweighted

    run = None
    if FIGURES.load(options.table).NEEDS_RUN:
        run = find_run(options.run or NEWEST)
        refuse_unweighted(run)
    request = FigureRequest(
        data=data,
        run=run,
        names=options.names,
        n_among=options.n_among,
        n_rows=options.n_rows,
        n_frames=options.n_frames,
        pose=options.pose,
        landmarks=options.landmarks,
        n_images=options.n_images,
        n_workers=options.workers,
        announce=announcer(dry_run=False),
    )
    files = write_figure(options.table, request, options.out or Path(options.table))
    pictures = [str(file) for file in files[1:]]
    say_result({"page": str(files[0]), "pictures": pictures}, f"open {files[0]}")


def _reproduce(options: ReproduceOptions, root: Path) -> "Report":
    from lpw_toolkit.pages.plotting import require_matplotlib
    from rqen.figures.curves_page import write_curves_page
    from rqen.reproduce.plan import make_plan
    from rqen.reproduce.record import read_records
    from rqen.reproduce.report import make_report, widen_plan

    request = _take_request(options, root)
    check_suffix("--plot", options.plot, (".png", ".svg"))
    if options.table == "fig6":
        require_matplotlib()
    plan = make_plan(request)
    widen_plan(plan)  # refuses a folder of other settings before anything is run
    if not options.only_report:
        _run(plan, options)
    wide = widen_plan(plan)
    records = read_records(request.out, wide.items)
    report, curves = make_report(wide, records), _find_curves(wide, records)
    if options.plot is not None:
        _plot(wide, curves, options.plot)
    if options.table == "fig6" and curves:
        page = write_curves_page(report, curves, request.out / "fig6")[0]
        say_note(f"written: {page}")
    return report


def _take_request(options: ReproduceOptions, root: Path) -> "ReproduceRequest":
    from lpw_toolkit.dataset.dataset import open_dataset
    from lpw_toolkit.networks.weights import find_named
    from rqen.reproduce.plan import ReproduceRequest

    network = {"backbone": options.backbone, "weights": options.weights}
    changes = [f'model.{name}="{value}"' for name, value in network.items() if value]
    out = options.out
    if out is None:
        name = open_dataset(root).root.resolve().name
        out = Path("runs") / f"reproduce-{name}-{Path(options.recipe).stem}"
        say_note(f"output: {out}")
    splits = None if options.splits == "all" else _numbers("--splits", options.splits, "0,1 or all")
    return ReproduceRequest(
        options.table, root, out, options.test_data, options.protocol, options.recipe,
        (*changes, *options.changes), options.methods,
        _numbers("--seeds", options.seeds, "0,1,2"), splits,
        None if options.onnx is None else find_named(str(options.onnx), "re-id", (".onnx",)).path,
    )  # fmt: skip


def _numbers(option: str, text: str, example: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= 9 for part in parts):
        raise LpwError(
            f"option {option}", text, f"whole numbers from 0, such as {example}", "correct it"
        )
    return tuple(map(int, parts))


def _run(plan: "ReproducePlan", options: ReproduceOptions) -> None:
    from rqen.inference.run_vectors import ScoringOptions
    from rqen.reproduce.work import WorkOptions, run_plan
    from rqen.training.distributed import open_process_group

    def report(item: "WorkItem", record: "Record") -> None:
        metrics = record["metrics"]
        shown = f"rank-1 {100 * metrics['cmc@1']:.1f}, mAP {100 * metrics['map']:.1f}"
        say_note(f"{item.row.label}, split {item.split}, seed {item.seed}: {shown}")

    n_workers = options.workers
    work = WorkOptions(ScoringOptions(n_workers=n_workers), options.download, n_workers)
    with open_process_group() as team:
        if options.dry_run or (team.is_alone and not output().quiet):
            _announce(plan, team, options)
        run_plan(plan, team, work, report)


def _announce(plan: "ReproducePlan", team: "ProcessGroup", options: ReproduceOptions) -> None:
    """Prints the plan with its hours where it is long; with --dry-run ends the command."""
    from rqen.reproduce.forecast import forecast_plan

    found = forecast_plan(plan, team, n_workers=options.workers, download=options.download)
    lines = [*(row.describe() for row in found.rows), found.total.describe()]
    if options.dry_run:
        rows = [vars(row) for row in found.rows]
        say_result({**found.total.fields(), "rows": rows}, *lines)
        raise click.exceptions.Exit(0)
    if not found.total.is_short:
        say_note(*lines)


def _find_curves(
    plan: "ReproducePlan", records: "dict[str, Record]"
) -> "dict[str, NDArray[np.float64]]":
    """The CMC curves of the rows that were run, by label."""
    from rqen.reproduce.aggregate_results import summarise_rows

    figures = summarise_rows(plan, records)
    curves = {row.label: figures[row.name].curve for row in plan.rows}
    return {label: curve for label, curve in curves.items() if curve is not None}


def _plot(plan: "ReproducePlan", curves: "dict[str, NDArray[np.float64]]", place: Path) -> None:
    from lpw_toolkit.evaluation.cmc_plot import draw_cmc

    if not curves:
        raise LpwError(
            "option --plot", "no row that was run", "one or more", "leave out --only-report"
        )
    draw_cmc(curves, place, title=f"{plan.test.name}, {plan.protocol}")
    say_note(f"written: {place}")
