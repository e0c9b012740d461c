"""Decodes images. This is the only decoder; `image_format` or `frame_format` checks every image
first."""

import os
import threading
from contextlib import nullcontext
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.exif import turn_upright
from lpw_toolkit.dataset.frame_format import vet_frame, without_orientation
from lpw_toolkit.dataset.image_format import (
    ImageBounds,
    ImageFaultError,
    ImageHeader,
    read_image_header,
    vet_image,
    without_spans,
)
from lpw_toolkit.errors import LpwError

_SHRUNK = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
#: A larger image is decoded while no other one is: 64 million pixels take up to 0.7 GB (CMYK JPEG).
_LARGE_PIXELS = 16_000_000
_NO_TURN = nullcontext()


class _Turn:
    """The lock of large images; a process that is forked meanwhile gets a free one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.Lock()


_turn = _Turn()


def decode_image(
    data: bytes,
    header: ImageHeader | None = None,
    bounds: ImageBounds | None = None,
    *,
    shrink: Literal[1, 2, 4, 8] = 1,
) -> NDArray[np.uint8]:
    """The pixels (H, W, 3), BGR, of a JPEG or PNG file, turned upright as its EXIF orientation
    says; alpha is dropped, 16 bits become 8.

    Args:
        data: the whole file.
        header: what `read_image_header` has found in it, where that is known already.
        bounds: the bounds, where many images are decoded.
        shrink: the image comes in 1 / `shrink` of its size, which saves a JPEG decoder most of its
            time.

    Errors: ImageFaultError, before anything is decoded, for another kind of file, one that is cut
    off and one beyond the bounds; and for bytes that cannot be decoded.
    """
    header = header or read_image_header(data)
    if header is None:
        raise ImageFaultError("neither JPEG nor PNG")
    spans = vet_image(data, header, bounds)
    if spans:
        data = without_spans(data, spans)
    pixels = _decode(data, _SHRUNK[shrink], header.width * header.height)
    return turn_upright(pixels, header.orientation)


def decode_frame(data: bytes, header: ImageHeader) -> NDArray[np.uint8]:
    """The pixels (H, W, 3), BGR, upright, of an image of a sequence.

    Args:
        data: the whole file.
        header: what `read_frame_header` has found in it.

    Errors: ImageFaultError as `decode_image`.
    """
    spans = vet_frame(data, header)
    stored = without_orientation(without_spans(data, spans), header)
    pixels = _decode(stored, cv2.IMREAD_COLOR, header.width * header.height)
    return turn_upright(pixels, header.orientation)


def _decode(data: bytes, flags: int, n_pixels: int) -> NDArray[np.uint8]:
    """The pixels as they are stored. Errors: ImageFaultError."""
    with _turn.lock if n_pixels > _LARGE_PIXELS else _NO_TURN:
        try:
            pixels = cv2.imdecode(
                np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION
            )
        except cv2.error as error:
            lacks_memory = error.code == cv2.Error.StsNoMem
            got = (
                "more pixels than there is memory for"
                if lacks_memory
                else "bytes that cannot be decoded"
            )
            raise ImageFaultError(got) from error
    if pixels is None:
        raise ImageFaultError("bytes that cannot be decoded")
    return np.asarray(pixels, dtype=np.uint8)


def resize(pixels: NDArray[np.uint8], size_px: tuple[int, int] | None) -> NDArray[np.uint8]:
    """`pixels` (h, w, 3) stretched to `size_px` (height, width); as they are for None."""
    if size_px is None or pixels.shape[:2] == size_px:
        return pixels
    shrinks = pixels.shape[0] > size_px[0] and pixels.shape[1] > size_px[1]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(pixels, (size_px[1], size_px[0]), interpolation=kind), dtype=np.uint8
    )


def encode(crop: NDArray[np.uint8], jpeg_quality: int) -> bytes:
    """`crop` (h, w, 3) BGR as JPEG bytes. Errors: LpwError where the codec refuses (a side over
    65,500 pixels)."""
    done, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise LpwError(
            "crop",
            f"{crop.shape[1]}x{crop.shape[0]} pixels",
            "a size that JPEG can hold",
            "use --size",
        )
    return bytes(data)
