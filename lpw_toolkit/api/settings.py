"""Turns keyword arguments into the frozen dataclasses that the packages take."""

from dataclasses import fields, replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any, overload

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.home import expand_home


def deal_settings(settings: dict[str, Any], *configs: Any) -> list[Any]:
    """`configs` (dataclasses), each with its fields of `settings`; of two with the same field the
    first takes it.

    Raises:
        LpwError: a setting is a field of none of them; the nearest name is suggested.
    """
    names = [[field.name for field in fields(config)] for config in configs]
    unknown = sorted(set(settings).difference(*names))
    if unknown:
        near = get_close_matches(unknown[0], [name for some in names for name in some], n=1)
        hint = f"write {near[0]}" if near else "see the documentation of the function"
        raise LpwError("setting", unknown[0], "the name of a setting", hint)
    left = dict(settings)
    return [
        replace(config, **{name: left.pop(name) for name in some if name in left})
        for config, some in zip(configs, names, strict=True)
    ]


@overload
def take_path(given: str | PathLike[str]) -> Path: ...
@overload
def take_path(given: str | PathLike[str] | None) -> Path | None: ...
def take_path(given: str | PathLike[str] | None) -> Path | None:
    """A path as a caller gave it, with `~` as the home folder; None for None.

    Raises:
        LpwError: `~` of a user without a home.
    """
    return None if given is None else expand_home(Path(given))
