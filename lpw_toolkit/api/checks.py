"""Checks values against the annotations of the public functions and of the settings.

split(by="sceen")   by: Literal["seed", "scene", …]   ->   LpwError: by: got sceen; …
"""

import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, Literal

import numpy as np

from lpw_toolkit.errors import LpwError, unknown_name

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    PathLike: "a path",
    type(None): "None",
    np.ndarray: "an array",
}
_MAX_CHARS = 80


class _MisfitError(Exception):
    """A value that is not of the kind."""


def check_value(name: str, value: Any, kind: Any) -> Any:
    """`value` as the annotation `kind` has it.

    A single value stands for a list of one, numbers of NumPy for those of Python, `-` for `_` in
    names to choose from. Annotations of other kinds (`ArrayLike`, protocols) take everything.

    Raises:
        LpwError: `value` is of another kind; of names to choose from the nearest is suggested.

    >>> check_value("cameras", "scen1/view1", Iterable[str])
    ('scen1/view1',)
    """
    try:
        return _take(value, kind)
    except _MisfitError:
        choices = _list_choices(kind)
        if choices and isinstance(value, str):
            raise unknown_name(name, value, choices) from None
        raise LpwError(name, _show(value), _describe(kind), "give another value") from None


def _split(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Origin and arguments of an annotation. A name for a kind (`NDArray[…]` of NumPy 2.5 is one)
    stands for its kind."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    while (named := getattr(origin, "__value__", None)) is not None:
        origin = typing.get_origin(named)
    return origin, parts


def _take(value: Any, kind: Any) -> Any:
    origin, parts = _split(kind)
    if origin is Literal:
        return _choose(value, parts)
    if origin in (typing.Union, types.UnionType):
        return _take_first(value, parts)
    if origin is not None and issubclass(origin, Mapping):
        return _take_mapping(value, parts)
    if origin is tuple or origin in (Iterable, typing.get_origin(typing.Sequence[int])):
        return _take_many(value, origin, parts)
    if origin is not None and isinstance(origin, type):
        kind = origin
    if kind in (int, float, bool):
        return _take_number(value, kind)
    fits = callable(value) if kind is Callable else _is_of(value, kind)
    if not fits:
        raise _MisfitError
    return value


def _is_of(value: Any, kind: Any) -> bool:
    """Whether it is of that class; True for what no class is checked by."""
    try:
        return isinstance(value, kind)
    except TypeError:  # `Any`, a protocol that is not for running code, an alias
        return True


def _choose(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
        if isinstance(value, str) and str(choice).replace("-", "_") == value.replace("-", "_"):
            return choice
    raise _MisfitError


def _take_first(value: Any, kinds: tuple[Any, ...]) -> Any:
    """The value as the first kind that it fits has it."""
    for kind in kinds:
        try:
            return _take(value, kind)
        except _MisfitError:
            continue
    raise _MisfitError


def _take_number(value: Any, kind: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        if kind is bool:
            return bool(value)
        raise _MisfitError
    if kind is bool or not isinstance(value, numbers.Real):
        raise _MisfitError
    if isinstance(value, np.generic):
        value = value.item()
    if kind is float or isinstance(value, int):
        return value
    number = float(value)
    if not number.is_integer():
        raise _MisfitError
    return int(number)


def _take_mapping(value: Any, parts: tuple[Any, ...]) -> Any:
    if not isinstance(value, Mapping):
        raise _MisfitError
    key, item = parts or (Any, Any)
    return {_take(name, key): _take(one, item) for name, one in value.items()}


def _take_many(value: Any, origin: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values as a tuple: of one where `value` is what it would hold."""
    fixed = origin is tuple and Ellipsis not in parts
    if not fixed:
        try:
            return (_take(value, parts[0]),)
        except _MisfitError:
            if isinstance(value, str | bytes) or not isinstance(value, Iterable):
                raise
    values = tuple(value) if isinstance(value, Iterable) else ()
    if isinstance(value, str | bytes) or (fixed and len(values) != len(parts)):
        raise _MisfitError
    kinds = parts if fixed else (parts[0],) * len(values)
    return tuple(_take(one, kind) for one, kind in zip(values, kinds, strict=True))


def _list_choices(kind: Any) -> list[str]:
    """The names that `kind` has to choose from."""
    if typing.get_origin(kind) is Literal:
        return [str(choice) for choice in typing.get_args(kind)]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [name for part in typing.get_args(kind) for name in _list_choices(part)]
    return []


def _describe(kind: Any) -> str:
    """`kind` in words.

    >>> _describe(tuple[int, int] | None)
    'a list of 2 (each a whole number) or None'
    """
    origin, parts = _split(kind)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin in (typing.Union, types.UnionType):
        words = list(dict.fromkeys(_describe(part) for part in parts))
        if "a path" in words and "a text" in words:
            words.remove("a text")
        return ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping from {_describe(parts[0])} to {_describe(parts[1])}"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Iterable):
        if origin is np.ndarray:
            return "an array"
        n = len(parts) if origin is tuple and Ellipsis not in parts else "any number"
        return f"a list of {n} (each {_describe(parts[0])})"
    if origin is Callable or kind is Callable:
        return "a function"
    origin = origin or kind
    return _WORDS.get(origin, getattr(origin, "__name__", str(origin)))


def _show(value: Any) -> str:
    """`value` in a few letters, whatever it is."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    text = repr(value)
    kind = type(value).__name__
    return text if len(text) <= _MAX_CHARS else f"{kind} {text[:_MAX_CHARS]}…"
