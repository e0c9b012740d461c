"""Right answers and what is not seen, against a loop over all pairs."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.labels import DISTRACTOR, JUNK, PERSON, Labels, read_labels
from lpw_toolkit.evaluation.relevance import Ragged, judge_labels


def label(rows: list[tuple[int, int, int]]) -> Labels:
    """(person, camera, kind) of each tracklet."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Labels(table[:, 0], table[:, 1], table[:, 2])


def judge_slowly(
    query: Labels, gallery: Labels, *, same_camera: bool, hide_junk: bool
) -> tuple[Any, Any, list[bool]]:
    good: list[list[int]] = [[] for _ in range(len(query))]
    ignored: list[list[int]] = [[] for _ in range(len(query))]
    for q in range(len(query)):
        for g in range(len(gallery)):
            same = (
                query.person[q] >= 0
                and query.person[q] == gallery.person[g]
                and gallery.kind[g] == PERSON
            )
            if same:
                apart = same_camera or query.camera[q] != gallery.camera[g]
                (good if apart else ignored)[q].append(g)
    return good, ignored, [hide_junk and kind == JUNK for kind in gallery.kind]


def as_lists(lists: Ragged) -> list[list[int]]:
    return [lists[i].tolist() for i in range(len(lists.counts))]


tracklet = st.tuples(st.integers(-1, 3), st.integers(0, 2), st.integers(0, 2))
tracklets = st.lists(tracklet, max_size=12).map(label)


@given(tracklets, tracklets, st.booleans(), st.booleans())
@settings(deadline=None)
def test_judging_equals_looking_at_every_pair(
    query: Labels, gallery: Labels, same: bool, hide: bool
) -> None:
    found = judge_labels(query, gallery, same_camera=same, hide_junk=hide)
    good, ignored, hidden = judge_slowly(query, gallery, same_camera=same, hide_junk=hide)
    assert as_lists(found.good) == good
    assert as_lists(found.ignored) == ignored
    assert found.hidden.tolist() == hidden


def test_the_fields_rule_by_hand() -> None:
    query = label([(5, 0, PERSON)])
    gallery = label(
        [
            (5, 0, PERSON),
            (5, 1, PERSON),
            (7, 1, PERSON),
            (-1, 1, DISTRACTOR),
            (-1, 0, JUNK),
            (5, 2, JUNK),
            (5, 3, PERSON),
        ]
    )
    found = judge_labels(query, gallery)
    assert as_lists(found.good) == [[1, 6]]
    assert as_lists(found.ignored) == [[0]]
    assert np.flatnonzero(found.hidden).tolist() == [4, 5]
    assert (found.n_query, found.n_gallery, found.unmatched.tolist()) == (1, 7, [])


def test_an_unnamed_query_has_no_right_answer_among_the_unnamed() -> None:
    found = judge_labels(label([(-1, 0, PERSON)]), label([(-1, 1, PERSON), (-1, 0, PERSON)]))
    assert found.unmatched.tolist() == [0]
    assert len(found.ignored.columns) == 0


@pytest.mark.parametrize(("n_query", "n_gallery"), [(0, 3), (3, 0), (0, 0)])
def test_empty_sides(n_query: int, n_gallery: int) -> None:
    found = judge_labels(label([(1, 0, 0)] * n_query), label([(1, 1, 0)] * n_gallery))
    assert (found.n_query, found.n_gallery) == (n_query, n_gallery)
    assert len(found.good.columns) == n_query * n_gallery


def test_owners_name_the_list_of_each_column() -> None:
    lists = Ragged(np.array([0, 2, 2, 3]), np.array([4, 6, 1]))
    assert lists.owners.tolist() == [0, 0, 2]
    assert lists.counts.tolist() == [2, 0, 1]


def test_labels_are_codes_of_the_names() -> None:
    table = pa.table(
        {
            "tracklet_id": ["a", "b", "c", "d"],
            "person_id": ["p", None, "q", "p"],
            "camera_id": ["x", "y", "y", "x"],
            "kind": ["person", "distractor", "junk", "person"],
        }
    )
    labels = read_labels(table)
    assert labels.person.tolist() == [0, -1, 1, 0]
    assert labels.camera.tolist() == [0, 1, 1, 0]
    assert labels.kind.tolist() == [schema.KINDS.index(kind) for kind in table["kind"].to_pylist()]
    assert labels.take(np.array([2, 0])).person.tolist() == [1, 0]
