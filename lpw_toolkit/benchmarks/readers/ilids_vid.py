"""iLIDS-VID: two cameras, 300 persons with one sequence in each, and ten official splits."""

import re

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.benchmarks.matlab import read_matrix
from lpw_toolkit.benchmarks.raw_tree import (
    Survey,
    describe_part,
    describe_size,
    drop_known,
    list_differences,
    list_subsets,
    pick_images,
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
from lpw_toolkit.splits.splits import (
    DEFAULT_SEED,
    N_SPLITS,
    NO_SPLIT,
    Halves,
    are_usable,
    digest_halves,
    draw_halves,
)

FACTS = read_facts("ilids_vid")
LAYOUT = "i-LIDS-VID/sequences/{cam1,cam2}/person001/cam1_person001_00317.png"
SPLIT_FILE = "train_test_splits_ilidsvid.mat"
QUERY_CAMERA, GALLERY_CAMERA = CAMERAS = ("cam1", "cam2")
_FOLDER = r"sequences/(cam[12])/(person[0-9]{3})"
_KNOWN = (
    r"(^|/)images/cam[12]/person[0-9]{3}/cam[12]_person[0-9]{3}\.png$|(^|/)train-test people "
    r"splits/"
    rf"|(^|/){re.escape(SPLIT_FILE)}$|(^|/)readme\.txt$"
)


def read(tree: Tree, options: ReadOptions) -> RawDataset:
    """Tracklets `cam1/person001` and ten splits: the official ones, or drawn ones where their file
    is missing.

    Splits are drawn with the seed where one is given, and with seed 0 where
    `train_test_splits_ilidsvid.mat` is not in the tree. Single shots (`images/`) are left out.

    Errors: LpwError when a camera is missing, or the official file is damaged or no list of splits.
    Source: KaiyangZhou/deep-person-reid:torchreid/data/datasets/video/ilidsvid.py:65-113
    """
    refuse_options(options, FACTS.title, seed=True)
    found = survey(tree, _FOLDER, LAYOUT)
    extras, n_known = drop_known(found.others, _KNOWN)
    reading = RawDataset([], None, extras=extras)
    _read_sequences(found, reading)
    seen = {
        camera: {str(t.person_id) for t in reading.tracklets if t.camera_id == camera}
        for camera in CAMERAS
    }
    for camera in CAMERAS:
        if not seen[camera]:
            raise LpwError(
                tree.name, f"no image in sequences/{camera}", LAYOUT, "fetch the dataset again"
            )
    reading.mismatches += _compare(seen)
    reading.splits = _split(
        tree, reading, sorted(seen[QUERY_CAMERA] & seen[GALLERY_CAMERA]), options.split_seed
    )
    reading.notes += [] if reading.splits else [NO_SPLIT]
    reading.notes += describe_size(tree, reading.tracklets[0].images[0], FACTS.image_size)
    reading.notes += (
        [f"{n_known} files of images/ and of the splits are no sequences"] if n_known else []
    )
    return reading


def _read_sequences(found: Survey, reading: RawDataset) -> None:
    for folder in found.folders:
        camera, person = folder.parts
        images = pick_images(
            folder, re.compile(rf"{camera}_{person}_([0-9]{{5}})\.png"), reading.extras
        )
        if images:
            of_tracklet = (f"{camera}/{person}", None, camera, person, "person")
            reading.tracklets.append(
                RawTracklet(*of_tracklet, tuple(images.values()), tuple(images))
            )


def _compare(seen: dict[str, set[str]]) -> list[str]:
    """Persons by camera beside the published counts and numbers; both cameras have the same
    ones."""
    counts = FACTS.counts["n_persons_by_camera"].items()
    lines = list_differences((f"sequences/{c}, persons", len(seen[c]), said) for c, said in counts)
    first, last = FACTS.counts["person_numbers"]
    beyond = sorted(p for p in set().union(*seen.values()) if not first <= int(p[6:]) <= last)
    if beyond:
        lines.append(
            f"persons beyond the published numbers {first} to {last}: {join_names(beyond)}"
        )
    for camera, other in (CAMERAS, CAMERAS[::-1]):
        alone = sorted(seen[camera] - seen[other])
        if alone:
            lines.append(
                f"persons of sequences/{camera} that sequences/{other} lacks: {join_names(alone)}"
            )
    return lines


def _split(tree: Tree, reading: RawDataset, persons: list[str], seed: int | None) -> Splits | None:
    """The official splits where they fit the persons found; drawn ones with a seed, or where there
    is no file."""
    file = _find_split_file(tree)
    if len(persons) < 2:
        return None
    if seed is None and file is not None:
        table = read_matrix(tree.read(file), "ls_set", (N_SPLITS, None), file)
        _check_places(table, file)
        if table.shape[1] != len(persons):
            line = (
                f"{file}: places of {table.shape[1]} persons; {len(persons)} were found, so no "
                f"split can be followed"
            )
            reading.mismatches.append(f"{line} (a seed for drawn splits goes on without)")
            return None
        halves, source, drawn = _place(table, persons), file.rpartition("/")[2], False
    else:
        seed = DEFAULT_SEED if seed is None else seed
        halves, source, drawn = (
            draw_halves(persons, np.random.default_rng(seed)),
            f"drawn with seed {seed}",
            True,
        )
        why = "" if file else f", for there is no {SPLIT_FILE}"
        reading.notes.append(f"splits drawn with seed {seed}{why}: digest {digest_halves(halves)}")
    subsets = list_subsets(reading.tracklets, halves, QUERY_CAMERA, GALLERY_CAMERA)
    note = describe_part(FACTS.title, [("persons", len(persons), FACTS.counts["n_persons"])])
    return (
        Splits(source, digest_halves(halves), drawn, subsets, note) if are_usable(subsets) else None
    )


def _find_split_file(tree: Tree) -> str | None:
    files = [name for name in tree.names if name.rpartition("/")[2] == SPLIT_FILE]
    if len(files) > 1 and len({tree.read(name) for name in files}) > 1:
        raise LpwError(
            tree.name,
            f"{len(files)} different {SPLIT_FILE}",
            "one",
            f"remove all but one of {files}",
        )
    return files[0] if files else None


def _check_places(table: NDArray[np.int64], file: str) -> None:
    everyone = np.arange(1, table.shape[1] + 1)
    for number, row in enumerate(np.sort(table, axis=1)):
        if not np.array_equal(row, everyone):
            thing, got = (
                f"{file}, split {number}",
                f"places from {row[0]} to {row[-1]}, some twice or unknown",
            )
            raise LpwError(
                thing, got, f"each of 1 to {len(everyone)} once", "fetch the official file again"
            )


def _place(table: NDArray[np.int64], persons: list[str]) -> list[Halves]:
    """Places count from 1 in the sorted list of persons; the first half of the columns is tested,
    the rest trains."""
    n_test = table.shape[1] // 2
    rows = [[persons[place - 1] for place in row] for row in table]
    return [Halves(tuple(row[n_test:]), tuple(row[:n_test])) for row in rows]
