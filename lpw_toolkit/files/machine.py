"""Facts about a dataset on this machine: where its videos and external images are.

They are kept in `.lpw/local.json` of the dataset, signed (HMAC-SHA-256) with a key that only this
user's configuration folder holds: a file that came with another user's folder is not trusted.
"""

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.home import config_folder
from lpw_toolkit.files.opening import read_bytes, read_json
from lpw_toolkit.files.writing import atomic_write, atomic_write_text, make_folder
from lpw_toolkit.names import show_name

_FILE, _KEY = "local.json", "machine.key"
_KEY_BYTES = 32


def remember(local: Path, name: str, place: str, dataset: str) -> bool:
    """Notes, for this user of this machine only, that `name` of a dataset is at `place`.

    Args:
        local: the folder `.lpw` of the dataset.
        name: `video_root` or `images_root`.
        place: absolute, or relative to the dataset.
        dataset: its digest (`Dataset.digest`).

    Returns:
        False where there is no place to keep a key: then nothing is noted.

    Errors: LpwError, OSError where the note cannot be written.
    """
    key = _read_key() or _make_key()
    if key is None:
        return False
    notes = _read_notes(local)
    bytes_hex = os.fsencode(place).hex()  # the name of a folder need not be UTF-8
    notes[name] = {
        "bytes": bytes_hex,
        "place": show_name(place),
        "mark": _mark(key, name, place, dataset),
    }
    make_folder(local)
    atomic_write_text(local / _FILE, json.dumps(notes, sort_keys=True, ensure_ascii=False))
    return True


def recall(local: Path, name: str, dataset: str) -> str | None:
    """What `remember` noted; None where nothing was, or where somebody else wrote it."""
    key, said = _read_key(), _read_notes(local).get(name)
    if key is None or not isinstance(said, dict):
        return None
    bytes_hex, place, mark = said.get("bytes"), said.get("place"), said.get("mark")
    if isinstance(bytes_hex, str):
        try:
            place = os.fsdecode(bytes.fromhex(bytes_hex))
        except ValueError:
            return None
    if not isinstance(place, str) or not isinstance(mark, str) or "\0" in place:
        return None
    return (
        place
        if hmac.compare_digest(mark.encode(), _mark(key, name, place, dataset).encode())
        else None
    )


def mark_text(text: str) -> str | None:
    """A mark (hex) that only this user of this machine can make for `text`; None where there is no
    place for a key."""
    key = _read_key() or _make_key()
    return None if key is None else hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _mark(key: bytes, name: str, place: str, dataset: str) -> str:
    return hmac.new(key, json.dumps([name, place, dataset]).encode(), hashlib.sha256).hexdigest()


def _read_notes(local: Path) -> dict[str, object]:
    try:
        notes = read_json(local / _FILE)
    except (OSError, ValueError):
        return {}
    return dict(notes) if isinstance(notes, dict) else {}


def _read_key() -> bytes | None:
    folder = config_folder()
    try:
        key = read_bytes(folder / _KEY, "line_bytes") if folder else b""
    except OSError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _make_key() -> bytes | None:
    folder = config_folder()
    if folder is None:
        return None
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        atomic_write(make_folder(folder) / _KEY, key, mode=0o600)
    except (OSError, LpwError):
        return None
    return _read_key()  # of two that make one at once, the last one's counts
