"""Options that several commands share, made from the configuration they fill."""

import dataclasses
import inspect
import os
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lpw_cli.command import renamed_option
from lpw_cli.say import say
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links

if TYPE_CHECKING:
    from lpw_toolkit.dataset.dataset import Dataset

__all__ = ["renamed_option"]
Command = TypeVar("Command", bound=Callable[..., Any])
Config = TypeVar("Config")


class _NamedPath(click.Path):
    """A path as the user typed it, with his own links followed: from here on no link is (see
    files.opening).

    Args:
        whole: whether the last component is followed too; a file to be written is not, so that no
            link is replaced.
    """

    def __init__(self, *, whole: bool) -> None:
        super().__init__(path_type=Path)
        self._whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        return follow_links(path) if self._whole else follow_links(path.parent) / path.name


FOLDER, OUT_FILE = _NamedPath(whole=True), _NamedPath(whole=False)
#: A film keeps the name of the link that leads to it; whoever opens it follows the link.
VIDEO = click.Path(path_type=Path)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON, progress as JSON lines."
)


def config_options(
    config: type, *, skip: tuple[str, ...] = (), names: dict[str, str] | None = None
) -> Callable[[Command], Command]:
    """One option for each field of a configuration dataclass, with its docstring as help; not given
    means None.

    Args:
        skip: fields without an option.
        names: fields whose option has another name.
    """
    hints, texts = typing.get_type_hints(config), _attribute_texts(config)

    def decorate(command: Command) -> Command:
        for field in reversed(dataclasses.fields(config)):
            if field.name not in skip:
                name = (names or {}).get(field.name, field.name)
                shown = f"{texts.get(field.name, '')}  [default: {field.default}]"
                command = _option(name, hints[field.name], shown, flag=field.default is False)(
                    command
                )
        return command

    return decorate


def _option(name: str, kind: Any, text: str, *, flag: bool) -> Callable[[Command], Command]:
    option = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(
            option if flag else f"{option}/--no-{option[2:]}",
            name,
            default=None,
            is_flag=True,
            help=text,
        )
    if typing.get_origin(kind) is typing.Literal:
        return click.option(option, name, type=click.Choice(typing.get_args(kind)), help=text)
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return click.option(option, name, type=FOLDER if kind is Path else kind, help=text)


def _attribute_texts(config: type) -> dict[str, str]:
    document = inspect.getdoc(config) or ""
    section = document.partition("Attributes:")[2]
    texts = {}
    for names, text in re.findall(
        r"^    (\w[\w, ]*): (.*(?:\n        .*)*)", section, re.MULTILINE
    ):
        for name in names.split(", "):
            texts[name] = " ".join(text.split())
    return texts


def take_config(
    config: type[Config],
    values: dict[str, Any],
    *,
    base: Config | None = None,
    names: dict[str, str] | None = None,
    **fixed: Any,
) -> Config:
    """A configuration from `base` (or the defaults), what was given, and what is `fixed`; used
    `values` are removed."""
    given = dict(fixed)
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = values.pop((names or {}).get(field.name, field.name), None)
        if value is not None:
            given[field.name] = value
    if base is None:
        return config(**given)
    return dataclasses.replace(base, **given)  # type: ignore[type-var]


def is_given(name: str) -> bool:
    """Whether the parameter stands on the command line."""
    return (
        click.get_current_context().get_parameter_source(name)
        == click.core.ParameterSource.COMMANDLINE
    )


def refuse_idle(names: tuple[str, ...], owner: str, *, needed: bool) -> None:
    """An option that would change nothing is a mistake, not a wish. Errors: UsageError unless
    `owner` is `needed`."""
    given = [name for name in names if is_given(name)]
    if given and not needed:
        raise click.UsageError(f"--{given[0].rstrip('_').replace('_', '-')} belongs to {owner}")


def parse_size(text: str) -> tuple[int, int] | None:
    """`256x128` (height x width) or `native`. Errors: LpwError."""
    if text == "native":
        return None
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not match:
        raise LpwError(
            "option --size",
            text,
            "HEIGHTxWIDTH in pixels, for example 256x128, or native",
            "correct it",
        )
    return int(match[1]), int(match[2])


def dataset_folder(given: Path | None) -> Path:
    """The dataset that was named, or the only one at hand (which is printed)."""
    from lpw_toolkit.dataset.dataset import find_dataset

    if given is not None:
        return given
    found = find_dataset(Path.cwd())
    say(f"dataset: {found.name}", err=True)
    return found


def open_named(given: Path | None) -> "Dataset":
    """The dataset that was named, or the only one at hand, opened; what could not be verified is
    printed."""
    from lpw_toolkit.dataset.dataset import open_dataset

    dataset = open_dataset(dataset_folder(given))
    say(*(f"note: {note}" for note in dataset.unverified), err=True)
    return dataset


def default_out(source: Path, suffix: str) -> Path:
    """The output next to the current folder's other things when none is named (which is
    printed)."""
    out = Path(f"{source.resolve().stem if source.is_file() else source.resolve().name}{suffix}")
    say(f"output: {out}", err=True)
    return out


def cache_folder(given: Path | None, *, off: bool) -> Path | None:
    """Where raw detections are kept: `--cache`, LPW_CACHE, or the user's cache folder; None for
    `--no-cache`."""
    from lpw_toolkit.networks.weights import cache_folder as user_cache

    return None if off else (given or user_cache()) / "detections"
