"""Reading clips at random with two workers: from the pack, against WebDataset, plain files, and the
limit of decoding.

    python tests/bench/bench_reading.py [--tracklets 1600] [--data ../shared/data]

16,000 JPEG images of 256x128 (crops of mini_lpw enlarged, or drawn ones where that is absent),
quality 90. Everything ends as uint8 tensors (128 images a batch) in this process, read by two
DataLoader workers; all but PIL decode with the same call of OpenCV. Rates are images per second
from the first batch of an epoch to its last, median of the repeats, the contenders taking turns.
The limit is two processes that only decode bytes in memory.
"""

import argparse
import hashlib
import io
import multiprocessing
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
import webdataset as wds
from machine import print_table, write_result
from PIL import Image
from torch.utils.data import DataLoader

from lpw_toolkit.clips.clip_loader import ClipLoader
from lpw_toolkit.clips.clips import ClipDataset, ClipOptions
from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.clip_index import TrackletIndex, open_index
from lpw_toolkit.dataset.dataset import close_dataset, open_dataset
from lpw_toolkit.dataset.image_reader import Source
from lpw_toolkit.dataset.pack import write_pack
from lpw_toolkit.embedding.sampling import PersonBatches, choose_frames

N_FRAMES, N_CLIPS, N_WORKERS = 8, 16, 2
TRACKLET_FRAMES = 10
HEIGHT, WIDTH = 256, 128


def draw_images(data: Path, n: int) -> list[bytes]:
    """JPEG bytes of enlarged crops, or of smooth noise."""
    source = data / "mini_lpw" / "pep_256x128"
    files = sorted(source.rglob("*.jpg"))[: 3 * n : 3]
    rng = np.random.default_rng(0)
    small = [cv2.imread(str(f)) for f in files] or [
        rng.integers(0, 256, (32, 16, 3), np.uint8) for _ in range(n)
    ]
    large = [cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for image in small]
    return [
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes() for image in large
    ]


def make_dataset(root: Path, images: list[bytes], n_tracklets: int) -> None:
    frames = []
    for i in range(n_tracklets):
        name = f"cam{i % 2}/{i // 2:06d}"
        (root / "images" / name).mkdir(parents=True)
        for j in range(TRACKLET_FRAMES):
            data = images[(i * TRACKLET_FRAMES + j) % len(images)]
            path = f"images/{name}/{j + 1}.jpg"
            (root / path).write_bytes(data)
            row = {
                "tracklet_id": name,
                "position": j,
                "image": {"bytes": None, "path": path},
                "width": WIDTH,
            }
            frames.append({**row, "height": HEIGHT, "sha256": hashlib.sha256(data).digest()})
    frames.sort(key=lambda row: (row["tracklet_id"], row["position"]))
    names = sorted({row["tracklet_id"] for row in frames})
    tracklets = [
        {
            "tracklet_id": n,
            "camera_id": n[:4],
            "person_id": n[5:],
            "kind": "person",
            "n_frames": TRACKLET_FRAMES,
        }
        for n in names
    ]
    for name, rows, kind in (
        ("frames", frames, schema.FRAMES),
        ("tracklets", tracklets, schema.TRACKLETS),
    ):
        tables.write_table(root / f"{name}.parquet", pa.Table.from_pylist(rows, schema=kind), kind)
    close_dataset(root, {"name": "reading", "parent": None, "sources": [], "settings": {}})
    write_pack(open_dataset(root))


def make_shards(root: Path, folder: Path, n_shards: int = 8) -> list[str]:
    """The images in order as WebDataset's shards."""
    index = open_index(root)
    borders = np.linspace(0, len(index.images), n_shards + 1).astype(int)
    for shard in range(n_shards):
        with tarfile.open(folder / f"{shard:03d}.tar", "w") as archive:
            for row in range(borders[shard], borders[shard + 1]):
                data, entry = index.images.read(row), tarfile.TarInfo(f"{row:08d}.jpg")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return [str(folder / f"{shard:03d}.tar") for shard in range(n_shards)]


def decode_image(data: bytes) -> torch.Tensor:
    """The decoder of all contenders but PIL: bytes to (H, W, 3) RGB."""
    pixels = cv2.imdecode(
        np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    return torch.from_numpy(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels))


class PlainFiles(torch.utils.data.Dataset):
    """What most loaders do: a list of paths for each tracklet, PIL, a random choice of frames."""

    def __init__(self, index: TrackletIndex) -> None:
        names = [
            str(index.dataset.root / index.images.name(row)) for row in range(len(index.images))
        ]
        self.clips = [names[a:b] for a, b in zip(index.starts, index.starts[1:], strict=False)]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> torch.Tensor:
        chosen = choose_frames(len(self.clips[i]), N_FRAMES, "random", np.random.default_rng())
        images = [np.asarray(Image.open(self.clips[i][j]).convert("RGB")) for j in chosen]
        return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def time_batches(batches: Iterable[Any]) -> float:
    """Images per second from the first batch to the last."""
    n_images, began = 0, 0.0
    for number, batch in enumerate(batches):
        imgs = batch["imgs"] if isinstance(batch, dict) else batch
        imgs = imgs[0] if isinstance(imgs, (list, tuple)) else imgs
        if number == 0:
            began = time.perf_counter()
        else:
            n_images += imgs.numel() // (3 * HEIGHT * WIDTH)
    return n_images / (time.perf_counter() - began)


def read_clips(
    root: Path, source: Source, verify_every: int, seed: int, *, reuse: bool = False
) -> float:
    clips = ClipDataset(
        open_index(root, source=source, verify_every=verify_every),
        ClipOptions(N_FRAMES, size_px=None),
    )
    plan = PersonBatches(clips.pids, N_CLIPS // 2, 2, seed=seed)
    return time_batches(ClipLoader(clips, plan, n_workers=N_WORKERS, reuse_memory=reuse))


def read_webdataset(shards: list[str]) -> float:
    data = wds.WebDataset(shards, shardshuffle=False).to_tuple("jpg").map_tuple(decode_image)
    return time_batches(DataLoader(data, batch_size=N_FRAMES * N_CLIPS, num_workers=N_WORKERS))


def read_plain(root: Path) -> float:
    loader = DataLoader(
        PlainFiles(open_index(root)), batch_size=N_CLIPS, shuffle=True, num_workers=N_WORKERS
    )
    return time_batches(loader)


def decode_alone(images: list[bytes]) -> float:
    """Images per second of one process that only decodes."""
    cv2.setNumThreads(0)
    began, n_images = time.perf_counter(), 0
    while time.perf_counter() - began < 2.0:
        for data in images[:200]:
            cv2.imdecode(
                np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            )
        n_images += 200
    return n_images / (time.perf_counter() - began)


def decode_limit(images: list[bytes]) -> float:
    with multiprocessing.get_context("fork").Pool(N_WORKERS) as pool:
        return sum(pool.map(decode_alone, [images] * N_WORKERS))


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data"
    )
    parser.add_argument("--tracklets", type=int, default=1600)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    images = draw_images(arguments.data, 2000)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        root, shards = Path(name) / "reading", Path(name) / "shards"
        shards.mkdir()
        make_dataset(root, images, arguments.tracklets)
        tars = make_shards(root, shards)
        for seed in range(arguments.repeats):
            contenders: dict[str, Callable[[], float]] = {
                "pack": lambda s=seed: read_clips(root, "pack", 16, s, reuse=True),
                "pack, new memory for each batch": lambda s=seed: read_clips(root, "pack", 16, s),
                "pack, every image verified": lambda s=seed: read_clips(root, "pack", 1, s),
                "files": lambda s=seed: read_clips(root, "files", 16, s),
                "webdataset, sequential": lambda: read_webdataset(tars),
                "files, PIL DataLoader": lambda: read_plain(root),
                "decoding limit": lambda: decode_limit(images),
            }
            for contender, measure in contenders.items():
                rates.setdefault(contender, []).append(measure())
    medians = {contender: statistics.median(values) for contender, values in rates.items()}
    ours, peer = medians["pack"], medians["webdataset, sequential"]
    print_table(
        [
            ["what", "images/s", "pack is times"],
            *([c, round(rate), ours / rate] for c, rate in medians.items()),
        ]
    )
    facts = {
        "n_images": arguments.tracklets * TRACKLET_FRAMES,
        "image_bytes": round(statistics.mean(map(len, images))),
        "images_per_s": rates,
        "median_images_per_s": medians,
        "pack_over_webdataset": ours / peer,
        "pack_over_pil_files": ours / medians["files, PIL DataLoader"],
        "share_of_decoding_limit": ours / medians["decoding limit"],
        "versions": {
            "webdataset": wds.__version__,
            "torch": torch.__version__,
            "opencv": cv2.__version__,
        },
        "bars": {"pack_over_webdataset": 1.3, "share_of_decoding_limit (aim)": 0.8},
        "passed": ours / peer >= 1.3,
    }
    print(f"written: {write_result('reading', facts)}")


if __name__ == "__main__":
    main()
