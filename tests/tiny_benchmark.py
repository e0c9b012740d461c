"""A benchmark of a few images for tests of the import; run as a script it is `lpw import` of it."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lpw_toolkit.benchmarks.importing import ImportConfig, ImportResult, import_benchmark
from lpw_toolkit.benchmarks.reader import Facts, RawTracklet, Reading, ReadOptions, Splits, Tree

CAMERAS, PERSONS, N_IMAGES = ("cam1", "cam2"), ("2", "10", "3", "11"), 3
COUNTS = {"n_persons": 4, "n_tracklets": 8, "n_images": 24, "n_cameras": 2}


class Tiny:
    """`cam1/10/7.jpg`: camera, person, frame; `drop.txt` and the like are extras."""

    FACTS = Facts("tiny", "Tiny", "Nobody, 2018", "http://example.invalid", "for tests", COUNTS, (16, 8), [])

    def __init__(self, counts: dict[str, Any] | None = None, **changes: Any) -> None:
        self.counts, self.changes = counts or COUNTS, changes

    def read(self, tree: Tree, options: ReadOptions) -> Reading:
        folders: dict[tuple[str, str], list[str]] = {}
        extras = []
        for name in tree.names:
            *_, camera, person, file = ["", "", *name.split("/")]
            if camera in CAMERAS and file.lower().endswith((".jpg", ".png")):
                folders.setdefault((camera, person), []).append(name)
            else:
                extras.append(name)
        tracklets = [
            RawTracklet(f"{c}/{p}", None, c, p, "person", tuple(names), tuple(range(len(names))))
            for (c, p), names in folders.items()
        ]
        found = {"n_persons": len({p for _, p in folders}), "n_tracklets": len(tracklets)}
        mismatches = [f"{k}: {v} where {self.counts[k]} are published" for k, v in found.items() if v != self.counts[k]]
        reading = Reading(tracklets, self._splits(tracklets, options), mismatches, extras, ["a note"])
        for name, value in self.changes.items():
            setattr(reading, name, value)
        return reading

    def _splits(self, tracklets: list[RawTracklet], options: ReadOptions) -> Splits:
        test = [t for t in tracklets if t.person_id in ("2", "3")]
        subsets = {
            "train": [t.tracklet_id for t in tracklets if t not in test],
            "query": [t.tracklet_id for t in test if t.camera_id == "cam1"],
            "gallery": [t.tracklet_id for t in test if t.camera_id == "cam2"],
        }
        drawn = options.split_seed is not None
        return Splits(f"drawn with seed {options.split_seed}" if drawn else "tiny", "ab" * 32, drawn, [subsets], "n")

    def write_fake(self, root: Path, rng: np.random.Generator) -> None:
        for camera in CAMERAS:
            for person in PERSONS:
                for frame in (9, 10, 1)[:N_IMAGES]:
                    pixels = rng.integers(0, 255, (16, 8, 3), dtype=np.uint8)
                    file = root / camera / person / f"{frame}.jpg"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        (root / "readme.txt").write_text("hello")


def write_tiny(root: Path) -> Path:
    """The raw tree of the tests. Returns `root`."""
    Tiny().write_fake(root, np.random.default_rng(0))
    return root


def import_tiny(raw: Path, out: Path, reader: Tiny | None = None, **changes: Any) -> ImportResult:
    """Imports it in parts of six images."""
    return import_benchmark(ImportConfig("tiny", raw, out, **{"part_images": 6, **changes}), reader=reader or Tiny())


def digest_tree(root: Path) -> dict[str, str]:
    """SHA-256 of every published file below `root` (`.lpw/` is local and does not count)."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and ".lpw" not in p.parts)
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def main() -> None:
    """`python tiny_benchmark.py RAW OUT [PART_IMAGES]`, with the exit codes and signals of `lpw`."""
    import click
    import lpw_cli.main

    @click.command()
    @click.argument("raw", type=click.Path(path_type=Path))
    @click.argument("out", type=click.Path(path_type=Path))
    @click.argument("part_images", type=int, default=6)
    def command(raw: Path, out: Path, part_images: int) -> None:
        import_tiny(raw, out, part_images=part_images)

    lpw_cli.main.main = command  # type: ignore[assignment]
    lpw_cli.main.run()


if __name__ == "__main__":
    main()
    sys.exit()
