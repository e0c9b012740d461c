"""Options that several commands share, generated from the dataclasses that they fill."""

import dataclasses
import inspect
import os
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.command import GENERAL, Function, option, renamed_option, retired_option
from lpw_cli.say import say_note
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.home import expand_home
from lpw_toolkit.files.opening import follow_links

if TYPE_CHECKING:
    from lpw_toolkit.dataset.at_hand import Need
    from lpw_toolkit.dataset.dataset import Dataset

__all__ = ["renamed_option", "retired_option"]  # for the commands


class _TypedPath(click.Path):
    """A path as the user typed it, with his home for `~`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Errors: BadParameter for an empty one, which would be the working folder."""
        if not os.fspath(value):
            self.fail("an empty path: is a variable of the shell not set?", param, ctx)
        return expand_home(Path(os.fsdecode(super().convert(value, param, ctx))))


class _NamedPath(_TypedPath):
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
        path = super().convert(value, param, ctx)
        if not path.name:  # `.`: what is made there, and what is said of it, needs a name
            path = Path(os.path.abspath(path))  # noqa: PTH100 (links are followed below)
        return follow_links(path) if self._whole else follow_links(path.parent) / path.name


FOLDER, OUT_FILE = _NamedPath(whole=True), _NamedPath(whole=False)
#: A film keeps the name of the link that leads to it; whoever opens it follows the link.
VIDEO = _TypedPath(path_type=Path)
#: Stands for the newest finished run of the working folder.
NEWEST = Path("runs") / "latest"


def dataset_argument(function: Function) -> Function:
    """DATASET or --data; a command that gets none takes the dataset at hand."""
    for decorate in (
        option(
            "--data",
            type=FOLDER,
            instead_of="dataset",
            help="The dataset, in place of DATASET.  [default: the one at hand]",
        ),
        click.argument("dataset", type=FOLDER, required=False),
    ):
        function = decorate(function)
    return function


def mot_options(function: Function) -> Function:
    """How a MOT text is meant: the fields of `MotForm`."""
    for decorate in (
        option("--strict", is_flag=True, help="Refuse a row at fault in place of leaving it out."),
        option(
            "--classes",
            help="Classes that count where column 8 is a class, for example 1,2 or all.  "
            "[default: 1, the pedestrians of MOT16 and later]",
        ),
        option(
            "--first-frame",
            type=click.IntRange(0),
            help="The number of the first frame in the text.  [default: 1, or 0 where it has a 0]",
        ),
    ):
        function = decorate(function)
    return function


def offline_option(function: Function, heading: str | None = GENERAL) -> Function:
    """--offline: this command fetches nothing."""

    def go_offline(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        from lpw_toolkit.networks.fetching import offline

        if value:
            ctx.with_resource(offline())

    return option(
        "--offline",
        is_flag=True,
        expose_value=False,
        heading=heading,
        callback=go_offline,
        help="Fetch no weights: those that are not on this machine are an error.",
    )(function)


#: Why --download does nothing any more.
FETCHED = "weights that are missing are fetched, and --offline forbids it"


def config_options(
    config: type,
    into: str,
    *,
    heading: str,
    first: tuple[str, ...] = (),
    skip: tuple[str, ...] = (),
    names: dict[str, str] | None = None,
    needs: dict[str, str] | None = None,
) -> Callable[[Function], Function]:
    """One option for each field of a configuration dataclass, with its docstring as help.

    Args:
        into: the field of the command's own dataclass that gets what was given, as `Changes`.
        heading: of all of them in `--help`, but those that are shown `first`.
        skip: fields without an option.
        names: fields whose option has another name.
        needs: fields whose option needs a condition (`command.Option`).
    """
    hints, texts = typing.get_type_hints(config), _attribute_texts(config)

    def decorate(function: Function) -> Function:
        for field in reversed(dataclasses.fields(config)):
            if field.name in skip:
                continue
            name = (names or {}).get(field.name, field.name)
            spelt = f"--{name.replace('_', '-')}"
            is_on = hints[field.name] is bool and field.default is True
            function = option(
                f"{spelt}/--no-{spelt[2:]}" if is_on else spelt,
                name,
                **_kind(hints[field.name]),
                default=None,
                help=_describe(texts.get(field.name, ""), field.default),
                heading=None if field.name in first else heading,
                needs=(needs or {}).get(field.name, ()),
                field=(field.name, into),
            )(function)
        return function

    return decorate


def _kind(kind: Any) -> dict[str, Any]:
    if kind is bool:
        return {"is_flag": True}
    if typing.get_origin(kind) is typing.Literal:
        return {"type": click.Choice(typing.get_args(kind))}
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return {"type": FOLDER if kind is Path else kind}


def _describe(text: str, default: object) -> str:
    """The help of an option; what a docstring says of None is its default."""
    shown = f"  [default: {default}]"
    if default is None:
        text, none, chosen = text.partition("None ")
        shown = f"  [default: {chosen.removeprefix('is ').rstrip('.')}]" if none else ""
    elif isinstance(default, bool):
        shown = "  [default: on]" if default else ""
    text = text.rstrip(" ;.")
    is_list = re.match(r"\w+ \|", text)  # auto | float32 | bfloat16
    return f"{text if is_list else text[:1].upper() + text[1:]}.{shown}"


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


def check_suffix(name: str, place: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuses early what could not be written after the work. Errors: LpwError."""
    from lpw_toolkit.dataset.dataset import refuse_out

    if place is None:
        return
    if place.suffix.lower() not in suffixes:
        expected = f"a name that ends in {' or '.join(suffixes)}"
        raise LpwError(f"option {name}", str(place), expected, "name it so")
    if place.is_dir():
        raise LpwError(
            f"option {name}", f"the folder {place}", "a file to be written", "name the file"
        )
    refuse_out(place)


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


def dataset_folder(given: Path | None, *needs: "Need") -> Path:
    """The dataset that was named, or the one at hand that meets `needs` (which is printed)."""
    from lpw_toolkit.dataset.at_hand import find_at_hand

    if given is not None:
        return given
    found = find_at_hand(Path.cwd(), *needs)
    say_note(f"dataset: {found.root.name}{f' ({found.why})' if found.why else ''}")
    return follow_links(found.root)


def open_named(given: Path | None, *needs: "Need") -> "Dataset":
    """The dataset that was named, or the one at hand that meets `needs`, opened; what could not be
    verified is printed."""
    from lpw_toolkit.dataset.dataset import open_dataset

    dataset = open_dataset(dataset_folder(given, *needs))
    say_note(*(f"note: {note}" for note in dataset.unverified))
    return dataset


def find_run(given: Path) -> Path:
    """The run that was named; for `runs/latest` the newest one (which is printed)."""
    if given.name != NEWEST.name or given.is_dir():
        return given
    from rqen.run.latest import find_latest, runs_folder

    run = find_latest(runs_folder() if given == NEWEST else given.parent)
    say_note(f"run: {os.path.relpath(run)} (the newest)")
    return run


def default_out(source: Path, suffix: str) -> Path:
    """The output next to the current folder's other things when none is named (which is
    printed)."""
    out = Path(f"{source.resolve().stem if source.is_file() else source.resolve().name}{suffix}")
    say_note(f"output: {out}")
    return out


def cache_folder(given: Path | None, *, off: bool) -> Path | None:
    """Where raw detections are kept: `--cache`, LPW_CACHE, or the user's cache folder; None for
    `--no-cache` and for a user without a home."""
    from lpw_toolkit.files.home import cache_folder as user_cache

    folder = None if off else given or user_cache()
    return None if folder is None else folder / "detections"
