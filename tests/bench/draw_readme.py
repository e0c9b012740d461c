"""Draws the README's pictures from the demo street: no real person is in any of them.

    lpw demo
    python tests/bench/draw_readme.py lpw-demo docs/images/street.png    frames and tracklets
    python tests/bench/draw_readme.py lpw-demo docs/images/scores.png RUN [DATASET]  scores of a run
                                                                                of which half were
                                                                                corrupted

DATASET is lpw-demo/dataset or one made from it; its videos must be those of the street, byte by
byte.
"""

import sys
from pathlib import Path

import av
import cv2
import numpy as np

from lpw_toolkit.dataset.dataset import Dataset, open_dataset, sha256_file
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.tables import boxes_of, run_starts
from lpw_toolkit.files.listing import iter_files
from lpw_toolkit.pages.sprites import sample_positions
from rqen.corruption.corrupt import corrupt_region
from rqen.corruption.plan import KINDS, CorruptionConfig
from rqen.quality_page.score_pictures import ScoredSet, draw_set
from rqen.quality_page.scored_tracklets import QualityView

FRAME = 120
VIEWS = ("scen1/view2", "scen2/view3")
N_STRIPS, N_CROPS, CROP_PX = 4, 20, (128, 64)
N_SCORED, N_FRAMES, SEED = 2, 10, 0


def draw_frame(demo: Path, view: str) -> np.ndarray:
    """A frame with the refined boxes of its tracklets, one colour each."""
    with av.open(str(demo / "street" / "video" / f"{view}.mp4")) as container:
        picture = list(container.decode(video=0))[FRAME].to_ndarray(format="bgr24")
    frames = open_dataset(demo / "dataset").frames
    ids = np.array(frames["tracklet_id"].to_pylist())
    here = np.char.startswith(ids, f"{view}/") & (frames["frame_index"].to_numpy() == FRAME)
    for k, (x1, y1, x2, y2) in enumerate(np.rint(boxes_of(frames)[here]).astype(int)):
        colour = [(80, 200, 255), (255, 180, 60), (120, 230, 120), (200, 120, 255)][k % 4]
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2)
    return picture


def draw_strips(demo: Path) -> np.ndarray:
    """Evenly sampled crops of the longest tracklets, one camera after the other."""
    dataset = open_dataset(demo / "dataset")
    starts = run_starts(dataset.frames["tracklet_id"])
    lengths = np.diff(np.append(starts, dataset.frames.num_rows))
    longest = sorted(np.argsort(-lengths, kind="stable")[:N_STRIPS])
    strips = []
    for tracklet in longest:
        rows = starts[tracklet] + np.linspace(0, lengths[tracklet] - 1, N_CROPS).astype(int)
        paths = [dataset.frames["image"][int(row)]["path"].as_py() for row in rows]
        crops = [
            cv2.resize(cv2.imread(str(dataset.image_file(path))), CROP_PX[::-1]) for path in paths
        ]
        strips.append(np.hstack(crops))
    return np.vstack(strips)


def refuse_real(dataset: Dataset, demo: Path) -> None:
    """The README shows synthetic persons only: every video of the dataset must be one that the demo
    drew."""
    drawn = {sha256_file(file) for file in iter_files(demo / "street" / "video")}
    sources = dataset.manifest["sources"]
    if not sources or any(source["sha256"] not in drawn for source in sources):
        sys.exit(
            f"{dataset.root}: not made from the videos of {demo}: the README shows synthetic "
            f"persons only"
        )


def choose_long(dataset: Dataset, n: int) -> list[int]:
    """Rows of the longest tracklets, at most one per camera."""
    lengths, cameras = (
        dataset.tracklets["n_frames"].to_numpy(),
        dataset.tracklets["camera_id"].to_pylist(),
    )
    chosen: dict[str, int] = {}
    for row in np.argsort(-lengths, kind="stable").tolist():
        chosen.setdefault(cameras[row], row)
    return list(chosen.values())[:n]


def corrupt_frames(
    dataset: Dataset, view: QualityView, row: int, rng: np.random.Generator
) -> ScoredSet:
    """Frames of a tracklet, evenly spaced, every other one with one region covered, blurred or
    darkened; scored."""
    images, (start, stop) = open_images(dataset), FrameRanges(dataset).bounds[row].tolist()
    others = np.concatenate([np.arange(start), np.arange(stop, dataset.frames.num_rows)])
    positions = sample_positions(stop - start, N_FRAMES)
    pixels = [images.decode(start + position) for position in positions]
    planted = np.zeros((len(pixels), 3), dtype=bool)
    corrupted = np.sort(rng.permutation(len(pixels))[: len(pixels) // 2])
    regions, kinds = (
        rng.permutation(np.arange(len(corrupted)) % 3),
        rng.permutation(np.arange(len(corrupted)) % len(KINDS)),
    )
    for i, region, kind in zip(corrupted.tolist(), regions.tolist(), kinds.tolist(), strict=True):
        donor = images.decode(int(rng.choice(others)), pixels[i].shape[:2])
        pixels[i] = corrupt_region(
            pixels[i], region, kind, donor, rng.random(4), CorruptionConfig()
        )
        planted[i, region] = True
    if len(view.regions) == 1:
        planted = planted.any(axis=1, keepdims=True)
    return view.describe(pixels, positions, planted)


def draw_scores(demo: Path, run: Path, data: Path) -> np.ndarray:
    """Scores that a run gives to synthetic persons, corrupted and not."""
    dataset, rng = open_dataset(data), np.random.default_rng(SEED)
    refuse_real(dataset, demo)
    view = QualityView(run)
    sets = [corrupt_frames(dataset, view, row, rng) for row in choose_long(dataset, N_SCORED)]
    pictures = [
        cv2.imdecode(np.frombuffer(draw_set(scored), np.uint8), cv2.IMREAD_COLOR) for scored in sets
    ]
    return np.vstack([picture[:, : min(p.shape[1] for p in pictures)] for picture in pictures])


def main() -> None:
    """Draws one of the pictures."""
    demo, out, more = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        [Path(argument) for argument in sys.argv[3:]],
    )
    if more:
        picture = draw_scores(demo, more[0], more[1] if more[1:] else demo / "dataset")
    else:
        picture = np.vstack(
            [np.hstack([draw_frame(demo, view) for view in VIEWS]), draw_strips(demo)]
        )
    out.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(out), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
