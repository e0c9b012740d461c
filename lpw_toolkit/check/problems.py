"""The problems that a check can find, and the list of rules: what must hold, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.names import show_name

#: Rows named one by one for each rule and table; the rest is one line with its count.
MAX_ROWS_NAMED = 20


class CheckRule(NamedTuple):
    """A condition, and the remedy where it fails."""

    expected: str
    remedy: str


_RESTORE = "restore the file from a copy or build the dataset again"
_REBUILD = "build the dataset again with this version of lpw"
_LOOK = "remove it if it is not needed"

RULES = {
    "manifest": CheckRule("dataset.json as lpw writes it", _RESTORE),
    "table-missing": CheckRule(
        "every table that dataset.json lists is a readable regular file", _RESTORE
    ),
    "table-unlisted": CheckRule(
        "every table is listed in dataset.json", "remove it or build the dataset again"
    ),
    "table-size": CheckRule("the size that dataset.json names", _RESTORE),
    "table-hash": CheckRule("the SHA-256 that dataset.json names", _RESTORE),
    "table-read": CheckRule("a whole Parquet table of this schema", _RESTORE),
    "table-metadata": CheckRule("the metadata names table and version", _REBUILD),
    "row-groups": CheckRule("row groups end at tracklet borders", _REBUILD),
    "counts": CheckRule("the counts that dataset.json names", _RESTORE),
    "manifest-hash": CheckRule("the SHA-256 over its own fields that dataset.json names", _RESTORE),
    "digest": CheckRule("the digest over the rows that dataset.json names", _RESTORE),
    "sorted": CheckRule("rows sorted by id, as UTF-8 text, then by position or frame", _REBUILD),
    "unique-id": CheckRule("each tracklet_id once", _REBUILD),
    "empty-id": CheckRule("ids that are not empty", _REBUILD),
    "kind": CheckRule("kind is person, distractor or junk", _REBUILD),
    "camera": CheckRule("a camera lies in one scene, a video belongs to one camera", _REBUILD),
    "no-frames": CheckRule("every tracklet has frames", _REBUILD),
    "no-tracklet": CheckRule("every frame's tracklet is in tracklets.parquet", _REBUILD),
    "n-frames": CheckRule("n_frames is the number of the tracklet's frames", _REBUILD),
    "pts": CheckRule("first_pts_s and last_pts_s are those of the first and last frame", _REBUILD),
    "position": CheckRule("positions of a tracklet run 0, 1, 2, …", _REBUILD),
    "frame-index": CheckRule("frame_index is 0 or more and grows", _REBUILD),
    "segment": CheckRule("segment never falls within a video", _REBUILD),
    "box": CheckRule("x1 < x2 and y1 < y2, finite, all four or none", _REBUILD),
    "score": CheckRule("score in [0, 1]", _REBUILD),
    "size": CheckRule("width and height above 0", _REBUILD),
    "split-number": CheckRule("splits are numbered 0, 1, 2, …", _REBUILD),
    "split-subset": CheckRule("subset is train, query or gallery", _REBUILD),
    "split-sorted": CheckRule(
        "rows sorted by split, subset and tracklet_id, as UTF-8 text", _REBUILD
    ),
    "split-twice": CheckRule("a tracklet once in each subset of a split", _REBUILD),
    "split-leak": CheckRule(
        "a training tracklet is neither query nor gallery of the same split", _REBUILD
    ),
    "split-person": CheckRule("a person who trains is never tested in the same split", _REBUILD),
    "split-tracklet": CheckRule("every tracklet of a split is in tracklets.parquet", _REBUILD),
    "split-source": CheckRule(
        "dataset.json and splits.parquet name the same source of the splits", _RESTORE
    ),
    "published": CheckRule(
        "the published counts of the benchmark", "complete the raw data and import it again"
    ),
    "image-path": CheckRule(
        "a plain relative POSIX path that stays inside, ending in .jpg, .jpeg or .png", _REBUILD
    ),
    "image-twice": CheckRule("each image file belongs to one row", _REBUILD),
    "images-root": CheckRule("images inside the dataset, or imported in place", _RESTORE),
    "image-missing": CheckRule("the image can be read", _RESTORE),
    "image-file": CheckRule(
        "a regular file inside the images' folder, no link", "put the file itself in its place"
    ),
    "image-hash": CheckRule("the SHA-256 of the index", _RESTORE),
    "image-kind": CheckRule("a JPEG or PNG file, as its suffix says", _REBUILD),
    "image-size": CheckRule("the width and height of the index", _REBUILD),
    "image-whole": CheckRule("an image that is whole to its end", _RESTORE),
    "image-bound": CheckRule(
        "no more bytes, pixels and scans than an image may have", "replace it, or raise the bound"
    ),
    "image-extra": CheckRule("every image file is in the index", _LOOK),
    "pack-half": CheckRule("images.pack and pack.parquet together", "run `lpw pack` again"),
    "pack-stale": CheckRule(
        "a pack of this dataset, of the size that pack.parquet names", "run `lpw pack` again"
    ),
    "pack-rows": CheckRule(
        "the rows of frames.parquet, their bytes end to end from 0", "run `lpw pack` again"
    ),
    "pack-hash": CheckRule(
        "the bytes whose SHA-256 the index names", "remove images.pack, then run `lpw pack` again"
    ),
    "leftover": CheckRule("no temporary files of an interrupted run", _LOOK),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it must be.

    Attributes:
        file: POSIX path relative to the dataset, or to the images' folder for an image.
        row: 0-based row of the table that names it, None where no single row does.
        rule: a key of `RULES`.
        found: what was there.
        level: `warning` where the dataset itself is whole (a file too many).
    """

    file: str
    row: int | None
    rule: str
    found: str
    level: Literal["error", "warning"] = "error"

    @property
    def expected(self) -> str:
        """The condition that fails."""
        return RULES[self.rule].expected

    @property
    def remedy(self) -> str:
        """The remedy."""
        return RULES[self.rule].remedy

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return show_name(
            f"{where}: {self.rule}: got {self.found}; expected {self.expected}; {self.remedy}"
        )

    def as_fields(self) -> dict[str, Any]:
        """The same for machines: file, row, rule, found, expected, remedy, level."""
        file = self.file.encode("utf-8", "backslashreplace").decode(
            "utf-8"
        )  # a name on disk need not be Unicode
        fields = {"file": file, "row": self.row, "rule": self.rule, "found": self.found}
        return {**fields, "expected": self.expected, "remedy": self.remedy, "level": self.level}


def name_rows(
    file: str, rule: str, bad: NDArray[np.bool_], found: Callable[[int], str]
) -> Iterator[Problem]:
    """Problems for the rows where `bad` (N,) holds: the first ones by number, the rest as a
    count."""
    rows = np.flatnonzero(bad)
    for row in rows[:MAX_ROWS_NAMED].tolist():
        yield Problem(file, row, rule, found(row))
    if len(rows) > MAX_ROWS_NAMED:
        yield Problem(file, None, rule, f"{len(rows) - MAX_ROWS_NAMED} more such rows")
