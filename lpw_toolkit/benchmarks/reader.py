"""The contract of a benchmark reader: a raw tree in, tracklets and splits out. Readers are files in
`readers/`."""

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Protocol, cast

from lpw_toolkit.plugins import PluginFolder

READERS = PluginFolder("lpw_toolkit.benchmarks.readers", "benchmark", dashes=True)


class Tree(Protocol):
    """The files of a raw dataset: a folder, or an archive read without being unpacked
    (`archives.open_tree`)."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def names(self) -> list[str]:
        """POSIX paths of all files, relative, in natural order whatever order the system lists them
        in."""

    def read(self, name: str) -> bytes:
        """The bytes of one file. Errors: LpwError when it cannot be read or breaks a limit."""


@dataclass(frozen=True)
class Facts:
    """What is published about a dataset (`manifests/<name>/facts.json`).

    Attributes:
        name: of the plug-in and its manifest folder.
        title: as the field calls it.
        citation: the paper that made it.
        url: its page.
        licence_note: what is known of its terms.
        counts: published figures by name, such as n_persons, n_tracklets, n_images; per scene, view
            or subset too.
        image_size: height and width in pixels, None where they differ or are not published.
        notes: oddities with their sources.
    """

    name: str
    title: str
    citation: str
    url: str
    licence_note: str
    counts: dict[str, Any]
    image_size: tuple[int, int] | None
    notes: list[str]


@dataclass(frozen=True)
class RawTracklet:
    """One tracklet of a raw tree.

    Attributes:
        tracklet_id, scene_id, camera_id, person_id, kind: as in the table of tracklets.
        images: paths in the tree, in temporal order; never empty.
        frame_index: number of each image in its video, where the file names tell; None otherwise.
    """

    tracklet_id: str
    scene_id: str | None
    camera_id: str
    person_id: str | None
    kind: str
    images: tuple[str, ...]
    frame_index: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Splits:
    """Who trains, asks and answers.

    Attributes:
        source: where this comes from, such as `manifests/prid2011/splits.json` or `drawn with seed
            0`; shown with every number.
        digest: SHA-256 (hex) of the facts behind it.
        drawn: True where no published split was followed.
        subsets: for each split the tracklet ids of train, query and gallery.
        note: what every result must say beside its number; None when there is nothing.
    """

    source: str
    digest: str
    drawn: bool
    subsets: list[dict[str, list[str]]]
    note: str | None = None


@dataclass
class RawDataset:
    """What a reader found in a tree.

    Attributes:
        tracklets: in any order.
        splits: None where the tree is too partial for any.
        mismatches: one line for each count that differs from the published one, with its folders.
        extras: files that belong to no tracklet though they look as if they should: named, never
            silently dropped.
        notes: what was chosen or left out by rule (excluded persons and the like).
    """

    tracklets: list[RawTracklet]
    splits: Splits | None
    mismatches: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReadOptions:
    """How a benchmark is read.

    Attributes:
        variant: which persons or which form, as the reader documents (prid2011: `178` or `200`);
            None is its default.
        split_seed: draws splits with this seed instead of following the published ones.
    """

    variant: str | None = None
    split_seed: int | None = None


class Benchmark(Protocol):
    """What each file of this folder provides."""

    FACTS: Facts

    def read(self, tree: Tree, options: ReadOptions) -> RawDataset:
        """Tracklets and splits of a raw tree. Errors: LpwError when it is not such a tree at
        all."""


def list_benchmarks() -> list[str]:
    """The names of all benchmarks."""
    return READERS.names()


def open_benchmark(name: str) -> Benchmark:
    """The reader called `name` (`ilids-vid` is `ilids_vid`). Errors: LpwError that lists the
    names."""
    return cast(Benchmark, READERS.load(name))


@cache
def read_facts(name: str) -> Facts:
    """The published facts of the benchmark `name`."""
    facts = json.loads(
        resources.files("lpw_manifests").joinpath(name, "facts.json").read_text("utf-8")
    )
    size = facts.pop("image_size")
    return Facts(name=name, image_size=tuple(size) if size else None, **facts)


def published_counts(counts: dict[str, Any], variant: str | None) -> dict[str, int]:
    """The published numbers of a whole benchmark (`n_persons` and the like), those of `variant`
    first."""
    own = counts.get("variants", {}).get(variant or "", {})
    return {
        name: value
        for name, value in {**counts, **own}.items()
        if name.startswith("n_") and is_count(value)
    }


def is_count(value: object) -> bool:
    """Whether `value` is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)
