"""Writes a corrupted dataset, and beside it the table of what was corrupted."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex, open_index
from lpw_toolkit.dataset.dataset import IMAGES, Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.labels import PERSON, read_labels
from lpw_toolkit.dataset.schema import FRAMES, SPLITS, TRACKLETS
from lpw_toolkit.dataset.tables import read_table, to_integers, write_table
from lpw_toolkit.dataset.workspace import Workspace
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.files.writing import make_folder, sync_all, write_file
from lpw_toolkit.progress import Progress, show_progress
from lpw_toolkit.splits.restated import restate_splits
from rqen.corruption.corrupt import corrupt_region, find_corrupted_rows, find_main_region
from rqen.corruption.plan import (
    COVER,
    KINDS,
    REGIONS,
    Corruption,
    CorruptionConfig,
    DonorPool,
    draw_corruption,
)

Ints = NDArray[np.int64]

#: One row per image of a corrupted dataset; region and kind are null for clean ones. At a random
#: height the region is the one that most corrupted rows lie in. It is no part of the dataset. The
#: table keeps the name that its first version had.
MASK = pa.schema(
    [
        pa.field("tracklet_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("region", pa.string()),
        pa.field("kind", pa.string()),
    ],
    metadata={b"lpw_table": b"planted_noise", b"lpw_version": b"1"},
)


def inject_corruption(
    source: Path, out: Path, mask: Path, config: CorruptionConfig, tracklets: Ints | None = None
) -> Dataset:
    """Makes a corrupted dataset and its mask; the same call again finds them complete.

    Args:
        source: a dataset.
        out: the dataset to be.
        mask: Parquet file that takes the mask (schema MASK); it may not lie in `out`.
        config: what is injected.
        tracklets: rows (N,) of the source's table of tracklets that are written; None takes all.
            What is drawn for a tracklet does not depend on the others.

    Errors: LpwError for an `out` that holds other things or a mask inside it, CorruptCropError
    naming an image.
    """
    if out.absolute() in mask.absolute().parents:
        raise LpwError(
            mask,
            "a place inside the dataset",
            "a file apart from it",
            "choose another place for the mask",
        )
    index = open_index(source)
    rows = np.arange(len(index)) if tracklets is None else np.unique(tracklets)
    pool = find_donors(index)
    chosen = np.concatenate([np.arange(index.starts[row], index.starts[row + 1]) for row in rows])
    frames = index.dataset.frames.take(pa.array(chosen))
    draws = [
        _Draw(i, config, draw_corruption(pool, rows, config.seed, i)) for i in range(config.n_draws)
    ]
    make_folder(mask.parent)
    write_table(mask, pa.concat_tables(draw.make_mask(frames, chosen) for draw in draws), MASK)
    facts = _describe(index.dataset, config, sum(len(draw.corruption) for draw in draws))
    with Workspace(out) as work:
        chosen_rows = {"tracklets": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()}
        work.hold_plan({**facts, **chosen_rows}, {**_name_as_before(facts), **chosen_rows})
        if work.is_complete:
            return open_dataset(out)
        with show_progress("corrupt", len(chosen) * len(draws), "images") as progress:
            tables = [
                draw.write_frames(index, frames, chosen, out / IMAGES, progress) for draw in draws
            ]
        sync_all()
        write_table(
            out / "frames.parquet", pa.concat_tables(tables), FRAMES, group_by="tracklet_id"
        )
        splits = _write_tracklets(out, index.dataset, rows, draws)
        sources = index.dataset.manifest.get("sources", [])  # crops keep their places in videos
        return close_dataset(out, {**facts, "sources": sources, **splits})


def _write_tracklets(
    out: Path, source: Dataset, rows: Ints, draws: "list[_Draw]"
) -> dict[str, Any]:
    """Writes tracklets and splits; what `dataset.json` says of the splits where they hold other
    rows than those of the source."""
    kept = source.tracklets.take(pa.array(rows))
    write_table(
        out / "tracklets.parquet",
        pa.concat_tables(draw.name_rows(kept) for draw in draws),
        TRACKLETS,
    )
    if source.splits is None:
        return {}
    splits = source.splits.filter(
        pc.is_in(source.splits["tracklet_id"], kept["tracklet_id"].combine_chunks())
    )
    table = pa.concat_tables(draw.name_rows(splits) for draw in draws)
    said, facts = source.manifest.get("splits"), {}
    if isinstance(said, dict) and not table.equals(source.splits):
        note = f"{table.num_rows:,} rows, made from {source.splits.num_rows:,} of {source.name}"
        table, facts["splits"] = restate_splits(said, table, note)
    write_table(out / "splits.parquet", table, SPLITS)
    return facts


def find_donors(index: TrackletIndex) -> DonorPool:
    """Who is in which subset: 1 trains in the first split, 0 does not; all are in one where there
    are no splits."""
    labels = read_labels(index.tracklets)
    subset = np.zeros(len(index), dtype=np.int64)
    if index.dataset.splits is not None:
        subset[read_trials(index.dataset)[0].train] = 1
    return DonorPool(np.where(labels.kind == PERSON, labels.person, -1), subset, index.starts)


def read_mask(path: Path, frames: pa.Table) -> tuple[Ints, Ints]:
    """Region and kind (F,) of each row of a table of frames, as places in REGIONS and KINDS, -1 for
    clean ones.

    Errors: MismatchError where the mask is of other frames.
    """
    table = read_table(path, MASK)
    fits = table["tracklet_id"].equals(frames["tracklet_id"])
    if not (
        fits and np.array_equal(to_integers(table, "position"), to_integers(frames, "position"))
    ):
        raise MismatchError(
            path,
            "other rows than the frames",
            "the mask of this dataset",
            "corrupt the dataset again",
        )
    places = [
        pc.fill_null(pc.index_in(table[name], pa.array(names)), -1).to_numpy().astype(np.int64)
        for name, names in (("region", REGIONS), ("kind", KINDS))
    ]
    return places[0], places[1]


@dataclass(frozen=True)
class _Draw:
    """One copy of all tracklets: what is done to it, and what it is called."""

    number: int
    config: CorruptionConfig
    corruption: Corruption

    @property
    def prefix(self) -> str:
        return f"draw{self.number}/" if self.config.n_draws > 1 else ""

    def name_rows(self, table: pa.Table) -> pa.Table:
        """The table with the names that the tracklets have in this draw."""
        names = pc.binary_join_element_wise(self.prefix, table["tracklet_id"], "")
        place = table.schema.get_field_index("tracklet_id")
        return table.set_column(place, table.schema.field("tracklet_id"), names)

    def make_mask(self, frames: pa.Table, chosen: Ints) -> pa.Table:
        names: list[list[str | None]] = [[None] * len(chosen), [None] * len(chosen)]
        places = np.searchsorted(chosen, self.corruption.frame)
        for place, region, kind in zip(
            places, self._name_regions(), self.corruption.kind, strict=True
        ):
            names[0][place], names[1][place] = REGIONS[region], KINDS[kind]
        columns = [frames["tracklet_id"].combine_chunks(), frames["position"].combine_chunks()]
        columns += [pa.array(column, pa.string()) for column in names]
        return self.name_rows(pa.Table.from_arrays(columns, schema=MASK))

    def _name_regions(self) -> Ints:
        """The region that each corruption counts for: at a random height, the one that most of it
        lies in (of an image of 1,000 rows, whatever the image's own height)."""
        corruption, n_rows = self.corruption, 1000
        if self.config.position == "regions":
            return corruption.region
        main = [
            find_main_region(
                n_rows,
                find_corrupted_rows(n_rows, int(region), float(height), self.config),
                self.config.division,
            )
            for region, height in zip(corruption.region, corruption.height, strict=True)
        ]
        return np.array(main, dtype=np.int64)

    def write_frames(
        self, index: TrackletIndex, frames: pa.Table, chosen: Ints, folder: Path, progress: Progress
    ) -> pa.Table:
        """Writes every image anew, clean ones too; returns the table of frames."""
        place_of = dict(
            zip(self.corruption.frame.tolist(), range(len(self.corruption)), strict=True)
        )
        hashes, paths, made = [], [], set()
        for row in chosen.tolist():
            image = index.images.decode(row)
            if row in place_of:
                image = self._corrupt(index, image, place_of[row])
            data, path = (
                _encode(image, self.config.jpeg_quality),
                _rename(self.prefix + index.images.name(row)),
            )
            file = folder / path
            if file.parent not in made:
                made.add(make_folder(file.parent))
            write_file(file, data)
            hashes.append(hashlib.sha256(data).digest())
            paths.append({"bytes": None, "path": path})
            progress.advance()
        for name, values in (("sha256", hashes), ("image", paths)):
            field = FRAMES.field(name)
            frames = frames.set_column(
                FRAMES.get_field_index(name), field, pa.array(values, field.type)
            )
        return self.name_rows(frames)

    def _corrupt(self, index: TrackletIndex, image: NDArray[np.uint8], i: int) -> NDArray[np.uint8]:
        corruption = self.corruption
        kind, size = int(corruption.kind[i]), (image.shape[0], image.shape[1])
        donor = index.images.decode(int(corruption.donor[i]), size) if kind == COVER else None
        return corrupt_region(
            image, int(corruption.region[i]), kind, donor, corruption.place[i], self.config,
            float(corruption.height[i]),
        )  # fmt: skip


def _describe(source: Dataset, config: CorruptionConfig, n_corrupted: int) -> dict[str, Any]:
    """The facts for dataset.json."""
    own = {**config.settings(), "n_corrupted": n_corrupted}
    kept = ("licence", "consent", "splits")
    return {
        "name": f"{source.name}-corrupted{config.seed}",
        "parent": {"name": source.name, "digest": str(source.manifest["digest"])},
        **{key: source.manifest[key] for key in kept if key in source.manifest},
        "images_root": IMAGES,
        "settings": {"corruption": own},
        "sources": [],
    }


def _name_as_before(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts as versions wrote them that called it noise."""
    own = dict(facts["settings"]["corruption"])
    own["n_spoiled"] = own.pop("n_corrupted")
    base, _, seed = facts["name"].rpartition("-corrupted")
    return {**facts, "name": f"{base}-noise{seed}", "settings": {"planted_noise": own}}


def _rename(path: str) -> str:
    """The path of the image that is written: its source may have been a PNG."""
    return path if PurePosixPath(path).suffix.lower() in (".jpg", ".jpeg") else f"{path}.jpg"


def _encode(image: NDArray[np.uint8], quality: int) -> bytes:
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError("the image cannot be encoded")
    return bytes(data.tobytes())
