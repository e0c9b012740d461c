"""Weights files: how they are found, and that they are fetched whole, checked, and only when asked
for."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import weights
from lpw_toolkit.networks.weights import WeightsKind, find_weights

KIND = WeightsKind(".pt", r"yolo[\w.-]*\.pt", "https://weights.invalid/v1", "yolov8n.pt")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty cache."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LPW_WEIGHTS_URL", raising=False)
    return tmp_path


@pytest.fixture
def server(place: Path) -> Iterator[str]:
    """A web server on loopback that serves `site`; `/moved/x` redirects to a local file, `/short/x`
    breaks off."""
    (place / "site").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(place / "site"))

        def do_GET(self) -> None:
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", f"http://example.invalid{self.path}")
                self.end_headers()
            elif self.path.startswith("/short/"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"half")
            else:
                super().do_GET()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def _refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_fetch", lambda url: pytest.fail(f"fetched {url}"))


def test_a_path_a_name_and_a_name_in_the_cache(place: Path) -> None:
    (place / "my weights.pt").write_bytes(b"1")
    Path("yolo11s.pt").write_bytes(b"2")
    weights.weights_folder().mkdir(parents=True)
    (weights.weights_folder() / "yolov8m.pt").write_bytes(b"3")
    assert find_weights(str(place / "my weights.pt"), KIND)[0].read_bytes() == b"1"
    assert find_weights("yolo11s.pt", KIND)[0] == Path("yolo11s.pt")
    assert find_weights("yolo11s", KIND)[0] == Path("yolo11s.pt")
    path, note = find_weights("yolov8m", KIND)
    assert path == place / "cache" / "weights" / "yolov8m.pt"
    assert note == f"weights {path} (asked for)"


def test_without_a_name_the_only_file_is_taken_and_told() -> None:
    Path("other.pt").write_bytes(b"not by this name")
    Path("yolov8n_coco.pt").write_bytes(b"1")
    path, note = find_weights(None, KIND)
    assert (path, note) == (Path("yolov8n_coco.pt"), "weights yolov8n_coco.pt (the only .pt found)")


def test_several_candidates_are_listed() -> None:
    for name in ("yolov8n.pt", "yolo11n.pt"):
        Path(name).write_bytes(b"1")
    with pytest.raises(
        LpwError,
        match=r"several files: yolo11n\.pt, yolov8n\.pt; expected one; choose with --weights",
    ):
        find_weights(None, KIND)


def test_nothing_is_fetched_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse_network(monkeypatch)
    with pytest.raises(LpwError, match=r"nothing, and no file found.*or add --download"):
        find_weights(None, KIND)
    with pytest.raises(
        LpwError, match=r"^yolov8n: got no such file; .*none\); give a path, or add --download"
    ):
        find_weights("yolov8n", KIND)


def test_a_foreign_name_or_a_path_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse_network(monkeypatch)
    for given in (
        "resnet50.pt",
        "sub/yolov8n.pt",
        "/nowhere/yolov8n.pt",
        "../yolov8n.pt",
        "https://x.invalid/yolo.pt",
    ):
        with pytest.raises(LpwError, match="no such file"):
            find_weights(given, KIND, download=True)


def test_files_that_are_no_weights(place: Path) -> None:
    Path("yolo-empty.pt").touch()
    Path("yolo-folder.pt").mkdir()
    Path("yolo.txt").write_bytes(b"1")
    for name, got in (
        ("yolo-empty.pt", "an empty file"),
        ("yolo-folder.pt", "no regular file"),
        ("yolo.txt", r"\.txt"),
    ):
        with pytest.raises(LpwError, match=got):
            find_weights(name, KIND)


def test_download_from_a_server(server: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 400
    (place / "site" / "yolov8n.pt").write_bytes(data)
    monkeypatch.setenv("LPW_WEIGHTS_URL", server)
    path, note = find_weights(None, KIND, download=True)
    assert path == place / "cache" / "weights" / "yolov8n.pt"
    assert path.read_bytes() == data
    assert (
        note.endswith(f"102400 bytes, sha256 {hashlib.sha256(data).hexdigest()})")
        and server in note
    )
    assert [p.name for p in path.parent.iterdir()] == ["yolov8n.pt"]
    monkeypatch.setenv("LPW_WEIGHTS_URL", "https://weights.invalid")
    assert (
        find_weights("yolov8n", KIND, download=True)[0] == path
    )  # now it is there, nothing is fetched


def test_download_from_a_local_mirror(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "yolo11n.pt").write_bytes(b"mirror")
    monkeypatch.setenv("LPW_WEIGHTS_URL", place.as_uri())
    assert find_weights("yolo11n", KIND, download=True)[0].read_bytes() == b"mirror"


def test_a_failed_download_leaves_nothing(
    server: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPW_LIMIT_DOWNLOAD_BYTES", "1000")
    (place / "site" / "yolo-large.pt").write_bytes(b"x" * 1001)
    (place / "site" / "yolo-empty.pt").touch()
    cases = {
        ("", "yolo-missing"): "no answer .File not found",
        ("", "yolo-large"): "more than 1000 bytes",
        ("", "yolo-empty"): "got 0 bytes",
        ("/short", "yolov8n"): "got 4 bytes; expected 1000 bytes",
        ("/moved", "yolov8n"): "expected an https address",
    }
    for (folder, name), message in cases.items():
        monkeypatch.setenv("LPW_WEIGHTS_URL", server + folder)
        with pytest.raises(LpwError, match=message):
            find_weights(name, KIND, download=True)
    assert not (place / "cache").exists() or not list((place / "cache" / "weights").iterdir())


@pytest.mark.parametrize("url", ["http://example.invalid", "ftp://example.invalid", "weights"])
def test_only_safe_addresses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse_network(monkeypatch)
    monkeypatch.setenv("LPW_WEIGHTS_URL", url)
    with pytest.raises(LpwError, match="expected an https address; correct LPW_WEIGHTS_URL"):
        find_weights("yolov8n", KIND, download=True)


def test_a_full_disk_is_told(server: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "site" / "yolov8n.pt").write_bytes(b"data")
    monkeypatch.setenv("LPW_WEIGHTS_URL", server)

    def fail(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights.writing, "atomic_write", fail)
    with pytest.raises(
        LpwError, match="no space left on device; expected a file that can be written; free space"
    ):
        find_weights("yolov8n", KIND, download=True)
