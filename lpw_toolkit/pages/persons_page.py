"""A page of persons across cameras, as Figure 5 of the LPW paper: a row of crops per camera."""

from pathlib import Path

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.pages.dataset_page import (
    ContactSheet,
    Show,
    order_tracklets,
    take_sheet,
    write_pages,
)


def write_persons(
    dataset: Dataset, out: Path, *, single_file: bool = False, max_crops: int = 12
) -> Show:
    """Writes the folder `out` with index.html as `write_show` does, but by person: only tracklets
    of named persons.

    Errors: LpwError when nobody is named, and as `write_show`.
    """
    return write_pages(
        dataset, out, order_by_person, "persons.html", single_file=single_file, max_crops=max_crops
    )


def order_by_person(dataset: Dataset) -> ContactSheet:
    """Tracklets of named persons by person, camera, first appearance and id. Errors: LpwError when
    there is none."""
    by_camera = order_tracklets(dataset).tracklets
    people, kinds = by_camera["person_id"].to_pylist(), by_camera["kind"].to_pylist()
    named = [
        i
        for i, (person, kind) in enumerate(zip(people, kinds, strict=True))
        if person is not None and kind == "person"
    ]
    if not named:
        hint = "assign persons first, or drop --persons"
        raise LpwError(dataset.root, "no named person", "tracklets with a person_id", hint)
    row_of = {name: row for row, name in enumerate(dataset.tracklets["tracklet_id"].to_pylist())}
    ids = by_camera["tracklet_id"].to_pylist()
    named.sort(key=lambda i: natural_key(people[i]))
    return take_sheet(dataset, np.array([row_of[ids[i]] for i in named], dtype=np.int64))
