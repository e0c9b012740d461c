"""Checks `images.pack` and `pack.parquet` against the index, byte for byte."""

import hashlib
import os
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.check.problems import Problem, name_rows
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.pack import (
    PACK_FILE,
    PACK_TABLE,
    explain_too_long,
    find_starts,
    pack_facts,
)
from lpw_toolkit.dataset.schema import PACK
from lpw_toolkit.dataset.tables import read_table
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.opening import exists, measure, open_file
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.progress import show_progress

_CHUNK_ROWS = 1024


def check_pack(dataset: Dataset, frames: pa.Table, *, images: bool) -> Iterator[Problem]:
    """Problems of the pack of `dataset`; none where there is no pack.

    Args:
        frames: its table of images (schema.FRAMES).
        images: whether to hash the bytes too.
    """
    file, table = dataset.root / PACK_FILE, dataset.root / PACK_TABLE
    if not exists(table):
        if exists(file):
            yield Problem(
                PACK_FILE, None, "pack-half", f"no {PACK_TABLE}: packing did not end", "warning"
            )
        return
    try:
        n_bytes = measure(file)
    except OSError as error:
        yield Problem(PACK_FILE, None, "pack-half", describe_os_error(error))
        return
    try:
        places = read_table(table, PACK)
    except MismatchError as error:
        yield Problem(
            PACK_TABLE, None, "table-read", f"{error.got}, not {error.expected} ({error.thing})"
        )
        return
    problems = list(_check_places(dataset, places, frames, n_bytes))
    yield from problems
    starts = find_starts(places)
    if images and starts is not None and not problems:
        yield from _check_bytes(dataset, frames, starts)


def _check_places(
    dataset: Dataset, places: pa.Table, frames: pa.Table, n_bytes: int
) -> Iterator[Problem]:
    digest, said = pack_facts(places)
    if digest != dataset.manifest.get("digest"):
        yield Problem(PACK_TABLE, None, "pack-stale", f"a pack of dataset {digest[:12]}…")
    if n_bytes != said:
        yield Problem(PACK_FILE, None, "pack-stale", f"{n_bytes} bytes instead of {said}")
    if any(not places[name].equals(frames[name]) for name in ("tracklet_id", "position")):
        yield Problem(
            PACK_TABLE, None, "pack-rows", f"{places.num_rows} other rows than frames.parquet has"
        )
    if too_long := explain_too_long(places):
        yield Problem(PACK_TABLE, None, "image-bound", too_long)
    starts = find_starts(places)
    if starts is None or starts[-1] != n_bytes:
        yield Problem(
            PACK_TABLE, None, "pack-rows", f"places with gaps, or that do not end at {n_bytes}"
        )


def _check_bytes(
    dataset: Dataset, frames: pa.Table, starts: NDArray[np.int64]
) -> Iterator[Problem]:
    n_images = len(starts) - 1
    bad = np.zeros(n_images, dtype=bool)
    try:
        descriptor = open_file(dataset.root / PACK_FILE)
    except OSError as error:
        yield Problem(PACK_FILE, None, "pack-half", describe_os_error(error))
        return

    def check_chunk(at: int) -> tuple[int, list[bool]]:
        wanted = frames["sha256"].slice(at, _CHUNK_ROWS).to_pylist()
        part = starts[at : at + len(wanted) + 1].tolist()
        found = (
            hashlib.sha256(os.pread(descriptor, end - start, start)).digest()
            for start, end in pairwise(part)
        )
        return at, [digest != sha256 for digest, sha256 in zip(found, wanted, strict=True)]

    try:
        with show_progress("check pack", n_images, "images") as progress:
            for at, found in prefetch(check_chunk, range(0, n_images, _CHUNK_ROWS)):
                bad[at : at + len(found)] = found
                progress.advance(len(found))
    except OSError as error:
        yield Problem(PACK_FILE, None, "pack-half", describe_os_error(error))
    finally:
        os.close(descriptor)
    yield from name_rows(PACK_FILE, "pack-hash", bad, lambda row: f"other bytes at {starts[row]}")
