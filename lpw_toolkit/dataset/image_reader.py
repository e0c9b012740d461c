"""Reads the images of a dataset row by row, from files or from the pack.

A reader can be handed to other processes, forked or spawned: each opens the pack for itself, and
reads it with `pread`, which shares no position.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.image_codec import decode_image, resize
from lpw_toolkit.dataset.image_format import ImageBounds, ImageFaultError, read_image_header
from lpw_toolkit.dataset.pack import PACK_FILE, PACK_TABLE, read_pack
from lpw_toolkit.dataset.tables import to_integers
from lpw_toolkit.errors import CorruptCropError
from lpw_toolkit.files.opening import exists, open_file
from lpw_toolkit.files.writing import describe_os_error

Source = Literal["auto", "files", "pack"]
#: Columns of the table of frames that reading images needs.
IMAGE_COLUMNS = ["image", "width", "height", "sha256"]
_DO = "run `lpw check`, then restore the file or build the dataset again"
_PACK_DO = "run `lpw check`, then remove images.pack and run `lpw pack` again"


class Store(Protocol):
    """Where encoded images come from."""

    remedy: str

    def read(self, row: int) -> bytes:
        """The bytes of row `row` of the table of frames. Errors: OSError."""


class FileStore:
    """Images in files of their own.

    Args:
        dataset: the dataset.
        paths: `image.path` (N,) of every row.
    """

    remedy = _DO

    def __init__(self, dataset: Dataset, paths: pa.ChunkedArray) -> None:
        self._dataset, self._paths = dataset, paths

    def read(self, row: int) -> bytes:
        """The file of row `row`. Errors: OSError, MismatchError for a path that leaves the
        dataset."""
        return self._dataset.load_image(self._paths[row].as_py())


class PackStore:
    """Images end to end in `images.pack`.

    Args:
        file: the pack.
        starts: (N + 1,) as `pack.Pack` has it.
    """

    remedy = _PACK_DO

    def __init__(self, file: Path, starts: NDArray[np.int64]) -> None:
        self._file, self._starts = file, starts
        self._descriptor: int | None = None

    def read(self, row: int) -> bytes:
        """The bytes of row `row`. Errors: OSError."""
        if self._descriptor is None:
            self._descriptor = open_file(self._file)
        start, end = self._starts[row], self._starts[row + 1]
        return os.pread(self._descriptor, end - start, start)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_descriptor": None,
        }  # a number that means nothing in another process

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


@dataclass
class ImageReader:
    """Reads and decodes the images of a dataset.

    Attributes:
        store: where the bytes come from.
        frames: table of frames with at least `IMAGE_COLUMNS`.
        verify_every: every how many-th image that this process reads is compared with its SHA-256;
            1 is all, 0 none. An image that does not decode, or has another size than its row says,
            is an error in any case.
    """

    store: Store
    frames: pa.Table
    verify_every: int = 1

    def __post_init__(self) -> None:
        self._paths = _paths_of(self.frames)
        self._hashes = self.frames["sha256"]
        self._widths, self._heights = (
            to_integers(self.frames, "width"),
            to_integers(self.frames, "height"),
        )
        self._bounds = ImageBounds.read()
        self._n_read = 0

    def __len__(self) -> int:
        return int(self.frames.num_rows)

    def name(self, row: int) -> str:
        """The path of row `row`, for messages."""
        return str(self._paths[row].as_py())

    def read(self, row: int) -> bytes:
        """The encoded image of row `row` of the table of frames.

        Errors: CorruptCropError naming it when it cannot be read, or is verified and not the one of
        the index.
        """
        try:
            data = self.store.read(row)
        except OSError as error:
            raise self._refuse(row, describe_os_error(error), "a readable image") from error
        self._n_read += 1
        if self.verify_every and self._n_read % self.verify_every == 0:
            self._verify(row, data)
        return data

    def size_px(self, row: int) -> tuple[int, int]:
        """Height and width of the image of row `row`, as the index has them."""
        return int(self._heights[row]), int(self._widths[row])

    @property
    def common_size_px(self) -> tuple[int, int] | None:
        """Height and width of all images where they are alike, None where they are not."""
        alike = len(self) and not (np.ptp(self._heights) or np.ptp(self._widths))
        return self.size_px(0) if alike else None

    def decode(
        self, row: int, size_px: tuple[int, int] | None = None, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """The pixels (H, W, 3) of row `row`, RGB, upright; stretched to `size_px` (height, width)
        where it is given.

        Args:
            out: array of that shape that takes them.

        Errors: CorruptCropError as `read`, and for bytes that are no image of the size that the
        index names, or one that is beyond the bounds of `files/limits.py`.
        """
        data = self.read(row)
        header = read_image_header(
            data
        )  # before decoding: a header may claim 60,000 x 60,000 pixels
        size = int(self._widths[row]), int(self._heights[row])
        if header is None or not header.has_size(*size):
            self._verify(row, data)
            got = f"{header.width}x{header.height} pixels" if header else "neither JPEG nor PNG"
            raise self._refuse(row, got, f"an image of {size[0]}x{size[1]}")
        try:
            pixels = decode_image(data, header, self._bounds)
        except ImageFaultError as error:
            self._verify(row, data)
            raise self._refuse(row, str(error), "a JPEG or PNG image") from error
        # rows of older versions may have the size before an image was turned
        pixels = resize(pixels, size_px if out is None else (out.shape[0], out.shape[1]))
        return np.asarray(
            cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels if out is None else out),
            dtype=np.uint8,
        )

    def _verify(self, row: int, data: bytes) -> None:
        found, wanted = hashlib.sha256(data).digest(), self._hashes[row].as_py()
        if found != wanted:
            raise self._refuse(row, f"SHA-256 {found.hex()[:12]}…", f"{wanted.hex()[:12]}…")

    def _refuse(self, row: int, got: str, expected: str) -> CorruptCropError:
        place = f"{PACK_FILE}, " if isinstance(self.store, PackStore) else ""
        return CorruptCropError(f"{place}{self.name(row)}", got, expected, self.store.remedy)


def open_images(
    dataset: Dataset,
    frames: pa.Table | None = None,
    *,
    source: Source = "auto",
    verify_every: int = 1,
) -> ImageReader:
    """A reader of the images of `dataset`.

    Args:
        frames: its table of frames, or the `IMAGE_COLUMNS` of it; read where not given.
        source: `auto` is the pack where `lpw pack` made one, else the files.
        verify_every: see `ImageReader`.

    Errors: MismatchError for a pack that is not whole or of another version of the dataset.
    """
    frames = dataset.frames if frames is None else frames
    packed = source == "pack" or (source == "auto" and exists(dataset.root / PACK_TABLE))
    if packed:
        pack = read_pack(dataset, frames.num_rows)
        return ImageReader(PackStore(dataset.root / PACK_FILE, pack.starts), frames, verify_every)
    return ImageReader(FileStore(dataset, _paths_of(frames)), frames, verify_every)


def _paths_of(frames: pa.Table) -> pa.ChunkedArray:
    return pc.struct_field(
        frames["image"], "path"
    )  # in the chunks it was read in: joining them copies every path
