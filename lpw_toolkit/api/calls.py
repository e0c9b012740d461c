"""What all public functions have in common: arguments are checked against their annotations, and
messages name arguments where those of the command name options.

    option --min-cameras: got 0; …   ->   min_cameras: got 0; …
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, TypeVar

from lpw_toolkit.api.checks import check_value
from lpw_toolkit.errors import LpwError

#: Options that are called otherwise than the setting.
_OTHERWISE = {"size": "size_px"}
P = ParamSpec("P")
R = TypeVar("R")
#: Commands in backquotes stay as they are.
_OPTION = re.compile(r"(`[^`]*`)|(?:\boption )?(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")


def public_call(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with its arguments checked by `check_value`, and with errors for Python.

    Errors: LpwError for an argument of another kind than its annotation.
    """
    signature = inspect.signature(function)
    kinds = _read_kinds(function)
    flags = {name for name, kind in kinds.items() if kind is bool}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Python says which argument is missing or unknown
        try:
            for name, value in bound.arguments.items():
                kind = kinds.get(name, Any)
                if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                    checked: Any = {key: check_value(key, one, kind) for key, one in value.items()}
                else:
                    checked = check_value(name, value, kind)
                bound.arguments[name] = checked
            return function(*bound.args, **bound.kwargs)
        except LpwError as error:
            told = name_arguments(error, signature.parameters, flags)
            raise told.with_traceback(error.__traceback__) from error.__cause__

    return call


def name_arguments(
    error: LpwError, arguments: Collection[str], flags: Collection[str] = ()
) -> LpwError:
    """`error` with the names of arguments instead of options.

    Args:
        error: as the command would show it.
        arguments: of the function; `camera` becomes `cameras` where that is one.
        flags: those that are True or False: `--restart` becomes `restart=True` in what to do.
    """

    def rename(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        name = found[2].replace("-", "_")
        name = _OTHERWISE.get(name, name)
        if name not in arguments and f"{name}s" in arguments:
            name += "s"
        return f"{name}=True" if name in flags else name

    parts = (
        str(part).replace("--train-data and --train-embeddings", "--source")
        for part in (error.thing, error.got, error.expected, error.hint)
    )
    return type(error)(*(_OPTION.sub(rename, part) for part in parts))


def _read_kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each argument; `Any` for one whose names are there for type checkers
    only."""
    kinds: dict[str, Any] = {}
    for name, text in inspect.get_annotations(function).items():
        holder = types.SimpleNamespace(__annotations__={name: text})
        try:
            kinds |= typing.get_type_hints(holder, getattr(function, "__globals__", {}))
        except NameError:
            kinds[name] = Any
    return kinds
