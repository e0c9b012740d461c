"""Validation on persons that are held out of training: drawn by seed, ranked every so often."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.labels import read_timed_labels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.learned_distance import open_distance
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.summary import summarise
from rqen.data.samplers import Pool, hold_out
from rqen.inference.describe import EmbedRequest, describe_tracklets, embed_by_method
from rqen.model.method import NetworkMethod
from rqen.recipe import TrainRecipe

Ints = NDArray[np.int64]
_PURPOSE = 0x76616C  # first number of the seed: nothing else of a run draws from the same source
NOBODY: Ints = np.zeros(0, dtype=np.int64)


@dataclass
class Best:
    """The best weights so far.

    Attributes:
        iteration: after which they were taken; 0 where there are none.
        map, rank1: what they reach, as fractions.
        model: the weights by name.
    """

    iteration: int = 0
    map: float = -1.0
    rank1: float = -1.0
    model: dict[str, Tensor] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All but the weights."""
        return {"iteration": self.iteration, "map": self.map, "rank1": self.rank1}

    def offer(self, iteration: int, figures: dict[str, float], network: Any) -> None:
        """Takes the weights of `network` where they reach more; of equals the first stay."""
        if (figures["val_map"], figures["val_rank1"]) > (self.map, self.rank1):
            self.iteration, self.map, self.rank1 = (
                iteration,
                figures["val_map"],
                figures["val_rank1"],
            )
            self.model = {
                name: value.detach().cpu().clone() for name, value in network.state_dict().items()
            }


def split_pool(index: TrackletIndex, pool: Pool, recipe: TrainRecipe) -> tuple[Pool, Ints]:
    """The pool that trains, and the rows of the tracklets of the persons who are held out (none
    with a share of 0).

    Errors: LpwError where either side has fewer than two persons, or no one held out was seen by
    two cameras, or at two times by one.
    """
    if recipe.validation == 0:
        return pool, NOBODY
    kept, held = hold_out(pool, recipe.validation, np.random.default_rng([_PURPOSE, recipe.seed]))
    if not len(_judge(index, held).good.columns):
        do = "take a larger share, or leave it at 0"
        raise LpwError(
            "train.validation",
            "no held-out person seen by two cameras, or at two times by one",
            "one or more",
            do,
        )
    return kept, held


def _judge(index: TrackletIndex, held: Ints) -> Relevance:
    """Who is found among the held-out tracklets: across cameras, or, where none of the persons was
    seen by two cameras, within a camera at other times."""
    labels = read_timed_labels(index.tracklets, index.dataset.manifest.get("sources", []))
    labels = labels.take(held)
    across = judge_labels(labels, labels)
    return across if len(across.good.columns) else judge_labels(labels, labels, within_camera=True)


def name_persons(index: TrackletIndex, rows: Ints) -> list[str]:
    """The persons of these tracklets, sorted."""
    return sorted(set(index.tracklets["person_id"].take(pa.array(rows, pa.int64())).to_pylist()))


def validate(
    network: Any, index: TrackletIndex, held: Ints, request: EmbedRequest
) -> dict[str, float]:
    """`val_rank1` and `val_map` (fractions): each held-out tracklet is a query, those of other
    cameras are its gallery (`_judge`), compared as the method compares."""
    vectors, present, own = embed_by_method(network, index, held, request)
    places = np.flatnonzero(present)
    if own is not None and request.spec.metric == "own":
        blocks: Any = own.blocks(places, places)
    else:
        metric = "cosine" if request.spec.metric == "own" else request.spec.metric
        blocks = open_distance(metric).blocks(vectors[places], vectors[places])
    summary = summarise(rank_queries(blocks, _judge(index, held[places])), max_rank=1)
    return {"val_rank1": round(float(summary.cmc[0]), 6), "val_map": round(summary.map, 6)}


def calibrate(
    network: Any, index: TrackletIndex, held: Ints, request: EmbedRequest
) -> dict[str, float] | None:
    """Lets a method set what its network stores by the persons who were held out of training; its
    figures, None where nothing was set."""
    spec = request.spec
    if not isinstance(spec, NetworkMethod) or spec.calibrate is None or not len(held):
        return None
    network.eval()
    labels = read_timed_labels(index.tracklets, index.dataset.manifest.get("sources", []))
    labels = labels.take(held)
    found = describe_tracklets(network, index, held, request).take(held)
    figures = spec.calibrate(network, found, labels.person, labels.camera)
    return {name: round(float(value), 6) for name, value in figures.items()}
