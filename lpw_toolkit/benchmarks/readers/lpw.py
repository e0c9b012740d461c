"""LPW (Labeled Pedestrian in the Wild): three scenes, eleven cameras, ids per scene."""

import re
from collections import Counter, defaultdict

from lpw_toolkit.benchmarks.raw_tree import (
    describe_part,
    describe_size,
    list_differences,
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
from lpw_toolkit.splits.splits import NO_SPLIT, are_usable, digest_facts, read_published

FACTS = read_facts("lpw")
LAYOUT = "pep_256x128/scen1/view2/ID/FRAME.jpg"
#: The source pads no number; a padded one would be a second name for the same person.
_FOLDER = r"(scen[0-9]+)/(view[0-9]+)/(0|[1-9][0-9]*)"
_IMAGE = re.compile(r"([0-9]{1,9})\.jpg")


def read(tree: Tree, options: ReadOptions) -> RawDataset:
    """Tracklets `scen1/view2/ID` of persons `scen1/ID`, and the published split.

    The same number in another scene is another person; there is one tracklet for each (scene, view,
    id). The folder `pep_256x128` may be missing or lie deeper.

    Errors: LpwError when there is no folder of that layout, or for an option that LPW does not
    have.
    Source: yolomax/person-reid-lib:lib/dataset/lpw.py; http://liuyu.us/dataset/lpw/
    """
    refuse_options(options, FACTS.title)
    found = survey(tree, _FOLDER, LAYOUT)
    reading = RawDataset([], None, extras=list(found.others))
    for folder in found.folders:
        scene, view, number = folder.parts
        camera = f"{scene}/{view}"
        if camera not in FACTS.counts["n_persons_by_camera"]:
            reading.extras += [f"{folder.path}/{file}" for file in sorted(folder.files)]
            continue
        images = pick_images(folder, _IMAGE, reading.extras)
        if images:
            person = f"{scene}/{number}"
            of_tracklet = (f"{camera}/{number}", scene, camera, person, "person")
            reading.tracklets.append(
                RawTracklet(*of_tracklet, tuple(images.values()), tuple(images))
            )
    if not reading.tracklets:
        raise LpwError(
            tree.name, "folders without an image of theirs", LAYOUT, "fetch the dataset again"
        )
    reading.splits = _split(reading.tracklets)
    reading.mismatches = _compare(reading.tracklets)
    reading.notes = describe_size(tree, reading.tracklets[0].images[0], FACTS.image_size)
    reading.notes += [] if reading.splits else [NO_SPLIT]
    return reading


def _split(tracklets: list[RawTracklet]) -> Splits | None:
    facts = read_published("lpw")
    subsets = {
        "train": [t.tracklet_id for t in tracklets if t.scene_id in facts["train_scenes"]],
        "query": [t.tracklet_id for t in tracklets if t.camera_id in facts["query_cameras"]],
        "gallery": [t.tracklet_id for t in tracklets if t.camera_id in facts["gallery_cameras"]],
    }
    if not are_usable([subsets]):
        return None
    counts = [
        ("persons", len({t.person_id for t in tracklets}), FACTS.counts["n_persons"]),
        ("tracklets", len(tracklets), FACTS.counts["n_tracklets"]),
        ("images", sum(len(t.images) for t in tracklets), FACTS.counts["n_images"]),
    ]
    note = describe_part(FACTS.title, counts)
    return Splits("manifests/lpw/splits.json", digest_facts(facts), False, [subsets], note)


def _compare(tracklets: list[RawTracklet]) -> list[str]:
    """Counts by camera (which are tracklets too), then images by subset, then persons in too few
    places."""
    persons = Counter(t.camera_id for t in tracklets)
    published = FACTS.counts["n_persons_by_camera"].items()
    lines = list_differences(
        (f"{camera}, persons", persons[camera], said) for camera, said in published
    )
    images: Counter[str] = Counter()
    for tracklet in tracklets:
        images[tracklet.camera_id] += len(tracklet.images)
    for said in FACTS.counts["subsets"].values():
        cameras = said["cameras"]
        n_images = sum(images[camera] for camera in cameras)
        lines += list_differences([(f"{', '.join(cameras)}, images", n_images, said["n_images"])])
    return lines + _compare_views(tracklets)


def _compare_views(tracklets: list[RawTracklet]) -> list[str]:
    """Every person is seen by two cameras or more, and by the one that sees all of its scene."""
    cameras: dict[str, list[str]] = defaultdict(list)
    for tracklet in tracklets:
        cameras[str(tracklet.person_id)].append(tracklet.camera_id)
    lines = []
    for camera in FACTS.counts["cameras_that_see_all"]:
        scene = camera.partition("/")[0]
        absent = [
            p for p, seen in cameras.items() if p.startswith(f"{scene}/") and camera not in seen
        ]
        if absent:
            lines.append(f"{camera}, which sees all persons of {scene}, lacks {join_names(absent)}")
    single = [
        f"{seen[0]}/{person.partition('/')[2]}" for person, seen in cameras.items() if len(seen) < 2
    ]
    return [*lines, f"persons by one camera only: {join_names(single)}"] if single else lines
