"""Access control of the review server: only the page itself, opened by the user of this machine,
may send requests.

A server on 127.0.0.1 can be reached by every page that the browser shows and by every user of the
machine. So each request needs the secret of this run (in a cookie that other sites cannot send),
has to be addressed to this machine by name (a foreign name that points here is a trick: DNS
rebinding), and where it changes anything has to come from here.
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 << 10
_MAX_URL_BYTES = 500
_BODY_PATIENCE_S = 10.0
_PAGES = ("/",)
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


@dataclass
class Keys:
    """The secrets of one run.

    Attributes:
        token: in the address that is printed, and in the cookie.
        ticket: in the address that a browser is started with, which other users see in the list of
            processes: it opens the page once; "" after that.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def fits(self, word: str) -> bool:
        """Whether `word` is the token; takes as long for every wrong one."""
        return hmac.compare_digest(word.encode(), self.token.encode())

    def spend(self, word: str) -> bool:
        """Whether `word` opens the page; a ticket does so once."""
        is_ticket = bool(self.ticket) and hmac.compare_digest(word.encode(), self.ticket.encode())
        if is_ticket:
            self.ticket = ""
        return is_ticket or self.fits(word)


class RefusedRequestError(Exception):
    """A request that is answered with nothing but a status and a word."""

    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(why)


class Guard:
    """ASGI middleware in front of everything.

    Args:
        app: what answers the requests that are let through.
        port: of the server.
        keys: its secrets.
    """

    def __init__(self, app: App, port: int, keys: Keys) -> None:
        self._app, self._keys = app, keys
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"lpw-review-{port}"  # cookies are shared by all ports of a machine

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers or refuses one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._check(scope)
            if self._is_entrance(scope):
                await self._enter(scope, send)
                return
            body = await _read_body(scope, receive)
        except RefusedRequestError as error:
            await _answer(send, error.status, error.why)
            return
        await self._app(scope, _replay(body, receive), _dress(send))

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        _check_address(scope)
        if _header(scope, b"host") not in self._hosts:
            raise RefusedRequestError(403, "this server answers to 127.0.0.1 and localhost only")
        origin, site = _header(scope, b"origin"), _header(scope, b"sec-fetch-site")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            raise RefusedRequestError(403, "a request from another site")
        if site not in (None, "same-origin", "none") and not (
            site == "cross-site" and self._is_entrance(scope)
        ):
            raise RefusedRequestError(403, "a request from another site")
        if scope["method"] == "POST":
            if origin is None or origin != f"http://{_header(scope, b'host')}":
                raise RefusedRequestError(403, "a decision from nowhere")
            if (_header(scope, b"content-type") or "").split(";")[
                0
            ].strip().lower() != "application/json":
                raise RefusedRequestError(415, "only application/json")
        elif scope["method"] not in ("GET", "HEAD"):
            raise RefusedRequestError(405, "no such method")
        if not self._is_entrance(scope) and not self._keys.fits(self._read_cookie(scope)):
            raise RefusedRequestError(403, "open the address that `lpw clean --review` printed")

    def _is_entrance(self, scope: MutableMapping[str, Any]) -> bool:
        return (
            scope["method"] == "GET"
            and scope["path"] in _PAGES
            and scope["query_string"].startswith(b"token=")
        )

    def _read_cookie(self, scope: MutableMapping[str, Any]) -> str:
        try:
            cookie = SimpleCookie(_header(scope, b"cookie") or "")
        except CookieError:
            return ""
        return cookie[self._cookie].value if self._cookie in cookie else ""

    async def _enter(self, scope: MutableMapping[str, Any], send: Send) -> None:
        words = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if len(words) != 1 or not self._keys.spend(words[0]):
            raise RefusedRequestError(
                403, "this address is not, or no longer, good: use the one that was printed last"
            )
        cookie = f"{self._cookie}={self._keys.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = {**HEADERS, "set-cookie": cookie, "location": "/", "content-length": "0"}
        await send({"type": "http.response.start", "status": 303, "headers": _encode(headers)})
        await send({"type": "http.response.body", "body": b""})


def _check_address(scope: MutableMapping[str, Any]) -> None:
    """Addresses of this server are plain: nothing in them is encoded, and none leads upwards."""
    raw = bytes(scope.get("raw_path") or scope["path"].encode())
    if len(raw) + len(scope["query_string"]) > _MAX_URL_BYTES:
        raise RefusedRequestError(414, "too long an address")
    if (
        b"%" in raw
        or b"\\" in raw
        or b".." in raw
        or b"//" in raw
        or any(byte < 33 or byte > 126 for byte in raw)
    ):
        raise RefusedRequestError(400, "no such address")


def _header(scope: MutableMapping[str, Any], name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1:
        raise RefusedRequestError(400, f"several headers {name.decode()}")
    return bytes(found[0]).decode("latin-1") if found else None


async def _read_body(scope: MutableMapping[str, Any], receive: Receive) -> bytes:
    """The whole body. Errors: RefusedRequestError for one that is too large or too slow."""
    length = _header(scope, b"content-length") or "0"
    if not length.isascii() or not length.isdigit() or int(length[:12]) > MAX_BODY_BYTES:
        raise RefusedRequestError(413, "too large")
    body: bytes = b""
    try:
        async with asyncio.timeout(_BODY_PATIENCE_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise RefusedRequestError(400, "cut off")
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise RefusedRequestError(413, "too large")
                if not message.get("more_body", False):
                    return body
    except TimeoutError as error:
        raise RefusedRequestError(408, "too slow") from error


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _dress(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (key, value)
                for key, value in message["headers"]
                if key.decode().lower() not in HEADERS
            ]
            message["headers"] = [*kept, *_encode(HEADERS)]
        await send(message)

    return dressed


def _encode(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(key.encode(), value.encode()) for key, value in headers.items()]


async def _answer(send: Send, status: int, why: str) -> None:
    text = f"{why}\n".encode()
    headers = {
        **HEADERS,
        "content-type": "text/plain; charset=utf-8",
        "content-length": f"{len(text)}",
    }
    await send({"type": "http.response.start", "status": status, "headers": _encode(headers)})
    await send({"type": "http.response.body", "body": text})
