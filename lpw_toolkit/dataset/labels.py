"""Labels of tracklets for evaluation: person, camera and kind as integers, in memory only."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.schema import KINDS

Ints = NDArray[np.int64]
PERSON, DISTRACTOR, JUNK = range(len(KINDS))


@dataclass(frozen=True)
class Labels:
    """Person and camera of tracklets.

    Attributes:
        person: (N,) code of the person, -1 where no person is named; equal codes are equal persons.
        camera: (N,) code of the camera.
        kind: (N,) 0 person, 1 distractor, 2 junk (places in schema.KINDS).
    """

    person: Ints
    camera: Ints
    kind: Ints

    def __len__(self) -> int:
        return len(self.person)

    def take(self, rows: Ints) -> "Labels":
        """The labels of `rows`, in their order."""
        return Labels(self.person[rows], self.camera[rows], self.kind[rows])


def read_labels(tracklets: pa.Table) -> Labels:
    """Labels of a table of tracklets (schema.TRACKLETS), row by row."""
    kinds = [KINDS.index(kind) for kind in tracklets["kind"].to_pylist()]
    return Labels(
        _number(tracklets["person_id"]),
        _number(tracklets["camera_id"]),
        np.array(kinds, dtype=np.int64),
    )


def _number(column: pa.ChunkedArray) -> Ints:
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
