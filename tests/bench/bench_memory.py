"""Memory and time of a build as the video gets longer: one hour of 1080p at the end.

    python tests/bench/bench_memory.py [--data ../shared/data] [--minutes 5 15 60]

The video is vtest.avi scaled to 1920x1080 and repeated (10 frames/s). Peak memory is the largest
sum of the resident sizes of the build's processes, sampled five times a second, shared pages
counted once (PSS).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
from machine import print_table, write_result


def make_video(source: Path, minutes: float, folder: Path) -> Path:
    """`source` at 1080p, repeated until it lasts `minutes`."""
    once, out = folder / "once.mp4", folder / f"{minutes:g}min.mp4"
    quiet = ["ffmpeg", "-y", "-loglevel", "error"]
    if not once.exists():
        scale = [
            "-vf",
            "scale=1920:1080",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-crf",
            "26",
            "-pix_fmt",
            "yuv420p",
        ]
        subprocess.run([*quiet, "-i", source, *scale, once], check=True)
    subprocess.run(
        [*quiet, "-stream_loop", "-1", "-i", once, "-t", f"{minutes * 60:g}", "-c", "copy", out],
        check=True,
    )
    return out


def measure_memory(process: "subprocess.Popen[str]") -> float:
    """Peak of the summed proportional sizes in MB, until the process ends."""
    peak = 0.0
    while True:
        total = 0
        try:
            root = psutil.Process(process.pid)
            for each in [root, *root.children(recursive=True)]:
                total += each.memory_full_info().pss
        except psutil.Error:
            pass
        peak = max(peak, total / 1e6)
        try:
            process.wait(0.2)
            return peak
        except subprocess.TimeoutExpired:
            continue


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data"
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 15, 60])
    arguments = parser.parse_args()
    weights = arguments.data / "weights" / "yolov8n_coco_dequantized.pt"
    source = arguments.data / "video" / "pets09-s2l1" / "vtest.avi"
    rows: list[list[object]] = [["minutes", "frames", "peak MB", "seconds", "ms/frame", "crops"]]
    result = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        for minutes in arguments.minutes:
            video = make_video(source, minutes, Path(name))
            command = [
                "build-tracklets",
                video,
                "--out",
                Path(name) / f"out{minutes:g}",
                "--weights",
                weights,
            ]
            argv = [sys.executable, "-m", "lpw_cli", *map(str, command), "--no-cache", "--json"]
            process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            peak: list[float] = []
            watcher = threading.Thread(
                target=lambda p=process, out=peak: out.append(measure_memory(p))
            )
            watcher.start()
            facts = json.loads((process.stdout.read() if process.stdout else "").splitlines()[-1])
            watcher.join()
            n_frames = round(minutes * 600)
            seconds = facts["seconds"]["total"]
            rows.append(
                [
                    minutes,
                    n_frames,
                    round(peak[0]),
                    round(seconds, 1),
                    1000 * seconds / n_frames,
                    facts["n_images"],
                ]
            )
            result.append({"minutes": minutes, "n_frames": n_frames, "peak_mb": peak[0],
            "seconds": facts["seconds"],
                           "n_images": facts["n_images"]})  # fmt: skip
            print_table(rows)
    print(f"written: {write_result('memory', {'runs': result})}")


if __name__ == "__main__":
    main()
