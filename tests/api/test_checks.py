"""Values are checked against annotations: what fits is taken, the rest is named in one line."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from lpw_toolkit.api.checks import check_value
from lpw_toolkit.errors import LpwError

Fruit = Literal["apple", "pear_tree"]


@pytest.mark.parametrize(
    ("value", "kind", "taken"),
    [
        ("apple", Fruit, "apple"),
        ("pear-tree", Fruit | None, "pear_tree"),
        (None, Fruit | None, None),
        (np.int64(3), int, 3),
        (3.0, int, 3),
        (3, float, 3),
        (np.float32(0.5), float, 0.5),
        (np.True_, bool, True),
        (Path("a"), str | PathLike[str], Path("a")),
        ("a", Iterable[str], ("a",)),
        (["a", "b"], Iterable[str], ("a", "b")),
        ([3, np.int64(4)], tuple[int, int] | None, (3, 4)),
        ({"a": "b"}, Mapping[str, str] | None, {"a": "b"}),
        (len, Callable[[str], None], len),
        ([[1.0]], ArrayLike, [[1.0]]),
    ],
)
def test_values_that_fit_are_taken(value: Any, kind: Any, taken: Any) -> None:
    found = check_value("x", value, kind)
    assert found == taken
    assert type(found) is type(taken)


def test_an_array_is_taken_as_it_is() -> None:
    pixels = np.zeros((2, 3), np.uint8)
    assert check_value("x", pixels, NDArray[np.uint8]) is pixels
    assert check_value("x", pixels, NDArray[np.uint8] | None) is pixels


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("aple", Fruit, "apple, pear_tree; choose one of them; did you mean apple?"),
        (3, Fruit | None, "apple, pear_tree or None"),
        (True, int, "a whole number"),
        (1.5, int, "a whole number"),
        (float("nan"), int, "a whole number"),
        ("2", int | None, "a whole number or None"),
        ("0.5", float, "a number"),
        (1j, float, "a number"),
        (1, bool, "True or False"),
        (None, str | PathLike[str], "a path"),
        (3, Iterable[str], "a list of any number (each a text)"),
        (["a", 3], Iterable[str], "a list of any number (each a text)"),
        ((1, 2, 3), tuple[int, int], "a list of 2 (each a whole number)"),
        ("ab", tuple[int, int], "a list of 2 (each a whole number)"),
        ({"a": 3}, Mapping[str, str], "a mapping from a text to a text"),
        (3, Callable[[str], None], "a function"),
        ("pixels", NDArray[np.uint8], "an array"),
    ],
)
def test_values_of_another_kind_are_refused(value: Any, kind: Any, expected: str) -> None:
    with pytest.raises(LpwError, match=r"^x: got ") as caught:
        check_value("x", value, kind)
    assert f"expected {expected}" in str(caught.value)
