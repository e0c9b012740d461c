"""MARS as torchreid scores it: neither queries nor junk in the gallery, step AP, queries without an
answer skipped.

With the whole of MARS exactly 140 of the 1,980 queries have no answer left: they are counted and
named.
"""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import (
    drop_junk,
    drop_queries,
    read_trials,
    require_shared_cameras,
)

SPEC = ProtocolSpec(
    title="MARS as torchreid: queries and junk are left out of the gallery, unmatched queries are "
    "skipped",
    gallery="test tracklets that are neither query nor junk, distractors among them",
    junk_rule="not seen: the query's person by its own camera",
    ap_form="step",
    unmatched="skip",
    headline=("cmc@1", "cmc@5", "cmc@20", "map"),
    source="KaiyangZhou/deep-person-reid:torchreid/data/datasets/video/mars.py, "
    "torchreid/metrics/rank.py:94-153",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial for each split. Errors: LpwError without splits, or where queries and gallery
    share no camera."""
    found = read_trials(dataset)
    require_shared_cameras(dataset, found)
    return [drop_junk(dataset, drop_queries(trial)) for trial in found]


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
