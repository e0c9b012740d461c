"""The EXIF orientation of an encoded image: how its stored pixels are turned to be displayed.

Browsers turn images, and so does every reader of ours (`image_codec`). Only one number is read; a
damaged or hostile EXIF block means upright, as it does for browsers.

Source: CIPA DC-008 (Exif 2.32) section 4.6.4 A; TIFF 6.0 section 2.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
EXIF_START = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3
_MAX_ENTRIES = 512  # of the first directory; cameras write 20
#: Rows become columns, then left and right, then top and bottom are exchanged.
_TURNS = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def read_orientation(tiff: bytes) -> int:
    r"""The orientation 1-8 that a TIFF structure (EXIF without its head) declares; 1 where it
    declares none.

    >>> read_orientation(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    6
    """
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return UPRIGHT

    def number(at: int, n_bytes: int) -> int:
        return int.from_bytes(tiff[at : at + n_bytes], "little" if order == "little" else "big")

    start = number(4, 4)
    for at in range(start + 2, start + 2 + 12 * min(number(start, 2), _MAX_ENTRIES), 12):
        if at + 12 > len(tiff):
            break
        if number(at, 2) == _ORIENTATION and number(at + 2, 2) == _SHORT:
            value = number(at + 8, 2)
            return value if value in _TURNS else UPRIGHT
    return UPRIGHT


def swaps_sides(orientation: int) -> bool:
    """Whether an image of that orientation is displayed with width and height exchanged."""
    return orientation in _TURNS and _TURNS[orientation][0]


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels (H, W, 3) as they are displayed."""
    if orientation == UPRIGHT:
        return pixels
    swapped, flip_x, flip_y = _TURNS[orientation]
    if swapped:
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    if flip_x or flip_y:
        pixels = np.asarray(
            cv2.flip(pixels, -1 if flip_x and flip_y else int(flip_x)), dtype=np.uint8
        )
    return pixels
