"""MARS as AP3D and its successors score it: no junk in the gallery, queries put back into it, step
AP."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import (
    drop_junk,
    join_queries,
    read_trials,
    require_shared_cameras,
)

SPEC = ProtocolSpec(
    title="MARS, queries put back: junk is left out of the gallery, queries are in it",
    gallery="all test tracklets but junk, queries and distractors among them",
    junk_rule="not seen: the query's person by its own camera (the query itself among them)",
    ap_form="step",
    unmatched="skip",
    headline=("cmc@1", "cmc@5", "cmc@20", "map"),
    source="guxinqian/AP3D:train.py",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial for each split. Errors: LpwError without splits, or where queries and gallery
    share no camera."""
    found = read_trials(dataset)
    require_shared_cameras(dataset, found)
    return [drop_junk(dataset, join_queries(trial)) for trial in found]


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
