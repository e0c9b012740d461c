"""Chooses the protocol of a dataset: its benchmark's own, or the one that data of one's own
allow."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import read_timed_labels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.protocol import list_protocols
from lpw_toolkit.evaluation.trials import require_persons
from lpw_toolkit.splits.roles import NEEDS, RULES, choose_rule


def choose_protocol(dataset: Dataset) -> tuple[str, str]:
    """The protocol that fits a dataset, and why, in words.

    Splits that `lpw split` or `lpw clean --apply` made say which protocol they are for. An imported
    benchmark that still has its splits has its own protocol. On any other dataset it is
    `cross_camera` where two cameras saw a person, and otherwise `within_camera`.

    Errors: LpwError for a dataset without persons, or where nobody can be tested.
    """
    said = dataset.manifest.get("splits")
    drawn_for = said.get("protocol") if isinstance(said, dict) else None
    if dataset.splits is not None and drawn_for in list_protocols():
        return str(drawn_for), "the splits of the dataset were made for it"
    settings = dataset.manifest.get("settings", {}).get("import")
    benchmark = settings.get("benchmark") if isinstance(settings, dict) else None
    own = str(benchmark).replace("-", "_")
    if dataset.splits is not None and own in list_protocols():
        return own, f"the dataset was imported from {benchmark}"
    require_persons(dataset)
    labels = read_timed_labels(dataset.tracklets, dataset.manifest.get("sources", []))
    found = choose_rule(labels)
    if found is None:
        expected = " or ".join(f"persons {NEEDS[rule]}" for rule in RULES)
        raise LpwError(
            dataset.name,
            "persons none of whom can be found again: nothing can be tested",
            expected,
            "link the tracklets of one person in `lpw clean --review`, or film longer",
        )
    return found
