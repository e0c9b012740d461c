"""The one decoder of encoded images: nothing is decoded that `image_format` has not vetted."""

import os
import threading
from contextlib import nullcontext
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.image_format import (
    ImageBounds,
    ImageFaultError,
    ImageHeader,
    read_image_header,
    vet_image,
    without_spans,
)

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
    upright: bool = False,
    shrink: Literal[1, 2, 4, 8] = 1,
) -> NDArray[np.uint8]:
    """The pixels (H, W, 3), BGR, of a JPEG or PNG file; alpha is dropped, 16 bits become 8.

    Args:
        data: the whole file.
        header: what `read_image_header` has found in it, where that is known already.
        bounds: the bounds, where many images are decoded.
        upright: turns the image as its EXIF orientation says; otherwise as stored.
        shrink: the image comes in 1 / `shrink` of its size, which saves a JPEG decoder most of its time.

    Errors: ImageFaultError, before anything is decoded, for another kind of file, one that is cut off
    and one beyond the bounds; and for bytes that cannot be decoded.
    """
    header = header or read_image_header(data)
    if header is None:
        raise ImageFaultError("neither JPEG nor PNG")
    spans = vet_image(data, header, bounds)
    if spans:
        data = without_spans(data, spans)
    flags = _SHRUNK[shrink] | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    with _turn.lock if header.width * header.height > _LARGE_PIXELS else _NO_TURN:
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            lacks_memory = error.code == cv2.Error.StsNoMem
            got = "more pixels than there is memory for" if lacks_memory else "bytes that cannot be decoded"
            raise ImageFaultError(got) from error
    if pixels is None:
        raise ImageFaultError("bytes that cannot be decoded")
    return np.asarray(pixels, dtype=np.uint8)
