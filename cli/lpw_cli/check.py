"""`lpw check`: verification of a dataset."""

from dataclasses import dataclass
from pathlib import Path

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, dataset_argument, dataset_folder
from lpw_cli.say import say_result
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.errors import MismatchError


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """The options of `lpw check`."""

    dataset: Path | None
    tables_only: bool
    incremental: bool
    state: Path | None


@lpw_command(CheckOptions)
@dataset_argument
@option("--tables-only", is_flag=True, help="Leave the images out.")
@option(
    "--incremental",
    is_flag=True,
    needs="no --tables-only",
    help="Skip images that were verified before and did not change since.",
)
@option(
    "--state",
    type=FOLDER,
    needs="no --tables-only",
    help="Folder for the list of verified images, where the dataset is read-only.",
)
def command(options: CheckOptions) -> None:
    """Verifies every table, row and image of DATASET; changes nothing. Exit code 3: something does
    not match."""
    root = dataset_folder(options.dataset)
    report = check_dataset(
        root,
        incremental=options.incremental,
        state=options.state,
        images=not options.tables_only,
    )
    n_images = report.n_images + report.n_unchanged
    counts = f"{report.n_tables} tables, {report.n_rows} rows, {n_images} images"
    say_result(
        report.as_fields(),
        *report.problems,
        *report.notes,
        f"{root}: {counts} verified{'' if report.ok else ', problems found'}",
    )
    if not report.ok:
        n_problems = sum(problem.level != "warning" for problem in report.problems)
        raise MismatchError(
            root, f"{n_problems} problems", "a dataset as it was built", "see the lines above"
        )
