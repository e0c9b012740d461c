"""The options of the linker: preset, settings, and the settings of added rules."""

import click

from lpw_cli.command import Changes, Function, option
from lpw_cli.options import config_options, renamed_option
from lpw_toolkit.linking.config import FORMER_NAMES, FORMER_PRESETS, PRESETS, LinkConfig
from lpw_toolkit.linking.rule import added_settings, make_link_config

preset_option = option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="default",
    show_default=True,
    help="How boxes become tracklets: the starting values of the linking options.",
)


def linking_options(function: Function) -> Function:
    """One option for each setting; names of the last version are understood, with a note."""
    for old, new in FORMER_NAMES.items():
        function = renamed_option(_spell(old), _spell(new))(function)
    for old, new in FORMER_PRESETS.items():
        function = renamed_option(old, "--preset", new)(function)
    for kind in reversed(added_settings()):
        function = config_options(kind, "link", heading="Added linker rules")(function)
    return config_options(LinkConfig, "link", heading="Linking", skip=("extra",))(function)


def _spell(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def take_link_config(preset: str, given: Changes[LinkConfig]) -> LinkConfig:
    """The linker's configuration that was asked for. Errors: LpwError."""
    return make_link_config(preset, dict(given.values))
