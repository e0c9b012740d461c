"""Cosine, Euclidean and learned quadratic distances between two sets of vectors, in blocks of
rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.ranges import split_rows
from lpw_toolkit.errors import LpwError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Features = NDArray[np.floating[Any]]
Finish = Literal["root", "half", "none"]

#: Below this share of |x|^2 + |z|^2 a squared distance has lost too many digits to subtraction and
#: is computed anew; single precision leaves about 1e-5 of the value at its bound, double precision
#: 1e-6.
LOST_SINGLE, LOST_DOUBLE = 1 / 64, 1e-9
#: Beyond this share of such pairs a block is multiplied in double precision first.
MANY_LOST = 0.01
#: Squared lengths from here on leave no room in single precision.
LARGEST = 1e36
#: Rows that are converted to double precision at once.
N_ROWS = 4096
#: Values that differences of pairs may take at once.
N_VALUES = 1 << 20


class Distance(Protocol):
    """A way to compare vectors.

    Attributes:
        name: as in `open_distance`.
        title: as a table prints it.
        squared: whether its values already are squares (or other quadratic forms), which re-ranking
            must not square.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def squared(self) -> bool: ...  # noqa: D102

    def blocks(self, query: Features, gallery: Features) -> "FeatureBlocks":
        """Distances (Q, G) of vectors (Q, D) and (G, D), which are projected once."""


@dataclass(frozen=True)
class Cosine:
    """One minus the cosine of the angle, in [0, 2]; vectors of length zero are an error."""

    name: str = "cosine"
    title: str = "cosine"
    squared: bool = True  # of unit vectors it is half the squared distance

    def blocks(self, query: Features, gallery: Features) -> "FeatureBlocks":
        """Distances (Q, G) of vectors (Q, D) and (G, D)."""
        return _open_blocks(*_open_sides(query, gallery, _direct), finish="half")


@dataclass(frozen=True)
class Euclidean:
    """The length of the difference."""

    name: str = "euclidean"
    title: str = "Euclidean"
    squared: bool = False

    def blocks(self, query: Features, gallery: Features) -> "FeatureBlocks":
        """Distances (Q, G) of vectors (Q, D) and (G, D)."""
        return _open_blocks(*_open_sides(query, gallery, _take), finish="root")


@dataclass(frozen=True)
class SquaredEuclidean:
    """The squared length of the difference."""

    name: str = "sqeuclidean"
    title: str = "squared Euclidean"
    squared: bool = True

    def blocks(self, query: Features, gallery: Features) -> "FeatureBlocks":
        """Distances (Q, G) of vectors (Q, D) and (G, D)."""
        return _open_blocks(*_open_sides(query, gallery, _take), finish="none")


@dataclass(frozen=True)
class Quadratic:
    """(x - z)' M (x - z) with M = P diag(s) P'; negative where M is not positive.

    Attributes:
        name: as in `open_distance`.
        title: as a table prints it.
        projection: P (D, r).
        signs: s (r,), each 1 or -1.
    """

    name: str
    title: str
    projection: Floats
    signs: Floats
    squared: bool = True

    def blocks(self, query: Features, gallery: Features) -> "FeatureBlocks":
        """Distances (Q, G) of vectors (Q, D) and (G, D)."""
        sides = _open_sides(
            query, gallery, lambda features, name: Side(self.project(features, name))
        )
        return _open_blocks(*sides, finish="none", signs=self.signs)

    def project(self, features: Features, side: str = "features") -> Floats:
        """Vectors (n, D) in the learned space (n, r). Errors: LpwError where D is another."""
        check_features(features, side)
        if features.shape[1] != len(self.projection):
            expected = f"{len(self.projection)} as in training"
            raise LpwError(
                f"{side} features",
                f"{features.shape[1]} dimensions",
                expected,
                "embed with the same model",
            )
        return np.asarray(features, dtype=np.float64) @ self.projection


def make_quadratic(name: str, title: str, subspace: Floats, form: Floats) -> Quadratic:
    """The distance (x - z)' W M W' (x - z).

    Args:
        subspace: W (D, r).
        form: M (r, r), symmetric.
    """
    values, vectors = np.linalg.eigh((form + form.T) / 2)
    return Quadratic(
        name, title, subspace @ (vectors * np.sqrt(np.abs(values))), np.where(values < 0, -1.0, 1.0)
    )


def check_features(features: Features, side: str) -> Features:
    """The same features. Errors: LpwError where they are no finite floating numbers (n, D)."""
    _check_table(features, side)
    bad = ~(_measure(features) < LARGEST)  # NaN is not smaller either
    if bad.any():
        _refuse_rows(side, "NaN, infinite or too large values", "finite numbers", bad)
    return features


def _inverse_lengths(features: Features, side: str) -> Floats:
    squares = _measure(features)
    if not squares.all():
        _refuse_rows(
            side, "zero vectors, which have no direction,", "vectors of some length", squares == 0
        )
    return np.asarray(1 / np.sqrt(squares))


def _check_table(features: Features, side: str) -> None:
    if features.ndim != 2 or not np.issubdtype(features.dtype, np.floating):
        got = f"{features.dtype} of shape {features.shape}"
        raise LpwError(
            f"{side} features", got, "floating numbers of shape (n, D)", "pass one row per tracklet"
        )


def check_alike(query: Features, gallery: Features) -> None:
    """LpwError where the two are no tables of vectors of one length."""
    _check_table(query, "query")
    _check_table(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        expected = f"{query.shape[1]} as those of the queries"
        raise LpwError(
            "gallery features",
            f"{gallery.shape[1]} dimensions",
            expected,
            "embed both with the same model",
        )


def _measure(features: Features) -> Floats:
    """Squared lengths (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.einsum("ij,ij->i", features, features, dtype=np.float64))


def _refuse_rows(side: str, got: str, expected: str, bad: NDArray[np.bool_]) -> None:
    rows = np.flatnonzero(bad)
    named = ", ".join(str(row) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
    raise LpwError(
        f"{side} features",
        f"{got} in rows {named} ({len(rows)})",
        expected,
        "embed these tracklets again",
    )


@dataclass(frozen=True)
class Side:
    """Vectors of one side; row i counts as `scale[i] * vectors[i]`.

    Attributes:
        vectors: (n, D), kept as they came.
        scale: (n,) or nothing for 1.
    """

    vectors: Features
    scale: Floats | None = None

    def take(self, rows: Ints | slice) -> Floats:
        """The rows in double precision, scaled."""
        vectors = self.vectors[rows].astype(np.float64)
        return vectors if self.scale is None else vectors * self.scale[rows, None]

    def mean(self) -> Floats:
        """Mean vector (D,)."""
        ones = np.ones(len(self.vectors)) if self.scale is None else self.scale
        return np.asarray(
            sum(
                ones[a:b] @ self.vectors[a:b].astype(np.float64)
                for a, b in split_rows(len(ones), N_ROWS)
            )
        ) / len(ones)


def _open_sides(
    query: Features, gallery: Features, open_side: Callable[[Features, str], Side]
) -> tuple[Side, Side]:
    """Both sides, or one of them twice."""
    check_alike(query, gallery)
    first = open_side(query, "query")
    return first, first if gallery is query else open_side(gallery, "gallery")


def _take(features: Features, name: str) -> Side:
    return Side(check_features(features, name))


def _direct(features: Features, name: str) -> Side:
    return Side(check_features(features, name), _inverse_lengths(features, name))


@dataclass(frozen=True)
class _Factor:
    """Vectors ready to be multiplied: (n, D), with their squares (n,), plain and signed."""

    vectors: Features
    squares: Features
    signed: Features

    def cut(self, start: int, stop: int) -> "_Factor":
        return _Factor(self.vectors[start:stop], self.squares[start:stop], self.signed[start:stop])


def _make_factor(vectors: Features, signs: Floats | None) -> _Factor:
    squares = np.einsum("ij,ij->i", vectors, vectors).astype(vectors.dtype)
    if signs is None:
        return _Factor(vectors, squares, squares)
    signed = np.einsum("ij,ij,j->i", vectors, vectors, signs.astype(vectors.dtype)).astype(
        vectors.dtype
    )
    return _Factor(vectors, squares, signed)


@dataclass(frozen=True)
class FeatureBlocks:
    """Distances (Q, G) from vectors, computed when asked for (`DistanceBlocks`), as float32.

    Squared distances come from one matrix product in single precision around the gallery's mean;
    those that lost too many digits to subtraction are computed anew from the differences in double
    precision. So equal vectors are at distance 0, and relative errors stay near 1e-5.

    Attributes:
        sides: queries and gallery as given.
        factors: both around the gallery's mean, in single precision.
        shift: that mean (D,).
        signs: sign of each dimension's share (D,), None where all are 1.
        finish: `root` of the squared distance, `half` of it, or none.
    """

    sides: tuple[Side, Side]
    factors: tuple[_Factor, _Factor]
    shift: Floats
    signs: Floats | None
    finish: Finish

    @property
    def n_query(self) -> int:
        """Number of rows."""
        return len(self.sides[0].vectors)

    @property
    def n_gallery(self) -> int:
        """Number of columns."""
        return len(self.sides[1].vectors)

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop) as (stop - start, G)."""
        out, lost = _square(
            self.factors[0].cut(start, stop), self.factors[1], self.signs, LOST_SINGLE
        )
        if np.count_nonzero(lost) > MANY_LOST * lost.size:
            lost = self._square_in_double(out, start, stop)
        for a, b in split_rows(len(out), 256):
            rows, columns = np.divmod(np.flatnonzero(lost[a:b]), self.n_gallery)
            out[a + rows, columns] = self._square_pairs(start + a + rows, columns)
        return self._finish(out)

    def pairs(self, rows: Ints, columns: Ints) -> NDArray[np.float32]:
        """The distances (n,) at `(rows[i], columns[i])`, from the differences."""
        return self._finish(self._square_pairs(rows, columns))

    def _square_in_double(
        self, out: NDArray[np.float32], start: int, stop: int
    ) -> NDArray[np.bool_]:
        """Fills `out` with better values; says which are still lost."""
        left = _make_factor(self.sides[0].take(slice(start, stop)) - self.shift, self.signs)
        lost = np.empty(out.shape, dtype=bool)
        for a, b in split_rows(self.n_gallery, N_ROWS):
            right = _make_factor(self.sides[1].take(slice(a, b)) - self.shift, self.signs)
            out[:, a:b], lost[:, a:b] = _square(left, right, self.signs, LOST_DOUBLE)
        return lost

    def _square_pairs(self, rows: Ints, columns: Ints) -> NDArray[np.float32]:
        out = np.empty(len(rows), dtype=np.float32)
        for a, b in split_rows(len(rows), max(1, N_VALUES // max(1, len(self.shift)))):
            apart = self.sides[0].take(rows[a:b]) - self.sides[1].take(columns[a:b])
            out[a:b] = np.einsum(
                "ij,ij->i", apart, apart if self.signs is None else apart * self.signs
            )
        return out

    def _finish(self, squares: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.finish == "root":
            np.sqrt(squares, out=squares)
        elif self.finish == "half":
            squares *= np.float32(0.5)
        return squares


def _open_blocks(
    query: Side, gallery: Side, *, finish: Finish, signs: Floats | None = None
) -> FeatureBlocks:
    shift = gallery.mean() if len(gallery.vectors) else np.zeros(gallery.vectors.shape[1])
    first = _make_factor(_centre(query, shift), signs)
    second = first if query is gallery else _make_factor(_centre(gallery, shift), signs)
    return FeatureBlocks((query, gallery), (first, second), shift, signs, finish)


def _centre(side: Side, shift: Floats) -> NDArray[np.float32]:
    out = np.empty(side.vectors.shape, dtype=np.float32)
    for a, b in split_rows(len(out), N_ROWS):
        out[a:b] = side.take(slice(a, b)) - shift
    return out


def _square(
    left: _Factor, right: _Factor, signs: Floats | None, lost_share: float
) -> tuple[Features, NDArray[np.bool_]]:
    """Squared distances (n, m) in the precision of the factors, and which of them lost too many
    digits."""
    kind = left.vectors.dtype.type
    out = (
        left.vectors * (kind(-2) if signs is None else (-2 * signs).astype(kind))
    ) @ right.vectors.T
    lost = np.empty(out.shape, dtype=bool)
    for a, b in split_rows(len(out), max(1, N_VALUES // max(1, out.shape[1]))):
        out[a:b] += left.signed[a:b, None] + right.signed
        bound = kind(lost_share) * left.squares[a:b, None] + kind(lost_share) * right.squares
        np.less_equal(out[a:b] if signs is None else np.abs(out[a:b]), bound, out=lost[a:b])
    return out, lost
