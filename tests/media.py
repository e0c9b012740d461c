"""Makes small videos and image sequences with known pictures, times and faults; nothing is fetched."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

N_BITS = 8
_BIT_PX = 16


@dataclass(frozen=True)
class Recipe:
    """How a test video is made; `pts` are in units of `time_base`."""

    pts: Sequence[int] = tuple(range(60))
    time_base: Fraction = Fraction(1, 25)
    width: int = 160
    height: int = 120
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    rotation: float = 0
    pictures: Sequence[int] | None = None
    options: dict[str, str] = field(default_factory=lambda: {"g": "12", "bf": "2", "crf": "18", "threads": "1"})
    container_options: dict[str, str] = field(default_factory=dict)


def draw(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: a textured background, a moving square and `number` as 8 black or white blocks at the top left."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 3 % 200, y * 2 % 200, (x + y) % 200], axis=2).astype(np.uint8)
    left, top = (7 * number) % max(1, width - 24), height // 2 + (3 * number) % max(1, height // 2 - 24)
    picture[top : top + 24, left : left + 24] = (250, 40, (40 * number) % 250)
    for bit in range(N_BITS):
        value = 255 if number >> bit & 1 else 0
        picture[0:_BIT_PX, bit * _BIT_PX : (bit + 1) * _BIT_PX] = value
    return picture


def read_number(picture: NDArray[np.uint8]) -> int:
    """The number that `draw` wrote."""
    half = _BIT_PX // 2
    return sum(int(picture[half, bit * _BIT_PX + half].mean() > 127) << bit for bit in range(N_BITS))


def write_video(path: Path, recipe: Recipe | None = None) -> Path:
    """Encodes `recipe` to `path`; the container follows the suffix."""
    recipe = recipe or Recipe()
    with av.open(str(path), "w", options=recipe.container_options) as container:
        rate = 1 / recipe.time_base if recipe.time_base.denominator < 100 else Fraction(25)
        stream = container.add_stream(recipe.codec, rate=rate, options=recipe.options)
        stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, recipe.pix_fmt
        stream.codec_context.time_base = recipe.time_base
        if recipe.rotation:
            stream.set_display_rotation(recipe.rotation)
        numbers = recipe.pictures or range(len(recipe.pts))
        for number, pts in zip(numbers, recipe.pts, strict=True):
            picture = draw(number, recipe.width, recipe.height)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=recipe.pix_fmt)
            frame.pts, frame.time_base = pts, recipe.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sequence(root: Path, numbers: Sequence[int], *, suffix: str = ".jpg", rate_hz: float | None = 25) -> Path:
    """A MOT-style image sequence below `root`."""
    (root / "img1").mkdir(parents=True)
    for number in numbers:
        _, data = cv2.imencode(suffix, draw(number, 160, 120))
        (root / "img1" / f"{number:06d}{suffix}").write_bytes(data.tobytes())
    if rate_hz is not None:
        length = max(numbers)
        (root / "seqinfo.ini").write_text(f"[Sequence]\nname=x\nframeRate={rate_hz}\nseqLength={length}\n")
    return root


def cut(source: Path, target: Path, fraction: float) -> Path:
    """The first part of a file."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * fraction)])
    return target


def punch(source: Path, target: Path, fraction: float, n_bytes: int = 2048) -> Path:
    """A file with a run of zeros."""
    data = bytearray(source.read_bytes())
    start = int(len(data) * fraction)
    data[start : start + n_bytes] = bytes(min(n_bytes, len(data) - start))
    target.write_bytes(data)
    return target


def flip_bits(source: Path, target: Path, n_bits: int, seed: int, *, start_frac: float = 0.1) -> Path:
    """A file with single bits flipped at random behind its first part."""
    data, chance = bytearray(source.read_bytes()), random.Random(seed)
    for _ in range(n_bits):
        data[chance.randrange(int(len(data) * start_frac), len(data))] ^= 1 << chance.randrange(8)
    target.write_bytes(data)
    return target
