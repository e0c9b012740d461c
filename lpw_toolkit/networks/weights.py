"""Finds weights files: by path, by name, or as the only one in the usual places; downloads only if
the user asks."""

import hashlib
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import writing
from lpw_toolkit.files.home import cache_folder, expand_home, expand_home_text
from lpw_toolkit.files.limits import limit
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import (
    exists,
    follow_links,
    is_file,
    is_folder,
    open_stream,
    read_bytes,
)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class WeightsKind:
    """One family of weights files.

    Attributes:
        suffix: of the files, with its dot.
        pattern: names (without folder) that belong to the family.
        url: folder from which official files are fetched; `LPW_WEIGHTS_URL` replaces it (a mirror).
        default: what `--download` without a name fetches.
    """

    suffix: str
    pattern: str
    url: str
    default: str

    def matches(self, name: str) -> bool:
        """True for a name of this family."""
        return re.fullmatch(self.pattern, name, re.IGNORECASE) is not None


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, read once: what is hashed is what is checked, and what a runtime gets.

    Attributes:
        path: as the user named it, for messages.
        data: all its bytes.
    """

    path: Path
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """Of `data`, hex."""
        return hashlib.sha256(self.data).hexdigest()


def read_weights(path: Path) -> WeightsFile:
    """The file of weights that the user names `path`, a link to one too.

    Errors: LpwError for one that cannot be read, or is larger than the bound `weights_bytes`.
    """
    try:
        return WeightsFile(path, read_bytes(follow_links(expand_home(path)), "weights_bytes"))
    except OSError as error:
        do = "give the path of a weights file"
        raise LpwError(
            path, writing.describe_os_error(error), "a readable file of weights", do
        ) from error


def weights_folder() -> Path:
    """Where fetched weights lie: `weights` in the cache, or the working folder for a user without
    one."""
    cache = cache_folder()
    return Path() if cache is None else cache / "weights"


def find_weights(
    given: str | None, kind: WeightsKind, *, download: bool = False
) -> tuple[Path, str]:
    """The weights file to use, and a line that says how it was chosen.

    Args:
        given: a path or a name; None takes the only file of this kind in the working folder and the
            cache.
        download: a file that is not found may be fetched, when it is an official name.

    Errors: LpwError where nothing or more than one file is found, or `given` is no file of this
    kind.
    """
    if given is None:
        return _find_only(kind, download)
    given = expand_home_text(given)
    path = _find_named(given, kind)
    if path is not None:
        _check_file(path, kind)
        return path, f"weights {path} (asked for)"
    name = _named(given, kind)
    if download and Path(given).parent == Path() and kind.matches(name):
        return download_weights(name, kind)
    found = ", ".join(f"{p}" for p in list_weights(kind)) or "none"
    remedy = (
        "give a path, or add --download"
        if kind.matches(name)
        else "give the path of a weights file"
    )
    raise LpwError(
        given,
        "no such file",
        f"weights ({kind.suffix}; found here and in the cache: {found})",
        remedy,
    )


def list_weights(kind: WeightsKind) -> list[Path]:
    """Files of this kind in the working folder, then in the cache."""
    places = dict.fromkeys((Path(), weights_folder()))
    folders = [f for f in places if is_folder(f)]
    return [
        p for folder in folders for p in list_folder(folder) if kind.matches(p.name) and is_file(p)
    ]


def download_weights(name: str, kind: WeightsKind) -> tuple[Path, str]:
    """Fetches official weights into the cache, whole or not at all; the second value names address
    and SHA-256.

    Errors: LpwError for an address that is neither https nor local, a failed or oversized transfer.
    """
    url = (
        f"{(os.environ.get('LPW_WEIGHTS_URL') or kind.url).rstrip('/')}/{urllib.parse.quote(name)}"
    )
    _check_address(url)
    data = _fetch(url)
    path = writing.make_folder(weights_folder()) / name
    try:
        writing.atomic_write(path, data)
    except OSError as error:
        do = "free space, or set LPW_CACHE to another folder"
        raise LpwError(
            path, writing.describe_os_error(error), "a file that can be written", do
        ) from error
    return (
        path,
        (
            f"weights {path} (fetched from {url}, {len(data)} bytes, sha256 "
            f"{hashlib.sha256(data).hexdigest()})"
        ),
    )


def _find_only(kind: WeightsKind, download: bool) -> tuple[Path, str]:
    found = list_weights(kind)
    if len(found) == 1:
        _check_file(found[0], kind)
        return found[0], f"weights {found[0]} (the only {kind.suffix} found)"
    if found:
        names = ", ".join(f"{p}" for p in found)
        raise LpwError(
            "--weights", f"nothing, and several files: {names}", "one", "choose with --weights FILE"
        )
    if download:
        return download_weights(kind.default, kind)
    places = f"a {kind.suffix} in the working folder or in {weights_folder()}"
    raise LpwError(
        "--weights", "nothing, and no file found", places, "give --weights FILE, or add --download"
    )


def _find_named(given: str, kind: WeightsKind) -> Path | None:
    candidates = [Path(given)]
    if candidates[0].parent == Path():
        name = _named(given, kind)
        candidates += [Path(name), weights_folder() / given, weights_folder() / name]
    return next((c for c in candidates if exists(follow_links(c))), None)


def _named(given: str, kind: WeightsKind) -> str:
    return given if given.lower().endswith(kind.suffix) else given + kind.suffix


def _check_file(path: Path, kind: WeightsKind) -> None:
    if not is_file(follow_links(path)):
        raise LpwError(
            path, "no regular file", f"a {kind.suffix} file", "give the path of a weights file"
        )
    if path.suffix.lower() != kind.suffix:
        raise LpwError(
            path,
            f"a {path.suffix or 'nameless'} file",
            f"{kind.suffix}",
            "choose the detector that reads it",
        )
    try:
        with open_stream(follow_links(path)) as file:
            if not file.read(1):
                raise LpwError(path, "an empty file", "weights", "fetch or copy it again")
    except OSError as error:
        raise LpwError(
            path, writing.describe_os_error(error), "a readable file", "check its permissions"
        ) from error


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    local = parts.scheme == "file" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if parts.scheme != "https" and not local:
        raise LpwError(
            url, f"{parts.scheme or 'no scheme'}", "an https address", "correct LPW_WEIGHTS_URL"
        )


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # the signature is urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme == "file":
            raise LpwError(
                newurl, "a redirect to a local file", "an https address", "check LPW_WEIGHTS_URL"
            )
        _check_address(newurl)
        words = (req, fp, code, msg, headers, newurl)
        return super().redirect_request(*words)  # type: ignore[arg-type]


def _fetch(url: str) -> bytes:
    do = "check the network, or fetch the file yourself and give its path"
    try:
        with urllib.request.build_opener(_SafeRedirects).open(url, timeout=_TIMEOUT_S) as response:
            data: bytes = response.read(limit("download_bytes") + 1)
            length = response.headers.get("Content-Length")
    except (OSError, ValueError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        raise LpwError(url, f"no answer ({reason})", "a file", do) from error
    if len(data) > limit("download_bytes"):
        raise LpwError(url, f"more than {limit('download_bytes')} bytes", "a weights file", do)
    if not data or (length is not None and int(length) != len(data)):
        raise LpwError(url, f"{len(data)} bytes", f"{length or 'some'} bytes", do)
    return data
