"""Helpers that readers share: where the layout begins, which files belong to it, and notes on
differences."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lpw_toolkit.benchmarks.reader import RawTracklet, ReadOptions, Tree
from lpw_toolkit.dataset.image_format import read_image_header
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.splits.splits import Halves

#: What operating systems leave behind; nobody misses it.
_LITTER_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini", ".directory"}
_LITTER_FOLDERS = {"__MACOSX", ".Spotlight-V100", ".Trashes", "@eaDir", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class RawFolder:
    """A folder of images.

    Attributes:
        path: in the tree.
        parts: the groups of the layout's pattern.
        files: names of the files in it, in any order.
    """

    path: str
    parts: tuple[str, ...]
    files: list[str]


@dataclass(frozen=True)
class Survey:
    """The folders of a tree that fit a layout, and the files that lie elsewhere.

    Attributes:
        root: where the layout begins: empty, or a path that ends in a slash.
        folders: in natural order of their paths.
        others: paths of all other files but litter, in natural order.
    """

    root: str
    folders: list[RawFolder]
    others: list[str]


def survey(tree: Tree, pattern: str, layout: str) -> Survey:
    """Finds the folders that fit `pattern` below whatever folders an archive put around them.

    Args:
        pattern: regular expression of a folder's path below the root of the layout.
        layout: what messages show of it; it ends with the suffix of the images, of which a folder
            must have one.

    Errors: LpwError when no folder fits, or when two roots beside each other have some that do. Of
    nested roots the
        outer one counts, so that a copy inside does not.
    """
    anchored = re.compile(rf"(?P<root>(?:.*/)?)(?:{pattern})", re.DOTALL)
    suffix = PurePosixPath(layout).suffix
    found: dict[str, list[RawFolder]] = defaultdict(list)
    others: list[str] = []
    for path, files in _group_files(tree.names).items():
        match = anchored.fullmatch(path)
        if match is None or not any(
            f.endswith(suffix) and not is_litter(f"{path}/{f}") for f in files
        ):
            others += [f"{path}/{file}" if path else file for file in files]
        else:
            found[match["root"]].append(RawFolder(path, match.groups()[1:], files))
    root = _choose_root(tree, list(found), layout)
    others += [
        f"{folder.path}/{file}"
        for r in found
        if r != root
        for folder in found[r]
        for file in folder.files
    ]
    folders = sorted(found[root], key=lambda folder: natural_key(folder.path))
    return Survey(root, folders, sorted((n for n in others if not is_litter(n)), key=natural_key))


def _group_files(names: Iterable[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, _, file = name.rpartition("/")
        files[folder].append(file)
    return files


def _choose_root(tree: Tree, roots: list[str], layout: str) -> str:
    if not roots:
        got = f"{len(tree.names)} files and no such folder" if tree.names else "no file at all"
        raise LpwError(tree.name, got, layout, "point at the folder or archive that holds it")
    depth = min(root.count("/") for root in roots)
    outer = sorted(root for root in roots if root.count("/") == depth)
    if len(outer) > 1:
        got = f"{len(outer)} such trees ({', '.join(outer[:3])})"
        raise LpwError(tree.name, got, layout, "point at one of them")
    return outer[0]


def is_litter(name: str) -> bool:
    """Whether an operating system made the file at `name`."""
    *folders, file = name.split("/")
    return file in _LITTER_NAMES or file.startswith("._") or not _LITTER_FOLDERS.isdisjoint(folders)


def pick_images(folder: RawFolder, pattern: re.Pattern[str], extras: list[str]) -> dict[int, str]:
    """The images of `folder` by their numbers, ascending; everything else but litter is added to
    `extras`.

    Args:
        pattern: of a file's name; its last group is the number. A number that came before is extra
            too.
    """
    images: dict[int, str] = {}
    for file in sorted(folder.files):
        match = pattern.fullmatch(file)
        number = int(match[match.lastindex or 0]) if match else -1
        if match is None or number in images:
            if not is_litter(f"{folder.path}/{file}"):
                extras.append(f"{folder.path}/{file}")
        else:
            images[number] = f"{folder.path}/{file}"
    return dict(sorted(images.items()))


def drop_known(others: Iterable[str], pattern: str) -> tuple[list[str], int]:
    """The paths of `others` in which `pattern` is not found, and the number of the rest."""
    names, known = list(others), re.compile(pattern)
    unknown = [name for name in names if not known.search(name)]
    return unknown, len(names) - len(unknown)


def list_differences(counts: Iterable[tuple[str, int, int]]) -> list[str]:
    """One line for each (what is counted, found, published) whose numbers differ."""
    return [
        f"{what}: {found:,} where {said:,} are published"
        for what, found, said in counts
        if found != said
    ]


def list_odd_names(what: str, found: Collection[str], published: Collection[str]) -> list[str]:
    """At most one line: how many names were found where others are published, which are missing,
    which too many."""
    missing, further = sorted(set(published) - set(found)), sorted(set(found) - set(published))
    parts = [f"{what}: {len(found):,} where {len(published):,} are published"]
    parts += [f"missing {join_names(missing)}"] if missing else []
    parts += [f"not published {join_names(further)}"] if further else []
    return ["; ".join(parts)] if missing or further else []


def describe_part(title: str, counts: Iterable[tuple[str, int, int]]) -> str | None:
    """What a result on a part of a dataset must say, from (what, found, published); None for the
    whole of it."""
    parts = [f"{found:,} of {said:,} {what}" for what, found, said in counts if found != said]
    return f"not the published {title}: {', '.join(parts)}" if parts else None


def describe_size(tree: Tree, image: str, size: tuple[int, int] | None) -> list[str]:
    """A note when `image` has another height and width than `size`; one image is looked at,
    importers see to all."""
    try:
        header = read_image_header(tree.read(image))
    except LpwError:
        header = None
    if header is None:
        return []  # whoever reads all images names this one
    if size is None or size == (header.height, header.width):
        return []
    return [
        (
            f"images are {header.height} x {header.width} pixels ({image}) where {size[0]} x "
            f"{size[1]} "
            f"are published"
        )
    ]


def refuse_options(
    options: ReadOptions, title: str, *, variant: bool = False, seed: bool = False
) -> None:
    """Errors: LpwError for an option that this dataset does not have."""
    if options.variant is not None and not variant:
        raise LpwError(
            "option --variant", options.variant, f"none: {title} has one form", "leave it out"
        )
    if options.split_seed is not None and not seed:
        got, expected = str(options.split_seed), f"none: {title} has one published split"
        raise LpwError("option --split-seed", got, expected, "leave it out")


def list_subsets(
    tracklets: Iterable[RawTracklet],
    splits: Sequence[Halves],
    query_camera: str,
    gallery_camera: str,
) -> list[dict[str, list[str]]]:
    """Tracklet ids of train, query and gallery for each split, in the order of `tracklets`.

    Args:
        query_camera: where the tested persons ask.
        gallery_camera: where they are looked for; those who train do so in every camera.
    """
    rows = [(t.tracklet_id, t.person_id, t.camera_id) for t in tracklets]
    subsets = []
    for split in splits:
        train, test = set(split.train), set(split.test)
        subsets.append(
            {
                "train": [name for name, person, _ in rows if person in train],
                "query": [
                    name
                    for name, person, camera in rows
                    if person in test and camera == query_camera
                ],
                "gallery": [
                    name
                    for name, person, camera in rows
                    if person in test and camera == gallery_camera
                ],
            }
        )
    return subsets
