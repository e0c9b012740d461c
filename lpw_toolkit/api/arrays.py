"""Arrays as a caller gave them: features, and the labels of persons and cameras."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpw_toolkit.errors import LpwError

_LABELS = {"i": "integers", "u": "integers", "U": "strings"}  # by the kind of the dtype


def as_array(name: str, given: ArrayLike) -> NDArray[Any]:
    """`given` as an array. Raises: LpwError where its rows are not of one length."""
    try:
        return np.asarray(given)
    except (ValueError, TypeError) as error:
        raise LpwError(name, f"no array ({error})", "rows of one length", "correct it") from error


def as_floats(name: str, given: ArrayLike) -> NDArray[Any]:
    """`given` as real floating numbers; those of an array of floating numbers stay as they are.

    Raises:
        LpwError: complex numbers, texts or other things.

    >>> as_floats("features", [[1, 2]])
    array([[1., 2.]])
    """
    array = as_array(name, given)
    if np.iscomplexobj(array):
        hint = "pass the real part, or real and imaginary part side by side"
        raise LpwError(name, "complex numbers", "real numbers", hint)
    if np.issubdtype(array.dtype, np.floating):
        return array
    try:
        if array.dtype.kind in "US":
            raise TypeError("texts")
        return array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise LpwError(name, f"no numbers ({error})", "numbers", "correct it") from error


def as_labels(name: str, query: ArrayLike, gallery: ArrayLike) -> NDArray[Any]:
    """The labels (Q + G,) of both sides, all integers or all strings.

    Raises:
        LpwError: None, NaN or other things, or integers on one side and strings on the other.

    >>> as_labels("persons", ["ann"], ["ann", "bob"]).tolist()
    ['ann', 'ann', 'bob']
    """
    sides = [
        _take_labels(f"{side}_{name}", as_array(f"{side}_{name}", given))
        for side, given in (("query", query), ("gallery", gallery))
    ]
    kinds = [_LABELS[side.dtype.kind] for side in sides if len(side)]
    if len({*kinds}) > 1:
        got = f"{kinds[0]} for queries, {kinds[1]} for the gallery"
        raise LpwError(name, got, "the same kind of labels on both sides", "convert one of them")
    return np.concatenate([side for side in sides if len(side)] or [sides[0]])


def _take_labels(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Raises: LpwError for what is neither all integers nor all strings."""
    if values.dtype.kind == "O":  # a column of pandas
        kinds = {type(value) for value in values.tolist()}
        if kinds and (kinds <= {str} or kinds <= {int}):
            return np.array(values.tolist())
    if values.dtype.kind == "f" and np.isfinite(values).all() and not (values % 1).any():
        return values.astype(np.int64)
    if values.dtype.kind in _LABELS:
        return values
    if not len(values):
        return np.empty(0, dtype=np.int64)
    odd = next((one for one in values.tolist() if type(one) is not str), values.dtype)
    raise LpwError(name, f"{odd} among them", "integers or strings", "label each row")
