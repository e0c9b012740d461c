"""One strip of small crops per tracklet: evenly sampled, side by side in one JPEG."""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.image_codec import decode_image
from lpw_toolkit.dataset.image_format import ImageFaultError, read_image_header
from lpw_toolkit.errors import CorruptCropError

TILE_HEIGHT_PX = 96
_MIN_SHAPE, _MAX_SHAPE = 1 / 4, 4 / 3  # of a tile, width by height
_JPEG_QUALITY = 82
_GROUND, _HATCH = (
    (104, 100, 98),
    (88, 84, 82),
)  # BGR: readable as "nothing here" on a light and on a dark page
_CROSS = (60, 70, 210)

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Strip:
    """The picture of one tracklet.

    Attributes:
        jpeg: encoded, as high as its tiles.
        tile_width_px: width of each of its tiles.
        n_tiles: number of tiles.
        corrupt: the error of each tile that could not be drawn, by tile number (0-based).
    """

    jpeg: bytes
    tile_width_px: int
    n_tiles: int
    corrupt: dict[int, CorruptCropError]


def sample_positions(n_frames: int, n_samples: int) -> list[int]:
    """At most `n_samples` positions in [0, n_frames), evenly spread, the first and the last among
    them."""
    if n_frames <= n_samples:
        return list(range(n_frames))
    if n_samples == 1:
        return [n_frames // 2]
    steps = n_samples - 1
    return [(2 * i * (n_frames - 1) + steps) // (2 * steps) for i in range(n_samples)]


def draw_strip(dataset: Dataset, frames: pa.Table, height_px: int = TILE_HEIGHT_PX) -> Strip:
    """Draws the images of `frames` (rows of schema.FRAMES) side by side, each on a tile of that
    height; each is checked against its SHA-256.

    An image that is missing, damaged or not of the size in the index becomes a crossed-out tile.
    """
    rows = frames.select(["image", "sha256", "width", "height"]).to_pylist()
    width = tile_width(rows, height_px)
    strip = np.empty((height_px, width * len(rows), 3), dtype=np.uint8)
    corrupt: dict[int, CorruptCropError] = {}
    for i, row in enumerate(rows):
        tile = strip[:, i * width : (i + 1) * width]
        try:
            paste_crop(tile, read_crop(dataset, row, height_px))
        except CorruptCropError as error:
            corrupt[i] = error
            cross_out(tile)
    return Strip(encode_strip(strip), width, len(rows), corrupt)


def tile_width(rows: list[dict[str, int]], height_px: int = TILE_HEIGHT_PX) -> int:
    """Width (pixels) of the tiles of a strip: the middle shape of its crops at that height."""
    shape = float(np.median([row["width"] / max(row["height"], 1) for row in rows]))
    shape = float(np.clip(shape, _MIN_SHAPE, _MAX_SHAPE))
    return round(height_px * shape)


def read_crop(dataset: Dataset, row: dict[str, Any], height_px: int = TILE_HEIGHT_PX) -> Image:
    """The pixels (H, W, 3), BGR, of one row, at least as high as a tile where the crop is. Errors:
    CorruptCropError."""
    path, size = str(row["image"]["path"]), (row["width"], row["height"])
    data = dataset.read_image(path, bytes(row["sha256"]))
    header = read_image_header(data)
    do = "restore the file or build the dataset again"
    if header is None or not header.has_size(*size):
        got = "no JPEG or PNG" if header is None else f"{header.width} x {header.height} px"
        raise CorruptCropError(dataset.image_file(path), got, f"{size[0]} x {size[1]} px", do)
    try:
        return decode_image(data, header, shrink=_reduction(header.height, height_px))
    except ImageFaultError as error:
        raise CorruptCropError(dataset.image_file(path), str(error), "a whole image", do) from error


def _reduction(height: int, height_px: int) -> Literal[1, 2, 4, 8]:
    """The most by which a crop of that height can be shrunk while it is decoded."""
    factors: tuple[Literal[8, 4, 2], ...] = (8, 4, 2)
    return next((factor for factor in factors if height >= factor * height_px), 1)


def paste_crop(tile: Image, crop: Image) -> None:
    """Fits `crop` into `tile`, whole and centred."""
    height, width = tile.shape[:2]
    scale = min(height / crop.shape[0], width / crop.shape[1])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    tile[:] = _GROUND
    tile[y : y + size[1], x : x + size[0]] = small


def cross_out(tile: Image) -> None:
    """Draws the sign for a crop that is not there: a hatched ground and a red cross."""
    height, width = tile.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    tile[:] = np.where(((rows + columns) // 6 % 2 == 0)[..., None], _GROUND, _HATCH)
    middle, arm = (width // 2, height // 2), min(width, height) // 5
    canvas = np.ascontiguousarray(tile)
    for sign in (-1, 1):
        start, stop = (
            (middle[0] - arm, middle[1] - sign * arm),
            (middle[0] + arm, middle[1] + sign * arm),
        )
        cv2.line(canvas, start, stop, _CROSS, 3, cv2.LINE_AA)
    tile[:] = canvas


def encode_strip(strip: Image) -> bytes:
    """`strip` as JPEG."""
    return bytes(
        cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    )
