"""The contract of an evaluation protocol: a dataset in, query-gallery splits and their rules
out."""

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.ranking import APForm
from lpw_toolkit.evaluation.relevance import Relevance
from lpw_toolkit.evaluation.summary import Unmatched
from lpw_toolkit.plugins import PluginFolder

PROTOCOLS = PluginFolder("lpw_toolkit.evaluation.protocols", "option --protocol")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ProtocolSpec:
    """What a number must be read with; no two numbers with different rules stand in one table.

    Attributes:
        title: one line for people.
        gallery: what the gallery holds, such as `all test tracklets, queries among them`.
        junk_rule: what a query does not see.
        ap_form: `step`, the mean precision at the hits, or `trapezoid`, the area under straight
            lines between ranks.
        unmatched: what happens to a query without a relevant gallery item: `skip` leaves it out of
            the means (and counts it), `zero` counts it as a miss.
        headline: the metrics that this protocol is known by, such as `cmc@1`, `map`.
        source: where the rule is written.
    """

    title: str
    gallery: str
    junk_rule: str
    ap_form: APForm
    unmatched: Unmatched
    headline: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class QueryGallerySplit:
    """One run of a protocol; rows of the dataset's table of tracklets.

    Attributes:
        split: number of the split, from 0.
        train: rows from which a metric may learn; empty where there are none.
        query: rows (Q,) of the queries.
        gallery: rows (G,) of the gallery; the queries may be among them.
    """

    split: int
    train: Ints
    query: Ints
    gallery: Ints


class EvaluationProtocol(Protocol):
    """What each file of this folder provides."""

    SPEC: ProtocolSpec

    def trials(self, dataset: Dataset) -> list[QueryGallerySplit]:
        """The trials on this dataset, in order of their splits. Errors: LpwError that says what is
        missing."""

    def judge(self, query: Labels, gallery: Labels) -> Relevance:
        """Right answers and what is not seen; usually `relevance.judge_labels` with this protocol's
        rule."""


def list_protocols() -> list[str]:
    """The names of all protocols."""
    return PROTOCOLS.names()


def open_protocol(name: str) -> EvaluationProtocol:
    """The protocol called `name`. Errors: LpwError that lists the names."""
    return cast(EvaluationProtocol, PROTOCOLS.load(name))
