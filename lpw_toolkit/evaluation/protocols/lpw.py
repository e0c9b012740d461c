"""LPW: queries by scene 1, view 2; the gallery is every tracklet of views 1 and 3, not merged by
person."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import read_trials, require_cameras

SPEC = ProtocolSpec(
    title="LPW: queries by scen1/view2, gallery by scen1/view1 and view3; scenes 2 and 3 train",
    gallery="every tracklet of scen1/view1 and scen1/view3, not merged by person",
    junk_rule="none is needed: no answer is by the query's own camera",
    ap_form="step",
    unmatched="zero",
    headline=("cmc@1", "cmc@5", "cmc@10", "cmc@20"),
    source="liuyuisanai/Quality-Aware-Network:train_PQAN/test_script_for_LPW.m:181-224",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """The one trial. Errors: LpwError without splits, or where other cameras are in them."""
    found = read_trials(dataset)
    require_cameras(dataset, found, query=["scen1/view2"], gallery=["scen1/view1", "scen1/view3"])
    return found


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
