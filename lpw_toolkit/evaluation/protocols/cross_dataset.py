"""Cross-dataset, all of it: features learned on another dataset, tested once on every person of
this one.

With cameras of fixed parts (PRID 2011, iLIDS-VID) the one camera's tracklets of all splits are the
queries, the other's the gallery: all 178 persons of PRID 2011, as in the RQEN paper's Table 5.
Otherwise there is one query for each person and camera.
"""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import join_splits, pose_trial

SPEC = ProtocolSpec(
    title="cross-dataset: learned on another dataset, tested once on all of this one",
    gallery="every person of the dataset, training ones among them",
    junk_rule="not seen: junk, and the query's person by its own camera",
    ap_form="step",
    unmatched="skip",
    headline=("cmc@1", "cmc@5", "cmc@10", "cmc@20"),
    source="RQEN paper (arXiv 1711.08766), Table 5",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial without training rows. Errors: LpwError where persons or cameras are missing."""
    joined = None if dataset.splits is None else join_splits(dataset)
    return [joined or pose_trial(dataset)]


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
