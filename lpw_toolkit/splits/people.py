"""The tracklets of a dataset as splits see them: whom they show, where and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.labels import PERSON, Ints, Labels, read_timed_labels, timed_videos


@dataclass(frozen=True)
class People:
    """The tracklets of a dataset, and whom they show.

    Attributes:
        name: of the dataset, for messages.
        tracklets: schema.TRACKLETS.
        labels: of the tracklets, with times.
        names: person ids by their code.
        has_start: (N,) whether the video's start on the clock of its scene is known.
    """

    name: str
    tracklets: pa.Table
    labels: Labels
    names: tuple[str, ...]
    has_start: NDArray[np.bool_]

    @property
    def named(self) -> Ints:
        """Rows of the tracklets of persons."""
        return np.flatnonzero((self.labels.kind == PERSON) & (self.labels.person >= 0))

    @property
    def others(self) -> Ints:
        """Rows of distractors and junk."""
        return np.flatnonzero(self.labels.kind != PERSON)

    def gather(self, values: Mapping[int, Any]) -> dict[str, list[Any]]:
        """What `values` says of the rows of each person, in order of rows."""
        found: dict[str, list[Any]] = {}
        for row in self.named.tolist():
            found.setdefault(self.names[self.labels.person[row]], []).append(values[row])
        return found


def read_people(tracklets: pa.Table, sources: Sequence[Mapping[str, Any]], name: str) -> People:
    """The persons of a table of tracklets.

    Args:
        sources: `sources` of dataset.json, for the clocks of videos.
        name: of the dataset, for messages.
    """
    labels = read_timed_labels(tracklets, sources)
    pairs = zip(labels.person.tolist(), tracklets["person_id"].to_pylist(), strict=True)
    names = {code: person for code, person in pairs if code >= 0}
    timed = timed_videos(sources)
    has_start = np.array(
        [video in timed for video in tracklets["video_id"].to_pylist()], dtype=bool
    )
    return People(name, tracklets, labels, tuple(names[code] for code in sorted(names)), has_start)
