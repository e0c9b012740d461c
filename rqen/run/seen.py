"""What a run has seen: images by their bytes, and places of crops in the source videos; and which
images of a dataset show the same persons."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import to_integers
from lpw_toolkit.files.writing import atomic_write
from rqen.run.seen_crops import (
    CROPS_DIGEST,
    SEEN_CROPS,
    CropPlaces,
    encode_crops,
    find_trained,
    join_places,
    read_crops,
    read_seen_crops,
)
from rqen.run.seen_images import (
    SEEN_DIGEST,
    SEEN_IMAGES,
    Words,
    encode_seen,
    read_fingerprints,
    read_seen,
)

#: Of run.json: false where it started from a run that does not know the places of its crops.
CROPS_WHOLE = "seen_crops_whole"
#: Of run.json what `write_seen_files` adds.
SEEN_KEYS = (SEEN_DIGEST, CROPS_DIGEST, CROPS_WHOLE)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a run has seen, and the runs that it started from.

    Attributes:
        images: sorted fingerprints of the images that it was trained on; None where they are not
            all known, because an older version trained it.
        crops: where crops lie in the source videos; None for a run of an older version.
        is_whole: whether `crops` holds those of the runs that it started from.
    """

    images: Words | None
    crops: CropPlaces | None
    is_whole: bool = True

    @property
    def knows_crops(self) -> bool:
        """Whether persons are known again in every build of the same videos."""
        return self.crops is not None and self.is_whole


def open_seen(folder: Path, facts: dict[str, Any]) -> Seen:
    """What the run in `folder` has seen.

    Args:
        facts: its run.json, which vouches for the files.

    Errors: MismatchError for a file that is missing or another one.
    """
    images, crops = read_seen(folder, facts), read_seen_crops(folder, facts)
    return Seen(images, crops, facts.get(CROPS_WHOLE, True) is True)


def write_seen_files(folder: Path, seen: Seen) -> dict[str, Any]:
    """Publishes the files in the run `folder`, and returns what run.json says of them. Errors:
    OSError."""
    facts: dict[str, Any] = {} if seen.is_whole else {CROPS_WHOLE: False}
    files = {}
    if seen.images is not None:
        files[SEEN_IMAGES, SEEN_DIGEST] = encode_seen(seen.images)
    if seen.crops is not None:
        files[SEEN_CROPS, CROPS_DIGEST] = encode_crops(seen.crops)
    for (name, key), data in files.items():
        atomic_write(folder / name, data)
        facts[key] = hashlib.sha256(data).hexdigest()
    return facts


def list_owners(dataset: Dataset) -> NDArray[np.int64]:
    """The row of the tracklet (F,) of each image."""
    n_frames = to_integers(dataset.tracklets, "n_frames")
    return np.repeat(np.arange(len(n_frames)), n_frames)


def find_seen_tracklets(dataset: Dataset, seen: Seen) -> Mask:
    """Which tracklets (N,) of a dataset show somebody of whom the run has seen an image, or a crop
    of the same moment in another build of the same video. Errors: MismatchError."""
    owners = list_owners(dataset)
    is_seen = np.zeros(len(owners), bool)
    if seen.images is not None:
        is_seen |= np.isin(read_fingerprints(dataset), seen.images)
    if seen.crops is not None:
        here = read_crops(dataset)
        is_seen[here.rows[find_trained(here, seen.crops)]] = True
    return np.bincount(owners[is_seen], minlength=dataset.tracklets.num_rows) > 0


def collect_seen(dataset: Dataset, rows: NDArray[np.int64], before: Seen | None) -> Seen:
    """What a run has seen that was trained on some tracklets of a dataset.

    Args:
        rows: (n,) of its table of tracklets.
        before: what the run has seen that it started from; None where it started from none.

    Errors: MismatchError.
    """
    people = dataset.tracklets["person_id"]
    trains = np.isin(np.arange(len(people)), rows)
    known = trains if before is None else trains | find_seen_tracklets(dataset, before)
    taken = people.filter(pa.array(known)).combine_chunks()
    is_other = pc.invert(pc.is_in(people, value_set=taken)).to_numpy()
    is_other &= pc.is_valid(people).to_numpy()
    owners, here = list_owners(dataset), read_crops(dataset)
    owner = owners[here.rows]
    parts = [here.places.take(trains[owner], True), here.places.take(is_other[owner], False)]
    words = read_fingerprints(dataset)[trains[owners]]
    if before is None:
        return Seen(words, join_places(*parts))
    if before.crops is not None:
        parts.append(before.crops.take(before.crops.trained))
    images = None if before.images is None else np.concatenate([words, before.images])
    return Seen(images, join_places(*parts), before.knows_crops)
