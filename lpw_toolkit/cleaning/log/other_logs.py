"""What other reviewers write while one is at work: their logs are read again where they have
grown."""

from collections.abc import Sequence
from pathlib import Path

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.log import SUFFIX, read_log_file
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import exists

_Stamp = tuple[int, int]  # bytes, and the time of the last change


class OtherLogs:
    """The logs in some folders but for one that is being written. Not for several threads.

    Args:
        folders: of logs.
        dataset_digest: of the dataset that they are about.
        own: the log that this process writes.
    """

    def __init__(self, folders: Sequence[Path], dataset_digest: str, own: Path) -> None:
        self._folders, self._digest, self._own = folders, dataset_digest, own
        self._stamps = self._read_stamps()

    def read_new(self) -> list[Decision]:
        """The decisions of the logs that have changed since the last call; those that were there
        before are among them. A log that cannot be read is tried again the next time."""
        found: list[Decision] = []
        for path, stamp in self._read_stamps().items():
            if self._stamps.get(path) == stamp:
                continue
            try:
                found += read_log_file(path, self._digest).decisions
            except MismatchError:
                continue
            self._stamps[path] = stamp
        return found

    def _read_stamps(self) -> dict[Path, _Stamp]:
        stamps = {}
        for folder in self._folders:
            for file in list_folder(folder) if exists(folder) else ():
                path = folder / file.name
                if not file.name.endswith(SUFFIX) or path == self._own:
                    continue
                try:
                    found = path.lstat()
                except OSError:
                    continue
                stamps[path] = (found.st_size, found.st_mtime_ns)
        return stamps
