"""The long forms: 10,000 flips in images, 6,000 flips and 2,000 cuts in tables, 200,000 rows in
bounded memory."""

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from make_dataset import make_dataset
from moments import PATIENCE_S

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import close_dataset
from lpw_toolkit.dataset.schema import FRAMES, SCHEMAS, TRACKLETS
from lpw_toolkit.dataset.tables import read_table, write_table
from lpw_toolkit.errors import MismatchError

pytestmark = pytest.mark.slow
N_FRAMES = 40

MEASURE = """
import sys, time
from pathlib import Path
from lpw_toolkit.check.check import check_dataset
start = time.process_time()
report = check_dataset(Path(sys.argv[1]), images=False)
peak_kib = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(len(report.problems), report.n_rows, time.process_time() - start, peak_kib)
"""


def test_ten_thousand_flips_in_images_are_all_found(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", n_tracklets=20, n_frames=48)
    paths = [image["path"] for image in dataset.frames["image"].to_pylist()]
    good = [(dataset.root / path).read_bytes() for path in paths]
    assert len(paths) == 1000
    generator = random.Random(11)
    for _ in range(10):
        for path, data in zip(paths, good, strict=True):
            damaged = bytearray(data)
            damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            (dataset.root / path).write_bytes(damaged)
        found = [
            (p.file, p.row) for p in check_dataset(dataset.root).problems if p.rule == "image-hash"
        ]
        assert found == [(path, row) for row, path in enumerate(paths)]


@pytest.mark.parametrize("name", ["frames", "tracklets"])
def test_flips_and_cuts_of_tables(tmp_path: Path, name: str) -> None:
    root = tmp_path / "dataset"
    make_dataset(root, n_tracklets=3, n_frames=4, boxes=False)
    file, schema = root / f"{name}.parquet", SCHEMAS[name]
    data, table, generator = file.read_bytes(), read_table(file, schema), random.Random(12)
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for number in range(3000):
        damaged = bytearray(data)
        first = (
            len(data) - footer if number % 2 else 0
        )  # every other one in the footer, which no checksum covers
        damaged[generator.randrange(first, len(data))] ^= 1 << generator.randrange(8)
        file.write_bytes(damaged)
        try:
            assert read_table(file, schema).equals(table)
        except MismatchError as error:
            assert "\n" not in str(error)
        assert [(p.file, p.rule) for p in check_dataset(root, images=False).problems] == [
            (file.name, "table-hash")
        ]
    for size in sorted(generator.sample(range(len(data)), 1000)):
        file.write_bytes(data[:size])
        with pytest.raises(MismatchError):
            read_table(file, schema)
        assert [(p.file, p.rule) for p in check_dataset(root, images=False).problems] == [
            (file.name, "table-size")
        ]


def write_large(root: Path, n_tracklets: int) -> None:
    """A dataset of N_FRAMES images a tracklet, whose image files are not there."""
    n, rng = n_tracklets * N_FRAMES, np.random.default_rng(1)
    ids = [f"scen1/view1/{i:06d}" for i in range(n_tracklets)]
    position = np.tile(np.arange(N_FRAMES, dtype=np.int32), n_tracklets)
    owner = np.repeat(np.array(ids), N_FRAMES).tolist()
    paths = [f"images/{i}/{p + 1}.jpg" for i, p in zip(owner, position.tolist(), strict=True)]
    left = rng.random(n).astype(np.float32)
    hashes = [hashlib.sha256(path.encode()).digest() for path in paths]
    frames = {
        "tracklet_id": owner,
        "position": position,
        "image": pa.StructArray.from_arrays(
            [pa.nulls(n, pa.binary()), pa.array(paths)], ["bytes", "path"]
        ),
        "width": np.full(n, 128, np.int16),
        "height": np.full(n, 256, np.int16),
        "sha256": pa.array(hashes, pa.binary(32)),
        "frame_index": position,
        "pts_s": position / 25.0,
        **{side: left + (side in ("x2", "y2")) for side in ("x1", "y1", "x2", "y2")},
        "score": left,
    }
    write_table(
        root / "frames.parquet", pa.table(frames).cast(FRAMES), FRAMES, group_by="tracklet_id"
    )
    row = {
        "camera_id": "c",
        "kind": "person",
        "n_frames": N_FRAMES,
        "first_pts_s": 0.0,
        "last_pts_s": 39 / 25.0,
    }
    tracklets = pa.Table.from_pylist([{"tracklet_id": i, **row} for i in ids], TRACKLETS)
    write_table(root / "tracklets.parquet", tracklets, TRACKLETS)
    close_dataset(root, {"name": "large"})


def test_200_000_rows_take_seconds_and_little_memory(tmp_path: Path) -> None:
    write_large(tmp_path, 5_000)
    child = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    n_problems, n_rows, cpu_s, peak_kib = (float(part) for part in child.stdout.split())
    assert (n_problems, n_rows) == (0, 205_000)
    assert cpu_s < 10
    assert peak_kib < 512 * 1024
