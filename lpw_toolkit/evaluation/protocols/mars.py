"""MARS by its authors' rule: queries stay in the gallery, junk is skipped, distractors count,
trapezoid AP."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import join_queries, read_trials, require_shared_cameras

SPEC = ProtocolSpec(
    title="MARS, official: queries stay in the gallery, junk is skipped, distractors count",
    gallery="all test tracklets, queries, junk and distractors among them",
    junk_rule="not seen: junk, and the query's person by its own camera (the query itself among "
    "them)",
    ap_form="trapezoid",
    unmatched="zero",
    headline=("cmc@1", "cmc@5", "cmc@20", "map"),
    source="liangzheng06/MARS-evaluation:utils/evaluation_mars.m, utils/compute_AP.m",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial for each split. Errors: LpwError without splits, or where queries and gallery
    share no camera."""
    found = read_trials(dataset)
    require_shared_cameras(dataset, found)
    return [join_queries(trial) for trial in found]


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
