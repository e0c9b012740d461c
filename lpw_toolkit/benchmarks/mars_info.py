"""Reads the official `info` folder of MARS: lists of names, tables of tracks, queries."""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.benchmarks.matlab import read_matrix
from lpw_toolkit.benchmarks.reader import RawDataset, Tree
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.splits.splits import digest_facts, read_published

JUNK = "00-1"
IMAGE = re.compile(r"([0-9]{4}|00-1)C[1-6]T[0-9]{4}F[0-9]{3}\.jpg")
#: What the names of a track's images begin with: person, camera and T.
KEY_LENGTH = len("0001C1T0001")
_DO = "fetch the official info folder again"

Table = NDArray[np.int64]


@dataclass(frozen=True)
class Queries:
    """The tracks that ask, each as one of the tracks of its person and camera.

    Attributes:
        person, camera: of the track.
        place: its 0-based place among the tracks of that person and camera, in the order of the
            table.
        of: how many those are.
        keys: of the tracks, where the official list tells them.
        source: where all this comes from.
    """

    person: list[str]
    camera: list[int]
    place: list[int]
    of: list[int]
    keys: list[str] | None
    source: str

    @property
    def digest(self) -> str:
        """The same for the same queries, whichever file told them."""
        return digest_facts([self.person, self.camera, self.place, self.of])


def find_info(names: list[str]) -> dict[str, str]:
    """Paths of the files in folders called `info` by their names; the first of several counts."""
    inside = [
        name.rpartition("/") for name in names if f"/{name}".rpartition("/")[0].endswith("/info")
    ]
    return {file: f"{folder}/{file}" for folder, _, file in reversed(inside)}


def _code(person: int) -> str:
    return JUNK if person < 0 else f"{person:04d}"


def read_list(tree: Tree, name: str | None) -> list[str] | None:
    """The names of images in the order of the official list; None where the tree has none. Errors:
    LpwError."""
    if name is None:
        return None
    listed: list[str] = []
    for word in re.finditer(
        r"\S+", tree.read(name).decode("ascii", "replace")
    ):  # the source ends lines with CR LF
        if not IMAGE.fullmatch(word[0]):
            got = repr(word[0][:40])
            raise LpwError(
                f"{name}, name {len(listed) + 1}", got, "a name such as 0001C1T0001F001.jpg", _DO
            )
        listed.append(word[0])
    if len(set(listed)) != len(listed):
        raise LpwError(name, f"{len(listed) - len(set(listed))} names twice", "each name once", _DO)
    return listed


def read_table(tree: Tree, side: str, info: dict[str, str]) -> Table | None:
    """Rows (start, end, person, camera), 1-based and inclusive, junk -1; None where the tree does
    not have them."""
    name = info.get(f"tracks_{side}_info.mat")
    if name is None:
        return None
    table = read_matrix(tree.read(name), f"track_{side}_info", (None, 4), name)
    start, end, person, camera = table.T
    whole = (start == np.concatenate([[1], end[:-1] + 1])) & (end >= start)
    named = (person >= -1) & (person <= 9999) & (camera >= 1) & (camera <= 6)
    if not (whole & named).all():
        row = int(np.flatnonzero(~(whole & named))[0])
        expected = "rows that follow each other, persons from -1, cameras 1 to 6"
        raise LpwError(f"{name}, row {row + 1}", str(table[row].tolist()), expected, _DO)
    return table


def read_keys(table: Table, listed: list[str], name: str) -> list[str]:
    """The track of each row of `table`. Errors: LpwError where a row and the list of names
    contradict each other."""
    if table[-1, 1] != len(listed):
        raise LpwError(
            name, f"rows up to image {table[-1, 1]}", f"{len(listed)} as the list of names has", _DO
        )
    keys = [file[:KEY_LENGTH] for file in listed]
    rows = []
    for row, (start, end, person, camera) in enumerate(table.tolist(), 1):
        inside = set(keys[start - 1 : end])
        if len(inside) != 1 or keys[start - 1][:6] != f"{_code(person)}C{camera}":
            got = (
                f"person {_code(person)} by camera {camera} for images of "
                f"{join_names(sorted(inside), 3)}"
            )
            raise LpwError(f"{name}, row {row}", got, "one track, as the list of names has it", _DO)
        rows.append(keys[start - 1])
    if len(set(rows)) != len(rows):
        raise LpwError(
            name, f"{len(rows) - len(set(rows))} tracks in two rows", "each track in one row", _DO
        )
    return rows


def kept_queries() -> dict[str, list[Any]]:
    """Columns person, camera, place and of of the published queries
    (`manifests/mars/splits.json`)."""
    facts = read_published("mars")["query"]
    return {field: facts[field] for field in ("person", "camera", "place", "of")}


def read_queries(
    tree: Tree,
    info: dict[str, str],
    table: Table | None,
    keys: list[str] | None,
    reading: RawDataset,
) -> Queries:
    """The official queries where they and the table of test tracks are there, otherwise those of
    the manifest.

    Args:
        info: paths by file names, from `find_info`.
        table: of test tracks, from `read_table`.
        keys: of its rows, from `read_keys`.
        reading: gets a line where the official file is not the published one, or is of no use.

    Errors: LpwError for rows that the table does not have, that are of no person, or that stand
    twice.
    """
    name = info.get("query_IDX.mat")
    if table is None or name is None:
        if name is not None:
            reading.notes.append(
                f"{name} is not used: its rows are those of tracks_test_info.mat, which is missing"
            )
        return Queries(**kept_queries(), keys=None, source="manifests/mars/splits.json")
    rows = read_matrix(tree.read(name), "query_IDX", (1, None), name)[0] - 1
    persons = {row for row, person in enumerate(table[:, 2].tolist()) if person > 0}
    odd = [row + 1 for row in rows.tolist() if row not in persons]
    if odd or len(set(rows.tolist())) != len(rows):
        got = f"row {odd[0]}, which is none of a person" if odd else "a row twice"
        raise LpwError(
            name,
            got,
            f"rows of persons among the {len(table)} of tracks_test_info.mat, each once",
            _DO,
        )
    published = read_published("mars")["query"]["row"]
    if (rows + 1).tolist() != published:
        reading.mismatches.append(
            f"{name}: {len(rows):,} queries that are not the {len(published):,} published ones"
        )
    return _place_queries(table, rows, keys)


def _place_queries(table: Table, rows: NDArray[np.int64], keys: list[str] | None) -> Queries:
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, (person, camera) in enumerate(table[:, 2:].tolist()):
        groups[person, camera].append(row)
    of_query = [(row, *table[row, 2:].tolist()) for row in rows.tolist()]
    return Queries(
        person=[_code(person) for _, person, _ in of_query],
        camera=[camera for *_, camera in of_query],
        place=[groups[person, camera].index(row) for row, person, camera in of_query],
        of=[len(groups[person, camera]) for _, person, camera in of_query],
        keys=[keys[row] for row in rows.tolist()] if keys else None,
        source="info/query_IDX.mat",
    )
