"""New versions of datasets: merged, filtered, renamed; with plain arguments."""

import os
from collections.abc import Iterable, Mapping

from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.dataset import Dataset, Stored, to_stored
from lpw_toolkit.api.settings import take_path
from lpw_toolkit.versions import filtering, merging, renaming

AnyDataset = Dataset | Stored | str | os.PathLike[str]
AnyPath = str | os.PathLike[str]


@public_call
def merge_datasets(
    datasets: Iterable[AnyDataset], out: AnyPath, *, persons: AnyPath | None = None
) -> Dataset:
    """Makes one dataset of several, as `lpw merge` does; images are copied byte for byte.

    Persons are kept apart. Where two datasets share a name of a scene, camera, video or tracklet,
    these names begin with the dataset's name (`monday-scen1/view1`), and so do ids of persons.

    Args:
        datasets: two or more, or their folders, of different films; they are not changed.
        out: dataset to be made.
        persons: CSV with the columns dataset, person and new: persons that get the same id are one.

    Raises:
        LpwError: one dataset comes twice, the table does not fit, or `out` is in use.
        CorruptCropError: an image is not the one of the index.

    >>> from lpw_toolkit import merge_datasets
    >>> merge_datasets(["mini", "reviewed"], "merged")
    Dataset 'merged': ... tracklets, ... images, ... persons, 8 cameras, 4 scenes (merged)
    """
    roots = tuple(to_stored(dataset).root for dataset in datasets)
    return Dataset(
        merging.merge_datasets(
            merging.MergeConfig(roots, take_path(out), take_path(persons))
        ).dataset
    )


@public_call
def filter_dataset(
    dataset: AnyDataset,
    out: AnyPath,
    *,
    min_length: int | None = None,
    max_length: int | None = None,
    min_height_px: float | None = None,
    max_height_px: float | None = None,
    min_score: float | None = None,
    min_sharpness: float | None = None,
    cameras: Iterable[str] = (),
    scenes: Iterable[str] = (),
) -> Dataset:
    """Makes a version of a dataset with the tracklets that fulfil all rules, as they are, as `lpw
    filter` does.

    Args:
        dataset: the dataset or its folder; it is not changed.
        out: dataset to be made.
        min_length: number of images, at least.
        max_length: number of images, at most.
        min_height_px: median height of the boxes in pixels of the video, at least.
        max_height_px: the same, at most.
        min_score: mean score of the detector, 0 to 1.
        min_sharpness: variance of the Laplacian of the grey image at 128 x 64 pixels (squared grey
            levels), the median of up to 16 images; about 1,000 on LPW, below 30 for a blurred
            person.
        cameras: those that stay, one name or several; all where none is named.
        scenes: the same.

    Raises:
        LpwError: no tracklet would stay, there is no rule, a camera or scene is unknown, or `out`
            is in use.
        CorruptCropError: an image is not the one of the index.

    >>> from lpw_toolkit import filter_dataset
    >>> filter_dataset("mini", "long", min_length=14, scenes=["scen1"])
    Dataset 'long': ... tracklets, ... images, ... persons, 2 cameras, 1 scenes (long)
    """
    rules = filtering.FilterRules(
        min_length=min_length,
        max_length=max_length,
        min_height_px=min_height_px,
        max_height_px=max_height_px,
        min_score=min_score,
        min_sharpness=min_sharpness,
        cameras=tuple(cameras),
        scenes=tuple(scenes),
    )
    config = filtering.FilterConfig(to_stored(dataset).root, take_path(out), rules)
    return Dataset(filtering.filter_dataset(config).dataset)


@public_call
def rename_dataset(
    dataset: AnyDataset,
    out: AnyPath,
    *,
    cameras: Mapping[str, str] | None = None,
    scenes: Mapping[str, str] | None = None,
) -> Dataset:
    """Makes a version of a dataset with other names of cameras and scenes, as `lpw rename` does;
    tracklets keep their ids.

    Args:
        dataset: the dataset or its folder; it is not changed.
        out: dataset to be made.
        cameras: new names by old ones.
        scenes: the same.

    Raises:
        LpwError: a name is unknown or cannot be one, or `out` is in use.
        CorruptCropError: an image is not the one of the index.

    >>> from lpw_toolkit import rename_dataset
    >>> renamed = rename_dataset("mini", "named", scenes={"scen1": "market"})
    >>> sorted(renamed.tracklets.scene_id.unique())
    ['market', 'scen2']
    """
    config = renaming.RenameConfig(
        to_stored(dataset).root, take_path(out), cameras or {}, scenes or {}
    )
    return Dataset(renaming.rename_dataset(config).dataset)
