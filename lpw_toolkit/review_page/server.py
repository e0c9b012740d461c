"""The server of the review page: its routes behind a `Guard`, on 127.0.0.1, until Ctrl-C."""

import getpass
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from lpw_toolkit.cleaning.log.decisions import MAX_REVIEWER_CHARS, RULE_PREFIX
from lpw_toolkit.cleaning.state.review import Review, open_review
from lpw_toolkit.cleaning.suggest.suggest import suggestions_folder
from lpw_toolkit.cleaning.team import Team, refuse_rule_name
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError, check_range, install_hint
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.progress import say_note
from lpw_toolkit.review_page.guard import App, Guard, Keys
from lpw_toolkit.review_page.routes import list_routes
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.suggestions import Suggestions, open_suggestions
from lpw_toolkit.review_page.team_session import TeamReviewSession

_OUTDATED = (
    "note: the suggestions are of an earlier version, which offers nobody who comes back to the "
    "same camera; `lpw clean --suggest` makes them again"
)
_N_CONNECTIONS = 64
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


def make_app(session: ReviewSession, port: int, keys: Keys) -> App:
    """The ASGI application: the routes over `session`, behind the guard."""
    from starlette.applications import Starlette

    return Guard(Starlette(routes=list_routes(session)), port, keys)
