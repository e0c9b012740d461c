"""Reads a file of a run that run.json vouches for by its SHA-256."""

import hashlib
from pathlib import Path

from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.opening import read_bytes
from lpw_toolkit.files.writing import describe_os_error


def read_vouched(file: Path, said: object, n_bytes: int, what: str) -> bytes:
    """The bytes of `file`.

    Args:
        said: its SHA-256 (hex) by run.json.
        n_bytes: of one entry: its length is a multiple of that.
        what: the file in words, for messages.

    Errors: MismatchError for a file that is missing or another one.
    """
    try:
        data = read_bytes(file, "weights_bytes")
    except OSError as error:
        raise MismatchError(file, describe_os_error(error), what, "train again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != said or len(data) % n_bytes:
        raise MismatchError(
            file, f"SHA-256 {found[:12]}…", f"{said!r:.20} of run.json", "restore it from a copy"
        )
    return data
