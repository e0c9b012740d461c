"""`lpw reproduce`: the paper's tables, ours beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.options import FOLDER, OUT_FILE, dataset_folder
from lpw_cli.say import say, say_text
from lpw_toolkit.errors import LpwError
from lpw_toolkit.progress import set_style
from rqen.reproduce.forms import FORMS, format_report
from rqen.reproduce.paper import NAMES

if TYPE_CHECKING:
    from rqen.reproduce.forms import Report
    from rqen.reproduce.plan import Item, ReproducePlan, Request
    from rqen.reproduce.record import Record


@click.command()
@click.argument("table", type=click.Choice(NAMES))
@click.option(
    "--data",
    type=FOLDER,
    multiple=True,
    help="Dataset; several for table1.  [default: the one at hand]",
)
@click.option("--test-data", type=FOLDER, help="Dataset that is tested, of table5 and table6.")
@click.option(
    "--protocol", help="Of the test.  [default: the dataset's own; of table5, cross_dataset]"
)
@click.option(
    "--recipe", default="modern", show_default=True, help="A recipe by name, or a .toml file."
)
@click.option("--backbone", help="A backbone by name, or timm:NAME.  [default: the recipe's]")
@click.option("--weights", help="imagenet, random, or a file.  [default: the recipe's]")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Change a value of the recipe.",
)
@click.option(
    "--method", "methods", multiple=True, help="A row to run; several.  [default: the table's]"
)
@click.option("--onnx", type=FOLDER, help="An ONNX model, whose vectors are a row too.")
@click.option("--seeds", default="0", show_default=True, help="Numbers, such as 0,1,2.")
@click.option("--splits", default="all", show_default=True, help="Numbers, such as 0,1, or all.")
@click.option(
    "--out", type=FOLDER, help="Folder of runs and results.  [default: runs/reproduce-DATA-RECIPE]"
)
@click.option("--only-report", is_flag=True, help="Run nothing: print what is there.")
@click.option("--plot", type=OUT_FILE, help="CMC curves of the rows as this .png or .svg.")
@click.option("--download", is_flag=True, help="Fetch public weights that are not on this machine.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that read ahead.",
)
@click.option(
    "--format", "form", type=click.Choice(list(FORMS)), default="table", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(table: str, *, data: tuple[Path, ...], form: str, as_json: bool, **values: Any) -> None:
    """Runs what is missing of TABLE on the data at hand, and prints it beside what the paper
    prints.

    A row is trained, embedded and tested once: started again, the command goes on where it was
    stopped. A cell that was not run stays empty.
    """
    form = "json" if as_json else form
    set_style("json" if as_json else "auto")
    roots = data or (dataset_folder(None),)
    report = _count(roots) if table == "table1" else _reproduce(table, roots, values)
    say_text(format_report(report, form))


def _count(roots: tuple[Path, ...]) -> "Report":
    from lpw_toolkit.dataset.dataset import open_dataset
    from rqen.reproduce.counts import report_counts

    context = click.get_current_context()
    kept = ("table", "data", "form", "as_json")
    for name in context.params:
        if (
            name not in kept
            and context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        ):
            raise click.UsageError(
                f"table1 counts datasets: it takes --data and --format, not {_option(name)}"
            )
    return report_counts([open_dataset(root) for root in roots])


def _option(name: str) -> str:
    return {"changes": "--set", "methods": "--method"}.get(name, f"--{name.replace('_', '-')}")


def _reproduce(table: str, roots: tuple[Path, ...], values: dict[str, Any]) -> "Report":
    from rqen.reproduce.plan import make_plan
    from rqen.reproduce.record import read_records
    from rqen.reproduce.report import make_report, widen_plan

    if len(roots) > 1:
        raise click.UsageError(f"{table} takes one --data; table1 takes several")
    request = _take_request(table, roots[0], values)
    _check_plot(values["plot"])
    plan = make_plan(request)
    widen_plan(plan)  # refuses a folder of other settings before anything is run
    if not values["only_report"]:
        _run(plan, values)
    wide = widen_plan(plan)
    records = read_records(request.out, wide.items)
    if values["plot"] is not None:
        _draw(wide, records, values["plot"])
    return make_report(wide, records)


def _take_request(table: str, root: Path, values: dict[str, Any]) -> "Request":
    from lpw_toolkit.dataset.dataset import open_dataset
    from rqen.reproduce.plan import Request

    changes = [f'model.{name}="{values[name]}"' for name in ("backbone", "weights") if values[name]]
    out = values["out"]
    if out is None:
        name = open_dataset(root).root.resolve().name
        out = Path("runs") / f"reproduce-{name}-{Path(values['recipe']).stem}"
        say(f"output: {out}", err=True)
    splits = (
        None if values["splits"] == "all" else _numbers("--splits", values["splits"], "0,1 or all")
    )
    return Request(
        table, root, out, values["test_data"], values["protocol"], values["recipe"],
        (*changes, *values["changes"]), values["methods"],
        _numbers("--seeds", values["seeds"], "0,1,2"), splits,
        values["onnx"],
    )  # fmt: skip


def _numbers(option: str, text: str, example: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= 9 for part in parts):
        raise LpwError(
            f"option {option}", text, f"whole numbers from 0, such as {example}", "correct it"
        )
    return tuple(map(int, parts))


def _check_plot(place: Path | None) -> None:
    from lpw_toolkit.dataset.dataset import refuse_inside_dataset

    if place is None:
        return
    if place.suffix.lower() not in (".png", ".svg"):
        raise LpwError(
            "option --plot", str(place), "a name that ends in .png or .svg", "name it so"
        )
    refuse_inside_dataset(place)


def _run(plan: "ReproducePlan", values: dict[str, Any]) -> None:
    from rqen.inference.run_vectors import ScoringOptions
    from rqen.reproduce.work import WorkOptions, run_plan
    from rqen.training.distributed import open_process_group

    def report(item: "Item", record: "Record") -> None:
        metrics = record["metrics"]
        shown = f"rank-1 {100 * metrics['cmc@1']:.1f}, mAP {100 * metrics['map']:.1f}"
        say(f"{item.row.label}, split {item.split}, seed {item.seed}: {shown}", err=True)

    n_workers = values["workers"]
    options = WorkOptions(ScoringOptions(n_workers=n_workers), values["download"], n_workers)
    with open_process_group() as team:
        run_plan(plan, team, options, report)


def _draw(plan: "ReproducePlan", records: "dict[str, Record]", place: Path) -> None:
    from lpw_toolkit.evaluation.cmc_plot import draw_cmc
    from rqen.reproduce.aggregate_results import summarise_rows

    figures = summarise_rows(plan, records)
    curves = {row.label: figures[row.name].curve for row in plan.rows}
    shown = {label: curve for label, curve in curves.items() if curve is not None}
    if not shown:
        raise LpwError(
            "option --plot", "no row that was run", "one or more", "leave out --only-report"
        )
    draw_cmc(shown, place, title=f"{plan.test.name}, {plan.protocol}")
    say(f"written: {place}", err=True)
