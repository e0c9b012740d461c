"""Which of the versions at hand `lpw clean` means (`dataset.at_hand`): the one with decisions, or
the one that decisions can go to."""

from pathlib import Path

from lpw_toolkit.cleaning.log.decision_set import read_folder
from lpw_toolkit.cleaning.log.log import FOLDER, SUFFIX
from lpw_toolkit.dataset.at_hand import Need, Version
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import MismatchError, OutputError
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import follow_links, is_folder
from lpw_toolkit.files.writing import refuse_unwritable


def need_decisions(elsewhere: Path | None = None) -> Need:
    """A dataset with decisions of reviewers, in its own `cleanup/` or in that of `elsewhere`."""

    def lacks(version: Version) -> tuple[str, str] | None:
        if _has_log(version) or (elsewhere is not None and _is_of(elsewhere, version)):
            return None
        return "no decisions", "make them with `lpw clean --review`"

    return Need("decisions", lacks)


def _lacks_review(version: Version) -> tuple[str, str] | None:
    settings = version.manifest.get("settings")
    if isinstance(settings, dict) and "clean" in settings and not _has_log(version):
        return "a review behind it", "name it to review it again"
    return None


#: What a review goes on with: not what came of one, unless that is itself under review.
UNDER_REVIEW = Need("a review to go on with", _lacks_review)


def refuse_read_only(dataset: Dataset, elsewhere: Path | None = None) -> None:
    """Errors: OutputError, before any work, where decisions cannot be written to the dataset and no
    other folder is named."""
    try:
        refuse_unwritable(elsewhere or dataset.root / FOLDER)
    except OutputError as error:
        do = "give --state DIR, a folder for them, to --review, --status and --apply alike"
        raise OutputError(error.thing, error.got, "a place for decisions", do) from error


def _has_log(version: Version) -> bool:
    folder = follow_links(version.root) / FOLDER
    return is_folder(folder) and any(file.name.endswith(SUFFIX) for file in list_folder(folder))


def _is_of(elsewhere: Path, version: Version) -> bool:
    """Whether the logs in `elsewhere` begin with this version's digest."""
    try:
        return bool(read_folder(elsewhere / FOLDER, version.digest))
    except MismatchError:
        return False
