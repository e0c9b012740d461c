"""Persons on both sides of a split: no command tests a person that was trained on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.errors import MismatchError, join_names

_SHIFT = 32  # a split's number above, a person's code below


def find_leaks(splits: pa.Table, tracklets: pa.Table) -> dict[int, list[str]]:
    """By split the persons (sorted) who train and are also asked for or answer; splits without any
    stay out.

    Tracklets that nobody is named in, distractors and junk do not count.

    Args:
        splits: schema.SPLITS.
        tracklets: schema.TRACKLETS.
    """
    places = pc.index_in(splits["tracklet_id"], tracklets["tracklet_id"])
    shows = pc.if_else(pc.equal(tracklets["kind"], "person"), tracklets["person_id"], None)
    people = shows.take(places).combine_chunks().dictionary_encode()
    people = people.combine_chunks() if isinstance(people, pa.ChunkedArray) else people
    codes = people.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    keys = splits["split"].to_numpy().astype(np.int64) << _SHIFT | np.maximum(codes, 0)
    trains = np.asarray(pc.equal(splits["subset"], "train").to_numpy(), dtype=bool)
    both = np.intersect1d(keys[trains & (codes >= 0)], keys[~trains & (codes >= 0)])
    found: dict[int, list[str]] = {}
    for key in both.tolist():
        found.setdefault(key >> _SHIFT, []).append(
            str(people.dictionary[key & ((1 << _SHIFT) - 1)])
        )
    return {split: sorted(names) for split, names in found.items()}


def refuse_leaks(splits: pa.Table, tracklets: pa.Table, file: Path) -> None:
    """Errors: MismatchError that names `file`, the first split with a leak, and persons of it."""
    for split, names in find_leaks(splits, tracklets).items():
        got = (
            f"{len(names)} persons who train and are tested in split {split} "
            f"({join_names(names, 3)})"
        )
        raise MismatchError(
            file, got, "each person on one side of a split", "make the splits again"
        )
