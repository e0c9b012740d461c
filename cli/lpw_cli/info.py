"""`lpw info`: counts and settings of a dataset."""

from pathlib import Path

import click

from lpw_cli.options import FOLDER, json_option, open_named
from lpw_cli.say import say_json, say_text
from lpw_toolkit.dataset.info import describe, format_info, format_table1, table1


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--table1",
    "as_table1",
    is_flag=True,
    help="In the terms of the paper's Table 1, beside its rows.",
)
@json_option
def command(dataset: Path | None, *, as_table1: bool, as_json: bool) -> None:
    """Counts, lengths, sources and settings of DATASET."""
    opened = open_named(dataset)
    facts = table1(opened) if as_table1 else describe(opened)
    text = format_table1 if as_table1 else format_info
    if as_json:
        say_json(facts)
    else:
        say_text(text(facts))
