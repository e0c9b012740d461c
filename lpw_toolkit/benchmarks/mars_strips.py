"""Strips of MARS: a few images of each query tracklet, such as
`query/0718/C2T0008/0718C2T0008S1.jpg`, under the names that the tracklets have in MARS."""

import re
from typing import Any

from lpw_toolkit.benchmarks.mars_info import KEY_LENGTH, kept_queries
from lpw_toolkit.benchmarks.raw_tree import is_litter, list_differences, pick_images, survey
from lpw_toolkit.benchmarks.reader import RawDataset, RawTracklet, Tree
from lpw_toolkit.errors import join_names
from lpw_toolkit.splits.splits import NO_SPLIT

LAYOUT = "query/0001/C1T0001/0001C1T0001S1.jpg"
_FOLDER = r"query/([0-9]{4})/(C[1-6]T[0-9]{4})"
_IMAGE = r"{key}S([0-9]+)\.jpg"
#: What has more in front of it, such as the folder of an archive, is found too.
_PATH = re.compile(rf"(?:.*/)?{_FOLDER}/\1\2S[0-9]+\.jpg", re.DOTALL)
#: What is read, and what is not known of it.
NOTE = (
    "strips of query tracklets: positions 1, 2, … in time; which frames of MARS they are is unknown"
)


def are_strips(names: list[str]) -> bool:
    """Whether paths are those of strips, and not of MARS as it is released.

    >>> are_strips(["mars/query/0718/C2T0008/0718C2T0008S1.jpg"])
    True
    """
    is_released = any(re.search(r"(^|/)bbox_(train|test)/", name) for name in names)
    return not is_released and any(_PATH.fullmatch(name) for name in names)


def read_strips(tree: Tree, counts: dict[str, Any]) -> RawDataset:
    """Tracklets `test/0718/C2T0008` of persons `0718` by cameras `C2`, without splits.

    Args:
        counts: the published ones of MARS.

    A tracklet whose person and camera have no official query is a mismatch, as is their number.
    Errors: LpwError where no folder fits.
    """
    found = survey(tree, _FOLDER, LAYOUT)
    reading = RawDataset([], None, notes=[NOTE, NO_SPLIT])
    reading.extras += [name for name in found.others if not is_litter(name)]
    published = kept_queries()
    known = {(p, int(c)) for p, c in zip(published["person"], published["camera"], strict=True)}
    strange = []
    for folder in found.folders:
        person, track = folder.parts
        key = person + track
        images = pick_images(folder, re.compile(_IMAGE.format(key=key)), reading.extras)
        if not images or len(key) != KEY_LENGTH:
            continue
        paths, camera = tuple(images.values()), int(track[1])
        reading.tracklets.append(
            RawTracklet(f"test/{person}/{track}", None, f"C{camera}", person, "person", paths)
        )
        strange += [key] if (person, camera) not in known else []
    n_query = counts["query"]["n_tracklets"]
    reading.mismatches += list_differences([("queries", len(reading.tracklets), n_query)])
    if strange:
        line = f"{len(strange)} tracklets are no official queries: {join_names(strange)}"
        reading.mismatches.append(line)
    return reading
