"""Names tracklets by ground truth and draws a split of these persons, in place of a person who
cleans and identifies.

Where truth exists, as on a synthetic street, a built dataset can be learned from and tested without
anybody's work. A number of the truth is one person in all cameras of a scene.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.schema import FRAMES, SPLITS, TRACKLETS
from lpw_toolkit.dataset.tables import write_table
from lpw_toolkit.dataset.workspace import Workspace
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import make_folder, sync_all, write_file
from lpw_toolkit.progress import show_progress
from lpw_toolkit.splits.draw import assign_subsets, make_split_table
from lpw_toolkit.splits.people import read_people
from lpw_toolkit.splits.roles import CROSS
from lpw_toolkit.splits.splits import Halves, digest_halves, draw_halves
from lpw_toolkit.truth.cleanup_cost import score_each
from lpw_toolkit.truth.score import read_pairs

_SOURCE = "drawn from the persons of the ground truth"
_NOTE = "persons named by ground truth in place of cleaning"
_NO_OTHERS = np.zeros(0, dtype=np.int64)
_N_FEWEST = 4  # persons: two who train, two who are tested


@dataclass(frozen=True)
class NamingConfig:
    """How tracklets are named and split.

    Attributes:
        min_purity_frac: share of a tracklet's frames that must show its person; one below it stays
            without a name, as does one of fewer than 8 frames: a reviewer would cut or reject it.
        seed: of the split; of an odd number of persons the larger half trains.
    """

    min_purity_frac: float = 0.8
    seed: int = 0


def find_names(
    dataset: Dataset, truth: Path, config: NamingConfig = NamingConfig()
) -> list[str | None]:
    """The person of each tracklet, row by row, such as `scen1/12`; None for no person, or not one
    alone.

    Args:
        truth: as `score.score_against` takes it.

    Errors: LpwError for truth that does not fit.
    """
    names: list[str | None] = [None] * dataset.tracklets.num_rows
    scenes = [
        scene or camera
        for scene, camera in zip(
            *(dataset.tracklets[c].to_pylist() for c in ("scene_id", "camera_id")), strict=True
        )
    ]
    for _, tracks, rows in read_pairs(dataset.root, truth):
        for found in score_each(tracks, rows):
            if found.accepted and found.purity >= config.min_purity_frac:
                names[found.track] = f"{scenes[found.track]}/{found.person}"
    return names


def name_by_truth(
    source: Path, truth: Path, out: Path, config: NamingConfig = NamingConfig()
) -> Dataset:
    """Makes a dataset with names and one split: half of the persons train, the others are
    queries and gallery.

    The same call again resumes, or finds it complete. In the test each person that two or
    more cameras have seen has one query in each, and all tracklets of these persons are the
    gallery. What has no name stays, outside the split.

    Errors: LpwError for truth that does not fit, fewer than four persons whom two cameras have
    seen, or an `out` that holds other things.
    """
    dataset = open_dataset(source)
    place = TRACKLETS.get_field_index("person_id")
    tracklets = dataset.tracklets.set_column(
        place, TRACKLETS.field(place), pa.array(find_names(dataset, truth, config), pa.string())
    )
    halves = _draw_split(tracklets, config.seed, dataset.name)
    facts = _describe(dataset, config, halves, tracklets)
    with Workspace(out) as work:
        work.hold_plan(facts)
        if work.is_complete:
            return open_dataset(out)
        _copy_images(dataset, out / facts["images_root"])
        write_table(out / "frames.parquet", dataset.frames, FRAMES, group_by="tracklet_id")
        write_table(out / "tracklets.parquet", tracklets, TRACKLETS)
        people = read_people(tracklets, [], dataset.name)
        subsets = assign_subsets(people, halves, _NO_OTHERS, CROSS)
        write_table(
            out / "splits.parquet", make_split_table(tracklets, [subsets], facts["splits"]), SPLITS
        )
        return close_dataset(out, facts)


def _list_cameras(tracklets: pa.Table) -> dict[str, set[str]]:
    """The cameras that have seen each person."""
    cameras: dict[str, set[str]] = {}
    for person, camera in zip(
        *(tracklets[c].to_pylist() for c in ("person_id", "camera_id")), strict=True
    ):
        if person is not None:
            cameras.setdefault(person, set()).add(camera)
    return cameras


def _draw_split(tracklets: pa.Table, seed: int, name: str) -> Halves:
    """Halves of those whom two cameras have seen; the others train."""
    cameras = _list_cameras(tracklets)
    crossing = [person for person, seen in cameras.items() if len(seen) > 1]
    if len(crossing) < _N_FEWEST:
        got = f"{len(crossing)} persons in two cameras or more"
        raise LpwError(
            f"{name}, named by truth", got, f"{_N_FEWEST} or more", "take a longer or larger street"
        )
    drawn = draw_halves(crossing, np.random.default_rng(seed), n_splits=1)[0]
    return Halves(tuple(sorted({*drawn.train, *(cameras.keys() - set(crossing))})), drawn.test)


def _copy_images(dataset: Dataset, folder: Path) -> None:
    """Copies images under the paths they have, each checked against its SHA-256."""
    images = open_images(dataset)
    for parent in dict.fromkeys(Path(images.name(row)).parent for row in range(len(images))):
        make_folder(folder / parent)

    def copy(row: int) -> None:
        write_file(folder / images.name(row), images.read(row))

    with show_progress("name", len(images), "images") as progress:
        for _ in prefetch(copy, range(len(images))):
            progress.advance()
    sync_all()


def _describe(
    dataset: Dataset, config: NamingConfig, halves: Halves, tracklets: pa.Table
) -> dict[str, Any]:
    """The facts for dataset.json."""
    manifest, n_nameless = dataset.manifest, tracklets["person_id"].null_count
    own = {
        "min_purity_frac": config.min_purity_frac,
        "split_seed": config.seed,
        "n_nameless": n_nameless,
    }
    return {
        "name": f"{dataset.name}-named",
        "parent": {"name": dataset.name, "digest": str(manifest["digest"])},
        "licence": manifest.get("licence"),
        "consent": manifest.get("consent"),
        "images_root": "." if dataset.is_in_place else str(manifest.get("images_root", ".")),
        "splits": {
            "source": _SOURCE,
            "digest": digest_halves([halves]),
            "drawn": True,
            "n_splits": 1,
            "note": _NOTE,
        },
        "settings": {**manifest.get("settings", {}), "name_by_truth": own},
        "sources": manifest.get("sources", []),
    }
