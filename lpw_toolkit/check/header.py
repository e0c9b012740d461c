"""Kind and size of an image from its first bytes: nothing is decoded, so a header of 60,000 x 60,000 costs nothing.

Pillow reads the same in 15-20 us an image, half of the time of a whole check; this takes 2 us and knows two formats.
"""

from typing import NamedTuple

JPEG, PNG = "JPEG", "PNG"
#: Which kind of file a suffix (lower case) promises.
KIND_OF_SUFFIX = {".jpg": JPEG, ".jpeg": JPEG, ".png": PNG}

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, RST0-7, SOI
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # DHT, JPG, DAC lie among the start-of-frame markers


class ImageHeader(NamedTuple):
    """What an image says of itself: kind, width and height (pixels)."""

    kind: str
    width: int
    height: int


def read_image_header(data: bytes) -> ImageHeader | None:
    """Header of a JPEG or PNG file from its first bytes; None for anything else and where the header is cut off.

    Source: ITU-T T.81 (JPEG) section B.1.1 and B.2.2, W3C PNG section 11.2.2.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data.startswith(_PNG_MAGIC) and data[12:16] == b"IHDR" and len(data) >= 24:
        return ImageHeader(PNG, int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    return None


def _read_jpeg(data: bytes) -> ImageHeader | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            return ImageHeader(JPEG, data[at + 7] << 8 | data[at + 8], data[at + 5] << 8 | data[at + 6])
        elif marker in _STANDALONE:
            at += 2
        elif marker in (0xD9, 0xDA):  # end of image or start of scan before any frame
            return None
        else:
            at += 2 + max(data[at + 2] << 8 | data[at + 3], 2)
    return None
