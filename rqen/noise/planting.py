"""A dataset with planted noise, written as any other, and beside it the table of what was spoiled."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset import IMAGES, Dataset, close_dataset, open_dataset
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.index import ClipIndex, open_index
from lpw_toolkit.progress import show_progress
from lpw_toolkit.publish import make_folder, sync_all, write_file
from lpw_toolkit.relevance import PERSON, read_labels
from lpw_toolkit.schema import FRAMES, SPLITS, TRACKLETS
from lpw_toolkit.tables import read_table, to_integers, write_table
from lpw_toolkit.trials import read_trials
from lpw_toolkit.workspace import Workspace
from rqen.noise.plan import COVER, KINDS, REGIONS, Crowd, NoiseConfig, Spoiling, draw_spoiling
from rqen.noise.spoil import spoil

Ints = NDArray[np.int64]

#: One row per image of a dataset with planted noise; region and kind are null for clean ones. No part of the dataset.
MASK = pa.schema(
    [
        pa.field("tracklet_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("region", pa.string()),
        pa.field("kind", pa.string()),
    ],
    metadata={b"lpw_table": b"planted_noise", b"lpw_version": b"1"},
)


def plant_noise(source: Path, out: Path, mask: Path, config: NoiseConfig, tracklets: Ints | None = None) -> Dataset:
    """Makes a dataset with noise, and its mask; the same call again finds them complete.

    Args:
        source: a dataset.
        out: the dataset to be.
        mask: Parquet file that takes the mask (schema MASK); it may not lie in `out`.
        config: what is planted.
        tracklets: rows (N,) of the source's table of tracklets that are written; None takes all. What is drawn for a
            tracklet does not depend on the others.

    Errors: LpwError for an `out` that holds other things or a mask inside it, CorruptCropError naming an image.
    """
    if out.absolute() in mask.absolute().parents:
        raise LpwError(mask, "a place inside the dataset", "a file apart from it", "choose another place for the mask")
    index = open_index(source)
    rows = np.arange(len(index)) if tracklets is None else np.unique(tracklets)
    spoiling = draw_spoiling(describe_crowd(index), rows, config.seed)
    chosen = np.concatenate([np.arange(index.starts[row], index.starts[row + 1]) for row in rows])
    frames = index.dataset.frames.take(pa.array(chosen))
    make_folder(mask.parent)
    write_table(mask, _make_mask(frames, chosen, spoiling), MASK)
    facts = _facts(index.dataset, config, len(spoiling))
    with Workspace(out) as work:
        work.hold_plan({**facts, "tracklets": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()})
        if work.is_complete:
            return open_dataset(out)
        hashes = _write_images(index, chosen, spoiling, config, out / IMAGES)
        column = FRAMES.get_field_index("sha256")
        frames = frames.set_column(column, FRAMES.field("sha256"), pa.array(hashes, pa.binary(32)))
        write_table(out / "frames.parquet", frames, FRAMES, group_by="tracklet_id")
        kept = index.dataset.tracklets.take(pa.array(rows))
        write_table(out / "tracklets.parquet", kept, TRACKLETS)
        if index.dataset.splits is not None:
            splits = index.dataset.splits
            stays = pc.is_in(splits["tracklet_id"], kept["tracklet_id"].combine_chunks())
            write_table(out / "splits.parquet", splits.filter(stays), SPLITS)
        return close_dataset(out, facts)


def describe_crowd(index: ClipIndex) -> Crowd:
    """Who is in which subset: 1 trains in the first split, 0 does not; all are in one where there are no splits."""
    labels = read_labels(index.tracklets)
    subset = np.zeros(len(index), dtype=np.int64)
    if index.dataset.splits is not None:
        subset[read_trials(index.dataset)[0].train] = 1
    return Crowd(np.where(labels.kind == PERSON, labels.person, -1), subset, index.starts)


def read_mask(path: Path, frames: pa.Table) -> tuple[Ints, Ints]:
    """Region and kind (F,) of each row of a table of frames, as places in REGIONS and KINDS, -1 for clean ones.

    Errors: MismatchError where the mask is of other frames.
    """
    table = read_table(path, MASK)
    fits = table["tracklet_id"].equals(frames["tracklet_id"])
    if not (fits and np.array_equal(to_integers(table, "position"), to_integers(frames, "position"))):
        raise MismatchError(path, "other rows than the frames", "the mask of this dataset", "plant the noise again")
    places = [
        pc.fill_null(pc.index_in(table[name], pa.array(names)), -1).to_numpy().astype(np.int64)
        for name, names in (("region", REGIONS), ("kind", KINDS))
    ]
    return places[0], places[1]


def _make_mask(frames: pa.Table, chosen: Ints, spoiling: Spoiling) -> pa.Table:
    names: list[list[str | None]] = [[None] * len(chosen), [None] * len(chosen)]
    for place, region, kind in zip(
        np.searchsorted(chosen, spoiling.frame), spoiling.region, spoiling.kind, strict=True
    ):
        names[0][place], names[1][place] = REGIONS[region], KINDS[kind]
    columns = [frames["tracklet_id"], frames["position"], *(pa.array(column, pa.string()) for column in names)]
    return pa.Table.from_arrays(
        [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns], schema=MASK
    )


def _facts(source: Dataset, config: NoiseConfig, n_spoiled: int) -> dict[str, Any]:
    own = {**config.settings(), "n_spoiled": n_spoiled}
    kept = ("licence", "consent", "splits")
    return {
        "name": f"{source.name}-noise{config.seed}",
        "parent": {"name": source.name, "digest": str(source.manifest["digest"])},
        **{key: source.manifest[key] for key in kept if key in source.manifest},
        "images_root": IMAGES,
        "settings": {"planted_noise": own},
        "sources": [],
    }


def _write_images(index: ClipIndex, chosen: Ints, spoiling: Spoiling, config: NoiseConfig, folder: Path) -> list[bytes]:
    """Writes every image anew, clean ones too; returns their SHA-256."""
    place_of = dict(zip(spoiling.frame.tolist(), range(len(spoiling)), strict=True))
    hashes, made = [], set()
    with show_progress("plant noise", len(chosen), "images") as progress:
        for row in chosen.tolist():
            image = index.images.decode(row)
            if row in place_of:
                image = _spoil_row(index, image, spoiling, place_of[row], config)
            data = _encode(image, config.jpeg_quality)
            file = folder / index.images.name(row)
            if file.parent not in made:
                made.add(make_folder(file.parent))
            write_file(file, data)
            hashes.append(hashlib.sha256(data).digest())
            progress.advance()
    sync_all()
    return hashes


def _spoil_row(
    index: ClipIndex, image: NDArray[np.uint8], spoiling: Spoiling, i: int, config: NoiseConfig
) -> NDArray[np.uint8]:
    kind, size = int(spoiling.kind[i]), (image.shape[0], image.shape[1])
    donor = index.images.decode(int(spoiling.donor[i]), size) if kind == COVER else None
    return spoil(image, int(spoiling.region[i]), kind, donor, spoiling.place[i], config)


def _encode(image: NDArray[np.uint8], quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("the image cannot be encoded")
    return bytes(data.tobytes())
