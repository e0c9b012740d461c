"""Base of the archives that lie in one open file: name, recorded facts, closing."""

from pathlib import Path
from typing import Any, BinaryIO


class OpenArchive:
    """An archive that stays open while it is read."""

    kind: str
    _path: Path
    _file: BinaryIO

    @property
    def name(self) -> str:
        """The archive as it was named."""
        return str(self._path)

    def facts(self) -> dict[str, Any]:
        """What a dataset notes of its source."""
        return {"kind": self.kind, "name": self._path.name, "bytes": self._path.stat().st_size}

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
