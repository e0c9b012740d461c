"""Divides the persons of a dataset into those who train and those who are tested, with plain
arguments."""

import os

from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.dataset import Dataset, Stored, to_stored
from lpw_toolkit.api.settings import take_path
from lpw_toolkit.splits.config import By, SplitConfig
from lpw_toolkit.splits.roles import Rule
from lpw_toolkit.splits.split_version import write_split
from lpw_toolkit.splits.splits import DEFAULT_SEED, N_SPLITS


@public_call
def split(
    dataset: "Dataset | Stored | str | os.PathLike[str]",
    out: "str | os.PathLike[str] | None" = None,
    *,
    by: By = "seed",
    test: float = 0.5,
    splits: int = N_SPLITS,
    seed: int = DEFAULT_SEED,
    persons: "str | os.PathLike[str] | None" = None,
    protocol: Rule | None = None,
) -> Dataset:
    """Makes a new version of a dataset with splits, as `lpw split` does; images are copied byte for
    byte.

    Args:
        dataset: the dataset or its folder; it is not changed.
        out: dataset to be made; `<name of the folder>-split` in the working folder when not given.
        by: `seed` draws who is tested, in the same share for each number of cameras; `scene` tests
            each scene in turn; `time` tests those who came later; `list` reads `persons`.
        test: share of the persons who are tested, by seed or time.
        splits: how many splits are drawn by seed.
        seed: of the draw.
        persons: text or CSV file for `list`, with a person and `train` or `test` in each line.
        protocol: the test that they are for, `cross_camera` or `within_camera`; chosen by the
            dataset when not given.

    Returns:
        The new dataset; `.splits` are its splits.

    Raises:
        LpwError: nothing can be tested (the message says why), a line of `persons` is at fault, or
            `out` is in use.
        CorruptCropError: an image is not the one of the index.

    >>> from lpw_toolkit import split
    >>> divided = split("mini", "mini-split", splits=2, seed=1)
    >>> sorted(divided.splits.subset.unique())
    ['gallery', 'query', 'train']
    """
    stored = to_stored(dataset)
    config = SplitConfig(by, test, splits, seed, take_path(persons), protocol)
    place = take_path(f"{stored.root.resolve().name}-split" if out is None else out)
    return Dataset(write_split(stored, place, config)[0])
