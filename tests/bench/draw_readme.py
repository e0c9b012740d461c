"""Draws docs/street.png, the README's picture: frames of the demo street and tracklets that `lpw demo` builds from it.

lpw demo && python tests/bench/draw_readme.py lpw-demo docs/street.png
"""

import sys
from pathlib import Path

import av
import cv2
import numpy as np

from lpw_toolkit.dataset import open_dataset
from lpw_toolkit.tables import boxes_of, run_starts

FRAME = 120
VIEWS = ("scen1/view2", "scen2/view3")
N_STRIPS, N_CROPS, CROP_PX = 4, 20, (128, 64)


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
        crops = [cv2.resize(cv2.imread(str(dataset.image_file(path))), CROP_PX[::-1]) for path in paths]
        strips.append(np.hstack(crops))
    return np.vstack(strips)


def main() -> None:
    """Draws the picture."""
    demo, out = Path(sys.argv[1]), Path(sys.argv[2])
    frames = np.hstack([draw_frame(demo, view) for view in VIEWS])
    strips = draw_strips(demo)
    out.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(out), np.vstack([frames, strips]), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
