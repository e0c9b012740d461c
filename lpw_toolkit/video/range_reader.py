"""Reads stretches of a video by time, from a process that keeps the file open.

with RangeReader(path) as reader:
    for pts_s, image in reader.read(12.0, 12.5): ...
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import open_file
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.video.process import ChildDiedError, DecodingProcess

_STALL_S = 60.0


class RangeReader:
    """The frames of one video file by their times. Not for several threads at once.

    Args:
        path: a video file.
        n_threads: of the decoder.

    Errors: LpwError for a file that is no readable video, here or at the first range.
    """

    def __init__(self, path: Path, n_threads: int = 1) -> None:
        self._path = path
        try:
            source = open_file(path)
        except OSError as error:
            raise LpwError(
                path, describe_os_error(error), "a readable video", "name another folder"
            ) from error
        to_read, self._requests = os.pipe()
        order = {"ranges": True, "requests": to_read, "n_threads": n_threads}
        try:
            self._process = DecodingProcess(order, source, _STALL_S, [to_read])
        except BaseException:
            os.close(self._requests)
            raise
        finally:
            os.close(source)
            os.close(to_read)

    def read(self, first_s: float, last_s: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Time in seconds and image (H, W, 3), BGR, of every frame from `first_s` to `last_s`, both
        included. An image is valid until the next is asked for; a range is read to its end.

        Errors: LpwError where the file cannot be decoded.
        """
        try:
            os.write(self._requests, json.dumps([first_s, last_s]).encode() + b"\n")
            while (message := self._process.receive())[0] == "picture":
                _, pts_s, width, height, slot = message
                yield pts_s, self._process.picture(slot, width, height)
        except (ChildDiedError, BrokenPipeError) as error:
            raise self._refuse(str(error)) from error
        if message[0] != "done":
            raise self._refuse(str(message[1]))

    def _refuse(self, got: str) -> LpwError:
        return LpwError(self._path, got, "a video that can be decoded", "convert it")

    def close(self) -> None:
        """Ends the process."""
        os.close(self._requests)
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
