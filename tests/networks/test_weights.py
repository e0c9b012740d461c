"""Weights files: how they are found, and in which order."""

from pathlib import Path

import pytest
from weights_server import (  # noqa: F401
    DATA,
    WeightsServer,
    list_cache,
    make_entry,
    online,
    server,
    use_catalogue,
)

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import Address
from lpw_toolkit.networks.fetching import FetchError
from lpw_toolkit.networks.weights import (
    WeightsKind,
    choose_default,
    find_named,
    find_weights,
    list_weights,
)

TASK = "person detector"
KIND = WeightsKind(".pt", r"yolo[\w.-]*\.pt")
NOWHERE = Address("http://127.0.0.1:9/x")


def is_onnx(path: Path) -> bool:
    return path.suffix == ".onnx"


class TestNamed:
    def test_a_path_a_name_and_a_name_in_the_cache(self, online: Path) -> None:
        (online / "my weights.pt").write_bytes(b"1")
        Path("yolo11s.pt").write_bytes(b"2")
        (online / "cache" / "weights").mkdir(parents=True)
        (online / "cache" / "weights" / "yolov8m.pt").write_bytes(b"3")
        assert find_weights(str(online / "my weights.pt"), KIND)[0].read_bytes() == b"1"
        assert find_weights("yolo11s.pt", KIND)[0] == Path("yolo11s.pt")
        assert find_weights("yolo11s", KIND)[0] == Path("yolo11s.pt")
        path, note = find_weights("yolov8m", KIND)
        assert path == online / "cache" / "weights" / "yolov8m.pt"
        assert note == f"weights {path} (asked for)"

    def test_a_known_name_is_fetched(
        self, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = make_entry(server.put("tiny.onnx"))
        use_catalogue(monkeypatch, entry)
        found = find_named("tiny", TASK)
        assert found.path.read_bytes() == DATA and found.entry is entry
        said = "a network of a test, MIT; best F1 at IoU 0.5: street 0.9"
        assert found.note == f"weights {found.path} ({said})"
        assert find_named("tiny.onnx", TASK).path == found.path
        assert len(server.asked) == 1

    def test_a_file_of_ones_own_comes_first(
        self, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_catalogue(monkeypatch, make_entry(server.put("tiny.onnx")))
        Path("tiny.onnx").write_bytes(b"mine")
        assert find_named("tiny", TASK).path == Path("tiny.onnx")
        assert server.asked == []

    @pytest.mark.usefixtures("online")
    @pytest.mark.parametrize(
        "given",
        ["resnet", "sub/tiny.onnx", "/nowhere/tiny.onnx", "../tiny.onnx", "https://x.invalid/tiny"],
    )
    def test_a_foreign_name_or_a_path_is_never_fetched(
        self, given: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_catalogue(monkeypatch, make_entry(NOWHERE), make_entry(name="face", task="face"))
        with pytest.raises(LpwError, match=r"got no such file; .* \(known by name: tiny\); give"):
            find_named(given, TASK)

    @pytest.mark.usefixtures("online")
    def test_files_that_are_no_weights(self) -> None:
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


class TestDefault:
    def test_the_only_fitting_file_of_the_working_folder(
        self, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_catalogue(monkeypatch, make_entry(server.put("tiny.onnx")))
        Path("other.pt").write_bytes(b"1")
        Path("mine.onnx").write_bytes(b"2")
        found = choose_default(TASK, is_onnx)
        assert found.path == Path("mine.onnx") and server.asked == []
        assert found.note == "weights mine.onnx (the only person detector in the working folder)"
        Path("yours.onnx").write_bytes(b"3")
        with pytest.raises(LpwError, match=r"several files: mine\.onnx, yours\.onnx; expected one"):
            choose_default(TASK, is_onnx)

    def test_the_first_that_can_be_had(
        self,
        server: WeightsServer,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        away = make_entry(NOWHERE, name="away", file="away.onnx")
        here = make_entry(server.put("here.onnx"), name="here", file="here.onnx", rank=2)
        named = make_entry(server.put("named.onnx"), name="named", file="named.onnx", rank=None)
        use_catalogue(monkeypatch, named, away, here)
        assert choose_default(TASK).entry is here
        assert "nothing fetched from 127.0.0.1: no answer" in capsys.readouterr().err
        assert choose_default(TASK).entry is here  # now in the cache: away is not asked again
        assert capsys.readouterr().err == ""

    def test_nothing_can_be_had(self, online: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        away = make_entry(NOWHERE)
        other = make_entry(name="other", runtimes=("openvino",))
        monkeypatch.setattr(
            "lpw_toolkit.networks.weights.find_spec", lambda n: n == "numpy" or None
        )
        use_catalogue(monkeypatch, away, other)
        with pytest.raises(FetchError) as caught:
            choose_default(TASK)
        assert "tiny: 127.0.0.1: no answer (connection refused)" in caught.value.got
        assert "give --weights FILE; for other: pip install" in caught.value.hint
        assert list_cache(online) == []

    @pytest.mark.usefixtures("online")
    def test_without_a_runtime_one_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lpw_toolkit.networks.weights.find_spec", lambda name: None)
        use_catalogue(monkeypatch, make_entry(runtimes=("openvino", "onnxruntime")))
        with pytest.raises(LpwError, match=r"no package that runs one; .*lpw-toolkit\[openvino\]"):
            choose_default(TASK)

    def test_offline(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_catalogue(monkeypatch, make_entry(server.put("tiny.onnx")))
        monkeypatch.setenv("LPW_OFFLINE", "1")
        place = r"tiny\.onnx in the working folder or .*weights; copy one there"
        with pytest.raises(FetchError, match=rf"nothing may be fetched .*; expected {place}"):
            choose_default(TASK)
        assert server.asked == [] and list_cache(online) == []


class TestOneKind:
    @pytest.mark.usefixtures("online")
    def test_the_only_file_is_taken_and_told(self) -> None:
        Path("other.pt").write_bytes(b"not by this name")
        Path("yolov8n_coco.pt").write_bytes(b"1")
        path, note = find_weights(None, KIND)
        assert path == Path("yolov8n_coco.pt")
        assert note == "weights yolov8n_coco.pt (the only .pt in the working folder)"
        assert list_weights(KIND, Path()) == [path]

    @pytest.mark.usefixtures("online")
    def test_several_candidates_are_listed(self) -> None:
        for name in ("yolov8n.pt", "yolo11n.pt"):
            Path(name).write_bytes(b"1")
        with pytest.raises(LpwError, match=r"files: yolo11n\.pt, yolov8n\.pt; expected one; choo"):
            find_weights(None, KIND)

    def test_agpl_weights_are_taken_from_the_cache_but_never_fetched_unnamed(
        self, server: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = server.put("yolo.pt")
        entry = make_entry(source, name="yolo", file="yolo.pt", licence="AGPL-3.0", rank=None)
        use_catalogue(monkeypatch, entry)
        with pytest.raises(LpwError, match=r"nothing, and no file found; .* --weights yolo"):
            find_weights(None, KIND)
        assert server.asked == []
        path, _ = find_weights("yolo", KIND)
        assert find_weights(None, KIND) == (path, f"weights {path} (the only .pt in the cache)")

    def test_a_permissive_one_is_fetched(
        self, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_catalogue(monkeypatch, make_entry(server.put("tiny.onnx")))
        path, note = find_weights(None, WeightsKind(".onnx", r"tiny.*\.onnx"))
        assert path.read_bytes() == DATA and "MIT" in note
