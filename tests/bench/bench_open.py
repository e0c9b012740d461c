"""Opening the index of a dataset as large as LPW, against walking its tree with pathlib.

    python tests/bench/bench_open.py [--images 590547] [--tracklets 7694] [--repeats 5]

Opening is `open_index`: dataset.json, both tables with page checksums verified, frames grouped by
tracklet and checked against the tracklets, ready to read clip i. Each opening runs in a fresh
process, after its imports; the files are in the page cache, as the tree's folders are. The walk
lists every tracklet's folder and sorts its names, as loaders do; the tree is one of empty files.
Both in a temporary folder; median of the repeats.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from machine import print_table, write_result

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import close_dataset

OPEN = """
import sys, time
from pathlib import Path
began = time.perf_counter()
from lpw_toolkit.dataset.clip_index import open_index
imported = time.perf_counter()
index = open_index(Path(sys.argv[1]), source="files")
print(imported - began, time.perf_counter() - imported)
"""
READ_ALL = """
import sys, time
from pathlib import Path
began = time.perf_counter()
from lpw_toolkit.dataset.dataset import open_dataset
imported = time.perf_counter()
dataset = open_dataset(Path(sys.argv[1]))
dataset.frames, dataset.tracklets
print(imported - began, time.perf_counter() - imported)
"""


def draw_tables(root: Path, n_images: int, n_tracklets: int) -> list[str]:
    """A dataset of LPW's names and lengths without images; returns the image paths."""
    rng = np.random.default_rng(0)
    lengths = rng.multinomial(n_images - n_tracklets, rng.dirichlet(np.full(n_tracklets, 4.0))) + 1
    views = [f"scen{1 + i % 3}/view{1 + i // 3 % 4}" for i in range(n_tracklets)]
    names = sorted(f"{view}/{i}" for i, view in enumerate(views))
    owner = np.repeat(np.arange(n_tracklets), lengths)
    position = np.arange(n_images) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    paths = [
        f"images/{names[i]}/{j + 1}.jpg"
        for i, j in zip(owner.tolist(), position.tolist(), strict=True)
    ]
    hashes = rng.integers(0, 256, (n_images, 32), dtype=np.uint8).tobytes()
    images = pa.StructArray.from_arrays(
        [pa.nulls(n_images, pa.binary()), pa.array(paths)],
        fields=list(schema.FRAMES.field("image").type),
    )
    columns: dict[str, Any] = {
        "tracklet_id": pa.array(names).take(pa.array(owner)),
        "position": pa.array(position, pa.int32()),
        "image": images,
        "width": pa.array(np.full(n_images, 128), pa.int16()),
        "height": pa.array(np.full(n_images, 256), pa.int16()),
        "sha256": pa.Array.from_buffers(pa.binary(32), n_images, [None, pa.py_buffer(hashes)]),
        "frame_index": pa.array(position, pa.int32()),
    }
    arrays = [columns.get(f.name, pa.nulls(n_images, f.type)) for f in schema.FRAMES]
    frames = pa.Table.from_arrays(arrays, schema=schema.FRAMES)
    tables.write_table(root / "frames.parquet", frames, schema.FRAMES, group_by="tracklet_id")
    rows = [
        {
            "tracklet_id": name,
            "scene_id": name.split("/")[0],
            "camera_id": name.rpartition("/")[0],
            "person_id": f"{name.split('/')[0]}/{name.rpartition('/')[2]}",
            "kind": "person",
            "n_frames": int(length),
        }
        for name, length in zip(names, lengths, strict=True)
    ]
    tracklets = pa.Table.from_pylist(rows, schema=schema.TRACKLETS)
    tables.write_table(root / "tracklets.parquet", tracklets, schema.TRACKLETS)
    close_dataset(root, {"name": "large", "parent": None, "sources": [], "settings": {}})
    return paths


def draw_tree(root: Path, paths: list[str]) -> None:
    for folder in {path.rpartition("/")[0] for path in paths}:
        (root / folder).mkdir(parents=True)
    for path in paths:
        (root / path).touch()


def walk(root: Path) -> tuple[float, int]:
    """Seconds and number of images of the walk that loaders do."""
    began = time.perf_counter()
    clips = [
        sorted(person.iterdir(), key=lambda file: int(file.stem))
        for scene in sorted((root / "images").iterdir())
        for view in sorted(scene.iterdir())
        for person in sorted(view.iterdir())
    ]
    return time.perf_counter() - began, sum(map(len, clips))


def measure(code: str, root: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of the imports and of the opening itself, each in a fresh process."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(repeats)
    ]
    values = [[float(value) for value in run.split()] for run in runs]
    return [value[0] for value in values], [value[1] for value in values]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=590_547)
    parser.add_argument("--tracklets", type=int, default=7_694)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "large"
        root.mkdir()
        paths = draw_tables(root, arguments.images, arguments.tracklets)
        draw_tree(root, paths)
        size = sum((root / f"{table}.parquet").stat().st_size for table in ("frames", "tracklets"))
        os.sync()  # half a million new files keep the machine busy for a while
        walk(root)
        # Reading it all comes first, so that the tables are in the page cache as the folders are
        # after the last walk.
        rounds = [
            (measure(READ_ALL, root, 1), measure(OPEN, root, 1), walk(root))
            for _ in range(arguments.repeats)
        ]
        reads = [read[1][0] for read, _, _ in rounds]
        imports = [opened[0][0] for _, opened, _ in rounds]
        opens = [opened[1][0] for _, opened, _ in rounds]
        walks = [walked for _, _, walked in rounds]
    if {n for _, n in walks} != {arguments.images}:
        raise SystemExit("the walk found another number of images")
    walk_s = statistics.median(seconds for seconds, _ in walks)
    open_s, read_s = statistics.median(opens), statistics.median(reads)
    print_table(
        [
            ["what", "median s", "worst s", "times the opening"],
            ["open_index", open_s, max(opens), 1.0],
            ["every column of both tables", read_s, max(reads), read_s / open_s],
            ["pathlib walk", walk_s, max(seconds for seconds, _ in walks), walk_s / open_s],
            ["imports before opening", statistics.median(imports), max(imports), ""],
        ]
    )
    facts = {
        "n_images": arguments.images,
        "n_tracklets": arguments.tracklets,
        "table_bytes": size,
        "open_s": opens,
        "read_all_columns_s": reads,
        "import_s": imports,
        "walk_s": [seconds for seconds, _ in walks],
        "median_open_s": open_s,
        "walk_over_open": walk_s / open_s,
        "bars": {"open_s": 0.4, "walk_over_open": 10},
        "passed": open_s < 0.4 and walk_s / open_s >= 10,
    }
    print(f"written: {write_result('open', facts)}")


if __name__ == "__main__":
    main()
