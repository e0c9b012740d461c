"""MARS: six cameras, several tracklets of a person in each, junk and distractors, 1,980 official
queries."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpw_toolkit.benchmarks.mars_info import (
    IMAGE,
    JUNK,
    KEY_LENGTH,
    Queries,
    Table,
    find_info,
    read_keys,
    read_list,
    read_queries,
    read_table,
)
from lpw_toolkit.benchmarks.mars_strips import are_strips, read_strips
from lpw_toolkit.benchmarks.raw_tree import (
    Survey,
    describe_part,
    drop_known,
    is_litter,
    list_differences,
    refuse_options,
    survey,
)
from lpw_toolkit.benchmarks.reader import (
    RawDataset,
    RawTracklet,
    ReadOptions,
    Splits,
    Tree,
    read_facts,
)
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.splits.splits import NO_SPLIT, are_usable, read_published

FACTS = read_facts("mars")
LAYOUT = "{bbox_train,bbox_test}/0001/0001C1T0001F001.jpg"
DISTRACTOR = "0000"
SIDES = {"train": "bbox_train", "test": "bbox_test"}
KINDS = {JUNK: "junk", DISTRACTOR: "distractor"}
REBUILT = "order rebuilt, not compared with the official list"
_FOLDER = r"(bbox_train|bbox_test)/([0-9]{4}|00-1)"
_KNOWN = r"(^|/)info/[^/]+\.(mat|txt)$"


@dataclass(frozen=True)
class MarsTrack:
    """A tracklet of the source: `key` is what the names of its images begin with, such as
    `0001C1T0001`."""

    key: str
    images: tuple[str, ...]

    @property
    def person(self) -> str:
        """Four digits, or 00-1."""
        return self.key[:4]

    @property
    def camera(self) -> int:
        """1 to 6."""
        return int(self.key[5])


def read(tree: Tree, options: ReadOptions) -> RawDataset:
    """Tracklets `test/0002/C1T0001` of persons `0002` by cameras `C1`, and the official split.

    Tracks are grouped by the names of their images: person, camera and T. With the official `info`
    folder in the tree lists, tables and queries are compared with what was found; without it the
    queries are those of `manifests/mars`. The gallery is every test tracklet, queries, junk and
    distractors among them: protocols take out what they do not want. A tree of strips
    (`mars_strips`) has query tracklets alone, and no split.

    Errors: LpwError when there is no folder of that layout, or when an official file is damaged or
    contradicts itself.
    Source: liangzheng06/MARS-evaluation:utils/info_mars.m:40-112
    """
    refuse_options(options, FACTS.title)
    if are_strips(tree.names):
        return read_strips(tree, FACTS.counts)
    found = survey(tree, _FOLDER, LAYOUT)
    reading = RawDataset([], None, extras=drop_known(found.others, _KNOWN)[0])
    info = find_info(found.others)
    tracks: dict[str, list[MarsTrack]] = {}
    table: Table | None = None
    keys: list[str] | None = None
    for side, folder in SIDES.items():
        files = _collect_files(found, folder, reading)
        listed = read_list(tree, info.get(f"{side}_name.txt"))
        if listed is not None:
            files = _follow_list(files, listed, info[f"{side}_name.txt"], reading)
        # Tracks in the order of the official table: person, camera, T, all as text (junk first,
        # then distractors).
        images: dict[str, list[str]] = defaultdict(list)
        for file, path in files.items():
            images[file[:KEY_LENGTH]].append(path)
        tracks[side] = [MarsTrack(key, tuple(paths)) for key, paths in images.items()]
        table = read_table(tree, side, info)
        keys = None if table is None else _compare_table(table, listed, tracks[side], side, reading)
        reading.tracklets += [_describe(side, track) for track in tracks[side]]
    if not reading.tracklets:
        raise LpwError(
            tree.name, "folders without an image of theirs", LAYOUT, "fetch the dataset again"
        )
    reading.mismatches += _compare_published(tracks)
    reading.notes += _compare_digests(tracks)
    queries = read_queries(tree, info, table, keys, reading)  # the test side came last
    reading.splits = _split(reading, tracks, queries)
    reading.notes += [] if reading.splits else [NO_SPLIT]
    return reading


def _collect_files(found: Survey, folder_name: str, reading: RawDataset) -> dict[str, str]:
    """Paths by file name, sorted as text: the order of the official list."""
    files: dict[str, str] = {}
    is_image = IMAGE.fullmatch  # a million calls
    for folder in sorted(found.folders, key=lambda folder: folder.parts):
        name, person = folder.parts
        if name != folder_name:
            continue
        fits = folder_name == SIDES["test"] or person not in KINDS
        images = sorted(f for f in folder.files if fits and f[:4] == person and is_image(f))
        files.update((f, f"{folder.path}/{f}") for f in images)
        others = [f"{folder.path}/{f}" for f in sorted(set(folder.files).difference(images))]
        reading.extras += [path for path in others if not is_litter(path)]
    return files


def _describe(side: str, track: MarsTrack) -> RawTracklet:
    kind = KINDS.get(track.person, "person")
    name = f"{side}/{track.person}/{track.key[4:]}"
    return RawTracklet(
        name,
        None,
        f"C{track.camera}",
        track.person if kind == "person" else None,
        kind,
        track.images,
    )


def _follow_list(
    files: dict[str, str], listed: list[str], name: str, reading: RawDataset
) -> dict[str, str]:
    """`files` in the order of the official list; what only one of the two has is named."""
    lacking = [file for file in listed if file not in files]
    if lacking:
        reading.mismatches.append(
            f"{name}: {len(lacking):,} images are missing: {join_names(lacking)}"
        )
    known = set(listed)
    reading.extras += [path for file, path in files.items() if file not in known]
    return {file: files[file] for file in listed if file in files}


def _compare_table(
    table: Table, listed: list[str] | None, tracks: list[MarsTrack], side: str, reading: RawDataset
) -> list[str] | None:
    """Keys of the tracks row by row, where there is a list; otherwise the rows are compared with
    the rebuilt ones."""
    name = f"tracks_{side}_info.mat"
    if listed is not None:
        return read_keys(table, listed, name)
    rebuilt = _rebuild_table(tracks)
    if not np.array_equal(rebuilt, table):
        n_rows = min(len(rebuilt), len(table))
        differing = np.flatnonzero((rebuilt[:n_rows] != table[:n_rows]).any(axis=1))
        row = int(differing[0]) if len(differing) else n_rows
        line = (
            f"{name}: {len(table):,} tracks, but file names of {SIDES[side]} give {len(rebuilt):,}"
        )
        reading.mismatches.append(f"{line}; they differ from row {row + 1} on")
    return None


def _rebuild_table(tracks: list[MarsTrack]) -> Table:
    """The table (N, 4) that belongs to `tracks`."""
    if not tracks:
        return np.zeros((0, 4), dtype=np.int64)
    end = np.cumsum([len(track.images) for track in tracks])
    person = [-1 if track.person == JUNK else int(track.person) for track in tracks]
    return np.stack(
        [np.concatenate([[1], end[:-1] + 1]), end, person, [track.camera for track in tracks]],
        axis=1,
    )


def _compare_published(tracks: dict[str, list[MarsTrack]]) -> list[str]:
    lines = []
    for side, folder in SIDES.items():
        published = read_published("mars")["folders"][folder]
        found: dict[str, list[int]] = {}
        for track in tracks[side]:
            counts = found.setdefault(track.person, [0, 0])
            counts[0], counts[1] = counts[0] + 1, counts[1] + len(track.images)
        lines += _compare_folders(folder, found, published) + _find_repeats(folder, tracks[side])
    return lines


def _compare_folders(
    folder: str, found: dict[str, list[int]], published: dict[str, list[int]]
) -> list[str]:
    totals = [
        (sum(c[i] for c in found.values()), sum(c[i] for c in published.values())) for i in range(2)
    ]
    lines = list_differences(
        (f"{folder}, {what}", *total)
        for what, total in zip(("tracklets", "images"), totals, strict=True)
    )
    missing, further = (
        [p for p in published if p not in found],
        [p for p in found if p not in published],
    )
    if missing:
        lines.append(
            f"{folder} lacks {len(missing)} of {len(published)} folders: {join_names(missing)}"
        )
    if further:
        lines.append(
            f"{folder} has {len(further)} folders that are not published: {join_names(further)}"
        )
    both = [
        (p, found[p], published[p]) for p in published if p in found and found[p] != published[p]
    ]
    differing = [
        f"{p} ({n[0]} tracklets and {n[1]} images, not {m[0]} and {m[1]})" for p, n, m in both
    ]
    return [*lines, f"{folder} has other counts in {join_names(differing)}"] if differing else lines


def _find_repeats(folder: str, tracks: list[MarsTrack]) -> list[str]:
    """T numbers are unique for a person over all cameras: the official code groups by (person, T)
    alone."""
    numbers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for track in tracks:
        numbers[track.person, track.key[6:]].append(track.key)
    repeats = [" and ".join(keys) for keys in numbers.values() if len(keys) > 1]
    return [f"{folder} has one T number in two cameras: {join_names(repeats)}"] if repeats else []


def _compare_digests(tracks: dict[str, list[MarsTrack]]) -> list[str]:
    published = read_published("mars")["tables"]
    tables = {SIDES[side]: _rebuild_table(found).astype("<i4") for side, found in tracks.items()}
    equal = all(
        hashlib.sha256(t.tobytes()).hexdigest() == published[f]["sha256"] for f, t in tables.items()
    )
    return ["tracks grouped by file names equal the official tables, row by row"] if equal else []


def _split(
    reading: RawDataset, tracks: dict[str, list[MarsTrack]], queries: Queries
) -> Splits | None:
    keys, unknown = _find_queries(tracks["test"], queries)
    if unknown:
        line = (
            f"{len(unknown):,} of {len(queries.person):,} queries have no tracklet or not a "
            f"certain one"
        )
        reading.mismatches.append(f"{line}: {join_names(unknown)}")
    names = {track.key: f"test/{track.person}/{track.key[4:]}" for track in tracks["test"]}
    subsets = {
        "train": [_describe("train", track).tracklet_id for track in tracks["train"]],
        "query": [names[key] for key in keys],
        "gallery": list(names.values()),
    }
    if not are_usable([subsets]):
        return None
    notes = [*([] if queries.keys else [REBUILT]), *filter(None, [_describe_part(tracks, keys)])]
    return Splits(queries.source, queries.digest, False, [subsets], "; ".join(notes) or None)


def _find_queries(tracks: Iterable[MarsTrack], queries: Queries) -> tuple[list[str], list[str]]:
    """Keys of the queries' tracks, and the queries (as `0002C1`) that are missing or cannot be told
    from others."""
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for track in tracks:
        groups[track.person, track.camera].append(track.key)
    keys: list[str] = []
    unknown: list[str] = []
    for i, pair in enumerate(zip(queries.person, queries.camera, strict=True)):
        group = groups.get(pair, [])
        if queries.keys is not None:
            fits, key = queries.keys[i] in group, queries.keys[i]
        else:  # with a track missing, nobody knows whose place moved
            fits = len(group) == queries.of[i]
            key = group[queries.place[i]] if fits else ""
        (keys if fits else unknown).append(key if fits else f"{pair[0]}C{pair[1]}")
    return keys, unknown


def _describe_part(tracks: dict[str, list[MarsTrack]], keys: list[str]) -> str | None:
    counts: dict[str, Any] = FACTS.counts
    return describe_part(
        FACTS.title,
        [
            ("train tracklets", len(tracks["train"]), counts["train"]["n_tracklets"]),
            ("queries", len(keys), counts["query"]["n_tracklets"]),
            ("test tracklets", len(tracks["test"]), counts["test"]["n_tracklets"]),
            (
                "images",
                sum(len(t.images) for t in tracks["train"] + tracks["test"]),
                counts["n_images"],
            ),
        ],
    )
