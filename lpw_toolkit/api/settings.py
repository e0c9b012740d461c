"""Turns keyword arguments into the frozen dataclasses that the packages take."""

from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, get_type_hints, overload

from lpw_toolkit.api.checks import check_value
from lpw_toolkit.errors import LpwError, nearest
from lpw_toolkit.files.home import expand_home


def deal_settings(settings: dict[str, Any], *configs: Any) -> list[Any]:
    """`configs` (dataclasses), each with its fields of `settings`; of two with the same field the
    first takes it.

    Raises:
        LpwError: a setting is a field of none of them (the nearest name is suggested), or has a
            value of another kind than its annotation.
    """
    names = [[field.name for field in fields(config)] for config in configs]
    unknown = sorted(set(settings).difference(*names))
    if unknown:
        near = nearest(unknown[0], [name for some in names for name in some])
        hint = f"did you mean {near}?" if near else "see the documentation of the function"
        raise LpwError("setting", unknown[0], "the name of a setting", hint)
    left = dict(settings)
    return [
        replace(config, **_check(config, {name: left.pop(name) for name in some if name in left}))
        for config, some in zip(configs, names, strict=True)
    ]


def _check(config: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Raises: LpwError for a value that is not what the field's annotation says."""
    kinds = get_type_hints(type(config)) if given else {}
    return {name: check_value(name, value, kinds[name]) for name, value in given.items()}


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
