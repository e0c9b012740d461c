"""A stranger's ONNX file: it leads nowhere, ends, and takes no more than its bounds; what is hashed
is what runs."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_models import field, ints, make_yolox, model, node, port, tensor

from lpw_toolkit.detection.detector import DetectorOptions, open_detector
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, open_embedder
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import model_trial
from lpw_toolkit.networks.onnx_file import check_onnx
from lpw_toolkit.networks.weights import WeightsFile, read_weights

REPOSITORY = Path(__file__).resolve().parents[2]
RUNTIMES = ["onnxruntime", "openvino"]
IMAGE = port("x", [1, 3, 16, 8])
MIX = tensor("w", np.ones((3, 4), dtype=np.float32))
POOL = [
    node("GlobalAveragePool", ["x"], "p"),
    node("Flatten", ["p"], "flat"),
    node("MatMul", ["flat", "w"], "m"),
]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))


def _plain(extra: bytes = b"") -> bytes:
    return model([*POOL, node("Identity", ["m"], "y")], [MIX], IMAGE, port("y", [1, 4])) + extra


def _number(name: str, value: int) -> bytes:
    return field(2, 7) + field(8, name) + field(9, np.int64(value).tobytes())


def _loop(inner: list[bytes], turns: str, answer: str = "y") -> bytes:
    """A Loop over the vector `m`, whose body holds `inner` besides."""
    flag = field(2, field(1, field(1, 9) + field(2, b"")))
    body = [
        field(1, node("Identity", ["cin"], "cout")),
        field(1, node("Identity", ["vin"], "vout")),
        field(2, "b"),
    ]
    body += [field(1, one) for one in inner]
    body += [field(11, field(1, "i") + field(2, field(1, field(1, 7) + field(2, b""))))]
    body += [field(11, field(1, "cin") + flag), field(11, port("vin", [1, 4]))]
    body += [field(12, field(1, "cout") + flag), field(12, port("vout", [1, 4]))]
    return node(
        "Loop",
        [turns, "go", "m"],
        answer,
        field(1, "body") + field(6, b"".join(body)) + field(20, 5),
    )


def _looping(
    turns: bytes, inner: Sequence[bytes] = (), name: str = "n", more: Sequence[bytes] = ()
) -> bytes:
    go = field(2, 9) + field(8, "go") + field(9, b"\1")
    return model(
        [*POOL, *more, _loop(list(inner), name)], [MIX, go, turns], IMAGE, port("y", [1, 4])
    )


def _growing(sides: list[int]) -> bytes:
    nodes = [*POOL, node("ConstantOfShape", ["s"], "c"), node("ReduceSum", ["c"], "r", _keepdims())]
    shape = tensor("s", np.array(sides, dtype=np.int64))
    return model([*nodes, node("Add", ["m", "r"], "y")], [MIX, shape], IMAGE, port("y", [1, 4]))


def _keepdims() -> bytes:
    return field(1, "keepdims") + field(3, 0) + field(20, 2)


def _refuse(data: bytes) -> str:
    with pytest.raises(LpwError) as caught:
        check_onnx(WeightsFile(Path("model.onnx"), data))
    assert "\n" not in str(caught.value)
    return str(caught.value)


LONG_TAG = bytes(
    [0x72 | 0x80, 0x80, 0x80, 0x80, 0x10]
)  # field 14 of a tensor once the bits above 32 are dropped


@pytest.mark.parametrize(
    "odd",
    [
        LONG_TAG + b"\1",  # a tag of more than 32 bits
        b"\x88\x80\x00\x01",  # a tag that is longer than it need be
        b"\x08\x81\x00",  # a number that is longer than it need be
        b"\x08" + b"\xff" * 9 + b"\x7f",  # a number of 70 bits
        b"\x03\x08\x01\x04",  # field 0
        b"\x0b\x08\x01\x0c",  # a group
        b"\x0e\x01",  # wire type 6
        b"\x0f\x01",  # wire type 7
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length of 2^64 - 1
    ],
)
def test_what_no_writer_makes_is_refused_anywhere(odd: bytes) -> None:
    check_onnx(WeightsFile(Path("model.onnx"), _plain()))
    for data in (_plain(odd), _plain(field(7, odd)), _plain(field(7, field(5, odd)))):
        assert "no ONNX model, or a damaged one" in _refuse(data)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_long_tag_leads_to_no_other_file(runtime: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(np.full(12, 7, np.float32).tobytes())
    entries = b"".join(
        bytes([0x6A | 0x80, 0x80, 0x80, 0x80, 0x10]) + bytes([len(e)]) + e
        for e in [
            field(1, "location") + field(2, "secret.bin"),
            field(1, "length") + field(2, "48"),
        ]
    )
    outside = field(1, 3) + field(1, 4) + field(2, 1) + field(8, "w") + entries + LONG_TAG + b"\1"
    data = model([*POOL, node("Identity", ["m"], "y")], [outside], IMAGE, port("y", [1, 4]))
    (tmp_path / "long.onnx").write_bytes(data)
    with pytest.raises(LpwError, match="no ONNX model, or a damaged one"):
        open_embedder(tmp_path / "long.onnx", EmbedOptions(runtime=runtime))


def test_tensors_in_two_parts_and_other_formats_are_refused() -> None:
    halves = field(5, field(8, "a")) + field(5, field(2, 1))
    assert "damaged" in _refuse(_plain(field(7, field(1, field(5, halves)))))
    assert "damaged" in _refuse(b"\x0a\x06aaORTM" + _plain())
    assert "damaged" in _refuse(b"\x12\x14<net version='11'/>  " + _plain())
    assert "settings for the runtime" in _refuse(
        _plain(field(14, field(1, "ort_config") + field(2, "{}")))
    )
    assert "which names a file" in _refuse(
        _plain(field(7, field(1, node("EPContext", ["x"], "z"))))
    )


def test_a_file_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPW_LIMIT_ONNX_FIELDS", "100")
    assert "--limit onnx_fields=N" in _refuse(_plain(field(1, 8) * 100))


class TestLoops:
    def test_without_end_are_refused(self) -> None:
        assert f"a loop of {2**62} turns" in _refuse(_looping(_number("n", 2**62)))
        nested = [_loop([], "n", "inside")]
        assert "--limit model_turns=N" in _refuse(_looping(_number("n", 9999), nested))

    def test_whose_turns_depend_on_the_image_are_refused(self) -> None:
        cast = field(1, "to") + field(3, 7) + field(20, 2)
        seen = [
            node("ReduceMax", ["x"], "brightest", _keepdims()),
            node("Cast", ["brightest"], "often", cast),
        ]
        for name in ("often", "", "missing"):
            assert "a loop that may never end" in _refuse(_looping(_number("n", 3), [], name, seen))
        twice = [node("Cast", ["brightest"], "n", cast)]
        assert "a loop that may never end" in _refuse(_looping(_number("n", 3), [], "n", twice))

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_that_end_are_taken(self, runtime: str, tmp_path: Path) -> None:
        (tmp_path / "short.onnx").write_bytes(_looping(_number("n", 3)))
        assert open_embedder(tmp_path / "short.onnx", EmbedOptions(runtime=runtime)).dimension == 4

    def test_without_end_are_killed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LPW_LIMIT_MODEL_TURNS", str((1 << 62) - 1))
        monkeypatch.setenv("LPW_LIMIT_MODEL_SECONDS", "3")
        (tmp_path / "loop.onnx").write_bytes(_looping(_number("n", (1 << 62) - 1)))
        with pytest.raises(LpwError, match="no answer to one small image within 3 seconds"):
            open_embedder(tmp_path / "loop.onnx", EmbedOptions(runtime="onnxruntime"))


MEASURED = """
import resource, sys
from pathlib import Path
from lpw_toolkit.errors import LpwError
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, open_embedder
try:
    open_embedder(Path(sys.argv[1]), EmbedOptions(runtime=sys.argv[2]))
except LpwError as error:
    print(error)
# not ru_maxrss: it keeps the forker's peak
own = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(int(own) >> 10)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("sides", [[10**6, 10**6], [40_000, 40_000]])
def test_a_model_that_grows_is_stopped_in_its_own_process(
    runtime: str, sides: list[int], tmp_path: Path
) -> None:
    (tmp_path / "big.onnx").write_bytes(_growing(sides))
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "big.onnx"), runtime]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    told, own_mb, child_mb = ended.stdout.splitlines()
    assert "--limit model_bytes=N raises it" in told
    assert int(own_mb) < 1024 and int(child_mb) < 1024


def test_inputs_and_answers_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    for shape, name in (([1, 3, 8192, 8], "image_side"), ([5000, 3, 128, 128], "image_pixels")):
        pool = [node("GlobalAveragePool", ["x"], "p"), node("Flatten", ["p"], "y")]
        path.write_bytes(model(pool, [], port("x", list(shape)), port("y", [shape[0], 3])))
        with pytest.raises(LpwError, match=rf"--limit {name}=N|--limit model_bytes=N"):
            open_embedder(path, EmbedOptions(runtime="onnxruntime"))
    monkeypatch.setenv("LPW_LIMIT_EMBEDDING_DIMS", "3")
    path.write_bytes(_plain())
    with pytest.raises(LpwError, match="a vector of 4 numbers"):
        open_embedder(path, EmbedOptions(runtime="onnxruntime"))


class TestTrial:
    def test_happens_once_for_the_same_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(_plain())
        open_embedder(path, EmbedOptions(runtime="onnxruntime"))
        monkeypatch.setattr(model_trial, "_START", "raise SystemExit(7)")
        assert open_embedder(path, EmbedOptions(runtime="onnxruntime")).dimension == 4
        path.write_bytes(_plain(field(2, "another writer")))
        with pytest.raises(LpwError, match=r"ends its runtime at one small image \(exit code 7\)"):
            open_embedder(path, EmbedOptions(runtime="onnxruntime"))

    def test_a_process_that_dies_is_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "model.onnx").write_bytes(_plain())
        monkeypatch.setattr(model_trial, "_START", "import os; os.abort()")
        with pytest.raises(LpwError, match="SIGABRT"):
            open_embedder(tmp_path / "model.onnx", EmbedOptions(runtime="onnxruntime"))

    def test_imports_nothing_from_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("json", "numpy", "lpw_toolkit"):
            (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
        (tmp_path / "model.onnx").write_bytes(_plain())
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(
            sys, "path", [str(REPOSITORY) if entry in ("", ".") else entry for entry in sys.path]
        )
        assert (
            open_embedder(tmp_path / "model.onnx", EmbedOptions(runtime="onnxruntime")).dimension
            == 4
        )
        assert not (tmp_path / "ran").exists()

    def test_works_without_a_cache_that_can_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "model.onnx").write_bytes(_plain())
        monkeypatch.setenv("LPW_CACHE", "/proc/none")
        assert (
            open_embedder(tmp_path / "model.onnx", EmbedOptions(runtime="onnxruntime")).dimension
            == 4
        )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_was_hashed_is_what_runs(runtime: str, tmp_path: Path) -> None:
    path = tmp_path / "yolox.onnx"
    path.write_bytes(make_yolox())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    detector = open_detector(
        "onnx", DetectorOptions(weights=str(path), precision="float32", runtime=runtime)
    )
    path.write_bytes(make_yolox(nan=True))  # swapped after the check, before the first frame
    assert detector.settings["weights_sha256"] == digest
    assert detector.open_stage(64, 64).letterboxes[0].width == 64  # type: ignore[attr-defined]


def test_weights_are_bounded_and_no_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(LpwError, match="no regular file"):
        read_weights(tmp_path / "pipe.onnx")
    monkeypatch.setenv("LPW_LIMIT_WEIGHTS_BYTES", "10")
    (tmp_path / "model.onnx").write_bytes(_plain())
    with pytest.raises(LpwError, match=r"(?i)--limit weights_bytes=N"):
        read_weights(tmp_path / "model.onnx")


def test_attributes_of_ordinary_models_are_read() -> None:
    pool = node("AveragePool", ["x"], "y", ints("kernel_shape", [16, 8]))
    check_onnx(WeightsFile(Path("model.onnx"), model([pool], [], IMAGE, port("y", [1, 3, 1, 1]))))
    assert "external data" in _refuse(_plain(field(7, field(5, field(14, 1)))))
