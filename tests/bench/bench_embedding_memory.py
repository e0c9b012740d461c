"""Peak memory of embedding as tracklets get longer, the number of frames being the same.

    python tests/bench/bench_embedding_memory.py [--frames 12000] [--lengths 60 600 6000]

The longest first, so that nothing is left by others; each length in a process of its own, which
embeds two batches before it is measured. The dataset names one image again and again: what is read
matters for memory, not what it shows. 12,180 tracklets of MARS have 59 frames in the mean; the
frames here are fewer, and the figure must not depend on them beyond a vector for each tracklet and
a score for each frame and region.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from machine import print_table, write_result
from peak import measure_extra_mb, read_mb

from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import close_dataset
from lpw_toolkit.dataset.tables import make_table, write_table
from rqen.inference.embed import SetEmbedOptions, embed_tracklets
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.method import open_method
from rqen.model.network import SetNetwork
from rqen.run.malloc import keep_freed_memory

SIZE = 128, 64


def make_dataset(root: Path, n_frames: int, length: int) -> Path:
    """Tracklets of `length` frames, all of which are one image."""
    import hashlib

    root.mkdir()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    (root / "one.jpg").write_bytes(data)
    n = n_frames // length
    names = [f"{i:06d}" for i in range(n)]
    owner, position = np.divmod(np.arange(n * length), length)
    nothing = [None] * len(owner)
    frames = [
        pa.array(names).take(pa.array(owner)), position.astype(np.int32),
        [{"bytes": None, "path": "one.jpg"}] * len(owner),
        [SIZE[1]] * len(owner), [SIZE[0]] * len(owner),
        [hashlib.sha256(data).digest()] * len(owner), *[nothing] * 7,
    ]  # fmt: skip
    tracklets = [
        names,
        ["s"] * n,
        ["s/c"] * n,
        names,
        ["person"] * n,
        [None] * n,
        [length] * n,
        [None] * n,
        [None] * n,
    ]
    table = pa.Table.from_arrays(
        [
            c if isinstance(c, pa.Array) else pa.array(c, f.type)
            for c, f in zip(frames, schema.FRAMES, strict=True)
        ],
        schema=schema.FRAMES,
    )
    write_table(root / "frames.parquet", table, schema.FRAMES, group_by="tracklet_id")
    write_table(
        root / "tracklets.parquet", make_table(tracklets, schema.TRACKLETS), schema.TRACKLETS
    )
    close_dataset(root, {"name": "memory", "parent": None, "sources": [], "settings": {}})
    return root


def run_worker(root: Path, given: argparse.Namespace) -> None:
    keep_freed_memory()
    torch.manual_seed(0)
    backbone = open_backbone(given.backbone, BackboneOptions("random"))
    network = SetNetwork(backbone, open_method("rqen"), 10, SIZE)
    index = open_index(root)
    options = SetEmbedOptions(*SIZE, batch=given.batch, n_workers=given.workers)
    embed_tracklets(network, open_index(given.warm), np.arange(1), options)
    found, extra = measure_extra_mb(
        lambda: embed_tracklets(network, index, np.arange(len(index)), options)
    )
    answer_mb = (found.vectors.nbytes + found.scores.nbytes) / 1e6
    print(
        json.dumps(
            {
                "extra_mb": round(extra, 1),
                "peak_mb": round(read_mb("VmHWM"), 1),
                "answer_mb": round(answer_mb, 2),
            }
        )
    )


def measure(root: Path, warm: Path, given: argparse.Namespace) -> dict[str, Any]:
    words = [
        "--backbone",
        given.backbone,
        "--batch",
        str(given.batch),
        "--workers",
        str(given.workers),
    ]
    words += ["--worker", str(root), "--warm", str(warm)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=12_000)
    parser.add_argument("--lengths", type=int, nargs="+", default=[60, 600, 6000])
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default="embedding_memory")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        run_worker(given.worker, given)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        warm = make_dataset(Path(folder) / "warm", 2 * given.batch, 2 * given.batch)
        for length in sorted(given.lengths, reverse=True):
            root = make_dataset(Path(folder) / f"length{length}", given.frames, length)
            rows.append(
                {
                    "length": length,
                    "n_tracklets": given.frames // length,
                    **measure(root, warm, given),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    facts = {
        "n_frames": given.frames,
        "batch": given.batch,
        "n_workers": given.workers,
        "backbone": given.backbone,
    }
    write_result(given.name, {**facts, "size": SIZE, "torch": torch.__version__, "rows": rows})
    print_table([list(rows[0]), *(list(row.values()) for row in rows)])


if __name__ == "__main__":
    main()
