"""Who is a query and who is in the gallery: across cameras, or within one camera."""

from typing import Literal

import numpy as np

from lpw_toolkit.dataset.labels import MIN_GAP_S, PERSON, Ints, Labels

Rule = Literal["cross_camera", "within_camera"]
#: The rules of one's own data, by the names of their protocols.
CROSS: Rule = "cross_camera"
WITHIN: Rule = "within_camera"
RULES: tuple[Rule, ...] = (CROSS, WITHIN)
#: What a person must have to be a query, in words.
NEEDS = {
    CROSS: "seen by two cameras or more",
    WITHIN: f"seen twice by one camera, {MIN_GAP_S:g} s or more apart",
}


def find_queries(labels: Labels, rows: Ints, rule: Rule) -> Ints:
    """Of the tracklets `rows` the first of each person in each camera that has a right answer among
    them: rows (n,), ascending.

    Cross-camera: of persons that two cameras saw, the first tracklet in each. Within a camera: the
    first tracklet that another one of that person and camera is labels.MIN_GAP_S apart from.

    Args:
        labels: of all tracklets, with times where the rule is within a camera.
    """
    named = rows[(labels.kind[rows] == PERSON) & (labels.person[rows] >= 0)]
    if rule == WITHIN:
        named = named[_have_partner(labels, named)]
    pairs = np.stack([labels.person[named], labels.camera[named]], axis=1)
    distinct, first = np.unique(pairs.reshape(-1, 2), axis=0, return_index=True)
    if rule == CROSS:
        n_cameras = np.bincount(distinct[:, 0])
        first = first[n_cameras[distinct[:, 0]] >= 2]
    return np.asarray(np.sort(named[first]), dtype=np.int64)


def _have_partner(labels: Labels, named: Ints) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether each of these tracklets has another one of its person and camera that is apart from
    it in time."""
    found = np.zeros(len(named), dtype=bool)
    if labels.times is None:
        return found
    order = np.lexsort((labels.camera[named], labels.person[named]))
    keys = np.stack([labels.person[named][order], labels.camera[named][order]], axis=1)
    borders = np.flatnonzero((keys[1:] != keys[:-1]).any(axis=1)) + 1
    for group in np.split(order, borders):
        one, two = (named[i].ravel() for i in np.meshgrid(group, group, indexing="ij"))
        apart = labels.times.are_apart(one, labels.times, two)
        found[group] = apart.reshape(len(group), -1).any(axis=1)
    return found


def choose_rule(labels: Labels) -> tuple[Rule, str] | None:
    """The rule by which persons of a dataset can be tested, and why; None where neither can.

    Across cameras where two cameras saw a person, otherwise within a camera.
    """
    rows = np.arange(len(labels))
    for rule in RULES:
        n = len(np.unique(labels.person[find_queries(labels, rows, rule)]))
        if n:
            n_cameras = len(np.unique(labels.camera))
            if rule == CROSS:
                why = f"persons {NEEDS[CROSS]}: {n:,}"
            elif n_cameras == 1:
                why = f"the dataset has one camera; persons {NEEDS[WITHIN]}: {n:,}"
            else:
                why = f"no person is {NEEDS[CROSS]}; persons {NEEDS[WITHIN]}: {n:,}"
            return rule, why
    return None
