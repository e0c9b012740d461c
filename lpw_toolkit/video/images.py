"""An image sequence as frames: the images of a folder in the order of the numbers in their names
(`sequences`)."""

import configparser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.frame_format import KINDS, read_frame_header
from lpw_toolkit.dataset.image_codec import decode_frame
from lpw_toolkit.dataset.image_format import ImageFaultError
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import Folder, read_bytes
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.video.motion import BLOCK_PX, DuplicateFinder
from lpw_toolkit.video.ring import MAX_PIXELS, MAX_SIDE_PX, Ring
from lpw_toolkit.video.sequences import (
    IMAGE_FOLDER,
    describe_files,
    describe_left_out,
    group_images,
)
from lpw_toolkit.video.timeline import Judge


def deliver_images(order: dict[str, Any], ring: Ring, judge: Judge) -> None:
    """Reads the sequence `order["sequence"]` in `order["folder"]` and sends header, frames and end.

    The frame index is the number in the file name minus 1 (a sequence that has a number 0 starts at
    index 0), so that it stays that of the annotations where an image is missing or cannot be read.
    """
    cv2.setNumThreads(1)
    root = Path(order["folder"])
    images = _find_images(root / order["inner"], order["sequence"], judge)
    rate_hz, n_declared = _read_seqinfo(root / "seqinfo.ini", judge)
    sender = _ImageSender(order, ring, judge, rate_hz)
    described, before = False, next(iter(images)) - 1
    for index, path in images.items():
        if index > before + 1:
            sender.lose(
                index - before - 1, f"images are missing before {path.name}: {index - before - 1}"
            )
        before = index
        try:
            picture = _read_image(path)
        except LpwError as error:
            sender.lose(1, f"{path.name} is {error.got}")
            continue
        if not described:
            described = True
            ring.send("header", _describe(path, picture, rate_hz, n_declared))
        sender.deliver(index, picture)
    if not described:
        raise LpwError(
            "",
            f"{len(images)} images, none of which can be read",
            "readable images",
            "copy them again",
        )
    if n_declared is not None and n_declared != before + 1:
        sender.compare_length(n_declared, before + 1)
    ring.send("end", judge.summary())


class _ImageSender:
    """Turns images into messages and images."""

    def __init__(
        self, order: dict[str, Any], ring: Ring, judge: Judge, rate_hz: float | None
    ) -> None:
        self._order, self._ring, self._judge, self._rate_hz = order, ring, judge, rate_hz
        self._finder = DuplicateFinder()
        self._cut = False

    def lose(self, n_images: int, sentence: str) -> None:
        """Records images without a frame."""
        self._cut = True
        self._judge.n_lost += n_images
        self._judge.problem(f"{self._judge.where()}: {sentence}")

    def compare_length(self, n_declared: int, n_found: int) -> None:
        """Records a length that differs from that of seqinfo.ini; images missing at the end are
        damage."""
        sentence = f"seqinfo.ini declares {n_declared} images, the last found has number {n_found}"
        (self._judge.problem if n_found < n_declared else self._judge.note)(sentence)

    def deliver(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Sends one (H, W, 3) image."""
        height, width = picture.shape[:2]
        pts_s = None if self._rate_hz is None else index / self._rate_hz
        size = width, height
        segment = self._judge.place(index, pts_s, size, cut=self._cut, corrupt=False)
        self._cut = False
        duplicate = self._finder.is_duplicate(_shrink(picture))
        wanted = self._order["images"] and index >= self._order["first_image"]
        slot = self._ring.put(picture) if wanted else -1
        self._ring.send("frame", index, pts_s, segment, duplicate, size * 2, slot)


def _find_images(folder: Path, sequence: str, judge: Judge) -> dict[int, Path]:
    """Index -> image, in order, of one sequence in `folder`. Errors: LpwError."""
    place = f"{folder.name}/" if folder.name == IMAGE_FOLDER else ""
    try:
        names = [path.name for path in list_folder(folder)]
    except OSError as error:
        raise LpwError(
            "",
            f"a folder {place}that cannot be listed ({describe_os_error(error)})",
            "a folder",
            "check it",
        ) from error
    found = group_images(names)
    for line in describe_left_out(found):
        judge.note(f"{place}{line}")
    chosen = next((each for each in found.sequences if each.name == sequence), None)
    if chosen is None:
        got = f"a folder {place}without numbered images" + describe_files(names)
        raise LpwError(
            "", got, f"img1/000001.jpg … or frame_000001.png … ({KINDS})", "name another folder"
        )
    if chosen.fault is not None:
        raise LpwError("", f"{place}{chosen.fault}", "one image per frame", "remove one")
    for note in chosen.notes:
        judge.note(note)
    return {index: folder / name for index, name in chosen.images.items()}


def _read_seqinfo(path: Path, judge: Judge) -> tuple[float | None, int | None]:
    """(frames per second, number of images) of a MOT `seqinfo.ini`; None for what it does not
    say."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        data = Folder(path.parent).read(path.name, "seqinfo_bytes")
        parser.read_string(data.decode("utf-8", "replace"))
        section = parser["Sequence"]
        rate_hz, length = section.getfloat("frameRate"), section.getint("seqLength")
    except FileNotFoundError:
        return None, None
    except OSError as error:
        judge.note(
            f"seqinfo.ini cannot be read ({describe_os_error(error)}); the images have no times"
        )
        return None, None
    except (configparser.Error, KeyError, ValueError):
        judge.note("seqinfo.ini cannot be understood; the images have no times")
        return None, None
    if rate_hz is not None and not 0 < rate_hz < 10_000:
        judge.note(f"seqinfo.ini declares {rate_hz:g} frames per second; the images have no times")
        rate_hz = None
    return rate_hz, length


def _read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) BGR of an image, as displayed; it is vetted before it is decoded. Errors:
    LpwError."""
    try:
        data = read_bytes(path, "image_bytes")
    except OSError as error:
        raise LpwError(
            path.name, f"unreadable ({describe_os_error(error)})", "an image", "check it"
        ) from error
    header = read_frame_header(data)
    if header is None:
        raise LpwError(path.name, "no image that can be read", KINDS, "copy it again")
    width, height = header.width, header.height
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise LpwError(
            path.name, f"declared as {width}x{height} pixels", "a sane size", "replace it"
        )
    try:
        return decode_frame(data, header)
    except ImageFaultError as error:
        raise LpwError(path.name, str(error), "a whole image", "copy it again") from error


def _shrink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H / 8, W / 8) grey means of a (H, W, 3) image."""
    height, width = picture.shape[:2]
    small = (max(1, width // BLOCK_PX), max(1, height // BLOCK_PX))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, small, interpolation=cv2.INTER_AREA), np.uint8)


def _describe(
    path: Path, picture: NDArray[np.uint8], rate_hz: float | None, n_declared: int | None
) -> dict[str, Any]:
    return {
        "container": "images",
        "codec": path.suffix.lower().lstrip("."),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "rotation": 0,
        "pixel_aspect": None,
        "rate_hz": rate_hz,
        "n_declared": n_declared,
        "duration_s": None if rate_hz is None or n_declared is None else n_declared / rate_hz,
        "n_threads": 1,
    }
