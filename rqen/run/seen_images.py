"""`seen_images.bin` of a run: which images it was trained on, so that whoever they show is known
again in every version of the dataset, whatever persons and tracklets are called there.

The file holds the first 8 bytes of the SHA-256 of each image, sorted, each once, end to end.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import FRAMES
from rqen.run.vouched_file import read_vouched

SEEN_IMAGES = "seen_images.bin"
#: Of run.json: the SHA-256 of the file. Runs of older versions have neither.
SEEN_DIGEST = "seen_sha256"
_STORED = np.dtype(">u8")
_N_WORDS = 4  # of 8 bytes in a SHA-256

Words = NDArray[np.uint64]


def read_fingerprints(dataset: Dataset) -> Words:
    """The first 8 bytes of the SHA-256 of each image (F,), row by row as the table of frames.
    Errors: MismatchError."""
    table = dataset.read_table("frames.parquet", FRAMES, columns=["sha256"])
    parts = [_take_first(part) for part in table["sha256"].chunks]
    return np.concatenate([*parts, np.zeros(0, np.uint64)])


def _take_first(part: pa.FixedSizeBinaryArray) -> Words:
    n_bytes = 8 * _N_WORDS
    words = np.frombuffer(
        part.buffers()[1], _STORED, count=_N_WORDS * len(part), offset=n_bytes * part.offset
    )
    return words[::_N_WORDS].astype(np.uint64)


def encode_seen(words: Words) -> bytes:
    """The content of the file."""
    return np.unique(words).astype(_STORED).tobytes()


def read_seen(folder: Path, facts: dict[str, Any]) -> Words | None:
    """What the run in `folder` was trained on, sorted; None for a run of an older version.

    Args:
        facts: its run.json, which vouches for the file.

    Errors: MismatchError for a file that is missing or another one.
    """
    said = facts.get(SEEN_DIGEST)
    if said is None:
        return None
    what = "the list of images that it trained on"
    data = read_vouched(folder / SEEN_IMAGES, said, _STORED.itemsize, what)
    return np.frombuffer(data, _STORED).astype(np.uint64)
