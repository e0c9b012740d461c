"""The routes of the review server: which address asks what of a `ReviewSession`, and how its answer
is sent."""

import json
import re
from collections.abc import Awaitable, Callable
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.pages.render import render_page
from lpw_toolkit.review_page.history import HistoryFilter
from lpw_toolkit.review_page.pictures import MAX_FRAMES
from lpw_toolkit.review_page.session import ReviewSession

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

Numbers = list[int]
Answer = Callable[["Request"], Awaitable["Response"]]

_PACKAGE = "lpw_toolkit.review_page"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FOLDER = Path(str(resources.files(_PACKAGE))) / "static"
#: The files of the page: name to media type.
STATIC = {
    name: f"{_TYPES[suffix]}; charset=utf-8"
    for name in ("base.css", *(file.name for file in list_folder(_FOLDER)))
    if (suffix := name.rpartition(".")[2]) in _TYPES
}
#: Parts of an address that hold several numbers.
_RANGES, _LISTS = ("span", "other_span"), ("numbers", "positions")


@cache
def read_static(name: str) -> bytes:
    """One file of the page."""
    if name == "review.html":
        return render_page(name, package=_PACKAGE).encode()
    package = "lpw_toolkit.pages" if name == "base.css" else _PACKAGE
    return resources.files(package).joinpath("static", name).read_bytes()


def list_routes(session: ReviewSession) -> "list[Route]":
    """Every route: the files of the page, what it asks, its pictures, and decisions."""
    from starlette.routing import Route

    files = {("/" if name == "review.html" else f"/{name}"): name for name in STATIC}
    answers: dict[str, Answer] = {
        **{address: partial(_send_file, name) for address, name in files.items()},
        **{address: _answer_json(ask) for address, ask in _list_asks(session).items()},
        **{address: _answer_query(ask) for address, ask in _list_queries(session).items()},
        **{address: _answer_jpeg(draw) for address, draw in _list_pictures(session).items()},
    }
    routes = [Route(address, answer, methods=["GET"]) for address, answer in answers.items()]
    return [*routes, Route("/api/decide", partial(_decide, session), methods=["POST"])]


def _list_asks(session: ReviewSession) -> dict[str, Callable[..., Any]]:
    """What is asked by the numbers in an address."""
    return {
        "/api/ping": dict,
        "/api/start": session.start,
        "/api/order": session.order,
        "/api/codes": session.list_codes,
        "/api/conflicts": session.list_conflicts,
        "/api/team": session.describe_team,
        "/api/changes/{since}": session.list_changes,
        "/api/timeline/{camera}": session.describe_timeline,
        "/api/tracklet/{n}": session.describe,
        "/api/compare/{n}/{span}/{other}/{other_span}": partial(_compare, session),
        "/api/frame/{n}/{position}": session.video_frames.describe,
    }


def _list_queries(session: ReviewSession) -> dict[str, Callable[[dict[str, str]], Any]]:
    """What is asked by the query of an address."""
    return {
        "/api/history": lambda query: session.list_history(HistoryFilter.read(query)),
        "/api/persons": session.list_persons,
        "/api/find": lambda query: session.find(query.get("q", "")),
    }


def _list_pictures(session: ReviewSession) -> dict[str, Callable[..., bytes]]:
    return {
        "/frame/{n}/{position}": session.video_frames.draw,
        "/frame/{n}/{position}/near": session.video_frames.draw_near,
        "/sprite/{n}/sheet": session.draw_sheet,
        "/sprite/{n}/few": session.draw_few,
        "/sprite/several/{numbers}": session.draw_several,
        "/sprite/{n}/large/{positions}": session.draw_large,
        "/sprite/{n}/{start}-{stop}": partial(_draw_frames, session),
    }


def _draw_frames(session: ReviewSession, number: int, start: int, stop: int) -> bytes:
    if stop - start > MAX_FRAMES:
        raise IndexError(stop)
    return session.draw_frames(number, start, stop)


def _compare(
    session: ReviewSession, number: int, start: int, stop: int, *other: int
) -> dict[str, Any]:
    return session.compare(session.piece_of(number, start, stop), session.piece_of(*other))


def _read_numbers(request: "Request") -> Numbers:
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


def _answer_json(ask: Callable[..., Any]) -> Answer:
    async def answer(request: "Request") -> "Response":
        return await _ask(request, lambda numbers: _encode_json(ask(*numbers)), "application/json")

    return answer


def _answer_jpeg(draw: Callable[..., bytes]) -> Answer:
    async def answer(request: "Request") -> "Response":
        return await _ask(request, lambda numbers: draw(*numbers), "image/jpeg")

    return answer


def _answer_query(ask: Callable[[dict[str, str]], Any]) -> Answer:
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


async def _ask(request: "Request", ask: Callable[[Numbers], bytes], media_type: str) -> "Response":
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
