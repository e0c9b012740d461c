"""Which images of a folder are the frames of a sequence, by their names alone.

000001.jpg …                   the number is the frame, from 1 (or 0): MOT Challenge
frame_000000.PNG …             the digits that change last: CVAT, ffmpeg
camA_0001.jpg, camB_0001.jpg   one sequence for each of what stands before them
20240101_120000_001.jpg …      a clock and a counter: counted in natural order from 0
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from lpw_toolkit.dataset.frame_format import SUFFIXES
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.video.source_names import printable

#: Where MOT Challenge keeps the images of a sequence.
IMAGE_FOLDER = "img1"
#: Images that cannot be read here: named where they lie beside those that can.
OTHER_IMAGES = (
    *(".heic", ".heif", ".avif", ".jp2", ".jxl", ".gif", ".tga", ".exr", ".ppm", ".pgm"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".jfif"),
)
_DIGITS = re.compile(r"([0-9]+)")
_DATE = re.compile(r"(?:19|20)\d\d[-_. ]?[01]\d[-_. ]?[0-3]\d")
_CLOCK_DIGITS = 6  # 120000 is a time of day; sequences and cameras have shorter numbers
_MAX_DIGITS = 9
_MAX_FIRST = 1_000_000  # ten hours of video; a larger number is a date or a clock
_MAX_STEP = 2  # numbers that leave out more than every other frame count something else
_N_SHOWN = 3


@dataclass(frozen=True)
class ImageSequence:
    """The images of one sequence.

    Args:
        name: what tells it from others in the folder; empty for the only one.
        images: frame index to file name, in order.
        notes: what is to be said of the names.
        fault: two names for one frame; None where there are none.
    """

    name: str
    images: dict[int, str]
    notes: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True)
class FolderImages:
    """What a folder holds.

    Args:
        sequences: in natural order of their names.
        refused: images that belong to no sequence, with the reason.
        others: images in formats that are not read.
    """

    sequences: tuple[ImageSequence, ...]
    refused: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


def group_images(names: Iterable[str]) -> FolderImages:
    """The sequences among the files of one folder.

    >>> found = group_images(["frame_000.PNG", "frame_001.PNG", "cover.png", "notes.txt"])
    >>> found.sequences[0].images
    {0: 'frame_000.PNG', 1: 'frame_001.PNG'}
    >>> found.refused
    (('cover.png', 'has no number for a name'),)
    """
    shown = sorted((name for name in names if not name.startswith(".")), key=natural_key)
    images = [name for name in shown if _suffix(name) in SUFFIXES]
    others = tuple(name for name in shown if _suffix(name) in OTHER_IMAGES)
    plain = [n for n in images if _stem(n).isdecimal() and len(_stem(n)) <= _MAX_DIGITS]
    if plain:
        taken = set(plain)
        refused = [(n, "has no number for a name") for n in images if n not in taken]
        numbers = [(int(_stem(name)), name) for name in plain]
        return FolderImages((_number("", numbers, gaps=True),), tuple(refused), others)
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in images:
        groups.setdefault(tuple(_DIGITS.split(_stem(name))[::2]), []).append(name)
    refused = [(n, "has no number for a name") for n in groups.pop(("",), [])]
    refused += [
        (name, "has no number for a name")
        for texts in [texts for texts in groups if len(texts) == 1]
        for name in groups.pop(texts)
    ]
    if any(len(group) > 1 for group in groups.values()):
        alone = [texts for texts, group in groups.items() if len(group) == 1]
        refused += [(groups.pop(texts)[0], "is the only one of its name") for texts in alone]
    found = [sequence for group in groups.values() for sequence in _split(group)]
    return FolderImages(tuple(_name_apart(found)), tuple(refused), others)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _split(names: list[str]) -> list[ImageSequence]:
    """The sequences among names that differ in their digits only."""
    runs = {name: _DIGITS.split(_stem(name))[1::2] for name in names}
    n_runs = len(runs[names[0]])
    changing = [i for i in range(n_runs) if len({digits[i] for digits in runs.values()}) > 1]
    counter = changing[-1] if changing else n_runs - 1
    by_rest: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for name, digits in runs.items():
        rest = (*digits[:counter], *digits[counter + 1 :])
        by_rest.setdefault(rest, []).append((_read_number(digits[counter]), name))
    is_clock = any(len(runs[names[0]][i]) >= _CLOCK_DIGITS for i in changing[:-1])
    is_clock |= len(changing) > 1 and _DATE.search(_stem(names[0])) is not None
    if len(by_rest) > 1 and (is_clock or 2 * len(by_rest) > len(names)):
        note = "several numbers change in the names: the frames are counted from 0 in their order"
        ordered = sorted(names, key=natural_key)
        return [ImageSequence(_lead(names[0], 0), dict(enumerate(ordered)), (note,))]
    return [
        _number(_lead(numbers[0][1], counter), numbers, gaps=False) for numbers in by_rest.values()
    ]


def _read_number(digits: str) -> int:
    return int(digits) if len(digits) <= 2 * _MAX_DIGITS else _MAX_FIRST**3


def _lead(name: str, counter: int) -> str:
    """What stands before the digits that count."""
    return "".join(_DIGITS.split(_stem(name))[: 2 * counter + 1]).strip(" _-.")


def _number(name: str, numbered: list[tuple[int, str]], *, gaps: bool) -> ImageSequence:
    """Counts frames by the numbers in the names.

    Args:
        gaps: whether numbers that are missing are frames that are lost, however many.
    """
    numbered.sort(key=lambda pair: (pair[0], natural_key(pair[1])))
    first, last = numbered[0][0], numbered[-1][0]
    if first > _MAX_FIRST or not (gaps or last - first < _MAX_STEP * len(numbered)):
        note = (
            f"{len(numbered)} images with the numbers {first} to {last}, which count no frames: "
            f"the frames are counted from 0, in this order"
        )
        return ImageSequence(name, {i: file for i, (_, file) in enumerate(numbered)}, (note,))
    base = 0 if first == 0 else 1
    images: dict[int, str] = {}
    for number, file in numbered:
        if number - base in images:
            fault = f"{printable(images[number - base])} and {printable(file)}, one number"
            return ImageSequence(name, {}, (), fault)
        images[number - base] = file
    return ImageSequence(name, images)


def _name_apart(found: list[ImageSequence]) -> list[ImageSequence]:
    """Sequences with names that differ; the only one of a folder needs none."""
    if len(found) == 1:
        only = found[0]
        return [ImageSequence("", only.images, only.notes, only.fault)]
    named, taken = [], set[str]()
    for sequence in sorted(found, key=lambda s: natural_key(s.name)):
        name, number = sequence.name or "images", 2
        while name in taken:
            name, number = f"{sequence.name or 'images'}-{number}", number + 1
        taken.add(name)
        named.append(ImageSequence(name, sequence.images, sequence.notes, sequence.fault))
    return named


def describe_left_out(found: FolderImages) -> list[str]:
    """One line for each image that belongs to no sequence, and one for those of other formats."""
    lines = [f"{printable(name)} {reason} and is left out" for name, reason in found.refused]
    if found.others:
        first = ", ".join(printable(name) for name in found.others[:_N_SHOWN])
        lines.append(
            f"{len(found.others)} images in formats that are not read are left out ({first})"
        )
    return lines


def describe_files(names: Iterable[str]) -> str:
    """Suffixes and first names of files that are of no use, in brackets; nothing where there are
    none."""
    shown = [name for name in names if not name.startswith(".")]
    if not shown:
        return ""
    counts = Counter(_suffix(name) or "no suffix" for name in shown).most_common(5)
    kinds = ", ".join(f"{n} {printable(suffix)}" for suffix, n in counts)
    return f" (found {kinds}: {', '.join(printable(name) for name in shown[:_N_SHOWN])})"
