"""Relevance: the correct gallery items of each query, and those it must ignore."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.labels import JUNK, PERSON, Ints, Labels
from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.errors import LpwError


@dataclass(frozen=True)
class Ragged:
    """Q lists of gallery columns: list q is `columns[starts[q] : starts[q + 1]]`, ascending and
    without doubles.

    Attributes:
        starts: (Q + 1,).
        columns: (n,).
    """

    starts: Ints
    columns: Ints

    def __getitem__(self, query: int) -> Ints:
        return self.columns[self.starts[query] : self.starts[query + 1]]

    @cached_property
    def counts(self) -> Ints:
        """Length of each list (Q,)."""
        return np.diff(self.starts)

    @cached_property
    def owners(self) -> Ints:
        """Query of each column (n,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


@dataclass(frozen=True)
class Relevance:
    """What a protocol says about Q queries and G gallery items; everything unnamed is a wrong
    answer.

    Attributes:
        good: right answers of each query.
        ignored: what this query must not see (neither a hit nor a miss); never also good.
        hidden: (G,) what no query sees; such a column may be in no list.
    """

    good: Ragged
    ignored: Ragged
    hidden: NDArray[np.bool_]

    @property
    def n_query(self) -> int:
        """Number of queries."""
        return len(self.good.counts)

    @property
    def n_gallery(self) -> int:
        """Number of gallery items, hidden ones among them."""
        return len(self.hidden)

    @property
    def unmatched(self) -> Ints:
        """Queries (n,) without any right answer."""
        return np.flatnonzero(self.good.counts == 0)


def judge_labels(
    query: Labels,
    gallery: Labels,
    *,
    same_camera: bool = False,
    within_camera: bool = False,
    hide_junk: bool = True,
) -> Relevance:
    """The field's rule: right is the same person; the same person by the query's own camera is not
    seen.

    Args:
        same_camera: True lets answers of the query's own camera count.
        within_camera: True turns the rule round: right is the same person by the query's own
            camera, at least labels.MIN_GAP_S apart in time; all else of the person is not seen.
        hide_junk: whether tracklets of kind junk are invisible; otherwise they are wrong answers,
            as distractors are.

    Errors: LpwError with `within_camera` for labels without times.
    """
    order = np.argsort(
        gallery.person, kind="stable"
    )  # stable: the columns of one person stay ascending
    known = gallery.person[order]
    first = np.searchsorted(known, query.person, "left")
    counts = np.where(query.person < 0, 0, np.searchsorted(known, query.person, "right") - first)
    owner = np.repeat(np.arange(len(query)), counts)
    columns = order[np.repeat(first, counts) + ragged_arange(counts)]
    visible = gallery.kind[columns] == PERSON
    apart = np.full(len(columns), same_camera) | (gallery.camera[columns] != query.camera[owner])
    if within_camera:
        if query.times is None or gallery.times is None:
            raise LpwError(
                "labels", "no times", "the times of tracklets", "evaluate a dataset, not arrays"
            )
        apart = ~apart & query.times.are_apart(owner, gallery.times, columns)
    hidden = (gallery.kind == JUNK) if hide_junk else np.zeros(len(gallery), dtype=bool)
    good, ignored = visible & apart, visible & ~apart
    return Relevance(
        _collect(owner[good], columns[good], len(query)),
        _collect(owner[ignored], columns[ignored], len(query)),
        hidden,
    )


def _collect(owner: Ints, columns: Ints, n_query: int) -> Ragged:
    """Lists from columns that stand in the order of their queries, ascending in each."""
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n_query))]).astype(
        np.int64
    )
    return Ragged(starts, columns.astype(np.int64))
