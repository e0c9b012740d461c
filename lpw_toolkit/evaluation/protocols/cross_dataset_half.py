"""Cross-dataset, half of it: features learned on another dataset, tested on the test part of each
split of this one."""

from dataclasses import replace

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.protocol import ProtocolSpec, QueryGallerySplit
from lpw_toolkit.evaluation.relevance import Relevance, judge_labels
from lpw_toolkit.evaluation.trials import NOBODY, read_trials

SPEC = ProtocolSpec(
    title="cross-dataset: learned on another dataset, tested on the test part of each split of "
    "this one",
    gallery="the splits' gallery",
    junk_rule="not seen: junk, and the query's person by its own camera",
    ap_form="step",
    unmatched="skip",
    headline=("cmc@1", "cmc@5", "cmc@10", "cmc@20"),
    source="niallmcl/Recurrent-Convolutional-Video-ReID; RQEN paper (arXiv 1711.08766), Table 5",
)


def trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """One trial for each split, without training rows. Errors: LpwError without splits."""
    return [replace(trial, train=NOBODY) for trial in read_trials(dataset)]


def judge(query: Labels, gallery: Labels) -> Relevance:
    """The field's rule."""
    return judge_labels(query, gallery)
