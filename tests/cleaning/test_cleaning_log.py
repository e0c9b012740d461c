"""The log: nothing acknowledged is ever lost, nothing forged is ever believed, a retry changes
nothing."""

import contextlib
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_decisions import DIGEST, ask, chain, make_uuid, write_lines

from lpw_toolkit.cleaning.field import UUID, BadLineError
from lpw_toolkit.cleaning.log.decision_schema import format_schema, make_schema
from lpw_toolkit.cleaning.log.decision_set import merge_folder, read_folder, unite
from lpw_toolkit.cleaning.log.decisions import (
    VERSION,
    VERSIONS,
    Request,
    check_request,
    format_line,
    parse_line,
)
from lpw_toolkit.cleaning.log.log import (
    Log,
    StateDigest,
    open_log,
    read_log,
    read_log_file,
    request_of,
)
from lpw_toolkit.cleaning.operation import load_operations
from lpw_toolkit.errors import LpwError, MismatchError

SEEN = "e" * 64
ROOT = Path(__file__).resolve().parents[2]


def open_anna(folder: Path, **kwargs: Any) -> Log:
    return open_log(folder, "anna", DIGEST, **kwargs)


def read_anna(folder: Path) -> list[str]:
    return [decision.uuid for decision in read_log_file(folder / "anna.jsonl", DIGEST).decisions]


def fill(folder: Path, n: int) -> None:
    with open_anna(folder) as opened:
        for number in range(1, n + 1):
            opened.append(ask(number, "accept", f"t{number}"), SEEN)


class TestAppending:
    def test_a_line_says_everything(self, tmp_path: Path) -> None:
        with open_anna(tmp_path) as opened:
            made = opened.append(ask(1, "reject", "scen1/ÿ/1", reason="static"), SEEN)
            opened.append(ask(2, "undo", of=make_uuid(1)), SEEN)
        lines = (tmp_path / "anna.jsonl").read_bytes().splitlines()
        first = json.loads(lines[0])
        assert first.pop("time").endswith("Z")
        assert first == {
            "version": VERSION, "seq": 0, "uuid": make_uuid(1), "reviewer": "anna",
            "operation": "reject",
            "tracklets": ["scen1/ÿ/1"], "arguments": {"reason": "static"}, "seen": SEEN,
            "previous": DIGEST,
            "spent_ms": 1500,
        }  # fmt: skip
        assert json.loads(lines[1])["previous"] == made.sha256
        assert [parse_line(line).seq for line in lines] == [0, 1]

    def test_a_retry_is_harmless_and_another_content_is_refused(self, tmp_path: Path) -> None:
        fill(tmp_path, 2)
        before = (tmp_path / "anna.jsonl").read_bytes()
        with open_anna(tmp_path) as opened:
            assert opened.append(ask(1, "accept", "t1"), SEEN).seq == 0
            with pytest.raises(LpwError, match="another content"):
                opened.append(ask(1, "reject", "t1"), SEEN)
        assert (tmp_path / "anna.jsonl").read_bytes() == before

    def test_a_second_writer_is_refused(self, tmp_path: Path) -> None:
        with open_anna(tmp_path), pytest.raises(LpwError, match="another process of this reviewer"):
            open_anna(tmp_path)
        open_log(tmp_path, "bob", DIGEST).close()
        open_anna(tmp_path).close()

    def test_a_clock_that_jumps_back_changes_no_order(self, tmp_path: Path) -> None:
        times = iter([datetime(2036, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
        with open_anna(tmp_path, clock=lambda: next(times)) as opened:
            made = [opened.append(ask(n, "accept", "t"), SEEN) for n in (2, 1)]
        assert made[0].time > made[1].time
        assert read_anna(tmp_path) == [make_uuid(2), make_uuid(1)]
        assert [d.uuid for d in unite([made[::-1]]).decisions] == [make_uuid(2), make_uuid(1)]

    def test_local_clocks_are_written_as_utc(self, tmp_path: Path) -> None:
        class Summer(datetime):
            pass

        when = datetime(2026, 7, 1, 12, tzinfo=UTC) + timedelta(milliseconds=7)
        with open_anna(tmp_path, clock=lambda: when) as opened:
            assert opened.append(ask(1, "accept", "t"), SEEN).time == "2026-07-01T12:00:00.007Z"

    @pytest.mark.parametrize(
        "name", ["", "Anna", "../anna", "a/b", "a.b", "-a", "a b", "a" * 41, "ä", "a\n", "a\0"]
    )
    def test_names_that_are_none(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(LpwError, match="reviewer"):
            open_log(tmp_path, name, DIGEST)
        assert list(tmp_path.iterdir()) == []


class TestFaults:
    @pytest.mark.parametrize("cut", [1, 40, 200])
    def test_a_torn_last_line_is_repaired_and_reported(self, tmp_path: Path, cut: int) -> None:
        fill(tmp_path, 3)
        file = tmp_path / "anna.jsonl"
        whole = file.read_bytes()
        file.write_bytes(whole + whole.splitlines()[-1][:cut])
        assert read_anna(tmp_path) == [make_uuid(n) for n in (1, 2, 3)]
        with open_anna(tmp_path) as opened:
            assert opened.repairs == [
                f"anna.jsonl: {cut} bytes of a torn last line, never acknowledged, are left out"
            ]
            opened.append(ask(4, "accept", "t4"), SEEN)
        assert file.read_bytes().startswith(whole)
        assert len(read_anna(tmp_path)) == 4

    def test_a_last_line_that_only_lacks_its_end_is_kept(self, tmp_path: Path) -> None:
        fill(tmp_path, 2)
        file = tmp_path / "anna.jsonl"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1])
        assert len(read_anna(tmp_path)) == 2
        with open_anna(tmp_path) as opened:
            assert opened.repairs == ["anna.jsonl: the last line lacks its end"]
        assert file.read_bytes() == whole

    @pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT"])
    @pytest.mark.parametrize("point", ["write", "fsync"])
    def test_a_disk_that_refuses_acknowledges_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, code: str
    ) -> None:
        fill(tmp_path, 2)
        before = (tmp_path / "anna.jsonl").read_bytes()

        def refuse(name: str) -> None:
            if name == point:
                monkeypatch.undo()  # only once
                raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

        with open_anna(tmp_path) as opened:
            monkeypatch.setattr("lpw_toolkit.files.appending.fault_point", refuse)
            with pytest.raises(LpwError, match="nothing saved"):
                opened.append(ask(3, "accept", "t3"), SEEN)
            assert (tmp_path / "anna.jsonl").read_bytes() == before
            assert opened.append(ask(3, "accept", "t3"), SEEN).seq == 2
        assert len(read_anna(tmp_path)) == 3

    def test_a_full_disk_in_the_middle_of_a_line(self, tmp_path: Path) -> None:
        fill(tmp_path, 2)
        file = tmp_path / "anna.jsonl"
        size = file.stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with open_anna(tmp_path) as opened:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
                with pytest.raises(LpwError, match="free some space"):
                    opened.append(ask(3, "accept", "t3"), SEEN)
                assert file.stat().st_size == size
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                opened.append(ask(3, "accept", "t3"), SEEN)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, old)
        assert len(read_anna(tmp_path)) == 3

    def test_a_log_that_something_else_changed_takes_nothing_more(self, tmp_path: Path) -> None:
        with open_anna(tmp_path) as opened:
            opened.append(ask(1, "accept", "t1"), SEEN)
            with (tmp_path / "anna.jsonl").open("ab") as stream:
                stream.write(b"x")
            with pytest.raises(LpwError, match="something else has changed"):
                opened.append(ask(2, "accept", "t2"), SEEN)

    def test_a_place_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(tmp_path, 1)
        true_open = os.open

        def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
            if flags & os.O_RDWR:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return true_open(path, flags, *rest, **more)

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(LpwError, match=r"read-only file system.*--state DIR"):
            open_anna(tmp_path)
        assert read_anna(tmp_path) == [make_uuid(1)]

    @pytest.mark.parametrize("make", ["link", "fifo", "folder"])
    def test_what_is_no_plain_file_is_neither_written_nor_waited_for(
        self, tmp_path: Path, make: str
    ) -> None:
        folder, target = tmp_path / "cleanup", tmp_path / "elsewhere"
        folder.mkdir()
        target.write_bytes(b"")
        file = folder / "anna.jsonl"
        {
            "link": lambda: file.symlink_to(target),
            "fifo": lambda: os.mkfifo(file),
            "folder": file.mkdir,
        }[make]()
        with pytest.raises(LpwError):
            open_anna(folder)
        with pytest.raises(MismatchError):
            read_folder(folder, DIGEST)
        assert target.read_bytes() == b""

    @pytest.mark.parametrize("point", ["write:3", "fsync:5", "write:7", "truncate:1"])
    def test_kill_at_every_step_keeps_what_was_acknowledged(
        self, tmp_path: Path, point: str
    ) -> None:
        if point.startswith("truncate"):
            fill(tmp_path, 2)
            with (tmp_path / "anna.jsonl").open("ab") as stream:
                stream.write(b'{"torn')
        acked = run_writer(tmp_path, 8, LPW_FAULT=point)
        found = read_anna(tmp_path)
        assert set(acked) <= set(found)
        assert len(found) <= max(len(acked) + 1, 2)
        fill(tmp_path, 8)
        assert read_anna(tmp_path) == [make_uuid(n) for n in range(1, 9)]

    def test_kill_at_random_moments(self, tmp_path: Path) -> None:
        for round_ in range(3):
            folder = tmp_path / str(round_)
            acked = run_writer(folder, 100_000, kill_after=5 + 40 * round_)
            assert len(acked) > round_
            assert set(acked) <= set(read_anna(folder))
            open_anna(folder).close()

    def test_reviewers_at_once_lose_and_tear_nothing(self, tmp_path: Path) -> None:
        names = ("anna", "bob", "eve")
        commands = [[sys.executable, "-c", WRITER, str(tmp_path), "60", name] for name in names]
        children = [
            subprocess.Popen(command, cwd=ROOT / "tests" / "fixtures", stdout=subprocess.DEVNULL)
            for command in commands
        ]
        assert [child.wait(60) for child in children] == [0, 0, 0]
        readings = read_folder(tmp_path, DIGEST)
        assert [(reading.reviewer, len(reading.decisions)) for reading in readings] == [
            (name, 60) for name in names
        ]


WRITER = f"""
import sys
from pathlib import Path
from lpw_toolkit.cleaning.log.log import open_log
from make_decisions import DIGEST, ask
with open_log(Path(sys.argv[1]), sys.argv[3], DIGEST) as log:
    for n in range(1, int(sys.argv[2]) + 1):
        print(log.append(ask(n, "accept", f"t{{n}}"), "{SEEN}").uuid, flush=True)
"""


def run_writer(
    folder: Path, n: int, kill_after: int | None = None, **environment: str
) -> list[str]:
    """What a process that was killed had acknowledged."""
    command = [sys.executable, "-c", WRITER, str(folder), str(n), "anna"]
    child = subprocess.Popen(
        command,
        cwd=ROOT / "tests" / "fixtures",
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    acked: list[str] = []
    for line in child.stdout:
        acked.append(line.strip())
        if kill_after is not None and len(acked) == kill_after:
            child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    return [uuid for uuid in acked if UUID.fullmatch(uuid)]


GOOD = format_line(chain("anna", [ask(1, "drop_frames", "t1", frames=[[1, 2], [4, 5]])])[0])


def change(**fields: Any) -> bytes:
    return json.dumps({**json.loads(GOOD), **fields}).encode()


HOSTILE = {
    "no JSON": b"{",
    "nothing": b"",
    "a number": b"1",
    "not UTF-8": GOOD.replace(b"t1", b"\xff\xfe"),
    "NUL": GOOD.replace(b"t1", b"\\u0000"),
    "lone surrogate": GOOD.replace(b"t1", b"\\ud800"),
    "escape codes": GOOD.replace(b"t1", b"\\u001b[2J"),
    "NaN": GOOD.replace(b"1500", b"NaN"),
    "infinity": GOOD.replace(b"1500", b"1e999"),
    "huge number": GOOD.replace(b"1500", b"9" * 5000),
    "float": GOOD.replace(b"1500", b"1500.0"),
    "deep": b"[" * 60_000 + b"]" * 5_000,
    "a key twice": GOOD.replace(b'{"arguments"', b'{"seq":0,"arguments"'),
    "long": change(tracklets=["t" * (65 << 10)]),
    "long id": change(tracklets=["t" * 401]),
    "no id": change(tracklets=[""]),
    "id twice": change(operation="merge", arguments={}, tracklets=["a", "a"]),
    "ids of numbers": change(tracklets=[1]),
    "ids no list": change(tracklets="t1"),
    "too few": change(tracklets=[]),
    "too many": change(tracklets=["a", "b"]),
    "unknown operation": change(operation="delete"),
    "operation no text": change(operation=["accept"]),
    "version": change(version=3),
    "version true": change(version=True),
    "version a fraction": change(version=1.0),
    "seq": change(seq=-1),
    "seq true": change(seq=True),
    "more fields": change(path="/etc/passwd"),
    "fewer fields": json.dumps({"version": 1}).encode(),
    "uuid": change(uuid="../../x"),
    "uuid upper": change(uuid=make_uuid(10).upper().replace("A", "G")),
    "hash": change(previous="D" * 64),
    "seen": change(seen=None),
    "time": change(time="2026-13-45T99:00:00.000Z"),
    "time zone": change(time="2026-01-01T00:00:00+01:00"),
    "reviewer": change(reviewer="../anna"),
    "spent": change(spent_ms=-1),
    "arguments": change(arguments=[]),
    "other arguments": change(arguments={"frames": [[1, 2]], "path": "x"}),
    "no frames": change(arguments={"frames": []}),
    "frames backwards": change(arguments={"frames": [[4, 5], [1, 2]]}),
    "frames that touch": change(arguments={"frames": [[1, 2], [2, 3]]}),
    "frames empty": change(arguments={"frames": [[2, 2]]}),
    "frames negative": change(arguments={"frames": [[-2, 2]]}),
    "frames huge": change(arguments={"frames": [[0, 2**31]]}),
    "frames text": change(arguments={"frames": [["0", 2]]}),
    "frames three": change(arguments={"frames": [[0, 1, 2]]}),
    "reason": change(operation="reject", arguments={"reason": "<b>"}),
    "reason list": change(operation="reject", arguments={"reason": []}),
    "flag": change(operation="flag", arguments={"flag": "a b"}),
    "comment": change(operation="comment", arguments={"text": "x" * 4001}),
    "undo of a path": change(operation="undo", tracklets=[], arguments={"of": "/"}),
    "undo of a tracklet": change(operation="undo", arguments={"of": make_uuid(1)}),
}


class TestHostileLogs:
    def test_the_line_that_is_bent_is_good(self) -> None:
        assert parse_line(GOOD).arguments == {"frames": [[1, 2], [4, 5]]}

    @pytest.mark.parametrize("name", HOSTILE)
    def test_lines_are_refused_with_their_number(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadLineError) as caught:
            parse_line(HOSTILE[name])
        assert len(str(caught.value)) < 300
        first = write_lines(chain("anna", [ask(7, "accept", "t")]))
        (tmp_path / "anna.jsonl").write_bytes(first + HOSTILE[name] + b"\n")
        with pytest.raises(MismatchError, match="line 2"):
            open_anna(tmp_path)
        assert (tmp_path / "anna.jsonl").read_bytes() == first + HOSTILE[name] + b"\n"

    def test_forged_histories(self) -> None:
        log_ = chain("anna", [ask(n, "accept", f"t{n}") for n in range(1, 5)])
        lines = [format_line(decision) for decision in log_]
        edited = lines[1].replace(b"accept", b"reject").replace(b"{}", b'{"reason":null}')
        other = write_lines(chain("bob", [ask(1, "accept", "t")]))
        forged = {
            "edited": [lines[0], edited, *lines[2:]], "removed": [lines[0], *lines[2:]],
            "first removed": lines[1:],
            "reordered": [lines[0], lines[2], lines[1], lines[3]], "twice": [*lines, lines[3]],
            "of another": [other.strip()],
        }  # fmt: skip
        for name, each in forged.items():
            with pytest.raises(MismatchError, match=r"anna.jsonl, line \d"):
                read_log(b"\n".join(each) + b"\n", "anna.jsonl", DIGEST)
            assert name
        assert len(read_log(b"\n".join(lines) + b"\n", "anna.jsonl", DIGEST).decisions) == 4

    def test_a_log_of_another_dataset(self) -> None:
        data = write_lines(chain("anna", [ask(1, "accept", "t")], digest="a" * 64))
        with pytest.raises(MismatchError, match="of the digest of this dataset"):
            read_log(data, "anna.jsonl", DIGEST)

    def test_names_that_no_log_has(self) -> None:
        for name in (
            "Anna.jsonl",
            "anna.x.jsonl",
            ".jsonl",
            "a b.jsonl",
            "anna.jsonl.tmp~",
            "-.jsonl",
        ):
            with pytest.raises(MismatchError, match="a name that no log has"):
                read_log(b"", name, DIGEST)

    def test_a_log_that_is_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path, 2)
        monkeypatch.setenv("LPW_LIMIT_DECISION_BYTES", "100")
        for read in (lambda: open_anna(tmp_path), lambda: read_folder(tmp_path, DIGEST)):
            with pytest.raises(MismatchError, match="more than the 100 bytes allowed"):
                read()

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.binary(max_size=300), st.integers(0, len(GOOD)), st.integers(0, 40))
    def test_bent_bytes_never_raise_anything_else(self, data: bytes, at: int, n: int) -> None:
        for line in (data, GOOD[:at] + data + GOOD[at + n :]):
            with contextlib.suppress(BadLineError):
                assert parse_line(line).version in VERSIONS

    def test_what_a_page_sends_is_checked_alike(self) -> None:
        fields = {
            "uuid": make_uuid(1),
            "operation": "accept",
            "tracklets": ["t"],
            "arguments": {},
            "spent_ms": 3,
        }
        assert request_of(fields) == Request(make_uuid(1), "accept", ("t",), {}, 3)
        for wrong in ([], None, {**fields, "reviewer": "bob"}, {**fields, "spent_ms": True}):
            with pytest.raises(LpwError, match="decision"):
                request_of(wrong)


class TestMerging:
    def test_logs_of_others_come_in_and_go_on(self, tmp_path: Path) -> None:
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        fill(ours, 2)
        bob = chain("bob", [ask(n, "accept", f"b{n}") for n in range(11, 15)])
        theirs.mkdir()
        (theirs / "bob.jsonl").write_bytes(write_lines(bob[:2]))
        assert merge_folder(ours, theirs, DIGEST) == ["bob.jsonl: 2 decisions of a new reviewer"]
        assert merge_folder(ours, theirs, DIGEST) == ["bob.jsonl: nothing new"]
        (theirs / "bob.jsonl").write_bytes(write_lines(bob))
        assert merge_folder(ours, theirs, DIGEST) == ["bob.jsonl: 2 new decisions"]
        assert (ours / "bob.jsonl").read_bytes() == write_lines(bob)

    def test_two_histories_of_one_reviewer_are_both_kept(self, tmp_path: Path) -> None:
        asked = [ask(n, "accept", f"t{n}") for n in range(1, 6)]
        histories = [[0], [0, 1], [0, 2, 3], [0, 2, 4]]
        ours = tmp_path / "ours"
        ours.mkdir()
        (ours / "anna.jsonl").write_bytes(write_lines(chain("anna", asked[:1])))
        for i, history in enumerate(histories):
            theirs = tmp_path / str(i)
            theirs.mkdir()
            (theirs / "anna.jsonl").write_bytes(
                write_lines(chain("anna", [asked[n] for n in history]))
            )
        for order in (1, 2, 3, 0, 3, 2):
            merge_folder(ours, tmp_path / str(order), DIGEST)
        readings = read_folder(ours, DIGEST)
        assert len(readings) == 3
        assert {d.uuid for d in unite(r.decisions for r in readings).decisions} == {
            request.uuid for request in asked
        }

    def test_what_is_open_or_bad_is_not_taken_over(self, tmp_path: Path) -> None:
        fill(tmp_path / "theirs", 2)
        lines = (tmp_path / "theirs" / "anna.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / "ours").mkdir()
        (tmp_path / "ours" / "anna.jsonl").write_bytes(lines[0])
        with open_anna(tmp_path / "ours"), pytest.raises(LpwError, match="another process"):
            merge_folder(tmp_path / "ours", tmp_path / "theirs", DIGEST)
        (tmp_path / "theirs" / "anna.jsonl").write_bytes(b"{}\n")
        with pytest.raises(MismatchError, match="line 1"):
            merge_folder(tmp_path / "ours", tmp_path / "theirs", DIGEST)
        with pytest.raises(LpwError, match="no such folder"):
            merge_folder(tmp_path / "ours", tmp_path / "nowhere", DIGEST)
        assert read_anna(tmp_path / "ours") == [make_uuid(1)]

    def test_the_digest_knows_no_order(self) -> None:
        hashes = [
            decision.sha256
            for decision in chain("anna", [ask(n, "accept", "t") for n in range(1, 4)])
        ]
        assert StateDigest(DIGEST, hashes).digest == StateDigest(DIGEST, hashes[::-1]).digest
        assert (
            len(
                {StateDigest(DIGEST, hashes[:n]).digest for n in range(4)}
                | {StateDigest(SEEN, hashes).digest}
            )
            == 5
        )


SCHEMA = resources.files("lpw_manifests").joinpath("cleanup", "decision.schema.json")


def test_the_schema_is_what_the_code_says() -> None:
    assert SCHEMA.read_text("utf-8") == format_schema(), (
        "write `decision_schema.format_schema()` to decision.schema.json"
    )


def test_a_line_has_the_form_of_the_schema() -> None:
    schema = make_schema()
    entry = json.loads(GOOD)
    assert set(schema["required"]) == set(schema["properties"]) == set(entry)
    for name, kind in schema["properties"].items():
        if "pattern" in kind:
            assert re.search(kind["pattern"], entry[name]), name


@pytest.mark.parametrize("name", load_operations())
def test_arguments_of_another_form_are_refused(name: str) -> None:
    low, _ = load_operations()[name].n_tracklets
    known = load_operations()[name].arguments
    for wrong in (dict.fromkeys(known, 0.5), {"more": 1}):
        if wrong:
            request = vars(ask(1, name, *(f"t{i}" for i in range(low)))) | {"arguments": wrong}
            with pytest.raises(BadLineError):
                check_request(request)
