"""Merges datasets into one (`lpw merge`). Persons are kept apart unless a table maps them; names
that two datasets share begin with the dataset's name then.

tables of each --names that collide get a prefix--> one table, sorted; images beside each other
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.cleaning.adoption import TrackletPrints, adopt_decisions
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.manifest import name_parent
from lpw_toolkit.dataset.new_version import NewVersion, write_version
from lpw_toolkit.dataset.video_prints import read_video_prints
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.names import safe_file_name
from lpw_toolkit.versions.carrying import ANEW, Made
from lpw_toolkit.versions.merge_part import KINDS, MergePart
from lpw_toolkit.versions.name_tables import check_name, read_rows

PERSON_COLUMNS = ("dataset", "person", "new")
_ORDER = [("tracklet_id", "ascending")]


@dataclass(frozen=True)
class MergeConfig:
    """Datasets that become one.

    Attributes:
        datasets: two or more.
        out: the new version.
        persons: CSV with the columns dataset, person and new: which persons are the same, or get
            another id; None keeps all apart.
    """

    datasets: tuple[Path, ...]
    out: Path
    persons: Path | None = None


def merge_datasets(config: MergeConfig) -> Made:
    """Writes one dataset of all tracklets of several.

    Errors: LpwError for less than two datasets, one that comes twice (also as two versions that
    share tracklets), two builds of the same film of which the table does not map all persons, a
    table of persons that does not fit, names that collide even so, or an `out` that is in use;
    CorruptCropError.
    """
    parts = [MergePart(dataset, label) for dataset, label in _label(config.datasets)]
    _refuse_shared(parts)
    if config.persons:
        parts = _map_persons(parts, config.persons)
    shared = _find_shared_films(parts)
    _refuse_unmapped(parts, shared)
    parts, lines = _resolve_places(parts)
    parts, more = _resolve_persons(parts)
    lines += [*more, *_tell_films(shared), *_tell_sizes(parts)]
    tracklets = pa.concat_tables([part.tracklets for part in parts]).sort_by(_ORDER)
    frames = pa.concat_tables([part.frames for part in parts])
    version = NewVersion(
        tracklets.combine_chunks(),
        frames.sort_by([*_ORDER, ("position", "ascending")]).combine_chunks(),
        [part.images for part in parts],
        _make_facts(parts, config),
        inner=(table for part in parts for table in part.iter_inner()),
    )
    made = write_version(config.out, version, stage="merge")
    if any(part.dataset.splits is not None for part in parts):
        lines.append("splits are not carried over: draw new ones with `lpw split`")
    for part in parts:
        lines += adopt_decisions(part.dataset, made, names=part.new_ids).lines
    return Made(made, (*lines, ANEW))


def _label(paths: tuple[Path, ...]) -> Iterator[tuple[Dataset, str]]:
    """Each dataset with a name of its own. Errors: LpwError for one that comes twice."""
    if len(paths) < 2:
        raise LpwError("merge", f"{len(paths)} dataset", "two or more", "name another one")
    taken: set[str] = set()
    seen: dict[str, Path] = {}
    for path in paths:
        dataset = open_dataset(path)
        if dataset.digest in seen:
            got = f"the same dataset as {seen[dataset.digest]}"
            raise LpwError(path, got, "each once", "leave one out")
        seen[dataset.digest] = path
        yield dataset, safe_file_name(dataset.name, taken)


def _refuse_shared(parts: list[MergePart]) -> None:
    """Errors: LpwError for two versions of one dataset: a tracklet in both would count twice."""
    seen: dict[bytes, tuple[MergePart, str]] = {}
    for part in parts:
        base = read_base(part.dataset)
        prints = TrackletPrints(part.dataset, base)
        for name in base.tracklets:
            first, other = seen.setdefault(prints.of(name), (part, name))
            if first is not part:
                got = f"the images of {name}, which {first.label} has as {other}"
                hint = "merge datasets of different films; a version of one is enough"
                raise LpwError(part.dataset.root, got, "each tracklet once", hint)


def _find_shared_films(parts: list[MergePart]) -> dict[bytes, list[tuple[MergePart, str]]]:
    """By SHA-256 of a film, the datasets that have tracklets of it, with its video_id there."""
    found: dict[bytes, list[tuple[MergePart, str]]] = {}
    for part in parts:
        for video, sha256 in read_video_prints(part.dataset).items():
            found.setdefault(sha256, []).append((part, video))
    return {
        sha256: places
        for sha256, places in found.items()
        if len({part.label for part, _ in places}) > 1
    }


def _refuse_unmapped(
    parts: list[MergePart], films: dict[bytes, list[tuple[MergePart, str]]]
) -> None:
    """Errors: LpwError where one human would be two persons: a film is in two datasets, and the
    table does not say who is who."""
    told = _name_films(films)
    if told and not any(part.persons for part in parts):
        got = f"{told}: whoever they show would be several persons, and train and be tested"
        hint = "merge datasets of different films, or say by --persons who is who in them"
        raise LpwError("merge", got, "each film once", hint)
    for part, video in (place for places in films.values() for place in places):
        is_here = pc.equal(part.dataset.tracklets["video_id"], video)
        people = part.dataset.tracklets["person_id"].filter(is_here).drop_null().unique()
        if left := sorted({*people.to_pylist()} - {*part.persons}):
            got = f"no entry for {join_names(left)} of {part.label}; {told}"
            expected = "all persons of a film that comes twice"
            raise LpwError("table of persons", got, expected, "add them to --persons")


def _name_films(films: dict[bytes, list[tuple[MergePart, str]]]) -> str:
    """Which films come twice, in words; empty where none does."""
    told = []
    for places in films.values():
        names = {
            video: entry["path"]
            for part, video in places[:1]
            for entry in part.dataset.manifest["sources"]
            if entry["video_id"] == video
        }
        labels = dict.fromkeys(part.label for part, _ in places)
        told.append(f"the film {names[places[0][1]]} in {' and '.join(labels)}")
    return join_names(told, 4)


def _tell_films(films: dict[bytes, list[tuple[MergePart, str]]]) -> list[str]:
    told = _name_films(films)
    return [f"{told}: its persons are those of the table"] if told else []


def _map_persons(parts: list[MergePart], table: Path) -> list[MergePart]:
    known = {part.label: {*part.people} for part in parts}
    given: dict[str, dict[str, str]] = {label: {} for label in known}
    for where, row in read_rows(table, PERSON_COLUMNS):
        label, person = row["dataset"], row["person"]
        if label not in known:
            expected = f"one of {join_names(list(known))}"
            raise LpwError(where, f"the dataset {label!r:.80}", expected, "correct the name")
        if person not in known[label]:
            got, expected = f"the person {person!r:.80}", f"one of {len(known[label]):,} in {label}"
            raise LpwError(where, got, expected, "correct the id")
        if person in given[label]:
            raise LpwError(where, f"{person!r:.80} again", "each person once", "leave one out")
        given[label][person] = check_name(where, row["new"])
    return [replace(part, persons=given[part.label]) for part in parts]


def _resolve_places(parts: list[MergePart]) -> tuple[list[MergePart], list[str]]:
    """Gives a prefix to the datasets that share a name of a place; and what was done, in words.

    Errors: LpwError where names collide even so.
    """
    found = _find_shared(parts)
    if not found:
        return parts, []
    labels = {label for _, _, both in found for label in both}
    named = [
        replace(part, prefix=f"{part.label}-") if part.label in labels else part for part in parts
    ]
    if still := _find_shared(named):
        kind, name, both = still[0]
        got, do = f"the {kind} {name} in {join_names(both)}", "use `lpw rename` on one first"
        raise LpwError("merge", got, "names that differ", do)
    kind, name, both = found[0]
    line = (
        f"names of scenes, cameras, videos and tracklets of {join_names(sorted(labels))} begin "
        f"with the dataset's name: the {kind} {name} is in {join_names(both)}"
    )
    return named, [line]


def _find_shared(parts: list[MergePart]) -> list[tuple[str, str, list[str]]]:
    """Kind and name of what two datasets or more have, and these datasets."""
    owners: dict[tuple[str, str], list[str]] = {}
    for part in parts:
        for one in part.names:
            owners.setdefault(one, []).append(part.label)
    shared = [(kind, name, both) for (kind, name), both in owners.items() if len(both) > 1]
    return sorted(shared, key=lambda one: (KINDS.index(one[0]), one[1]))


def _resolve_persons(parts: list[MergePart]) -> tuple[list[MergePart], list[str]]:
    """Gives a prefix to the persons of datasets that share an id which the table does not map; and
    what was done, in words.

    Errors: LpwError where a person whom the table does not map has the id that another one gets.
    """
    owners: dict[str, list[str]] = {}
    for part in parts:
        for person in part.people:
            if person not in part.persons:
                owners.setdefault(person, []).append(part.label)
    shared = {person: both for person, both in owners.items() if len(both) > 1}
    labels = {label for both in shared.values() for label in both}
    named = [
        replace(part, person_prefix=f"{part.label}-") if part.label in labels else part
        for part in parts
    ]
    _refuse_same_ids(named)
    lines = [_tell_persons(named)] if any(part.persons for part in named) else []
    if shared:
        person, both = min(shared.items())
        lines.append(
            f"persons of {join_names(sorted(labels))} are kept apart, their ids begin with the "
            f"dataset's name: {person} is in {join_names(both)}"
        )
    return named, lines


def _refuse_same_ids(parts: list[MergePart]) -> None:
    """Errors: LpwError for two persons who would get one id without the table saying so."""
    given = {new for part in parts for new in part.persons.values()}
    kept = [
        (part, person) for part in parts for person in part.people if person not in part.persons
    ]
    counts = Counter(part.rename_person(person) for part, person in kept)
    for part, person in kept:
        new = part.rename_person(person)
        if new in given or counts[new] > 1:
            got = f"the person {person} of {part.label}, whose id {new} another one gets"
            raise LpwError("merge", got, "ids that differ", "map that person by --persons too")


def _tell_persons(parts: list[MergePart]) -> str:
    old = sum(len(part.persons) for part in parts)
    new = len({new for part in parts for new in part.persons.values()})
    return f"{old:,} persons of the table are {new:,} now"


def _tell_sizes(parts: list[MergePart]) -> list[str]:
    """A line where the datasets have images of different sizes."""
    sizes = {part.label: _describe_size(part.dataset.frames) for part in parts}
    if len({*sizes.values()}) < 2:
        return []
    told = ", ".join(f"{label} {size}" for label, size in sizes.items())
    return [f"images differ in size ({told}); training and evaluation resize them"]


def _describe_size(frames: pa.Table) -> str:
    found = frames.group_by(["height", "width"]).aggregate([])
    if found.num_rows != 1:
        return "several"
    return f"{found['height'][0].as_py()}x{found['width'][0].as_py()}"


def _make_facts(parts: list[MergePart], config: MergeConfig) -> dict[str, Any]:
    manifests = [part.dataset.manifest for part in parts]
    settings = {
        part.label: {k: v for k, v in m.get("settings", {}).items() if k != "import"}
        for part, m in zip(parts, manifests, strict=True)
    }
    first, *others = settings.values()
    alike = {key: v for key, v in first.items() if all(o.get(key) == v for o in others)}
    persons = {part.label: dict(sorted(part.persons.items())) for part in parts if part.persons}
    merge = {
        "prefixes": {part.label: part.prefix for part in parts},
        "person_prefixes": {part.label: part.person_prefix for part in parts},
        "persons": persons,
        "settings": settings,
    }
    return {
        "name": config.out.absolute().name,
        "parent": None,
        "parents": [name_parent(manifest) for manifest in manifests],
        **{key: _join_notes(parts, key) for key in ("licence", "consent")},
        "images_root": ".",
        "settings": {**alike, "merge": merge},
        "sources": [entry for part in parts for entry in part.list_sources()],
    }


def _join_notes(parts: list[MergePart], key: str) -> str | None:
    """The licence or consent of all datasets: what they agree on, or each with its name."""
    notes: dict[str, str | None] = {part.label: part.dataset.manifest.get(key) for part in parts}
    if len({*notes.values()}) == 1:
        return notes[parts[0].label]
    return "; ".join(f"{label}: {note or 'not said'}" for label, note in notes.items())
