"""Market-1501's rule for a dataset of one's own: one query for each person and camera, and all
other cameras as the gallery.

Where the dataset has splits, they name queries and gallery. Where it has none, the first tracklet
of each person in each camera is a query and all tracklets are the gallery; the query itself and
its person by its own camera are ignored.
"""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import list_trials, require_identities

SPEC = ProtocolSpec(
    title="cross-camera, as on Market-1501: the query's person by its own camera does not count",
    gallery="the splits' gallery; without splits every tracklet, but persons without a person_id",
    junk_rule="not seen: junk, and the query's person by its own camera",
    ap_form="step",
    unmatched="skip",
    headline=("cmc@1", "cmc@5", "cmc@10", "map", "minp"),
    source="KaiyangZhou/deep-person-reid:torchreid/metrics/rank.py:94-153",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """The dataset's splits, or one trial over all of it. Errors: LpwError where persons or cameras
    are missing."""
    require_identities(dataset)
    return list_trials(dataset)


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
