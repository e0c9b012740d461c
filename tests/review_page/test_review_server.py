"""The server of the review page: what it answers, and that nobody but the page gets an answer."""

import asyncio
import io
import json
import re
import shutil
import uuid
from collections import Counter
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from lpw_cli.clean import command
from make_dataset import make_dataset
from PIL import Image

from lpw_toolkit.cleaning.state.review import open_review
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.review_page.guard import HEADERS, MAX_BODY_BYTES, Keys
from lpw_toolkit.review_page.routes import STATIC, read_static
from lpw_toolkit.review_page.server import (
    ServeOptions,
    make_app,
    name_reviewer,
    serve_review,
)
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.suggestions import (
    choose_tiles,
    open_suggestions,
    suggest_cuts,
    suggest_drops,
)

PORT = 8421
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    dataset = make_dataset(
        tmp_path_factory.mktemp("server") / "d", n_tracklets=12, n_frames=40, identified=False
    )
    suggest(dataset.root)
    return dataset.root


@pytest.fixture
def dataset(made, tmp_path):
    return open_dataset(shutil.copytree(made, tmp_path / "d"))


@pytest.fixture
def review(dataset):
    with open_review(dataset, "anna") as review:
        yield review


@pytest.fixture
def session(dataset, review):
    return ReviewSession(dataset, review, open_suggestions(dataset))


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def ask(session, keys):
    """Sends a request as the page does; headers and cookies can be replaced, None leaves one
    out."""
    from starlette.testclient import TestClient

    app = make_app(session, PORT, keys)

    def send(path: str, method: str = "GET", *, enter: bool = True, **more: Any):
        headers = {
            "host": f"127.0.0.1:{PORT}",
            "cookie": f"lpw-review-{PORT}={keys.token}" if enter else None,
        }
        if method == "POST":
            headers |= {"origin": HOME, "content-type": "application/json"}
        headers |= more.pop("headers", {})
        with TestClient(app, base_url=HOME, follow_redirects=False) as client:
            plain = {key: value for key, value in headers.items() if value is not None}
            return client.request(method, path, headers=plain, **more)

    return send


def make_request(operation: str = "accept", *tracklets: str, **arguments: Any) -> dict[str, Any]:
    if operation == "reject":
        arguments.setdefault("reason", None)
    names = list(tracklets) or ["scen1/view1/000001"]
    return {
        "uuid": str(uuid.uuid4()),
        "operation": operation,
        "tracklets": [] if operation == "undo" else names,
        "arguments": arguments,
        "spent_ms": 900,
    }


class Together:
    """Tests that change nothing, on one session."""

    @pytest.fixture(scope="class")
    @classmethod
    def review(cls, made, tmp_path_factory):
        with open_review(open_dataset(made), "anna", tmp_path_factory.mktemp("state")) as review:
            yield review
            assert review.log.decisions == []

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, made, review):
        return ReviewSession(open_dataset(made), review, open_suggestions(open_dataset(made)))


class TestWhoIsLetIn(Together):
    def test_the_token_becomes_a_cookie(self, ask, keys):
        answer = ask(f"/?token={keys.token}", enter=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"lpw-review-{PORT}={keys.token};")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        page = ask("/")
        assert page.status_code == 200
        assert keys.token not in page.text

    def test_the_ticket_for_the_browser_is_good_once(self, ask, keys):
        ticket = keys.ticket
        assert ask(f"/?token={ticket}", enter=False).status_code == 303
        assert ask(f"/?token={ticket}", enter=False).status_code == 403
        assert ask(f"/?token={keys.token}", enter=False).status_code == 303

    @pytest.mark.parametrize("token", ["", "x", "%00", "é", "a&token=b"])
    def test_a_wrong_token_opens_nothing(self, ask, token):
        answer = ask(f"/?token={token}", enter=False)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers

    def test_an_old_token_opens_nothing(self, ask):
        assert (
            ask("/api/start", headers={"cookie": f"lpw-review-{PORT}={Keys().token}"}).status_code
            == 403
        )

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/main.js",
            "/api/start",
            "/api/ping",
            "/api/tracklet/0",
            "/sprite/0/sheet",
            "/nothing",
        ],
    )
    def test_nothing_without_the_cookie(self, ask, path):
        assert ask(path, enter=False).status_code == 403
        assert ask(path, headers={"cookie": "lpw-review-8421=; \x01"}).status_code == 403

    def test_a_token_in_referer_or_body_is_none(self, ask, keys):
        assert (
            ask(
                "/api/start", enter=False, headers={"referer": f"{HOME}/?token={keys.token}"}
            ).status_code
            == 403
        )
        assert (
            ask("/api/decide", "POST", enter=False, json={"token": keys.token}).status_code == 403
        )
        assert ask(f"/api/start?token={keys.token}", enter=False).status_code == 403

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1",
            f"127.0.0.1.evil.example:{PORT}",
            f"evil@127.0.0.1:{PORT}", f"[::1]:{PORT}", f"0.0.0.0:{PORT}", f"localhost.:{PORT}", "",
            f"LOCALHOST:{PORT}",
        ],
    )  # fmt: skip
    def test_a_foreign_host_is_refused(self, ask, keys, host):
        for path in ("/", "/api/start", f"/?token={keys.token}"):
            assert ask(path, headers={"host": host}).status_code == 403

    def test_this_machine_may_be_called_localhost(self, ask):
        assert ask("/api/ping", headers={"host": f"localhost:{PORT}"}).status_code == 200

    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil.example",
            "null",
            "https://127.0.0.1:8421",
            "http://127.0.0.1",
            "http://127.0.0.1:84210",
            "",
        ],
    )
    def test_a_foreign_origin_is_refused(self, ask, origin):
        assert ask("/api/start", headers={"origin": origin}).status_code == 403
        assert (
            ask("/api/decide", "POST", headers={"origin": origin}, json=make_request()).status_code
            == 403
        )

    def test_a_decision_without_origin_is_refused(self, ask, review):
        assert (
            ask("/api/decide", "POST", headers={"origin": None}, json=make_request()).status_code
            == 403
        )
        assert review.log.decisions == []

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
    def test_requests_that_other_sites_cause_are_refused(self, ask, site):
        assert ask("/sprite/0/sheet", headers={"sec-fetch-site": site}).status_code == 403

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
    )
    def test_only_json_is_taken(self, ask, review, kind):
        data = json.dumps(make_request())
        assert (
            ask("/api/decide", "POST", headers={"content-type": kind}, content=data).status_code
            == 415
        )
        assert review.log.decisions == []

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    def test_no_other_methods(self, ask, method):
        assert ask("/api/decide", method).status_code == 405

    def test_reading_changes_nothing(self, ask, review):
        assert ask("/api/decide").status_code == 405
        assert ask("/api/start", "POST", json={}).status_code == 405
        assert review.log.decisions == []

    def test_websockets_are_closed(self, session, keys):
        from starlette.testclient import TestClient
        from starlette.websockets import WebSocketDisconnect

        client = TestClient(make_app(session, PORT, keys), base_url=HOME)
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
            pass


class TestHeaders(Together):
    @pytest.mark.parametrize(
        "path",
        ["/", "/main.js", "/review.css", "/api/start", "/sprite/0/sheet", "/nothing", "/a%2fb"],
    )
    def test_every_answer_is_dressed(self, ask, path):
        headers = ask(path).headers
        assert {key: headers.get(key) for key in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers

    def test_the_policy_lets_nothing_in_from_outside(self):
        policy = HEADERS["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "http" not in policy

    def test_the_page_has_nothing_inline_and_nothing_from_outside(self):
        page = read_static("review.html").decode()
        assert re.findall(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|<style", page) == []
        for name in STATIC:
            text = read_static(name).decode()
            assert re.findall(r"https?://", text) == []
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function",
                text,
            )


class TestAddresses(Together):
    @pytest.mark.parametrize(
        "path",
        [
            "/..%2f..%2fetc/passwd", "/%2e%2e/dataset.json", "/main.js%00.css",
            "/static/../dataset.json", "//x/passwd",
            "/main.js\x00", "/api/tracklet/0%2f..", "/sprite/..\\..\\x/sheet",
        ],
    )  # fmt: skip
    def test_encoded_and_upward_ones_are_refused(self, session, keys, path):
        """As they stand in the request: a client would tidy them up."""
        headers = [
            (b"host", f"127.0.0.1:{PORT}".encode()),
            (b"cookie", f"lpw-review-{PORT}={keys.token}".encode()),
        ]
        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "raw_path": path.encode(),
            "headers": headers,
        }
        sent: list[dict[str, Any]] = []

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            sent.append(message)

        asyncio.run(make_app(session, PORT, keys)(scope | {"query_string": b""}, receive, send))
        assert sent[0]["status"] == 400

    @pytest.mark.parametrize(
        "path",
        [
            "/dataset.json", "/images/scen1/view1/000001/0.jpg", "/static/main.js", "/guard.py",
            "/api/tracklet/12",
            "/api/tracklet/-1", "/api/tracklet/x", "/api/tracklet/01", "/api/tracklet/1e3",
            "/api/tracklet/99999999999",
            "/sprite/12/sheet", "/sprite/0/0-0", "/sprite/0/5-4", "/sprite/0/0-9999",
            "/sprite/0/-1-4", "/sprite/0/a-b",
            "/sprite/0/scen1", "/sprite/12/few", "/sprite/several/0-12", "/cleanup/anna.jsonl",
            "/sprite/0/large/0-99999", "/sprite/several/", "/sprite/several/1-x", "/sprite/0-1/few",
            "/api/compare/0/0-5/1/0-99999", "/api/compare/0/0/1/0-5", "/api/compare/0/5-5/1/0-5",
            "/api/compare/0/0-5/12/0-5", "/sprite/several/" + "-".join(["1"] * 41),
        ],
    )  # fmt: skip
    def test_others_are_not_there(self, ask, path):
        answer = ask(path)
        assert answer.status_code == 404
        assert "Traceback" not in answer.text

    def test_a_long_one_is_refused(self, ask):
        assert ask("/" + "a" * 3000).status_code == 414


class TestWhatItTells:
    def test_the_beginning(self, ask, dataset):
        start = ask("/api/start").json()
        assert start["name"] == dataset.name
        assert start["reviewer"] == "anna"
        assert (
            len(start["ids"])
            == len(start["frames"])
            == len(start["camera"])
            == len(start["status_codes"])
            == 12
        )
        assert sorted(start["order"]) == list(range(12))
        assert len(start["chances"]) == 12
        assert start["status_codes"] == "u" * 12
        assert start["estimate"].startswith("not enough random checks")

    def test_one_tracklet(self, ask, dataset):
        ids = ask("/api/start").json()["ids"]
        found = ask("/api/tracklet/3").json()
        assert found["id"] == ids[3]
        assert found["pieces"] == [
            {
                "name": ids[3],
                "tracklet": ids[3],
                "start": 0,
                "stop": found["n_frames"],
                "status": "unreviewed",
            }
            | {key: [] for key in ("reasons", "dropped", "flags", "comments", "reviewers")}
        ]
        assert found["tiles"] == sorted(set(found["tiles"]))
        assert set(found["odd"]) <= set(found["tiles"])
        assert found["cuts"]
        assert all(0 < cut < found["n_frames"] for cut in found["cuts"])
        assert len(found["signals"]["change"]) == found["n_frames"]
        assert 1 <= len(found["across"]) <= 9
        assert all(each["why"] and "\n" not in each["why"] for each in found["across"])
        assert all(ids[each["n"]] == each["id"] for each in found["across"])

    def test_pictures_have_the_size_that_is_told(self, ask):
        found = ask("/api/tracklet/3").json()
        sheet = ask("/sprite/3/sheet")
        assert sheet.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(sheet.content)).size == (
            found["tile_px"] * len(found["tiles"]),
            96,
        )
        listed = {each["n"] for each in (*found["merges"], *found["across"])}
        assert set(found["thumbs"]) == listed
        address = f"/sprite/several/{'-'.join(map(str, found['thumbs']))}"
        thumbs = Image.open(io.BytesIO(ask(address).content))
        assert thumbs.size == (found["thumb_px"] * 2 * len(listed), 96)
        large = Image.open(io.BytesIO(ask("/sprite/3/large/0-2-5").content))
        assert (large.size[0] % 3, large.size[1]) == (0, 224)
        assert Image.open(io.BytesIO(ask("/sprite/3/5-9").content)).size[0] % 4 == 0
        assert Image.open(io.BytesIO(ask("/sprite/3/few").content)).size[0] % 8 == 0

    def test_a_missing_image_is_crossed_out(self, ask, dataset):
        (dataset.root / dataset.frames["image"][0].as_py()["path"]).unlink()
        assert ask("/sprite/0/sheet").status_code == 200

    def test_without_suggestions_everything_works_in_the_order_of_the_table(
        self, dataset, review, keys
    ):
        shutil.rmtree(dataset.root / "cleanup" / "suggestions")
        session = ReviewSession(dataset, review, open_suggestions(dataset))
        start = session.start()
        assert start["order"] == list(range(12))
        assert not start["has_suggestions"]
        found = session.describe(0)
        assert (found["merges"], found["across"], found["reasons"]) == ([], [], [])
        assert found["cuts"] == [found["n_frames"] // 2]
        assert session.draw_sheet(0)

    def test_suggestions_of_another_dataset_are_refused(self, dataset, tmp_path):
        other = make_dataset(tmp_path / "other", n_tracklets=4, seed=1)
        suggest(other.root)
        with pytest.raises(MismatchError, match="another dataset"):
            open_suggestions(dataset, other.root / "cleanup" / "suggestions")

    def test_hostile_names_arrive_as_they_are(self, ask):
        text = "<script>alert(1)</script>\n\u202e../../x"
        assert (
            ask("/api/decide", "POST", json=make_request("comment", text=text)).status_code == 200
        )
        assert ask("/api/tracklet/0").json()["pieces"][0]["comments"] == [["anna", text]]


class TestDeciding:
    def test_a_decision_is_on_the_disk_when_it_is_answered(self, ask, dataset):
        request = make_request()
        answer = ask("/api/decide", "POST", json=request).json()
        line = json.loads((dataset.root / "cleanup" / "anna.jsonl").read_text().splitlines()[-1])
        assert (line["uuid"], line["seq"]) == (request["uuid"], answer["seq"])
        assert answer["touched"][0]["status_code"] == "a"
        assert answer["touched"][0]["pieces"][0]["status"] == "accepted"

    def test_a_retry_is_harmless(self, ask, dataset):
        request = make_request("reject", reason="static")
        first, second = (ask("/api/decide", "POST", json=request).json() for _ in range(2))
        assert first == second
        assert len((dataset.root / "cleanup" / "anna.jsonl").read_text().splitlines()) == 1

    def test_a_uuid_stands_for_one_decision(self, ask):
        request = make_request()
        assert ask("/api/decide", "POST", json=request).status_code == 200
        answer = ask(
            "/api/decide",
            "POST",
            json=request | {"operation": "reject", "arguments": {"reason": None}},
        )
        assert answer.status_code == 400

    def test_a_large_body_is_refused(self, ask):
        assert ask("/api/decide", "POST", content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413

        def pour():
            for _ in range(MAX_BODY_BYTES // 1000 + 2):
                yield b" " * 1000

        assert ask("/api/decide", "POST", content=pour()).status_code == 413
        assert (
            ask(
                "/api/decide", "POST", headers={"content-length": "1" * 30}, content=b"{}"
            ).status_code
            == 413
        )

    def test_a_full_disk_is_told_and_tried_again(self, ask, review, monkeypatch):
        request = make_request()
        monkeypatch.setenv("LPW_FAULT", "fsync:1:ENOSPC")
        monkeypatch.setattr("lpw_toolkit.files.faults._hits", Counter())
        answer = ask("/api/decide", "POST", json=request)
        assert answer.status_code == 503
        assert "no space left" in answer.json()["error"]
        assert review.log.decisions == []
        monkeypatch.delenv("LPW_FAULT")
        assert ask("/api/decide", "POST", json=request).status_code == 200
        assert [decision.uuid for decision in review.log.decisions] == [request["uuid"]]

    def test_undo_brings_a_tracklet_back(self, ask):
        request = make_request("split", at=7)
        pieces = ask("/api/decide", "POST", json=request).json()["touched"][0]["pieces"]
        assert [(piece["start"], piece["stop"]) for piece in pieces] == [
            (0, 7),
            (7, pieces[1]["stop"]),
        ]
        undo = make_request("undo", of=request["uuid"])
        touched = ask("/api/decide", "POST", json=undo).json()["touched"]
        assert (touched[0]["status_code"], len(touched[0]["pieces"])) == ("u", 1)
        redo = ask("/api/decide", "POST", json=make_request("undo", of=undo["uuid"])).json()[
            "touched"
        ]
        assert len(redo[0]["pieces"]) == 2

    def test_the_queue_leaves_out_what_is_decided(self, ask):
        order = ask("/api/start").json()["order"]
        ids = ask("/api/start").json()["ids"]
        ask("/api/decide", "POST", json=make_request("accept", ids[order[0]]))
        ask("/api/decide", "POST", json=make_request("flag", ids[order[1]], flag="unsure"))
        assert sorted(ask("/api/order").json()["order"]) == sorted(order[2:])
        status_codes = ask("/api/start").json()["status_codes"]
        assert (status_codes[order[0]], status_codes[order[1]]) == ("a", "?")

    def test_persons_are_shown_across_cameras(self, ask):
        found = ask("/api/tracklet/0").json()
        other = found["across"][0]
        ask("/api/decide", "POST", json=make_request("link", found["id"], other["piece"]))
        ask("/api/decide", "POST", json=make_request("assign_person", found["id"], person=7))
        for n, member in ((0, other["n"]), (other["n"], 0)):
            card = ask(f"/api/tracklet/{n}").json()
            (person,) = card["people"]
            assert [each["n"] for each in person["members"]] == [member]
            assert (person["n_members"], person["numbers"]) == (1, [7])
        assert ask("/api/start").json()["linked"] == sorted([0, other["n"]])

    def test_what_clashes_is_told_with_its_decisions(self, dataset):
        with open_review(dataset, "bob") as other:
            ReviewSession(dataset, other, open_suggestions(dataset)).decide(make_request("reject"))
        with open_review(dataset, "anna") as review:
            session = ReviewSession(dataset, review, open_suggestions(dataset))
            session.decide(make_request("accept"))
            (conflict,) = session.list_conflicts()
            assert conflict["kind"] == "verdict"
            assert sorted(decision["reviewer"] for decision in conflict["decisions"]) == [
                "anna",
                "bob",
            ]
            assert conflict["n"] == 0


class TestWrongDecisions(Together):
    @pytest.mark.parametrize(
        "change",
        [
            {"operation": "delete"}, {"operation": None}, {"tracklets": ["../../etc/passwd"]},
            {"tracklets": []},
            {"tracklets": ["scen1/view1/000001@5-99999"]}, {"tracklets": "scen1/view1/000001"},
            {"uuid": "1"},
            {"arguments": {"path": "/etc/passwd"}}, {"arguments": []}, {"spent_ms": -1},
            {"spent_ms": 1.5},
            {"reviewer": "bob"}, {"seq": 0}, {"previous": "0" * 64}, {"time": "now"},
        ],
    )  # fmt: skip
    def test_wrong_ones_are_refused(self, ask, review, change):
        answer = ask("/api/decide", "POST", json=make_request() | change)
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert review.log.decisions == []

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"1",
            b'"a"',
            b"[" * 60_000,
            b"\xff\xfe",
            b'{"uuid": NaN}',
            b'{"a":1,"a":2}',
        ],
    )
    def test_other_bodies_are_refused(self, ask, review, body):
        assert ask("/api/decide", "POST", content=body).status_code == 400
        assert review.log.decisions == []


class TestServing:
    def test_a_second_server_of_the_same_reviewer_is_refused(self, dataset, review):
        with pytest.raises(LpwError, match="another process of this reviewer"):
            serve_review(dataset, ServeOptions("anna"), lambda *_: None)

    def test_a_taken_port_is_told(self, dataset):
        import socket

        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(LpwError, match="option --port"):
                serve_review(dataset, ServeOptions("anna", port=port), lambda *_: None)

    def test_a_missing_package_is_told(self, dataset, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "uvicorn", None)
        with pytest.raises(LpwError, match=r"lpw-toolkit\[review\]"):
            serve_review(dataset, ServeOptions("anna"), lambda *_: None)

    @pytest.mark.parametrize(
        ("user", "name"),
        [
            ("Anna", "anna"),
            ("j.doe", "j-doe"),
            ("Ünal Ö", "nal"),
            ("", "reviewer"),
            ("--", "reviewer"),
        ],
    )
    def test_a_name_is_made_of_the_users(self, monkeypatch, user, name):
        monkeypatch.setattr("getpass.getuser", lambda: user)
        assert name_reviewer() == name

    def test_a_wrong_reviewer_is_told_by_the_command(self, dataset):
        run = CliRunner().invoke(
            command, [str(dataset.root), "--review", "--reviewer", "../x", "--no-open"]
        )
        assert isinstance(run.exception, LpwError)
        assert "reviewer" in str(run.exception)


class TestHints:
    def test_tiles_of_a_short_tracklet_are_all_its_frames(self):
        assert choose_tiles(5, [2], [[4, 5]], {}) == ([0, 1, 2, 3, 4], [1, 2, 4])

    def test_tiles_of_a_long_one_hold_what_is_suspicious(self):
        tiles, odd = choose_tiles(1000, [321], [[777, 779]], {})
        assert odd == [320, 321, 777, 778]
        assert set(odd) < set(tiles)
        assert (tiles[0], tiles[-1]) == (0, 999)
        assert 22 <= len(tiles) <= 32

    def test_cuts_and_drops(self):
        reasons = [
            {"name": "sharp_change", "score": 0.9, "first": 4, "end": 4},
            {"name": "box_jump", "score": 0.8, "first": 6, "end": 7},
            {"name": "odd_frame", "score": 0.7, "first": 8, "end": 9},
            {"name": "look_change", "score": 0.6, "first": None, "end": None},
        ]
        assert suggest_cuts(reasons, None, 10) == [4, 6]
        assert suggest_drops(reasons, 10) == [[8, 9]]
        assert suggest_cuts([], None, 1) == []
