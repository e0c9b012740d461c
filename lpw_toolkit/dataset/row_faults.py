"""Rows of a user's table that are at fault: refused by name, or left out, counted and named."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lpw_toolkit.errors import LpwError

HINT = "correct or remove the line"
_N_NAMED = 3  # rows that are named of those left out


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row.

    Attributes:
        row: its name, for example `line 81 (frame 5)`.
        got, expected, hint: as an LpwError has them.
    """

    row: str
    got: str
    expected: str
    hint: str = HINT

    def error(self, path: Path, n_more: int = 0) -> LpwError:
        """The error of a file that is refused because of this row, and of so many others."""
        more = f" ({n_more} more rows are at fault)" if n_more else ""
        return LpwError(f"{path}, {self.row}", self.got + more, self.expected, self.hint)


@dataclass(frozen=True)
class Faults:
    """Rows that were left out: the first few by name, and the number of all."""

    named: tuple[Fault, ...] = ()
    n: int = 0

    def add(self, fault: Fault, n: int = 1) -> "Faults":
        """These and `n` rows more, the first of which is `fault`."""
        named = (*self.named, fault) if len(self.named) < _N_NAMED else self.named
        return Faults(named, self.n + n)

    def tell(self, path: Path, n_rows: int, log: Callable[[str], None]) -> None:
        """Says what was left out of the `n_rows` of a file.

        Errors: LpwError where these are more than half: the file is then another one than meant.
        """
        if 2 * self.n > n_rows:
            raise self.named[0].error(path, self.n - 1)
        if self.n:
            named = "; ".join(f"{f.row}: {f.got}, not {f.expected}" for f in self.named)
            more = f"; {self.n - len(self.named)} more" if self.n > len(self.named) else ""
            log(f"{path.name}: {self.n} of {n_rows} rows left out ({named}{more}; see --strict)")


NO_FAULTS = Faults()
