"""A tiny synthetic street for tests of the build, and how to run `lpw` as a user does."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.build.assembly import Recipe
from lpw_toolkit.build.build import BuildConfig
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.linking.linker import PRESETS
from lpw_toolkit.synth.street import STREETS, NoiseConfig, write_street

LINK = replace(PRESETS["paper"], min_length=4)
#: What `build_config` sets, as options.
OPTIONS = ["--preset", "paper", "--min-length", "4", "--segment-frames", "16", "--name", "street", "--no-cache"]


def make_street(folder: Path, **changes: Any) -> Path:
    """Two scenes with two cameras; nearly all boxes found. Returns `folder`."""
    noise = replace(NoiseConfig.none(), jitter_frac=0.02, false_per_frame=0.1)
    write_street(folder, replace(STREETS["tiny"], **changes), np.random.default_rng(7), noise)
    return folder


def build_config(street: Path, out: Path, **changes: Any) -> BuildConfig:
    """A build of that street from its simulated boxes, in segments of 16 frames."""
    recipe = Recipe(link=LINK, segment_frames=16)
    recipe = replace(recipe, notes=replace(recipe.notes, name="street"))
    options = DetectorOptions(boxes=street / "detections")
    config = BuildConfig(root=street / "video", out=out, detector="boxes", options=options, recipe=recipe)
    return replace(config, **changes)


def run_lpw(*arguments: object, env: dict[str, str] | None = None, **more: Any) -> "subprocess.CompletedProcess[str]":
    """`lpw ARGUMENTS` in a process of its own."""
    command = [sys.executable, "-m", "lpw_cli", *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **more)


def build_arguments(street: Path, out: Path) -> list[object]:
    """The arguments of `lpw` that do what `build_config` says."""
    return ["build-tracklets", street / "video", "--boxes", street / "detections", "--out", out, *OPTIONS]


def digest_tree(root: Path) -> dict[str, str]:
    """SHA-256 of every published file below `root` (`.lpw/` is local and does not count)."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and ".lpw" not in p.parts)
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
