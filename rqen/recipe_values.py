"""Values of a recipe: from what a TOML file or the command line says to frozen dataclasses; the
nearest name is given for what is unknown."""

import types
import typing
from typing import Any, Literal

from lpw_toolkit.errors import LpwError, nearest, unknown_name
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import parse_toml

#: Larger whole numbers have no exact float; nothing in a recipe comes near.
_MAX_NUMBER = 2**53
_MAX_TEXT_CHARS = 4096  # the longest path


def refuse_beyond(thing: str, value: int, bound: str) -> None:
    """Errors: LpwError for a value beyond `files.limits`."""
    if value > limit(bound):
        raise LpwError(thing, explain_limit(bound, value), "less", "correct it")


def fill(section: str, kind: Any, given: dict[str, Any]) -> Any:
    """The dataclass `kind` of the values of one section. Errors: LpwError for an unknown key or a
    value of another kind."""
    hints = typing.get_type_hints(kind)
    for key in given:
        if key not in hints:
            raise unknown_key(f"{section}.{key}", [f"{section}.{known}" for known in hints])
    return kind(
        **{key: convert(f"{section}.{key}", value, hints[key]) for key, value in given.items()}
    )


def convert(key: str, value: Any, kind: Any) -> Any:
    """The value of `key` as the annotation `kind` has it. Errors: LpwError."""
    allowed = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if value not in allowed:
            raise unknown_name(key, show_value(value), [*map(repr, allowed)])
        return value
    if typing.get_origin(kind) is tuple:
        parts = value if isinstance(value, list | tuple) else [value]
        refuse_beyond(f"{key}, number of entries", len(parts), "recipe_parts")
        return tuple(convert(key, part, allowed[0]) for part in parts)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not 0 <= value <= _MAX_NUMBER:  # nor NaN
        raise LpwError(key, show_value(value), "a finite number, 0 or more", "correct it")
    if kind is float and is_number:
        value = float(value)
    if not isinstance(value, kind) or (kind is int and not is_number):
        expected = kind.__name__ if not isinstance(kind, types.UnionType) else str(kind)
        raise LpwError(key, show_value(value), f"a value of type {expected}", "correct it")
    if isinstance(value, str) and len(value) > _MAX_TEXT_CHARS:
        raise LpwError(
            key, f"a text of {len(value)} letters", f"at most {_MAX_TEXT_CHARS}", "correct it"
        )
    return value


def show_value(value: Any) -> str:
    """`value` in a few words, however large or nested it is."""
    if isinstance(value, dict | list | tuple):
        return f"{'a table' if isinstance(value, dict) else 'a list'} of {len(value)} entries"
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        return "a number of more than 16 digits"
    return repr(value if not isinstance(value, str) else value[:80])


def apply_change(values: dict[str, Any], change: str) -> None:
    """Puts `section.key=value` into nested values. Errors: LpwError."""
    path, equals, text = change.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise LpwError(
            "option --set", change, "SECTION.KEY=VALUE, for example optim.lr=0.01", "correct it"
        )
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    values.setdefault(section, {})[key] = value


def unknown_key(name: str, known: list[str]) -> LpwError:
    """What is raised for a key that is unknown."""
    name = name[:80]
    near = nearest(name, known)
    do = f"did you mean {near}?" if near else "leave it out"
    return LpwError("recipe", f"the unknown key {name}", ", ".join(known), do)


def freeze(given: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The values of the section `[method]`, whose keys the method checks: by name, lists as tuples.

    Errors: LpwError for a value that is neither a number, a text, a truth value nor a list of them.
    """
    refuse_beyond("method, number of keys", len(given), "recipe_parts")
    frozen = []
    for key, value in sorted(given.items()):
        parts = value if isinstance(value, list | tuple) else [value]
        kinds = {type(part) for part in parts}
        refuse_beyond(f"method.{key[:80]}, number of entries", len(parts), "recipe_parts")
        if not kinds <= {bool, int, float, str}:
            expected = "numbers, texts or truth values"
            raise LpwError(f"method.{key[:80]}", show_value(value), expected, "correct it")
        plain = [convert(f"method.{key[:80]}", part, type(part)) for part in parts]
        frozen.append((key, tuple(plain) if isinstance(value, list | tuple) else plain[0]))
    return tuple(frozen)
