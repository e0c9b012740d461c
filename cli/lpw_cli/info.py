"""`lpw info`: counts and settings of a dataset."""

from dataclasses import dataclass
from pathlib import Path

from lpw_cli.command import lpw_command, option
from lpw_cli.options import dataset_argument, open_named
from lpw_cli.say import output, say_json, say_text
from lpw_toolkit.dataset.info import describe, format_info, format_table1, table1


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """The options of `lpw info`."""

    dataset: Path | None
    as_table1: bool


@lpw_command(InfoOptions)
@dataset_argument
@option(
    "--table1",
    "as_table1",
    is_flag=True,
    help="In the terms of the paper's Table 1, beside its rows.",
)
def command(options: InfoOptions) -> None:
    """Counts, lengths, sources and settings of DATASET."""
    opened = open_named(options.dataset)
    facts = table1(opened) if options.as_table1 else describe(opened)
    if output().as_json:
        say_json(facts)
    else:
        say_text((format_table1 if options.as_table1 else format_info)(facts))
