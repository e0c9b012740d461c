"""PRID 2011, multi-shot: two cameras, the 178 persons with 27 images or more in both, ten common
splits."""

import re

import numpy as np

from lpw_toolkit.benchmarks.raw_tree import (
    describe_part,
    describe_size,
    drop_known,
    list_differences,
    list_odd_names,
    list_subsets,
    pick_images,
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
from lpw_toolkit.errors import LpwError, join_names, unknown_name
from lpw_toolkit.splits.splits import (
    DEFAULT_SEED,
    NO_SPLIT,
    Halves,
    are_usable,
    check_halves,
    digest_facts,
    digest_halves,
    draw_halves,
    read_published,
    restrict_halves,
)

FACTS = read_facts("prid2011")
LAYOUT = "prid_2011/multi_shot/{cam_a,cam_b}/person_0001/0001.png"
QUERY_CAMERA, GALLERY_CAMERA = CAMERAS = ("cam_a", "cam_b")
VARIANTS = ("178", "200")
_FOLDER = r"multi_shot/(cam_[ab])/(person_[0-9]{4})"
_IMAGE = re.compile(r"([0-9]{4})\.png")
_KNOWN = (
    r"(^|/)single_shot/cam_[ab]/person_[0-9]{4}\.png$|(^|/)readme\.txt$|(^|/)splits_prid2011\.json$"
)

Images = dict[tuple[str, str], tuple[str, ...]]


def read(tree: Tree, options: ReadOptions) -> RawDataset:
    """Tracklets `cam_a/person_0001` and ten splits.

    Variant `178`, the default: of persons 1 to 200 those with 27 images or more in both cameras,
    and the published splits. Variant `200`: all of them, and splits drawn with the seed (0 when
    none is given), for there are no published ones. Persons beyond 200 are seen by one camera and
    left out, as are single shots.

    Errors: LpwError when a camera is missing or the variant is unknown.
    Source:
        liuyuisanai/Quality-Aware-Network:generate_data/generate_prid2011_data.m:17-43 (27 images);
        niallmcl/Recurrent-Convolutional-Video-ReID (200 persons)
    """
    variant = options.variant or VARIANTS[0]
    if variant not in VARIANTS:
        raise unknown_name("option --variant", variant, VARIANTS)
    found = survey(tree, _FOLDER, LAYOUT)
    extras, n_single = drop_known(found.others, _KNOWN)
    reading = RawDataset([], None, extras=extras)
    images: Images = {}
    for folder in found.folders:
        camera, person = folder.parts
        numbered = pick_images(folder, _IMAGE, reading.extras)
        if numbered:
            images[camera, person] = tuple(numbered.values())
    for camera in CAMERAS:
        if not any(seen == camera for seen, _ in images):
            raise LpwError(
                tree.name, f"no image in multi_shot/{camera}", LAYOUT, "fetch the dataset again"
            )
    persons = _choose_persons(images, variant, reading)
    if not persons:
        got = "no person with enough images in both cameras"
        raise LpwError(tree.name, got, f"{variant} persons", "fetch the dataset again")
    reading.tracklets = [
        RawTracklet(f"{camera}/{person}", None, camera, person, "person", images[camera, person])
        for camera in CAMERAS
        for person in persons
    ]
    reading.splits = _split(reading, persons, variant, options.split_seed)
    reading.notes += [] if reading.splits else [NO_SPLIT]
    reading.notes += describe_size(tree, reading.tracklets[0].images[0], FACTS.image_size)
    reading.notes += [f"{n_single} files of single_shot and texts are left out"] if n_single else []
    return reading


def _choose_persons(images: Images, variant: str, reading: RawDataset) -> list[str]:
    """The persons of `variant`; what is left out goes to the notes, what should not have been to
    the mismatches."""
    counts = FACTS.counts
    for camera, n_persons in counts["n_persons_by_camera"].items():
        seen, published = (
            [p for c, p in images if c == camera],
            [_name(n) for n in range(1, n_persons + 1)],
        )
        reading.mismatches += list_odd_names(f"multi_shot/{camera}, persons", seen, published)
    shared = {_name(number) for number in range(1, counts["n_persons_in_both"] + 1)}
    beyond = sorted({person for _, person in images} - shared)
    if beyond:
        reading.notes.append(
            f"{len(beyond)} persons beyond {len(shared)} are seen by one camera and left out"
        )
    both = sorted(p for p in shared if all((camera, p) in images for camera in CAMERAS))
    if variant == "200":
        return both
    long = [
        p for p in both if min(len(images[camera, p]) for camera in CAMERAS) >= counts["min_images"]
    ]
    short = sorted(set(both) - set(long))
    if short:
        reading.notes.append(
            f"{len(short)} persons with fewer than {counts['min_images']} images are left out: "
        )
        reading.notes[-1] += ", ".join(short)
    reading.mismatches += _compare(long, images)
    return long


def _compare(long: list[str], images: Images) -> list[str]:
    """The rule of 27 images and the published splits must choose the same persons."""
    published = {person for half in _read_halves()[:1] for person in (*half.train, *half.test)}

    def count(person: str) -> str:
        counts = [str(len(images.get((camera, person), ()))) for camera in CAMERAS]
        return f"{person} ({' and '.join(counts)} images)"

    lines = list_differences(
        [("persons with enough images in both cameras", len(long), len(published))]
    )
    missing, further = sorted(published - set(long)), sorted(set(long) - published)
    if missing:
        lines.append(
            f"persons of the published splits that are missing: "
            f"{join_names([count(p) for p in missing])}"
        )
    if further:
        lines.append(
            f"persons that no published split has: {join_names([count(p) for p in further])}"
        )
    return lines


def _name(number: int) -> str:
    return f"person_{number:04d}"


def _read_halves() -> list[Halves]:
    facts = read_published("prid2011")
    everyone = [_name(n) for n in range(1, facts["n_candidates"] + 1) if n not in facts["excluded"]]
    splits = []
    for numbers in facts["train"]:
        train = [_name(n) for n in numbers]
        splits.append(Halves(tuple(train), tuple(p for p in everyone if p not in train)))
    check_halves(splits, everyone, "manifests/prid2011/splits.json")
    return splits


def _split(
    reading: RawDataset, persons: list[str], variant: str, seed: int | None
) -> Splits | None:
    said = FACTS.counts["variants"][variant]
    note = describe_part(FACTS.title, [("persons", len(persons), said["n_persons"])])
    if variant == VARIANTS[0] and seed is None:
        halves = restrict_halves(_read_halves(), persons)
        digest, source, drawn = (
            digest_facts(read_published("prid2011")),
            "manifests/prid2011/splits.json",
            False,
        )
    else:
        seed = DEFAULT_SEED if seed is None else seed
        if len(persons) < 2:
            return None
        halves = draw_halves(persons, np.random.default_rng(seed))
        digest, source, drawn = digest_halves(halves), f"drawn with seed {seed}", True
        reading.notes.append(f"splits drawn with seed {seed}: digest {digest}")
    subsets = list_subsets(reading.tracklets, halves, QUERY_CAMERA, GALLERY_CAMERA)
    return Splits(source, digest, drawn, subsets, note) if are_usable(subsets) else None
