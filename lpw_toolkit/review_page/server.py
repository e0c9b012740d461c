"""The server of the review page: a few routes over a `ReviewSession`, behind a `Guard`, on
127.0.0.1."""

import getpass
import json
import re
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from hashlib import sha256
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lpw_toolkit.cleaning.log.decisions import MAX_REVIEWER_CHARS, RULE_PREFIX
from lpw_toolkit.cleaning.state.review import Review, open_review
from lpw_toolkit.cleaning.suggest.suggest import suggestions_folder
from lpw_toolkit.cleaning.team import Team, refuse_rule_name
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError, check_range, install_hint
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.pages.render import render_page
from lpw_toolkit.progress import say_note
from lpw_toolkit.review_page.guard import App, Guard, Keys
from lpw_toolkit.review_page.history import HistoryFilter
from lpw_toolkit.review_page.pictures import MAX_FRAMES
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.suggestions import Suggestions, open_suggestions
from lpw_toolkit.review_page.team_session import TeamReviewSession

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PACKAGE = "lpw_toolkit.review_page"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FOUND = resources.files(_PACKAGE).joinpath("static").iterdir()
_FILES = {"base.css", *(file.name for file in _FOUND)}
#: The files of the page: name to media type.
STATIC = {
    name: f"{_TYPES[suffix]}; charset=utf-8"
    for name in sorted(_FILES)
    if (suffix := name.rpartition(".")[2]) in _TYPES
}
_OUTDATED = (
    "note: the suggestions are of an earlier version, which offers nobody who comes back to the "
    "same camera; `lpw clean --suggest` makes them again"
)
_N_CONNECTIONS = 64
#: Parts of an address that hold several numbers.
_RANGES, _LISTS = ("span", "other_span"), ("numbers", "positions")
_GOODBYE_S = 2


@dataclass(frozen=True)
class ServeOptions:
    """How a review is served.

    Attributes:
        reviewer: whose decisions they are.
        port: None takes one that is the same every time for this dataset and reviewer, if it is
            free.
        elsewhere: folder for decisions on a dataset that cannot be written to.
        seed: of the places of the queue that are drawn at random.
        team: which tracklets each reviewer gets.
        checks_frac: attention checks for each tracklet, 0 to 0.5.

    Errors: LpwError for a reviewer who is not of the team, and for a share out of range.
    """

    reviewer: str
    port: int | None = None
    elsewhere: Path | None = None
    seed: int = 0
    team: Team = field(default_factory=Team)
    checks_frac: float = 0.0

    def __post_init__(self) -> None:
        check_range("option --checks", self.checks_frac, 0, 0.5)
        refuse_rule_name("option --reviewer", self.reviewer)
        if self.team.reviewers and self.reviewer not in self.team.reviewers:
            expected = f"one of {', '.join(self.team.reviewers)}"
            raise LpwError(
                "option --reviewer", repr(self.reviewer), expected, "name one of the team"
            )


def serve_review(
    dataset: Dataset, options: ServeOptions, announce: Callable[[str, str, list[str]], None]
) -> None:
    """Serves the page until Ctrl-C.

    Args:
        announce: gets the address for people, the one to start a browser with, and what was
            repaired, once connections are taken.

    Errors: LpwError where starlette or uvicorn is missing, the port is taken, or another process
    reviews under the same name; MismatchError for damaged tables or logs.
    """
    uvicorn = _import_uvicorn()
    suggestions = open_suggestions(dataset, suggestions_folder(dataset, options.elsewhere))
    if suggestions.are_outdated:
        say_note(_OUTDATED)
    with open_review(dataset, options.reviewer, options.elsewhere) as review:
        session = open_session(dataset, review, suggestions, options)
        with listen(options, review.base.digest) as listener:
            port, keys = listener.getsockname()[1], Keys()
            app = make_app(session, port, keys)
            config = uvicorn.Config(
                app, log_config=None,  # its own would close the log handlers of other libraries
                log_level="warning", access_log=False, server_header=False, ws="none",
                lifespan="off",
                limit_concurrency=_N_CONNECTIONS, timeout_graceful_shutdown=_GOODBYE_S,
            )  # fmt: skip
            address = f"http://127.0.0.1:{port}/?token="
            server = uvicorn.Server(config)
            with _ended_by_ctrl_c(server), closing(session.video_frames):
                announce(address + keys.token, address + keys.ticket, review.repairs)
                server.run(sockets=[listener])


@contextmanager
def _ended_by_ctrl_c(server: Any) -> Iterator[None]:
    """Inside, Ctrl-C stops the server and is no error: uvicorn raises the signal once more when it
    has stopped."""

    def stop(*_: object) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def open_session(
    dataset: Dataset, review: Review, suggestions: Suggestions, options: ServeOptions
) -> ReviewSession:
    """The session of one reviewer, alone or in a team."""
    if not options.team.reviewers and not options.checks_frac:
        return ReviewSession(dataset, review, suggestions, options.seed)
    return TeamReviewSession(
        dataset, review, suggestions, options.seed, options.team, options.checks_frac
    )


def name_reviewer() -> str:
    """A reviewer's name made of the user's; `reviewer` where it has nothing that a name may have.
    It never is the name of a rule."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    name = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:MAX_REVIEWER_CHARS].strip("-")
    while name.startswith(RULE_PREFIX):
        name = name.removeprefix(RULE_PREFIX).strip("-")
    return name or "reviewer"


def _import_uvicorn() -> Any:
    try:
        import_module("starlette.applications")
        import uvicorn
    except ImportError as error:
        do = install_hint("review")
        raise LpwError(
            "lpw clean --review", f"no {error.name}", "starlette and uvicorn", do
        ) from error
    return uvicorn


def listen(options: ServeOptions, digest: str) -> socket.socket:
    """A listening socket on 127.0.0.1; the same port each time keeps what the page remembers
    between two runs."""
    usual = (
        20_000
        + int.from_bytes(sha256(f"{digest}{options.reviewer}".encode()).digest()[:4], "big")
        % 10_000
    )
    ports = [options.port] if options.port is not None else [usual, 0]
    for port in ports:
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(_N_CONNECTIONS)
        except OSError as error:
            listener.close()
            if port == ports[-1]:
                got = describe_os_error(error)
                raise LpwError(
                    "option --port", f"{port} ({got})", "a free port", "choose another"
                ) from error
        else:
            return listener
    raise LpwError("option --port", "none", "a port", "give one")


@cache
def read_static(name: str) -> bytes:
    """One file of the page."""
    if name == "review.html":
        return render_page(name, package=_PACKAGE).encode()
    package = "lpw_toolkit.pages" if name == "base.css" else _PACKAGE
    return resources.files(package).joinpath("static", name).read_bytes()


def make_app(session: ReviewSession, port: int, keys: Keys) -> App:
    """The ASGI application: the routes over `session`, behind the guard."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    routes = [
        Route("/", partial(_send_file, "review.html"), methods=["GET"]),
        *(
            Route(f"/{name}", partial(_send_file, name), methods=["GET"])
            for name in STATIC
            if name != "review.html"
        ),
        Route("/api/start", _answer_json(lambda numbers: session.start()), methods=["GET"]),
        Route("/api/order", _answer_json(lambda numbers: session.order()), methods=["GET"]),
        Route(
            "/api/changes/{since}",
            _answer_json(lambda numbers: session.list_changes(*numbers)),
            methods=["GET"],
        ),
        Route(
            "/api/timeline/{camera}",
            _answer_json(lambda numbers: session.describe_timeline(*numbers)),
            methods=["GET"],
        ),
        Route("/api/team", _answer_json(lambda numbers: session.describe_team()), methods=["GET"]),
        Route("/api/codes", _answer_json(lambda numbers: session.list_codes()), methods=["GET"]),
        Route(
            "/api/history",
            _answer_query(lambda query: session.list_history(HistoryFilter.read(query))),
            methods=["GET"],
        ),
        Route("/api/persons", _answer_query(session.list_persons), methods=["GET"]),
        Route(
            "/api/find",
            _answer_query(lambda query: session.find(query.get("q", ""))),
            methods=["GET"],
        ),
        Route(
            "/api/conflicts",
            _answer_json(lambda numbers: session.list_conflicts()),
            methods=["GET"],
        ),
        Route("/api/ping", _answer_json(lambda numbers: {}), methods=["GET"]),
        Route(
            "/api/tracklet/{n}",
            _answer_json(lambda numbers: session.describe(*numbers)),
            methods=["GET"],
        ),
        Route(
            "/api/compare/{n}/{span}/{other}/{other_span}",
            _answer_json(lambda numbers: _compare(session, *numbers)),
            methods=["GET"],
        ),
        Route(
            "/api/frame/{n}/{position}",
            _answer_json(lambda numbers: session.video_frames.describe(*numbers)),
            methods=["GET"],
        ),
        Route("/frame/{n}/{position}", _answer_jpeg(session.video_frames.draw), methods=["GET"]),
        Route(
            "/frame/{n}/{position}/near",
            _answer_jpeg(session.video_frames.draw_near),
            methods=["GET"],
        ),
        Route("/sprite/{n}/sheet", _answer_jpeg(session.draw_sheet), methods=["GET"]),
        Route("/sprite/{n}/few", _answer_jpeg(session.draw_few), methods=["GET"]),
        Route("/sprite/several/{numbers}", _answer_jpeg(session.draw_several), methods=["GET"]),
        Route("/sprite/{n}/large/{positions}", _answer_jpeg(session.draw_large), methods=["GET"]),
        Route(
            "/sprite/{n}/{start}-{stop}",
            _answer_jpeg(partial(_draw_frames, session)),
            methods=["GET"],
        ),
        Route("/api/decide", partial(_decide, session), methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), port, keys)


def _draw_frames(session: ReviewSession, number: int, start: int, stop: int) -> bytes:
    if stop - start > MAX_FRAMES:
        raise IndexError(stop)
    return session.draw_frames(number, start, stop)


def _compare(
    session: ReviewSession, number: int, start: int, stop: int, *other: int
) -> dict[str, Any]:
    return session.compare(session.piece_of(number, start, stop), session.piece_of(*other))


def _read_numbers(request: "Request") -> list[int]:
    """The numbers in an address, one after the other: single ones, ranges `3-8` and lists `3-5-8`.
    Errors: IndexError for anything else."""
    words: list[str] = []
    for name, text in request.path_params.items():
        found = text.split("-") if name in (*_RANGES, *_LISTS) else [text]
        if name in _RANGES and len(found) != 2:
            raise IndexError(text)
        words += found
    if not all(re.fullmatch(r"0|[1-9][0-9]{0,8}", word) for word in words):
        raise IndexError(words)
    return [int(word) for word in words]


async def _send_file(name: str, request: "Request") -> "Response":
    from starlette.responses import Response

    return Response(read_static(name), headers={"content-type": STATIC[name]})


def _answer_json(ask: Callable[[list[int]], Any]) -> Callable[["Request"], Awaitable["Response"]]:
    async def answer(request: "Request") -> "Response":
        return await _ask(request, lambda numbers: _encode_json(ask(numbers)), "application/json")

    return answer


def _answer_jpeg(draw: Callable[..., bytes]) -> Callable[["Request"], Awaitable["Response"]]:
    async def answer(request: "Request") -> "Response":
        return await _ask(request, lambda numbers: draw(*numbers), "image/jpeg")

    return answer


def _answer_query(ask: Callable[[dict[str, str]], Any]) -> Callable[["Request"], Any]:
    """Answers a request by the query of its address; 400 for one that it cannot mean."""

    async def answer(request: "Request") -> "Response":
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import PlainTextResponse, Response

        query = dict(request.query_params)
        try:
            found = await run_in_threadpool(lambda: _encode_json(ask(query)))
        except LpwError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        return Response(found, media_type="application/json")

    return answer


async def _ask(
    request: "Request", ask: Callable[[list[int]], bytes], media_type: str
) -> "Response":
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import PlainTextResponse, Response

    try:
        content = await run_in_threadpool(lambda: ask(_read_numbers(request)))
    except (IndexError, KeyError):
        return PlainTextResponse("no such thing\n", status_code=404)
    except (MismatchError, CorruptCropError) as error:
        return PlainTextResponse(f"{error}\n", status_code=500)
    except LpwError as error:
        return PlainTextResponse(f"{error}\n", status_code=404)
    return Response(content, media_type=media_type)


def _encode_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


async def _decide(session: ReviewSession, request: "Request") -> "Response":
    """200 once the decision is on the disk; 400 for a wrong one; 503 where the system refuses, to
    be tried again."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response

    status, answer = 200, {}
    try:
        entry = json.loads(await request.body(), parse_constant=_refuse_constant)
        answer = await run_in_threadpool(session.decide, entry)
    except LpwError as error:
        status, answer = 503 if isinstance(error.__cause__, OSError) else 400, {"error": f"{error}"}
    except (ValueError, RecursionError):
        status, answer = 400, {"error": "no plain JSON"}
    return Response(_encode_json(answer), status_code=status, media_type="application/json")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
