"""Flow of 1,000 frames of 128 x 64 pixels on one core, each of our estimators in turn, so that all
meet the same machine.

    python tests/bench/bench_flow.py [--runs 5] [--frames 1000]

The frames are a moving texture; `peer` is OpenCV's Farneback called plainly. Motion within half a
pixel a frame, so that the error of Lucas-Kanade is told beside its time.
"""

import argparse
import statistics
import time
from itertools import pairwise

import cv2
import numpy as np
from machine import print_table, write_result
from scipy.ndimage import fourier_shift, gaussian_filter

from rqen.flow.optical_flow import FLOWS

BAR_S = 10.0
HEIGHT, WIDTH, MOTION_PX = 128, 64, (0.3, -0.2)
INNER = slice(8, -8)


def draw_frames(n_frames: int) -> np.ndarray:
    """Grey frames (T, 128, 64) of a texture that moves by MOTION_PX (right, down) a frame."""
    texture = gaussian_filter(np.random.default_rng(0).standard_normal((HEIGHT, WIDTH)), 2,
                              mode="wrap")  # fmt: skip
    spectrum = np.fft.fft2(128 + 40 * texture / texture.std())
    right, down = MOTION_PX
    moved = (np.fft.ifft2(fourier_shift(spectrum, (down * t, right * t))) for t in range(n_frames))
    return np.stack([np.clip(one.real, 0, 255) for one in moved]).astype(np.float32)


def call_farneback(frames: np.ndarray) -> np.ndarray:
    grey = np.rint(frames).astype(np.uint8)
    return np.stack(
        [
            cv2.calcOpticalFlowFarneback(one, two, None, 0.5, 3, 15, 3, 5, 1.2, 0)
            for one, two in pairwise(grey)
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--frames", type=int, default=1000)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    frames = draw_frames(given.frames)
    work = {name: FLOWS.load(name).estimate_flow for name in FLOWS.names()}
    work["peer"] = call_farneback
    seconds: dict[str, list[float]] = {name: [] for name in work}
    error = {}
    for _ in range(given.runs):
        for name, estimate in work.items():
            begin = time.process_time()
            flow = estimate(frames)
            seconds[name].append(time.process_time() - begin)
            inner = flow[:, INNER, INNER].astype(np.float64)
            error[name] = float(np.abs(np.median(inner, axis=(0, 1, 2)) - MOTION_PX).max())
    rows = [
        {
            "estimator": name,
            "cpu_s_median": round(statistics.median(seconds[name]), 3),
            "cpu_s": [round(s, 3) for s in seconds[name]],
            "error_px": round(error[name], 4),
        }
        for name in work
    ]
    print_table(
        [["estimator", "CPU s", "error px"],
         *([row["estimator"], row["cpu_s_median"], row["error_px"]] for row in rows)]
    )  # fmt: skip
    ours = next(row for row in rows if row["estimator"] == "lucas_kanade")["cpu_s_median"]
    holds = ours * 1000 / given.frames < BAR_S
    facts = {"frames": given.frames, "size_px": [HEIGHT, WIDTH], "bar_s_per_1000": BAR_S,
             "holds": holds, "rows": rows}  # fmt: skip
    print(f"under {BAR_S:g} s per 1,000 frames: {holds}; written: {write_result('flow', facts)}")


if __name__ == "__main__":
    main()
