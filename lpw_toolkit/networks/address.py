"""Reads a file from an address: https only, bounded in bytes and in time."""

import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.progress import show_progress

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_STALL_S = 15.0  # without a byte
_GRACE_S, _LEAST_BYTES_PER_S = 60.0, 16_000  # slower than that is no use, and may be meant to hold
_BLOCK_BYTES = 1 << 16


class SourceError(Exception):
    """A source of weights gave none; the text says why, in a few words."""


def read_address(url: str, n_bytes: int) -> bytes:
    """The `n_bytes` bytes at `url`.

    Errors: LpwError for an address that is neither https nor local, SourceError for what gives no
    answer, another number of bytes, or too few in a second.
    """
    check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": "lpw"})  # noqa: S310 (checked)
    try:
        with urllib.request.build_opener(_SafeRedirects).open(request, timeout=_STALL_S) as answer:
            return _read_whole(answer, n_bytes)
    except urllib.error.HTTPError as error:
        raise SourceError(f"no answer (HTTP {error.code} {error.reason})") from error
    except (OSError, ValueError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        said = describe_os_error(reason) if isinstance(reason, OSError) else f"{reason}"
        raise SourceError(f"no answer ({said})") from error


def check_address(url: str) -> None:
    """Errors: LpwError for an address that is neither https nor local."""
    parts = urllib.parse.urlsplit(url)
    local = parts.scheme == "file" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if parts.scheme != "https" and not local:
        raise LpwError(
            url, f"{parts.scheme or 'no scheme'}", "an https address", "correct LPW_WEIGHTS_URL"
        )


def _read_whole(answer: Any, n_bytes: int) -> bytes:
    """Errors: SourceError, OSError."""
    length = answer.headers.get("Content-Length")
    if length is not None and length != str(n_bytes):
        raise SourceError(f"an answer of {length} bytes instead of {n_bytes}")
    data = bytearray()
    end = time.monotonic() + _GRACE_S + n_bytes / _LEAST_BYTES_PER_S
    with show_progress("fetch", n_bytes, "bytes") as progress:
        while block := answer.read1(min(_BLOCK_BYTES, n_bytes + 1 - len(data))):
            data += block
            progress.advance(len(block))
            if len(data) > n_bytes:
                raise SourceError(f"an answer of more than {n_bytes} bytes")
            if time.monotonic() > end:
                raise SourceError(f"too slow ({len(data)} of {n_bytes} bytes)")
    if len(data) < n_bytes:
        raise SourceError(f"an answer that ends after {len(data)} of {n_bytes} bytes")
    return bytes(data)


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
            raise SourceError("a redirect to a local file")
        try:
            check_address(newurl)
        except LpwError as error:
            raise SourceError(f"a redirect to {error.got}, not https") from error
        words = (req, fp, code, msg, headers, newurl)
        return super().redirect_request(*words)  # type: ignore[arg-type]
