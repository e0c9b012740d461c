"""Settings of a division into splits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import limit
from lpw_toolkit.splits.roles import Rule
from lpw_toolkit.splits.splits import DEFAULT_SEED, N_SPLITS

By = Literal["seed", "scene", "time", "list"]


@dataclass(frozen=True)
class SplitConfig:
    """How persons are divided into those who train and those who are tested.

    Attributes:
        by: `seed` draws them; `scene` tests each scene in turn, as LPW tests its first; `time`
            tests those who came later; `list` reads a file.
        test_frac: share of the persons who are tested, above 0 and below 1; by seed and time.
        n_splits: how many splits are drawn by seed.
        seed: of the draw.
        persons: the file of `list`: a person and `train` or `test` in each line.
        rule: the test that the splits are for; None takes `cross_camera` where two cameras saw a
            person, otherwise `within_camera`.

    Errors: LpwError that names the setting.
    """

    by: By = "seed"
    test_frac: float = 0.5
    n_splits: int = N_SPLITS
    seed: int = DEFAULT_SEED
    persons: Path | None = None
    rule: Rule | None = None

    def __post_init__(self) -> None:
        if not 0 < self.test_frac < 1:
            got = f"{self.test_frac:g}"
            raise LpwError("share of the test", got, "more than 0, less than 1", "change it")
        if not 1 <= self.n_splits <= limit("splits"):
            got, expected = f"{self.n_splits}", f"1 to {limit('splits')}"
            raise LpwError("number of splits", got, expected, "change it")
        if self.seed < 0:
            raise LpwError("seed", f"{self.seed}", "0 or more", "change it")
        if (self.by == "list") != (self.persons is not None):
            got = "no file" if self.persons is None else f"the file {self.persons} and by {self.by}"
            do = "give both: `lpw split DATASET --by list FILE`"
            raise LpwError("splits by a list", got, "by list, and a file", do)
