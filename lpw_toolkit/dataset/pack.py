"""The images of a dataset end to end in `images.pack`, for random reading; `pack.parquet` says
where each lies.

The pack is written first and whole, its table last: the table's presence vouches for the pack, and
its metadata names the dataset's digest and the pack's size. A pack of another version of the
dataset is refused, never read.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import PACK
from lpw_toolkit.dataset.tables import encode_table, read_table, to_integers
from lpw_toolkit.errors import LimitMismatchError, LpwError, MismatchError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import exists, measure
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import (
    Stream,
    atomic_write,
    atomic_write_stream,
    describe_os_error,
    remove_file,
)
from lpw_toolkit.progress import show_progress

PACK_FILE, PACK_TABLE = "images.pack", "pack.parquet"
_DIGEST, _SIZE = b"lpw_dataset_digest", b"lpw_pack_bytes"
_CHUNK_ROWS = 64
_DO = "run `lpw pack` again"

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Pack:
    """Where the images of a dataset lie in its pack.

    Attributes:
        starts: (N + 1,) byte at which the image of each row of the table of frames begins; the last
            is the pack's size.
    """

    starts: Places

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.starts) - 1

    @property
    def n_bytes(self) -> int:
        """Size of the pack."""
        return int(self.starts[-1])


def write_pack(dataset: Dataset) -> tuple[Pack, bool]:
    """Packs `dataset`; returns the pack, and False where a whole one was there already and nothing
    was written.

    Every image is verified while it is packed. Nothing else of the dataset changes.

    Errors: CorruptCropError for an image that is not the index's, LpwError where the pack cannot be
    written (disk full, read-only, another process at it). No unfinished pack is left behind.
    """
    table = dataset.root / PACK_TABLE
    if exists(table):
        try:
            return read_pack(dataset, dataset.frames.num_rows), False
        except MismatchError:  # stale or damaged: it must not vouch for what is written now
            pass
    dataset.refuse_repeated_images()
    try:
        remove_file(table)
        with atomic_write_stream(dataset.root / PACK_FILE) as stream:
            lengths = _append_images(dataset, stream)
        pack = Pack(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
        atomic_write(table, _encode_places(dataset, pack))
    except OSError as error:
        raise _refuse(dataset, error) from error
    return pack, True


def read_pack(dataset: Dataset, n_images: int) -> Pack:
    """The pack of `dataset`, checked against it and against the size of the file, not against the
    images' hashes.

    Args:
        n_images: rows of the table of frames.

    Errors: MismatchError for a missing, damaged or stale one.
    """
    file, table = dataset.root / PACK_FILE, dataset.root / PACK_TABLE
    places = read_table(table, PACK, columns=["offset", "length"])
    digest, size = pack_facts(places)
    if digest != dataset.manifest.get("digest"):
        raise MismatchError(
            table,
            f"a pack of dataset {digest[:12]}…",
            f"{dataset.manifest.get('digest')!s:.12}…",
            _DO,
        )
    try:
        found = measure(file)
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), f"{size} bytes of images", _DO
        ) from error
    if found != size:
        raise MismatchError(
            file, f"{found} bytes", f"the {size} bytes that {PACK_TABLE} names", _DO
        )
    if too_long := explain_too_long(places):
        raise LimitMismatchError(table, too_long, "images within the bounds", _DO)
    starts = find_starts(places)
    if starts is None or starts[-1] != size or places.num_rows != n_images:
        got = f"{places.num_rows} places with gaps or another end"
        raise MismatchError(table, got, f"{n_images} images end to end in {size} bytes", _DO)
    return Pack(starts)


def pack_facts(places: pa.Table) -> tuple[str, int]:
    """What a table of places says of its pack: digest of the dataset, and size in bytes (-1 where
    it does not say)."""
    metadata = places.schema.metadata or {}
    size = metadata.get(_SIZE, b"")
    return metadata.get(_DIGEST, b"").decode("utf-8", "replace"), int(
        size
    ) if size.isdigit() else -1


def explain_too_long(places: pa.Table) -> str | None:
    """What to say of a pack with an image beyond the bound `image_bytes`, none of which is read;
    None where all fit."""
    longest = pc.max(places["length"]).as_py() or 0
    return (
        explain_limit("image_bytes", f"an image of {longest} bytes")
        if longest > limit("image_bytes")
        else None
    )


def find_starts(places: pa.Table) -> Places | None:
    """Where images start and the last one ends (N + 1,); None where they do not lie end to end from
    0."""
    offset, length = (to_integers(places, name).astype(np.int64) for name in ("offset", "length"))
    starts = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    return starts if (length >= 0).all() and np.array_equal(starts[:-1], offset) else None


def _append_images(dataset: Dataset, stream: Stream) -> Places:
    """Writes every image in the order of the table of frames; returns the lengths (N,) in bytes."""
    n_images = dataset.frames.num_rows
    lengths: list[int] = []
    with show_progress("pack", n_images, "images") as progress:
        for images in prefetch(
            lambda at: [
                dataset.read_image(path, sha256) for path, sha256 in _iter_rows(dataset, at)
            ],
            range(0, n_images, _CHUNK_ROWS),
        ):
            stream.write(b"".join(images))
            lengths += map(len, images)
            progress.advance(len(images))
    return np.array(lengths, dtype=np.int64)


def _iter_rows(dataset: Dataset, at: int) -> Iterator[tuple[str, bytes]]:
    part = dataset.frames.slice(at, _CHUNK_ROWS)
    paths = pc.struct_field(part["image"].combine_chunks(), "path")
    yield from zip(paths.to_pylist(), part["sha256"].to_pylist(), strict=True)


def _encode_places(dataset: Dataset, pack: Pack) -> bytes:
    frames = dataset.frames
    lengths = pa.array(np.diff(pack.starts)).cast(pa.int32())
    columns = [frames["tracklet_id"], frames["position"], pa.array(pack.starts[:-1]), lengths]
    facts = {
        _DIGEST: str(dataset.manifest.get("digest")).encode(),
        _SIZE: str(pack.n_bytes).encode(),
    }
    table = pa.Table.from_arrays(columns, schema=PACK).replace_schema_metadata(
        {**PACK.metadata, **facts}
    )
    return encode_table(table, PACK, group_by="tracklet_id")


def _refuse(dataset: Dataset, error: OSError) -> LpwError:
    file, hint = dataset.root / PACK_FILE, "mend that and run `lpw pack` again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = sum(
            _size(dataset, path)
            for at in range(0, dataset.frames.num_rows, _CHUNK_ROWS)
            for path, _ in _iter_rows(dataset, at)
        )
        return LpwError(
            file,
            describe_os_error(error),
            f"{needed} free bytes",
            "free them and run `lpw pack` again",
        )
    return LpwError(file, describe_os_error(error), "a dataset folder that can be written to", hint)


def _size(dataset: Dataset, path: str) -> int:
    try:
        return dataset.image_folder.stat(path).st_size
    except OSError:
        return 0
