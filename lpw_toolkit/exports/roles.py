"""Roles of tracklets in a form with one split (training, query, gallery), and the integer names
that old tools need.

The numbers exist only in exported files; `format_mapping` writes beside them which id each one
stands for.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import SUBSETS
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.names import format_csv
from lpw_toolkit.splits.roles import WITHIN

Ints = NDArray[np.int64]
DISTRACTOR, JUNK, UNNAMED = 0, -1, -2
_NUMBERED = re.compile(r"(.*?)(\d{1,18})", re.DOTALL)


@dataclass(frozen=True)
class Roles:
    """Rows of the table of tracklets, ascending; a tracklet may be both query and gallery.

    Attributes:
        train, query, gallery: (n,) each.
        lines: what was chosen, for people.
    """

    train: Ints
    query: Ints
    gallery: Ints
    lines: list[str]

    def subsets(self) -> dict[str, Ints]:
        """The three by name, in the order of schema.SUBSETS."""
        return dict(zip(SUBSETS, (self.train, self.query, self.gallery), strict=True))

    def rest(self, n_tracklets: int) -> Ints:
        """Rows in none of the three."""
        return np.setdiff1d(np.arange(n_tracklets), np.concatenate(list(self.subsets().values())))


def read_roles(dataset: Dataset, split: int | None) -> Roles | None:
    """The roles of split number `split` (default: the first); None where the dataset has no splits.

    Errors: LpwError for a split that is not there, MismatchError for splits that name unknown
    tracklets.
    """
    if dataset.splits is None:
        if split is not None:
            raise LpwError(
                "option --split", str(split), "a dataset with splits", "leave the option out"
            )
        return None
    trials = {trial.split: trial for trial in read_trials(dataset)}
    chosen = min(trials) if split is None else split
    if chosen not in trials:
        raise LpwError(
            "option --split",
            str(chosen),
            f"one of {', '.join(map(str, sorted(trials)))}",
            "choose another",
        )
    lines = (
        [f"splits: this is split {chosen}, one of {len(trials)}; --split chooses another"]
        if len(trials) > 1
        else []
    )
    said = dataset.manifest.get("splits")
    if isinstance(said, dict) and said.get("protocol") == WITHIN:
        lines.append(
            "splits: they are for a test within one camera; tools that leave out the query's own "
            "camera find no right answer"
        )
    return Roles(trials[chosen].train, trials[chosen].query, trials[chosen].gallery, lines)


def draw_roles(dataset: Dataset) -> Roles:
    """Roles for a dataset without splits, the same for the same ids.

    Of the persons seen by two cameras or more, half train, in the order of the SHA-256 of their
    ids; of the others the first tracklet in the first camera is a query, and all else that is no
    training person's is the gallery.
    Errors: LpwError when fewer than two persons are seen by two cameras.
    """
    views = _list_views(dataset)
    crossing = sorted(p for p, rows in views.items() if len({camera for camera, _, _ in rows}) > 1)
    if len(crossing) < 2:
        got = f"no splits, and {len(crossing)} persons that two cameras see"
        do = "name the persons first, or export with --to hf, webdataset or tree"
        raise LpwError(dataset.root, got, "splits, or 2 such persons at least", do)
    drawn = sorted(crossing, key=lambda person: hashlib.sha256(person.encode()).digest())
    learners = set(drawn[: len(drawn) // 2])
    train = sorted(row for person in learners for _, _, row in views[person])
    query = sorted(min(views[person])[2] for person in drawn[len(drawn) // 2 :])
    gallery = np.setdiff1d(np.arange(dataset.tracklets.num_rows), [*train, *query])
    line = (
        f"splits: the dataset has none, so they are drawn: {len(learners)} of {len(crossing)} "
        f"persons in several "
        "cameras train, the others have one query each; say so beside every number"
    )
    return Roles(np.array(train, dtype=np.int64), np.array(query, dtype=np.int64), gallery, [line])


def _list_views(dataset: Dataset) -> dict[str, list[tuple[object, object, int]]]:
    """Of each named person the (camera, tracklet) keys in natural order, with the row."""
    table = dataset.tracklets
    columns = zip(
        *(table[name].to_pylist() for name in ("person_id", "camera_id", "tracklet_id", "kind")),
        strict=True,
    )
    views: dict[str, list[tuple[object, object, int]]] = {}
    for row, (person, camera, name, kind) in enumerate(columns):
        if person is not None and kind == "person":
            views.setdefault(person, []).append((natural_key(camera), natural_key(name), row))
    return views


@dataclass(frozen=True)
class FormLimits:
    """Largest numbers that the names of a layout can hold."""

    persons: int
    cameras: int


@dataclass(frozen=True)
class ExportRoles:
    """Roles with whole numbers.

    Attributes:
        roles: tracklets that the layout holds: named persons, and in the gallery distractors and
            junk.
        person: (N,) number of each tracklet's person, from 1; DISTRACTOR, JUNK, or UNNAMED.
        camera: (N,) number of its camera, from 1.
        lines: what was chosen or left out.
    """

    roles: Roles
    person: Ints
    camera: Ints
    lines: list[str]


def cast_roles(dataset: Dataset, split: int | None, limits: FormLimits) -> ExportRoles:
    """Splits as they are read or drawn, with numbers for persons and cameras.

    Errors: LpwError when no person is named, a role has no tracklet, or the limits do not hold the
    dataset.
    """
    roles = read_roles(dataset, split) or draw_roles(dataset)
    people = dataset.tracklets["person_id"].to_pylist()
    kinds = np.array(dataset.tracklets["kind"].to_pylist(), dtype=str)
    kind_code = np.select(
        [kinds == "distractor", kinds == "junk"], [DISTRACTOR, JUNK], default=UNNAMED
    )
    named = np.array([person is not None for person in people], dtype=bool) & (kind_code == UNNAMED)
    kept, lines = _keep_fitting(dataset, roles, named, kind_code)
    cast_rows = np.unique(np.concatenate(list(kept.subsets().values())))
    persons = number_names(
        (str(people[row]) for row in cast_rows[named[cast_rows]].tolist()), most=limits.persons
    )
    if len(persons) > limits.persons:
        got = f"{len(persons):,} persons"
        raise LpwError(
            dataset.root, got, f"at most {limits.persons:,}", "export with --to hf or webdataset"
        )
    cameras = dataset.tracklets["camera_id"].to_pylist()
    camera_number, camera_lines = _number_cameras(
        [(cameras[row], people[row] if named[row] else None) for row in cast_rows.tolist()],
        limits.cameras,
        dataset,
    )
    person = np.array(
        [
            persons.get(p, UNNAMED) if n else k
            for p, n, k in zip(people, named, kind_code, strict=True)
        ]
    )
    camera = np.array([camera_number.get(name, 0) for name in cameras], dtype=np.int64)
    return ExportRoles(kept, person.astype(np.int64), camera, [*roles.lines, *lines, *camera_lines])


def _keep_fitting(
    dataset: Dataset, roles: Roles, named: NDArray[np.bool_], kind_code: Ints
) -> tuple[Roles, list[str]]:
    """The roles without what no layout holds: people without a name, and other kinds outside the
    gallery."""
    nobody = ~named & (kind_code == UNNAMED)
    kept = Roles(
        roles.train[named[roles.train]],
        roles.query[named[roles.query]],
        roles.gallery[~nobody[roles.gallery]],
        [],
    )
    for subset, rows in kept.subsets().items():
        if not len(rows):
            do = "choose another --split, name more persons, or export with --to hf or webdataset"
            raise LpwError(
                dataset.root, f"no {subset} tracklet of a named person", "one at least", do
            )
    gone = {
        "unnamed tracklets": len(
            np.unique(np.concatenate([r[nobody[r]] for r in roles.subsets().values()]))
        ),
        "distractors and junk outside the gallery": sum(
            int((~named & ~nobody)[r].sum()) for r in (roles.train, roles.query)
        ),
        "tracklets in no subset of this split": len(roles.rest(dataset.tracklets.num_rows)),
    }
    return kept, [f"left out: {n:,} {what}" for what, n in gone.items() if n]


def number_names(names: Iterable[str], *, least: int = 1, most: int = 1 << 31) -> dict[str, int]:
    """A number from 1 for each name, in natural order.

    Names that are all one prefix and a number of their own in [least, most] (`0003`, `scen1/view3`)
    keep it.
    """
    ordered = sorted(set(names), key=natural_key)
    matches = [_NUMBERED.fullmatch(name) for name in ordered]
    own = [int(match[2]) for match in matches if match and match[2].isascii()]
    prefixes = {match[1] for match in matches if match}
    if (
        len(own) == len(ordered)
        and len(prefixes) == 1
        and len(set(own)) == len(own)
        and all(least <= number <= most for number in own)
    ):
        return dict(zip(ordered, own, strict=True))
    return {name: number for number, name in enumerate(ordered, start=1)}


def _number_cameras(
    seen: Sequence[tuple[str, str | None]], limit: int, dataset: Dataset
) -> tuple[dict[str, int], list[str]]:
    """Numbers up to `limit`. Too many cameras are numbered anew in each group that shares no person
    with another.

    A query is compared with the cameras of its own person only, so this changes no evaluation.
    """
    numbers = number_names((camera for camera, _ in seen), most=limit)
    if len(numbers) <= limit:
        return numbers, []
    groups = _group_cameras(seen)
    largest = max(groups, key=len)
    if len(largest) > limit:
        got = f"{len(largest)} cameras that share persons"
        raise LpwError(dataset.root, got, f"at most {limit}", "export with --to hf or webdataset")
    numbers = {camera: i for group in groups for i, camera in enumerate(group, start=1)}
    line = (
        f"cameras: {len(numbers)} in {len(groups)} groups that share no person are numbered 1 to "
        f"{len(largest)} in "
        "each; evaluation is the same, but a number alone names no camera"
    )
    return numbers, [line]


def _group_cameras(seen: Sequence[tuple[str, str | None]]) -> list[list[str]]:
    """Cameras that see the same persons, directly or through others; groups and cameras in natural
    order."""
    leader = {camera: camera for camera, _ in seen}

    def find(camera: str) -> str:
        while leader[camera] != camera:
            camera = leader[camera]
        return camera

    first: dict[str, str] = {}
    for camera, person in seen:
        if person is not None:
            leader[find(camera)] = find(first.setdefault(person, camera))
    groups: dict[str, list[str]] = {}
    for camera in sorted(leader, key=natural_key):
        groups.setdefault(find(camera), []).append(camera)
    return list(groups.values())


def format_mapping(
    dataset: Dataset, names: dict[int, str], cast: ExportRoles | None = None
) -> bytes:
    """CSV (`names.csv_cell`) that says for each exported tracklet what it was: one line per row of
    `names`, in order.

    Args:
        names: for a row of the table of tracklets, how the export calls it.
        cast: where the export has numbers and roles.
    """
    columns = ("tracklet_id", "person_id", "camera_id", "scene_id", "kind")
    rows = dataset.tracklets.select(columns).take(pa.array(list(names), pa.int64())).to_pylist()
    subsets = (
        {name: set(rows_.tolist()) for name, rows_ in cast.roles.subsets().items()} if cast else {}
    )
    lines: list[list[object]] = [
        ["name", *(["person", "camera", "subset"] if cast else []), *columns]
    ]
    for (number, name), row in zip(names.items(), rows, strict=True):
        role = "+".join(subset for subset, members in subsets.items() if number in members)
        numbers = [cast.person[number], cast.camera[number], role] if cast else []
        lines.append([name, *numbers, *(row[column] for column in columns)])
    return format_csv(lines).encode()
