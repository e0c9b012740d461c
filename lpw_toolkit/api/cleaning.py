"""Reads the state of a review, and writes the cleaned dataset, with plain arguments."""

import os

from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.dataset import Dataset, Stored, to_stored
from lpw_toolkit.api.settings import take_path
from lpw_toolkit.cleaning import apply
from lpw_toolkit.cleaning.cleaned import CleanOptions, OnConflict, Unreviewed, write_cleaned
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import read_union
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.splits import DEFAULT_SEED, N_SPLITS

AnyDataset = Dataset | Stored | str | os.PathLike[str]


@public_call
def read_decisions(dataset: AnyDataset, elsewhere: "str | os.PathLike[str] | None" = None) -> State:
    """The state of a dataset under all decisions of its reviewers (`lpw clean --review`).

    Args:
        dataset: the dataset or its folder.
        elsewhere: folder of further decisions, of a dataset that cannot be written to.

    Returns:
        `.count_statuses()`, pieces by status; `.iter_pieces()`, each piece of each tracklet;
        `.groups`, which pieces are one person; `.n_decisions`; and more, see `State`.

    Raises:
        MismatchError: a log is not what it was when it was written.

    >>> from lpw_toolkit import open_dataset, read_decisions
    >>> dataset = open_dataset("reviewed")
    >>> read_decisions(dataset).count_statuses()["unreviewed"] < len(dataset)
    True
    """
    stored = to_stored(dataset)
    union = read_union(stored, take_path(elsewhere))
    return apply.apply(read_base(stored), union)


@public_call
def apply_decisions(
    dataset: AnyDataset,
    out: "str | os.PathLike[str]",
    *,
    elsewhere: "str | os.PathLike[str] | None" = None,
    unreviewed: Unreviewed = "leave-out",
    conflicts: OnConflict = "refuse",
    min_cameras: int = 2,
    test: float = 0.5,
    splits: int = N_SPLITS,
    seed: int = DEFAULT_SEED,
) -> Dataset:
    """Writes the cleaned, identified dataset, as `lpw clean --apply` does; images are copied byte
    for byte.

    Args:
        dataset: the dataset or its folder; it is not changed.
        out: dataset to be made.
        elsewhere: folder of further decisions.
        unreviewed: `leave-out`, `keep` or `refuse` unreviewed tracklets.
        conflicts: `refuse` to continue while decisions contradict each other, or `leave-out` the
            tracklets that they are about.
        min_cameras: leave out persons that fewer cameras saw.
        test: share of the persons who are tested, as `split` takes it.
        splits: how many splits are drawn; 0 draws none. Where nothing can be tested there are
            none.
        seed: of that draw.

    Raises:
        LpwError: decisions contradict each other, nothing would be left, or `out` is in use.
        CorruptCropError: an image is not the one of the index.

    >>> from lpw_toolkit import apply_decisions
    >>> apply_decisions("reviewed", "cleaned", min_cameras=1)
    Dataset 'cleaned': ... tracklets, ... images, ... persons, ... cameras, ... scenes (cleaned)
    """
    stored = to_stored(dataset)
    union = read_union(stored, take_path(elsewhere))
    options = CleanOptions(unreviewed, conflicts, min_cameras)
    state = apply.apply(read_base(stored), union)
    config = SplitConfig(test_frac=test, n_splits=splits, seed=seed) if splits else None
    made = write_cleaned(stored, state, union, take_path(out), options, config)
    return Dataset(made.dataset)
