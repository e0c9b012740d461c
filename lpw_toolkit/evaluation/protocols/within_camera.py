"""Re-identification within one camera: who was seen by a camera is looked for at other times in the
same camera.

The only test of a film by one camera. It is easier than one across cameras, since view, light and
background stay: figures of the two must not stand side by side. Splits name queries and gallery;
without splits the first tracklet of each person in each camera that has a right answer is a query,
and all tracklets are the gallery.
"""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import MIN_GAP_S, Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import list_trials, require_persons
from lpw_toolkit.splits.roles import WITHIN

SPEC = ProtocolSpec(
    title="within one camera: the query's person is looked for in its own camera, at other times",
    gallery="the splits' gallery; without splits every tracklet, but persons without a person_id",
    junk_rule="not seen: junk, and the query's person by another camera or less than "
    f"{MIN_GAP_S:g} s before or after the query (the query itself among them)",
    ap_form="step",
    unmatched="skip",
    headline=("cmc@1", "cmc@5", "cmc@10", "map", "minp"),
    source="of this project: lpw_toolkit/splits/roles.py",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """The dataset's splits, or one trial over all of it. Errors: LpwError where no person can be
    tested."""
    require_persons(dataset)
    return list_trials(dataset, WITHIN)


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The same person, by the same camera, apart in time."""
    return judge_labels(query, gallery, within_camera=True)
