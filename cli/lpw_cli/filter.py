"""`lpw filter`: a version with fewer tracklets."""

from dataclasses import dataclass
from pathlib import Path

from lpw_cli.command import Changes, lpw_command, option
from lpw_cli.merge import report_version
from lpw_cli.options import FOLDER, config_options, dataset_argument, dataset_folder
from lpw_toolkit.versions.filtering import FilterConfig, FilterRules, filter_dataset


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """The options of `lpw filter`."""

    dataset: Path | None
    out: Path
    rules: Changes[FilterRules]
    cameras: tuple[str, ...]
    scenes: tuple[str, ...]


@lpw_command(FilterOptions)
@dataset_argument
@option("--out", type=FOLDER, required=True, help="Dataset to be made.")
@config_options(FilterRules, "rules", heading="Rules", skip=("cameras", "scenes"))
@option("--camera", "cameras", multiple=True, metavar="NAME", heading="Rules",
        help="A camera that stays; give it again for another one.")  # fmt: skip
@option("--scene", "scenes", multiple=True, metavar="NAME", heading="Rules",
        help="A scene that stays; give it again for another one.")  # fmt: skip
def command(options: FilterOptions) -> None:
    """Writes a version of DATASET with the tracklets that fulfil all rules, as they are.

    It says how many tracklets each rule takes away of those that the rules before it have left.
    """
    rules = FilterRules(
        **dict(options.rules.values), cameras=options.cameras, scenes=options.scenes
    )
    folder = dataset_folder(options.dataset)
    report_version(filter_dataset(FilterConfig(folder, options.out, rules)))
