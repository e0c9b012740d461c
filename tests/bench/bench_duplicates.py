"""Duplicated frames that were coded again: how many are found, and how many frames are falsely
called duplicates.

    python tests/bench/bench_duplicates.py [--data ../shared/data]

The real videos at their own and at twice their frame rate, coded by ffmpeg. A flagged frame of a
video that was not doubled is counted apart when its picture is the same, bit for bit, as the one
before: that one is a duplicate.
"""

import argparse
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from machine import print_table, write_result

from lpw_toolkit.video.video import open_video

VIDEOS = {
    "vtest": ("pets09-s2l1/vtest.avi", Fraction(10)),
    "TUD-Stadtmitte": ("tud-stadtmitte/TUD-Stadtmitte.mp4", Fraction(25)),
    "street-walk": ("street-walk/one-by-one-person-detection.mp4", Fraction(10)),
}
CODINGS = {
    "x264 crf 18": "-c:v libx264 -crf 18",
    "x264 crf 23": "-c:v libx264 -crf 23",
    "x264 crf 30": "-c:v libx264 -crf 30",
    "x264 crf 36": "-c:v libx264 -crf 36",
    "x264 crf 30 veryfast": "-c:v libx264 -crf 30 -preset veryfast",
    "x265 crf 28": "-c:v libx265 -crf 28 -x265-params log-level=error",
    "MPEG-4 q 8": "-c:v mpeg4 -q:v 8",
}


def find_flags(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N,) frames flagged as duplicates, and (N,) frames that equal the one before, bit for bit."""
    flags, equal, last = [], [], np.zeros(0, np.uint8)
    with open_video(path) as reader:
        for frame in reader:
            flags.append(frame.duplicate)
            equal.append(np.array_equal(frame.image, last))
            last = frame.image.copy()
    return np.array(flags), np.array(equal)


def find_first_motion(path: Path) -> int:
    """Index of the first frame that differs clearly from the first one: before it there is nothing
    to tell by."""
    capture = cv2.VideoCapture(str(path))
    first = cv2.resize(capture.read()[1], (96, 54), interpolation=cv2.INTER_AREA).astype(int)
    index = 0
    while (got := capture.read())[0]:
        index += 1
        small = cv2.resize(got[1], (96, 54), interpolation=cv2.INTER_AREA).astype(int)
        if np.sort(np.abs(small - first).max(axis=2).ravel())[-8] > 20:
            break
    return index


def measure(
    video: str, source: Path, rate: Fraction, coding: str | None, factor: int, folder: Path
) -> list[object]:
    """One row of the table."""
    path = source
    if coding:
        path = folder / "coded.mkv"
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-i",
            source,
            "-an",
            "-vf",
            f"fps={rate * factor}",
        ]
        subprocess.run([*command, "-threads", "2", *CODINGS[coding].split(), path], check=True)
    flags, equal = find_flags(path)
    twice = np.arange(len(flags)) % factor > 0
    late = twice & (np.arange(len(flags)) > factor * find_first_motion(source))
    found = [float(flags[rows].mean()) if rows.any() else None for rows in (twice, late)]
    return [video, coding or "as it is", factor, len(flags), *found,
    int((flags & ~twice & ~equal).sum()),
            int((flags & ~twice & equal).sum())]  # fmt: skip


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data"
    )
    data = parser.parse_args().data
    names = [
        "video",
        "coding",
        "rate",
        "frames",
        "found",
        "found_in_motion",
        "false",
        "bit_identical",
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for video, (path, rate) in VIDEOS.items():
            for coding, factor in [
                (None, 1),
                ("x264 crf 30", 1),
                *((coding, 2) for coding in CODINGS),
            ]:
                rows.append(
                    measure(video, data / "video" / path, rate, coding, factor, Path(folder))
                )
    print_table([names, *([("-" if cell is None else cell) for cell in row] for row in rows)])
    print(
        "written:",
        write_result("duplicates", {"rows": [dict(zip(names, r, strict=True)) for r in rows]}),
    )


if __name__ == "__main__":
    main()
