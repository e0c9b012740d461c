"""A folder as a reader of the README has it, synthetic: what its commands name is there."""

import shutil
from pathlib import Path

import cv2
import numpy as np
from street import make_street
from test_embed import make_model

from lpw_toolkit.benchmarks.reader import open_benchmark


def make_tour(folder: Path) -> Path:
    """Makes the videos, texts, images and model that the pages name; returns `folder`.

    video/, gt.txt and det.txt are a synthetic street's first camera, mini_lpw/ is a drawn tree,
    osnet.onnx a network that sees colours.
    """
    street = make_street(folder / "street")
    (folder / "video").mkdir()
    shutil.copy(street / "video" / "scen1" / "view1.mp4", folder / "video" / "view1.mp4")
    shutil.copy(street / "truth" / "scen1" / "view1.txt", folder / "gt.txt")
    shutil.copy(street / "detections" / "scen1" / "view1.txt", folder / "det.txt")
    open_benchmark("lpw").write_fake(folder / "mini_lpw", np.random.default_rng(0))
    write_landmarks(folder / "mini_lpw")
    make_model(folder / "osnet.onnx")
    return folder


def write_landmarks(tree: Path) -> None:
    """Fourteen joints in CPM's order for every image of the tree, as of one upright person."""
    heights = (0.06, 0.17, 0.2, 0.35, 0.47, 0.2, 0.35, 0.47, 0.51, 0.72, 0.93, 0.51, 0.72, 0.93)
    lines = ["path," + ",".join(f"{axis}{i}" for axis in "xy" for i in range(1, 15))]
    root = next(tree.rglob("pep_256x128"))
    for image in sorted(root.rglob("*.jpg")):
        pixels = cv2.imread(str(image))
        if pixels is None:  # the tree has a damaged one
            continue
        height, width = pixels.shape[:2]
        values = [width / 2] * 14 + [1 + share * (height - 1) for share in heights]
        lines.append(f"{image.relative_to(root)}," + ",".join(f"{value:.1f}" for value in values))
    (tree / "landmarks.csv").write_text("\n".join(lines) + "\n")
