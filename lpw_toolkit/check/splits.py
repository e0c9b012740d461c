"""The rules of `splits.parquet`: each tracklet once in a subset, and no person on both sides of a
split."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.check.problems import Problem, name_rows
from lpw_toolkit.dataset.schema import SUBSETS
from lpw_toolkit.dataset.split_leaks import find_leaks
from lpw_toolkit.errors import join_names

_SPLITS = "splits.parquet"
_COLUMNS = ("split", "subset", "tracklet_id")


def check_splits(table: pa.Table) -> Iterator[Problem]:
    """Rules that `splits.parquet` keeps by itself."""
    subsets = table["subset"]
    known = _mask(pc.is_in(subsets, value_set=pa.array(SUBSETS)))
    yield from name_rows(_SPLITS, "split-subset", ~known, lambda row: repr(subsets[row].as_py()))
    numbers = np.unique(table["split"].to_numpy())
    if not np.array_equal(numbers, np.arange(len(numbers))):
        yield Problem(
            _SPLITS, None, "split-number", f"the numbers {', '.join(map(str, numbers[:5]))}"
        )
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in _COLUMNS]).to_numpy()
    codes = np.stack([_codes(table, name)[order] for name in _COLUMNS], axis=1)
    repeats = np.zeros(table.num_rows, dtype=bool)
    repeats[order[1:]] = (codes[1:] == codes[:-1]).all(axis=1)
    yield from name_rows(_SPLITS, "split-twice", repeats, lambda row: f"{_row(table, row)} again")
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(
        np.append([False], (codes[1:] != codes[:-1]).any(axis=1))[: len(order)]
    )
    falls = np.diff(ranks, prepend=ranks[:1]) < 0
    yield from name_rows(
        _SPLITS,
        "split-sorted",
        falls,
        lambda row: f"{_row(table, row)} after {_row(table, row - 1)}",
    )
    yield from _check_leaks(table)


def _check_leaks(table: pa.Table) -> Iterator[Problem]:
    owner = _codes(table, "split").astype(np.int64) << 32 | _codes(table, "tracklet_id")
    trains = _mask(pc.equal(table["subset"], "train"))
    leaks = ~trains & np.isin(owner, owner[trains])
    yield from name_rows(
        _SPLITS, "split-leak", leaks, lambda row: f"{_row(table, row)}, which also trains"
    )


def check_split_members(splits: pa.Table, tracklets: pa.Table) -> Iterator[Problem]:
    """Every tracklet that a split names must be there."""
    known = _mask(
        pc.is_in(splits["tracklet_id"], value_set=tracklets["tracklet_id"].combine_chunks())
    )
    yield from name_rows(
        _SPLITS, "split-tracklet", ~known, lambda row: repr(splits["tracklet_id"][row].as_py())
    )


def check_split_persons(splits: pa.Table, tracklets: pa.Table) -> Iterator[Problem]:
    """No person is both trained on and tested in one split."""
    for split, names in find_leaks(splits, tracklets).items():
        found = f"{len(names)} persons on both sides of split {split} ({join_names(names, 3)})"
        yield Problem(_SPLITS, None, "split-person", found)


def check_split_source(manifest: dict[str, Any], splits: pa.Table) -> Iterator[Problem]:
    """The table says in its metadata where it comes from, and `dataset.json` says it too."""
    said = manifest.get("splits")
    if not isinstance(said, dict):
        yield Problem("dataset.json", None, "split-source", "nothing on the splits")
        return
    metadata = splits.schema.metadata or {}
    wanted = {
        "split_source": str(said.get("source")),
        "split_digest": str(said.get("digest")),
        "drawn": str(bool(said.get("drawn"))).lower(),
        "note": str(said.get("note") or ""),
    }
    for key, value in wanted.items():
        found = metadata.get(key.encode(), b"").decode("utf-8", "replace")
        if found != value:
            yield Problem(
                _SPLITS, None, "split-source", f"{key} {found!r} where dataset.json says {value!r}"
            )


def _codes(table: pa.Table, name: str) -> NDArray[np.int64]:
    encoded = table[name].combine_chunks().dictionary_encode().indices
    return encoded.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _mask(values: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)


def _row(table: pa.Table, row: int) -> str:
    return " ".join(str(table[name][row].as_py()) for name in _COLUMNS)
