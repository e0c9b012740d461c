"""Identifies which dataset of the paper a given dataset is, by its import record: all of it, a
part, or another one."""

from lpw_toolkit.dataset.dataset import Dataset

#: The paper's names of the benchmarks that `lpw import` reads.
PAPER_NAMES = {"prid2011": "PRID2011", "ilids_vid": "iLIDS-VID", "mars": "MARS", "lpw": "LPW"}


def identify(dataset: Dataset) -> str | None:
    """The paper's name of the dataset; None for another one, or one whose counts are not the
    published ones."""
    settings = dataset.manifest.get("settings", {}).get("import", {})
    if not isinstance(settings, dict) or settings.get("mismatches"):
        return None
    return PAPER_NAMES.get(str(settings.get("benchmark")))


def describe_identity(dataset: Dataset) -> str:
    """The dataset in a few words: its name, digest, and what it is for the paper."""
    digest = dataset.digest[:12]
    settings = dataset.manifest.get("settings", {}).get("import", {})
    benchmark = (
        PAPER_NAMES.get(str(settings.get("benchmark"))) if isinstance(settings, dict) else None
    )
    named = f"{dataset.name} ({digest}"
    if benchmark is None:
        return f"{named}, no dataset of the paper)"
    if identify(dataset) is None:
        return (
            f"{named}, {settings['source']['name']}: a part of {benchmark}, not the published set)"
        )
    return f"{named}, {benchmark})"
