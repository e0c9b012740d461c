"""PRID 2011, multi-shot: queries by cam_a, gallery by cam_b, ten splits into halves."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import read_trials, require_cameras

SPEC = ProtocolSpec(
    title="PRID 2011, cross-camera: queries by cam_a, gallery by cam_b, over the dataset's splits",
    gallery="test tracklets of cam_b, one for each person",
    junk_rule="none is needed: no answer is by the query's own camera",
    ap_form="step",
    unmatched="zero",
    headline=("cmc@1", "cmc@5", "cmc@10", "cmc@20"),
    source="KaiyangZhou/deep-person-reid:torchreid/data/datasets/video/prid2011.py; "
    "AsuradaYuci/CNN-RNN2016",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial for each split. Errors: LpwError without splits, or where queries or
    gallery are by other cameras."""
    found = read_trials(dataset)
    require_cameras(dataset, found, query=["cam_a"], gallery=["cam_b"])
    return found


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
