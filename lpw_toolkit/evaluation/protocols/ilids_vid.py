"""iLIDS-VID: queries by cam1, gallery by cam2, over ten splits of the 300 persons into halves."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import read_trials, require_cameras

SPEC = ProtocolSpec(
    title="iLIDS-VID, cross-camera: queries by cam1, gallery by cam2, over the dataset's splits",
    gallery="test tracklets of cam2, one for each person",
    junk_rule="none is needed: no answer is by the query's own camera",
    ap_form="step",
    unmatched="zero",
    headline=("cmc@1", "cmc@5", "cmc@10", "cmc@20"),
    source="KaiyangZhou/deep-person-reid:torchreid/data/datasets/video/ilidsvid.py",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial for each split. Errors: LpwError without splits, or where queries or
    gallery are by other cameras."""
    found = read_trials(dataset)
    require_cameras(dataset, found, query=["cam1"], gallery=["cam2"])
    return found


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
