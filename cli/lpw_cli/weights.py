"""`lpw weights`: which weights are known, where they lie, and fetching one."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from lpw_cli.command import lpw_command
from lpw_cli.options import offline_option
from lpw_cli.say import say_note, say_result
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import is_file
from lpw_toolkit.networks.catalogue import (
    CatalogueEntry,
    find_entry,
    load_catalogue,
    show_size,
)
from lpw_toolkit.networks.fetching import fetch, find_cached, is_kept, weights_folder

_HERE, _CACHE, _AWAY, _OTHER = "working folder", "cache", "not here", "cache, other bytes"
_BY_HAND = "not here, get it yourself"


@dataclass(frozen=True, kw_only=True)
class WeightsOptions:
    """The options of `lpw weights`."""

    action: Literal["list", "get", "where"]
    name: str | None


@lpw_command(WeightsOptions)
@click.argument("action", type=click.Choice(["list", "get", "where"]))
@click.argument("name", required=False)
@partial(offline_option, heading=None)
def command(options: WeightsOptions) -> None:
    """Weights of networks: `list` shows the known ones, `get NAME` fetches one, `where [NAME]`
    prints where they lie.

    A command fetches what it needs by itself; this is for looking, and for a machine that will be
    offline.
    """
    if options.action == "list" and options.name is not None:
        raise click.UsageError("NAME belongs to get and where, not to list")
    if options.action == "get" and options.name is None:
        raise click.UsageError("give the NAME of what is fetched; `lpw weights list` shows them")
    if options.action == "get":
        _get(_find(str(options.name)))
    elif options.action == "where":
        _where([_find(options.name)] if options.name else list(load_catalogue()), options.name)
    else:
        _list()


def _find(name: str) -> CatalogueEntry:
    entry = find_entry(name)
    if entry is None:
        names = ", ".join(entry.name for entry in load_catalogue())
        raise LpwError("weights", name, names, "choose one of them")
    return entry


def _locate(entry: CatalogueEntry) -> tuple[str, Path | None]:
    """Where the file lies, in words, and its path."""
    if is_file(Path(entry.file)):
        return _HERE, Path(entry.file)
    try:
        path = find_cached(entry)
    except LpwError:  # told by `get` and by every command that would take it
        return _OTHER, None
    if path is not None:
        return _CACHE, path
    return _AWAY if entry.pin and entry.sources else _BY_HAND, None


def _list() -> None:
    rows, fields = [], []
    for entry in load_catalogue():
        place, path = _locate(entry)
        size = "-" if entry.n_bytes is None else show_size(entry.n_bytes)
        rows.append((entry.name, entry.task, entry.licence, size, place, entry.about))
        fields.append(_fields(entry, place, path))
    header = ("name", "task", "licence", "size", "where", "network")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    say_note(f"cache: {weights_folder() or 'none'}")
    say_result({"cache": _text(weights_folder()), "weights": fields}, *lines)


def _fields(entry: CatalogueEntry, place: str, path: Path | None) -> dict[str, Any]:
    figures = entry.figures
    return {
        "name": entry.name,
        "task": entry.task,
        "file": entry.file,
        "network": entry.about,
        "licence": entry.licence,
        "n_bytes": entry.n_bytes,
        "sha256": entry.sha256,
        "figures": figures and vars(figures),
        "sources": [str(source) for source in entry.sources],
        "where": place,
        "path": _text(path),
    }


def _get(entry: CatalogueEntry) -> None:
    path = fetch(entry)
    if not is_kept(path):
        do = "set LPW_CACHE to a folder that takes files"
        raise LpwError("cache", "no folder that takes files", "a place to keep weights", do)
    say_note(f"{entry.name}: {entry.describe()}")
    say_result(_fields(entry, _CACHE, path), path)


def _where(entries: list[CatalogueEntry], name: str | None) -> None:
    found = [(entry, *_locate(entry)) for entry in entries]
    if name is not None and found[0][2] is None:
        do = f"run `lpw weights get {name}`"
        do = f"remove it, then {do}" if found[0][1] == _OTHER else do
        raise LpwError(name, found[0][1], "the file on this machine", do)
    say_note(f"cache: {weights_folder() or 'none'}")
    fields = [_fields(entry, place, path) for entry, place, path in found if path is not None]
    say_result(
        {"cache": _text(weights_folder()), "weights": fields},
        *(path for _, _, path in found if path is not None),
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
