"""How far colour alone gets on the score street: the baseline that stands beside every
re-identification figure on it.

    python tests/bench/bench_street.py [--seed 1] [--embedder
    ../shared/data/weights/osnet_x0_25_msmt17.onnx]

Crops are cut by the ground-truth boxes from the written videos, each tracklet (one person, one
camera) is described by the mean over its crops, and every tracklet looks for its person among the
tracklets of the other cameras of its scene. The embedder, a small network trained on real people
and never on this street, tells whether there is more to see than colour.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from lpw_toolkit.files import writing
from lpw_toolkit.synth.street import STREETS, Street, write_street

Floats = NDArray[np.float64]
Crop = NDArray[np.uint8]
Tracklets = dict[tuple[str, str, int], list[Crop]]

RESULTS = Path(__file__).parent / "results" / "street.json"
EMBEDDER = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "weights" / "osnet_x0_25_msmt17.onnx"
)
EVERY = 5  # frames between two crops of a tracklet
VISIBILITY_MIN = 0.5


def cut_crops(street: Street) -> Tracklets:
    """The crops (BGR, 256 x 128) of each (scene, camera, person), by the ground truth."""
    import av

    tracklets: Tracklets = {}
    for video in street.videos:
        rows = np.loadtxt(video.truth, delimiter=",", ndmin=2)
        rows = rows[(rows[:, 6] == 1) & (rows[:, 8] >= VISIBILITY_MIN) & (rows[:, 0] % EVERY == 0)]
        with av.open(str(video.video)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if (index + 1) % EVERY:
                    continue
                picture = frame.to_ndarray(format="bgr24")
                for number, left, top, width, height in rows[rows[:, 0] == index + 1, 1:6].astype(
                    int
                ):
                    crop = cv2.resize(picture[top : top + height, left : left + width], (128, 256))
                    key = (video.video_id.split("/")[0], video.video_id, int(number))
                    tracklets.setdefault(key, []).append(crop)
    return tracklets


def mean_colour(crop: Crop) -> Floats:
    return np.asarray(crop.reshape(-1, 3).mean(axis=0))


def stripe_colour(crop: Crop) -> Floats:
    """Mean colour of head, upper and lower body, from the middle half of the crop."""
    middle = crop[:, 32:96]
    return np.concatenate([mean_colour(middle[a:b]) for a, b in ((0, 45), (45, 135), (135, 256))])


def stripe_histogram(crop: Crop) -> Floats:
    """Hue-saturation and value histograms of three stripes, square-rooted (Hellinger)."""
    hsv = cv2.cvtColor(crop[:, 32:96], cv2.COLOR_BGR2HSV)
    parts = []
    for a, b in ((0, 45), (45, 135), (135, 256)):
        tint = cv2.calcHist([hsv[a:b]], [0, 1], None, [12, 4], [0, 180, 0, 256]).ravel()
        value = cv2.calcHist([hsv[a:b]], [2], None, [8], [0, 256]).ravel()
        parts += [np.sqrt(tint / tint.sum()), np.sqrt(value / value.sum())]
    return np.concatenate(parts)


def describe(tracklets: Tracklets, descriptor: Callable[[Crop], Floats]) -> Floats:
    return np.stack(
        [np.mean([descriptor(crop) for crop in crops], axis=0) for crops in tracklets.values()]
    )


def embed(tracklets: Tracklets, weights: Path) -> Floats:
    """Mean embedding of up to eight crops a tracklet by an ONNX network (RGB, ImageNet mean and
    deviation)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = []
    for crops in tracklets.values():
        chosen = [crops[i] for i in np.unique(np.linspace(0, len(crops) - 1, 8).astype(int))]
        rgb = np.stack(chosen)[..., ::-1].astype(np.float32) / 255
        batch = (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        out = np.concatenate(
            [
                session.run(None, {name: one[None].transpose(0, 3, 1, 2).astype(np.float32)})[0]
                for one in batch
            ]
        )
        rows.append((out / np.linalg.norm(out, axis=1, keepdims=True)).mean(axis=0))
    return np.stack(rows)


def centre_cameras(features: Floats, cameras: NDArray[np.str_]) -> Floats:
    """Each camera's descriptors with mean 0 and deviation 1: undoes a colour shift without knowing
    it."""
    out = features.copy()
    for camera in np.unique(cameras):
        here = features[cameras == camera]
        out[cameras == camera] = (here - here.mean(axis=0)) / (here.std(axis=0) + 1e-9)
    return out


def score(features: Floats, keys: list[tuple[str, str, int]]) -> dict[str, float]:
    """Rank-1 and mAP of every tracklet against those of the other cameras of its scene."""
    scene, camera, person = (np.array(column) for column in zip(*keys, strict=True))
    hits, precisions = [], []
    for q in range(len(keys)):
        gallery = np.flatnonzero((scene == scene[q]) & (camera != camera[q]))
        right = person[gallery] == person[q]
        if not right.any():
            continue
        order = np.argsort(np.linalg.norm(features[gallery] - features[q], axis=1), kind="stable")
        found = np.flatnonzero(right[order])
        hits.append(found[0] == 0)
        precisions.append(np.mean(np.arange(1, len(found) + 1) / (found + 1)))
    return {
        "rank_1": round(float(np.mean(hits)), 4),
        "map": round(float(np.mean(precisions)), 4),
        "n_query": len(hits),
    }


def iter_results(tracklets: Tracklets, embedder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    keys = list(tracklets)
    cameras = np.array([camera for _, camera, _ in keys])
    for name, descriptor in (
        ("mean colour", mean_colour), ("three stripes, mean colour", stripe_colour),
        ("three stripes, HSV histogram", stripe_histogram),
    ):  # fmt: skip
        features = describe(tracklets, descriptor)
        yield name, score(features, keys)
        yield f"{name}, centred per camera", score(centre_cameras(features, cameras), keys)
    yield "chance", score(np.random.default_rng(0).standard_normal((len(keys), 8)), keys)
    if embedder.exists():
        features = embed(tracklets, embedder)
        yield f"{embedder.stem} (not trained here)", score(features, keys)
        yield (
            f"{embedder.stem} (not trained here), centred per camera",
            score(centre_cameras(features, cameras), keys),
        )


def measure_truth(street: Street) -> dict[str, float]:
    rows = np.concatenate(
        [np.loadtxt(video.truth, delimiter=",", ndmin=2) for video in street.videos]
    )
    return {"n_person_frames": len(rows), "n_counted": int(rows[:, 6].sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--preset", default="score", choices=sorted(STREETS))
    parser.add_argument("--embedder", type=Path, default=EMBEDDER)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        street = write_street(
            Path(folder) / "street", STREETS[args.preset], np.random.default_rng(args.seed)
        )
        seconds = round(time.process_time() - start, 1)
        tracklets = cut_crops(street)
        results = dict(iter_results(tracklets, args.embedder))
        summary = {
            "command": f"python tests/bench/bench_street.py --preset {args.preset} --seed "
            f"{args.seed}",
            "protocol": "tracklet against the tracklets of the other cameras of its scene; single "
            "value per tracklet",
            "machine": describe_machine(),
            "n_tracklets": len(tracklets),
            "truth": measure_truth(street),
            "write_street_cpu_s": seconds,
            "results": results,
        }
    for name, values in results.items():
        print(f"{name:55s} rank-1 {values['rank_1']:.3f}  mAP {values['map']:.3f}")
    writing.atomic_write_text(args.out, json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
