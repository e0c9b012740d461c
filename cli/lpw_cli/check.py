"""`lpw check`: verification of a dataset."""

from pathlib import Path

import click

from lpw_cli.options import FOLDER, dataset_folder, json_option
from lpw_cli.say import say, say_json
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.progress import set_style


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--incremental",
    is_flag=True,
    help="Skip images that were verified before and did not change since.",
)
@click.option(
    "--state",
    type=FOLDER,
    help="Folder for the list of verified images, where the dataset is read-only.",
)
@click.option("--tables-only", is_flag=True, help="Leave the images out.")
@json_option
def command(
    dataset: Path | None, *, incremental: bool, state: Path | None, tables_only: bool, as_json: bool
) -> None:
    """Verifies every table, row and image of DATASET; changes nothing. Exit code 3: something does
    not match."""
    set_style("json" if as_json else "auto")
    root = dataset_folder(dataset)
    report = check_dataset(root, incremental=incremental, state=state, images=not tables_only)
    if as_json:
        say_json(report.as_fields())
    else:
        say(*report.problems, *report.notes)
        counts = (
            f"{report.n_tables} tables, {report.n_rows} rows, "
            f"{report.n_images + report.n_unchanged} images"
        )
        say(f"{root}: {counts} verified{'' if report.ok else ', problems found'}")
    if not report.ok:
        n_problems = sum(problem.level != "warning" for problem in report.problems)
        raise MismatchError(
            root, f"{n_problems} problems", "a dataset as it was built", "see the lines above"
        )
