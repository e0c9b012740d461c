"""One of the datasets that are merged: its rows, images and tables under the names that it gets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.new_version import CopiedImages, InnerTable, inherit_tables
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS

#: Columns of the table of tracklets whose names change together, and what they are called.
_PLACES = {
    "scene_id": "scene",
    "camera_id": "camera",
    "video_id": "video",
    "tracklet_id": "tracklet",
}
#: Kinds of names that two datasets may share, in the order in which a collision is told.
KINDS = (*_PLACES.values(), "source", "image")


@dataclass(frozen=True)
class MergePart:
    """One of the datasets that are merged, with the names that it gets.

    Attributes:
        dataset: it.
        label: its name, unique among the datasets.
        prefix: what names of places begin with: scenes, cameras, videos, tracklets, images.
        person_prefix: what ids of persons begin with that the table does not map.
        persons: new ids by old ones, as the table has them.
    """

    dataset: Dataset
    label: str
    prefix: str = ""
    person_prefix: str = ""
    persons: Mapping[str, str] = field(default_factory=dict)

    def rename_person(self, person: str) -> str:
        """The id that a person has in the new dataset."""
        return self.persons.get(person, f"{self.person_prefix}{person}")

    @cached_property
    def tracklets(self) -> pa.Table:
        """Its rows, with the new names."""
        table = self.dataset.tracklets.cast(TRACKLETS)
        for place, kind in enumerate(TRACKLETS):
            values = table[kind.name]
            if kind.name in _PLACES:
                values = self._add_prefix(values)
            elif kind.name == "person_id":
                people = values.to_pylist()
                values = pa.array([p and self.rename_person(p) for p in people], pa.string())
            table = table.set_column(place, kind, values)
        return table

    @cached_property
    def new_ids(self) -> dict[str, str]:
        """New ids of its tracklets by old ones; empty where they keep them."""
        ids = self.dataset.tracklets["tracklet_id"].to_pylist() if self.prefix else []
        return {name: f"{self.prefix}{name}" for name in ids}

    @cached_property
    def paths(self) -> list[str]:
        """New paths of its images, in the order of its table of frames."""
        old = pc.struct_field(self.dataset.frames["image"], "path").to_pylist()
        return [f"images/{self.prefix}{path.removeprefix('images/')}" for path in old]

    @property
    def names(self) -> set[tuple[str, str]]:
        """Kind and new name of all that no other dataset may have too, persons excepted."""
        found = {
            (kind, name)
            for column, kind in _PLACES.items()
            for name in self.tracklets[column].drop_null().unique().to_pylist()
        }
        for entry in self.list_sources():
            found |= {("video", entry["video_id"]), ("source", entry["path"])}
        return found | {("image", path) for path in self.paths}

    @property
    def people(self) -> list[str]:
        """Ids of its persons, old ones."""
        ids: list[str] = self.dataset.tracklets["person_id"].drop_null().unique().to_pylist()
        return ids

    @property
    def frames(self) -> pa.Table:
        """Its rows of frames, with new ids and paths."""
        table = self.dataset.frames.cast(FRAMES)
        ids = self._add_prefix(table["tracklet_id"])
        image = pa.array(
            [{"bytes": None, "path": path} for path in self.paths], FRAMES.field(2).type
        )
        return table.set_column(0, FRAMES.field(0), ids).set_column(2, FRAMES.field(2), image)

    @property
    def images(self) -> CopiedImages:
        """Its images, all of them."""
        return CopiedImages(self.dataset, np.arange(len(self.paths)), self.paths)

    def _add_prefix(self, names: pa.ChunkedArray) -> pa.ChunkedArray:
        """New names; what is unknown stays unknown."""
        return pc.binary_join_element_wise(self.prefix, names, "")

    def iter_inner(self) -> Iterator[InnerTable]:
        """Its detections and timelines, with the new names."""
        for name, table in inherit_tables(self.dataset):
            folder, _, file = name.partition("/")
            ids = self._add_prefix(table["video_id"])
            yield f"{folder}/{self.prefix}{file}", table.set_column(0, table.schema.field(0), ids)

    def list_sources(self) -> list[dict[str, Any]]:
        """The entries of its videos, with the new names; paths below a folder of its own where
        names have changed."""
        folder = f"{self.label}/" if self.prefix else ""
        found = []
        for entry in self.dataset.manifest.get("sources", []):
            named = {
                key: f"{self.prefix}{entry[key]}"
                for key in ("video_id", "scene_id", "camera_id")
                if entry.get(key) is not None
            }
            found.append({**entry, **named, "path": f"{folder}{entry['path']}"})
        return found
