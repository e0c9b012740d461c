"""Tar shards for WebDataset: a sample is a tracklet, with its images and one JSON of metadata."""

import io
import tarfile
from pathlib import Path
from typing import Any

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.exports.form import SHARD_BYTES, Exported, ExportOptions, Tally, read_suffix
from lpw_toolkit.exports.shards import Loaded, name_parts, read_shards
from lpw_toolkit.files import writing
from lpw_toolkit.names import json_text
from lpw_toolkit.progress import show_progress

TITLE = "tar shards for WebDataset"
OPTIONS: tuple[str, ...] = ("split", "shard_bytes")
_FRAME_FACTS = ("frame_index", "pts_s", "x1", "y1", "x2", "y2", "score")
_DIGEST_ONLY = (
    "detections, timelines and settings: only the digest of the dataset is kept (shards.json)"
)


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes OUT/<part>-000000.tar and on (train, query, gallery, rest; `all` without splits), and
    OUT/shards.json.

    A sample has the members `<n>.json` and `<n>.0000.jpg`, `<n>.0001.jpg`, … in temporal order, n
    counting the samples of its part. Owner, time and mode of every member are fixed, so that equal
    datasets make equal shards.
    Errors: LpwError when OUT is not empty, CorruptCropError. Then nothing is left behind.
    """
    parts, lines = name_parts(dataset, options.split, whole="all")
    tally, shards = Tally(), []
    n_images = sum(FrameRanges(dataset).n_frames(rows) for rows in parts.values())
    with publish_folder(out) as folder, show_progress("export", n_images, "images") as progress:
        for part, rows in parts.items():
            n_samples = 0
            for number, shard in enumerate(
                read_shards(dataset, rows, options.shard_bytes or SHARD_BYTES)
            ):
                name = f"{part}-{number:06d}.tar"
                writing.write_file(folder / name, _make_tar(dataset, shard, n_samples))
                sizes = [len(image) for loaded in shard for image in loaded.images]
                n_samples += len(shard)
                shards.append(
                    {"shard": name, "part": part, "n_samples": len(shard), "n_images": len(sizes)}
                )
                tally.add(sizes)
                progress.advance(len(sizes))
                shard.clear()  # before the next one is read
        facts = {
            "dataset": dataset.name,
            "digest": dataset.manifest.get("digest"),
            "shards": shards,
        }
        writing.write_file(folder / "shards.json", (json_text(facts, indent=1) + "\n").encode())
    return Exported(out, [*lines, _DIGEST_ONLY], tally.n_images, tally.n_bytes)


def _make_tar(dataset: Dataset, shard: list[Loaded], n_before: int) -> bytes:
    file = io.BytesIO()
    for key, loaded in enumerate(shard, start=n_before):
        _add_member(file, f"{key:08d}.json", json_text(_describe(dataset, loaded)).encode())
        paths = [image["path"] for image in loaded.frames["image"].to_pylist()]
        for i, (path, image) in enumerate(zip(paths, loaded.images, strict=True)):
            _add_member(file, f"{key:08d}.{i:04d}{read_suffix(dataset, path)}", image)
    file.write(bytes(2 * tarfile.BLOCKSIZE))
    return file.getvalue()


def _add_member(file: io.BytesIO, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # owner 0, time 0, mode 644
    info.size = len(data)
    file.write(info.tobuf(tarfile.USTAR_FORMAT))
    file.write(data)
    file.write(bytes(-len(data) % tarfile.BLOCKSIZE))


def _describe(dataset: Dataset, loaded: Loaded) -> dict[str, Any]:
    """What is known of a tracklet, and of its images where it is known of all of them."""
    facts: dict[str, Any] = dataset.tracklets.slice(loaded.tracklet, 1).to_pylist()[0]
    columns = {
        name: loaded.frames[name] for name in _FRAME_FACTS if loaded.frames[name].null_count == 0
    }
    return facts | {name: column.to_pylist() for name, column in columns.items()}
