"""What a command says before long work: how long it will take and what it will write."""

from collections.abc import Callable

import click

from lpw_cli.command import Function, option
from lpw_cli.say import output, say_note, say_result
from lpw_toolkit.files.estimate import Announce, Estimate


def dry_run_option(*needs: str) -> Callable[[Function], Function]:
    """--dry-run. Args: `needs` as `command.Option` has it."""
    return option(
        "--dry-run",
        is_flag=True,
        needs=needs,
        help="Print how long it will take and what it will write, from a short trial, and stop.",
    )


def announcer(*, dry_run: bool) -> Announce | None:
    """What a command does with an estimate: a note where the work is long; with `--dry-run` the
    result, and the end. None where nobody would see it."""
    if dry_run:
        return _stop
    return None if output().quiet else _note


def _note(estimate: Estimate) -> None:
    if not estimate.is_short:
        say_note(estimate.describe())


def _stop(estimate: Estimate) -> None:
    say_result(estimate.fields(), estimate.describe())
    raise click.exceptions.Exit(0)
