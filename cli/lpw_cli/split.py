"""`lpw split`: who trains and who is tested, as a new version of a dataset."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, default_out, open_named
from lpw_cli.say import say_result
from lpw_cli.split_options import split_options
from lpw_toolkit.files.opening import is_folder
from lpw_toolkit.splits.config import By, SplitConfig
from lpw_toolkit.splits.roles import RULES
from lpw_toolkit.splits.split_version import write_split

_RULES = tuple(rule.replace("_", "-") for rule in RULES)
_DRAWS = ("no --by scene", "no --by time", "no --by list")


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """The options of `lpw split`."""

    dataset: Path | None
    file: Path | None
    out: Path | None
    by: By
    test_frac: float
    n_splits: int
    seed: int
    protocol: str | None


def _arrange(values: dict[str, Any]) -> None:
    """`DATASET --by list FILE`, `--by list FILE`, and both with --data DATASET."""
    names, dataset = list(values.pop("names")), values.pop("data")
    has_file = values["by"] == "list" and names and not is_folder(names[-1])
    values["file"] = names.pop() if has_file else None
    if len(names) > (dataset is None):
        raise click.UsageError(f"{names[-1]} is one name too many: give DATASET once")
    values["dataset"] = names[0] if names else dataset


@lpw_command(SplitOptions, arrange=_arrange)
@click.argument("names", nargs=-1, type=FOLDER, metavar="[DATASET] [FILE]")
@option("--data", type=FOLDER,
        help="The dataset, in place of DATASET.  [default: the only one at hand]")  # fmt: skip
@option("--out", type=FOLDER, help="Dataset to be made.  [default: DATASET-split]")
@option(
    "--by",
    type=click.Choice(["seed", "scene", "time", "list"]),
    default="seed",
    show_default=True,
    help="seed draws who is tested; scene tests each scene in turn; time tests who came later; "
    "list FILE reads a person and train or test from each line of FILE.",
)
@split_options(share_needs=("no --by scene", "no --by list"), draw_needs=_DRAWS)
@option(
    "--protocol",
    type=click.Choice(_RULES),
    help="The test that the splits are for.  [default: cross-camera where two cameras saw a "
    "person, otherwise within-camera]",
)
def command(options: SplitOptions) -> None:
    """Divides the persons of DATASET into those who train and those who are tested, as a new
    version of it.

    Queries and gallery are chosen for a test across cameras, or within one camera where no person
    was seen by two. What cannot be tested is refused.
    """
    rule = next((r for r in RULES if r.replace("_", "-") == options.protocol), None)
    config = SplitConfig(
        options.by, options.test_frac, options.n_splits, options.seed, options.file, rule
    )
    dataset = open_named(options.dataset)
    out = options.out or default_out(dataset.root, "-split")
    made, drawn = write_split(dataset, out, config)
    replaced = ["note: the splits of the dataset are replaced"] if dataset.splits else []
    say_result(
        {
            "out": str(out),
            "splits": drawn.facts,
            "counts": [asdict(count) for count in drawn.counts],
            "notes": drawn.notes,
        },
        *replaced,
        *drawn.describe(),
        f"written: {out} ({made.manifest['counts']['n_persons']:,} persons; splits drawn "
        f"{drawn.how})",
    )
