"""Writes a new version of a dataset: tables that were made from its own, and its images, byte for
byte.

tables, images of one parent or more, facts --write_version--> a new folder, whole or not at all
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import IMAGES, Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.manifest import INNER_TABLES, is_inner_path, name_parent
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.dataset.schema import FRAMES, SPLITS, TRACKLETS
from lpw_toolkit.dataset.tables import write_table
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import atomic_write_text, make_folder, write_file
from lpw_toolkit.progress import show_progress

InnerTable = tuple[str, pa.Table]


@dataclass(frozen=True)
class CopiedImages:
    """Images that a new version takes over from one dataset.

    Attributes:
        dataset: whose they are.
        rows: (n,) of its table of frames, in the order of the new one.
    """

    dataset: Dataset
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class NewVersion:
    """All that a new version holds.

    Attributes:
        tracklets: schema.TRACKLETS.
        frames: schema.FRAMES, sorted by (tracklet_id, position), with the paths of the new version.
        images: where the images of `frames` come from: together as many rows, in the same order.
        facts: name, parent, settings and so on, as `close_dataset` takes them (`inherit_facts`).
        splits: schema.SPLITS; its own metadata stays.
        inner: detections and timelines by name (`inherit_tables`); read one at a time.
        texts: further files by name, such as reports.
    """

    tracklets: pa.Table
    frames: pa.Table
    images: Sequence[CopiedImages]
    facts: dict[str, Any]
    splits: pa.Table | None = None
    inner: Iterable[InnerTable] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


def write_version(out: Path, version: NewVersion, *, stage: str) -> Dataset:
    """Writes the dataset `out` and opens it.

    Args:
        out: must not exist, or be an empty folder.
        stage: what the progress bar calls the copying of the images.

    Errors: LpwError for an `out` that is in use, CorruptCropError for an image that is not the
    index's, MismatchError for a table that is not what it should be. Then nothing is left behind.
    """
    with publish_folder(out) as folder:
        _copy_images(version, folder, stage)
        write_table(folder / "frames.parquet", version.frames, FRAMES, group_by="tracklet_id")
        write_table(folder / "tracklets.parquet", version.tracklets, TRACKLETS)
        if version.splits is not None:
            write_table(folder / "splits.parquet", version.splits, SPLITS)
        for name, table in version.inner:
            make_folder((folder / name).parent)
            write_table(folder / name, table, INNER_TABLES[name.partition("/")[0]])
        for name, text in version.texts.items():
            atomic_write_text(folder / name, text)
        close_dataset(folder, version.facts)
    return open_dataset(out)


def _copy_images(version: NewVersion, folder: Path, stage: str) -> None:
    """Copies the images, each checked against its SHA-256."""
    top = folder / str(version.facts.get("images_root", "."))
    paths = pc.struct_field(version.frames["image"], "path").to_pylist()
    _refuse_outer(paths)
    for parent in dict.fromkeys(PurePosixPath(path).parent for path in paths):
        make_folder(top / parent)
    with show_progress(stage, len(paths), "images") as progress:
        start = 0
        for part in version.images:
            stop = start + len(part.rows)
            for _ in prefetch(_Copy(part, top, paths[start:stop]), range(stop - start)):
                progress.advance(1)
            start = stop


class _Copy:
    """Copies image i of one parent to its path below `top`."""

    def __init__(self, part: CopiedImages, top: Path, paths: list[str]) -> None:
        self._images, self._rows = open_images(part.dataset), part.rows
        self._top, self._paths = top, paths

    def __call__(self, i: int) -> None:
        write_file(self._top / self._paths[i], self._images.read(int(self._rows[i])))


def _refuse_outer(paths: list[str | None]) -> None:
    """Errors: MismatchError for a path that leaves the dataset."""
    for path in paths:
        if path is None or not is_inner_path(path):
            raise MismatchError(
                "frames.parquet", f"image path {path!r}", "a path inside it", "build it again"
            )


def inherit_facts(dataset: Dataset, out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the `dataset.json` of a new version of `dataset` says where nothing else is known.

    Args:
        settings: what this step records; the settings of earlier steps stay beside it, but the
            record of an import: it vouches for counts that no longer hold.
    """
    manifest = dataset.manifest
    earlier = {k: value for k, value in manifest.get("settings", {}).items() if k != "import"}
    return {
        "name": out.absolute().name,
        "parent": name_parent(manifest),
        "licence": manifest.get("licence"),
        "consent": manifest.get("consent"),
        "images_root": inner_root(dataset),
        "settings": {**earlier, **settings},
        "sources": manifest.get("sources", []),
    }


def inner_root(dataset: Dataset) -> str:
    """Where paths of images begin in a copy: as in the parent, or in `images` where those lie
    outside it."""
    return IMAGES if dataset.is_in_place else str(dataset.manifest.get("images_root", "."))


def inherit_tables(
    dataset: Dataset, folders: Sequence[str] = tuple(INNER_TABLES)
) -> Iterator[InnerTable]:
    """Detections and timelines of `dataset`, by name, one at a time.

    Args:
        folders: `timeline` alone where tracklets were taken out: their boxes would count as
            detections that nobody has linked.
    """
    for folder in folders:
        for name in dataset.list_tables(INNER_TABLES[folder]):
            yield name, dataset.read_table(name, INNER_TABLES[folder])
