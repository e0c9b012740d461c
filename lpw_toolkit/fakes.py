"""What fake raw trees are made of: small drawn figures in colours of their own, and MATLAB files."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.files.writing import make_folder, write_file

Colours = NDArray[np.int64]
_OFFSET_FRAC = 0.06


def draw_colours(rng: np.random.Generator) -> Colours:
    """Colours (3, 3) of a person's hair, top and legs, 0-255."""
    return rng.integers(20, 236, (3, 3))


def draw_figure(
    colours: Colours, rng: np.random.Generator, *, height: int = 128, width: int = 64, suffix: str = ".png"
) -> bytes:
    """An encoded image of somebody in `colours` who moved a little, before a grey wall.

    Args:
        height, width: pixels.
        suffix: of the file format.
    """
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    middle = int(width * (0.5 + rng.uniform(-_OFFSET_FRAC, _OFFSET_FRAC)))
    hair, top, legs = (tuple(int(v) for v in colour) for colour in colours)
    cv2.circle(image, (middle, height // 8), height // 12, hair, -1)
    cv2.rectangle(image, (middle - width // 5, height // 5), (middle + width // 5, height // 2), top, -1)
    cv2.rectangle(image, (middle - width // 6, height // 2), (middle + width // 6, height * 19 // 20), legs, -1)
    noise = rng.integers(-8, 9, image.shape, dtype=np.int8)
    done, encoded = cv2.imencode(suffix, np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8))
    if not done:
        raise ValueError(f"no encoder for {suffix}")
    return encoded.tobytes()


def write_fakes(root: Path, files: dict[str, bytes]) -> None:
    """Writes `files` by their POSIX paths below `root`. Errors: OSError, LpwError."""
    for folder in sorted({(root / name).parent for name in files}):
        make_folder(folder)
    for name, data in files.items():
        write_file(root / name, data)


def encode_matrix(variable: str, values: NDArray[Any]) -> bytes:
    """A MATLAB file (version 5, compressed) that holds `values` (R, C); the same bytes at any time and place."""
    from scipy.io import savemat  # a tenth of a second, which `lpw --help` need not pay

    sink = io.BytesIO()
    savemat(sink, {variable: values}, do_compression=True)
    return b"MATLAB 5.0 MAT-file, drawn".ljust(116) + sink.getvalue()[116:]  # scipy names machine and time there
