"""A stranger's weights: refused in one line before anything is built that the file has no bytes
for."""

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from moments import PATIENCE_S

from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.networks.pickle_walk import RefusedPickleError, follow_pickle
from lpw_toolkit.networks.tensor_file import check_header, parse_tensors
from lpw_toolkit.networks.torch_file import check_torch
from lpw_toolkit.networks.weights import WeightsFile
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.backbones.bn_inception import BNInception
from rqen.model.pretrained import load_state, name_weights, parse_state, read_state
from rqen.run import run_folder

REPOSITORY = Path(__file__).resolve().parents[2]
HUGE = 10**10


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _int(number: int) -> bytes:
    data = pickle.encode_long(number)
    return b"\x8a" + bytes([len(data)]) + data


def _ints(numbers: list[int]) -> bytes:
    return b"(" + b"".join(map(_int, numbers)) + b"t"


def _call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def _storage(n_items: int, key: str = "0") -> bytes:
    return (
        b"("
        + _text("storage")
        + _name("torch", "FloatStorage")
        + _text(key)
        + _text("cpu")
        + _int(n_items)
        + b"tQ"
    )


def _tensor(storage: bytes, sides: list[int], strides: list[int], offset: int = 0) -> bytes:
    hooks = _name("collections", "OrderedDict") + b")R"
    function = _name("torch._utils", "_rebuild_tensor_v2")
    return _call(function, storage, _int(offset), _ints(sides), _ints(strides), b"\x89", hooks)


def _state(*values: bytes) -> bytes:
    entries = b"".join(_text(f"w{i}") + value + b"s" for i, value in enumerate(values))
    return b"\x80\x02}" + entries + b"."


def _zip(
    path: Path, pickled: bytes, numbers: bytes = bytes(16), method: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", numbers)
        archive.writestr("archive/version", b"3\n")
    return path


GOOD = _tensor(_storage(4), [2, 2], [2, 1])
SPARSE = _call(
    _name("torch._utils", "_rebuild_sparse_tensor"), _name("torch", "sparse_coo"), _ints([HUGE])
)
LINEAR = _call(_name("torch.nn.modules.linear", "Linear"), _int(10**5), _int(10**5))


def _nest(depth: int) -> bytes:
    """A pair of pairs of pairs as a name: its hash takes 2^depth steps."""
    return b")" + b"2\x86" * depth


HOSTILE = {
    "storage": _state(_tensor(_storage(HUGE), [HUGE], [1])),
    "storage_twice": _state(GOOD, _tensor(_storage(HUGE), [HUGE], [1])),
    "expanded": _state(_tensor(_storage(4), [HUGE], [0])),
    "stride": _state(_tensor(_storage(4), [2, 2], [HUGE, 1])),
    "offset": _state(_tensor(_storage(4), [4], [1], offset=1)),
    "negative": _state(_tensor(_storage(4), [-2, -2], [2, 1])),
    "laid_anew": _state(GOOD + b"(" + _storage(4) + _int(0) + _ints([HUGE]) + _ints([0]) + b"tb"),
    "bytearray": _state(_call(_name("builtins", "bytearray"), _int(HUGE))),
    "sparse": _state(SPARSE),
    "constructor": _state(LINEAR),
    "code": _state(_call(_name("os", "system"), _text("touch ran"))),
    "names": b"\x80\x02}" + _nest(60) + b"Ns.",
    "set": _state(_call(_name("builtins", "set"), b"(" + _nest(60) + b"l")),
    "many_bytes": _state(b"N" * 5_000_000),
    "memo": _state(b"Nr\xff\xff\xff\x7f"),
    "frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "bytes8": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "line": b"\x80\x02I" + b"9" * 4000 + b"\n.",
    "empty": b"",
}


def _refuse(path: Path) -> str:
    with pytest.raises(LpwError) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestTorch:
    def test_what_torch_saves_is_taken(self, tmp_path: Path) -> None:
        state = {
            "weight": torch.arange(6.0).view(2, 3),
            "half": torch.ones(4).half(),
            "n": torch.tensor(7),
        }
        state["turned"] = state["weight"].t()
        whole = {
            "state_dict": state,
            "epoch": 3,
            "lr": 0.1,
            "names": ["a", None],
            "shape": torch.Size([2]),
        }
        for number, given in enumerate((state, whole, torch.nn.Linear(2, 3).state_dict())):
            for zipped in (True, False):
                file = tmp_path / f"{number}{zipped}.pth"
                torch.save(given, file, _use_new_zipfile_serialization=zipped)
                found = read_state(file)
                torch.testing.assert_close(found, dict(given.get("state_dict", given)))

    @pytest.mark.parametrize("case", HOSTILE)
    def test_a_hostile_structure_is_refused(
        self, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert read_state(_zip(tmp_path / "good.pth", _state(GOOD)))["w0"].shape == (2, 2)
        told = _refuse(_zip(tmp_path / f"{case}.pth", HOSTILE[case]))
        assert len(told) < 400
        if case != "memo":  # a place in the memo costs nothing, a network may have it
            with pytest.raises(LpwError):
                check_torch(
                    WeightsFile(Path("a.pt"), (tmp_path / f"{case}.pth").read_bytes()),
                    "",
                    "",
                    modules=True,
                )
        assert not (tmp_path / "ran").exists()

    def test_a_hostile_archive_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state = _state(GOOD)
        assert "packed" in _refuse(
            _zip(tmp_path / "a.pth", state, bytes(1 << 20), zipfile.ZIP_DEFLATED)
        )
        assert "numbers that are not in the file" in _refuse(
            _zip(tmp_path / "b.pth", state, bytes(12))
        )
        assert "behind its end" in self._change(tmp_path, state, lambda data: data + b"\0")
        assert "false" in self._change(
            tmp_path, state, lambda data: data[:-12] + b"\xff\xff" + data[-10:]
        )
        twice = _zip(tmp_path / "c.pth", state)
        with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", state)
        assert "false" in _refuse(twice)
        with zipfile.ZipFile(tmp_path / "d.pth", "w") as archive:
            archive.writestr("a/data.pkl", state)
            archive.writestr("b/data.pkl", state)
        assert "several folders" in _refuse(tmp_path / "d.pth")
        monkeypatch.setenv("LPW_LIMIT_WEIGHTS_MEMBERS", "2")
        assert "--limit weights_members=N" in _refuse(_zip(tmp_path / "f.pth", state))

    def test_members_that_overlap_are_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
            archive.writestr("a/data.pkl", _state(GOOD))
            archive.writestr("a/data/0", bytes(16))
        data = bytearray((tmp_path / "a.pth").read_bytes())
        place = data.rindex(
            b"PK\x01\x02"
        )  # the list's entry of the numbers: one byte more than there is
        data[place + 20 : place + 28] = struct.pack("<2I", 17, 17)
        (tmp_path / "a.pth").write_bytes(data)
        assert "overlap" in _refuse(tmp_path / "a.pth")

    def test_the_older_format_is_bounded_too(self, tmp_path: Path) -> None:
        file = tmp_path / "old.pth"
        torch.save({"w": torch.ones(4)}, file, _use_new_zipfile_serialization=False)
        good = file.read_bytes()
        for old, new in (
            (struct.pack("<q", 4), struct.pack("<q", 1 << 40)),
            (b"K\x04N", b"J\xff\xff\xff\x7fN"),
        ):
            assert good.count(old) == 1
            file.write_bytes(good.replace(old, new))
            _refuse(file)
        file.write_bytes(good[:-4])
        assert "numbers that are not in the file" in _refuse(file)
        file.write_bytes(b"\x80\x02K\x01." * 4)
        assert "torch.save did not write" in _refuse(file)

    def _change(self, folder: Path, state: bytes, change: Callable[[bytes], bytes]) -> str:
        file = _zip(folder / "changed.pth", state)
        file.write_bytes(change(file.read_bytes()))
        return _refuse(file)

    def test_a_name_that_collides_is_none(self, tmp_path: Path) -> None:
        import io

        with pytest.raises(RefusedPickleError):
            follow_pickle(io.BytesIO(b"\x80\x02}" + _int((1 << 61) - 1) + b"Ns."))

    def test_all_of_them_fit_in_a_gigabyte(self, tmp_path: Path) -> None:
        for case, pickled in HOSTILE.items():
            _zip(tmp_path / f"{case}.pth", pickled)
        _zip(tmp_path / "bomb.pth", _state(GOOD), bytes(1 << 28), zipfile.ZIP_DEFLATED)
        code = (
            "import resource, sys\n"
            "from pathlib import Path\n"
            "from rqen.model.pretrained import read_state\n"
            "from lpw_toolkit.errors import LpwError\n"
            "import torch\n"
            "held = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 30),) * 2)\n"
            "for file in sorted(Path(sys.argv[1]).glob('*.pth')):\n"
            "    try: read_state(file)\n"
            "    except LpwError as error: print(error)\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        assert len(ended.stdout.splitlines()) == len(HOSTILE) + 1


def _safetensors(header: object, numbers: bytes = b"", n_header: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if n_header is None else n_header) + text + numbers


def _entry(
    shape: list[object], first: object, last: object, kind: object = "F32"
) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [first, last]}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "beyond the file"),
        (_safetensors({}, n_header=1 << 63), "beyond the file"),
        (_safetensors(b"[" * 100_000), "nested too deeply"),
        (_safetensors([1]), "no table"),
        (_safetensors({"w": 1}), "no tensor"),
        (_safetensors({"w": _entry([HUGE, HUGE], 0, 16)}, bytes(16)), "larger than its numbers"),
        (_safetensors({"w": _entry([4], 0, 1 << 40)}, bytes(16)), "larger than its numbers"),
        (_safetensors({"w": _entry([4], 0, 16), "v": _entry([4], 0, 16)}, bytes(16)), "overlap"),
        (_safetensors({"w": _entry([4], 8, 24)}, bytes(24)), "overlap"),
        (_safetensors({"w": _entry([4], 0, 16)}, bytes(20)), "do not fill"),
        (_safetensors({"w": _entry([4], 0, 16)}, bytes(12)), "do not fill"),
        (_safetensors({"w": _entry([-4], 0, -16)}), "without its place"),
        (_safetensors({"w": _entry([True], 0, 4)}, bytes(4)), "without its place"),
        (_safetensors({"w": _entry([4], 0, 16, "F99")}, bytes(16)), "unknown kind"),
        (_safetensors({"w": _entry([1] * 65, 0, 4)}, bytes(4)), "unknown kind"),
        (_safetensors({"__metadata__": {"a": 1}}), "no text"),
        (_safetensors(b"\xff\xfe"), "decode"),
    ],
)
def test_a_hostile_header_is_refused(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        check_header(data)
    (tmp_path / "w.safetensors").write_bytes(data)
    _refuse(tmp_path / "w.safetensors")


def test_headers_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    good = _safetensors(
        {"v": _entry([1], 0, 4), "w": _entry([1], 4, 8), "__metadata__": {"a": "b"}}, bytes(8)
    )
    tensors, facts = parse_tensors(good)
    assert sorted(tensors) == ["v", "w"] and facts == {"a": "b"}
    monkeypatch.setenv("LPW_LIMIT_WEIGHTS_MEMBERS", "2")
    with pytest.raises(ValueError, match="--limit weights_members=N"):
        check_header(good)
    monkeypatch.setenv("LPW_LIMIT_JSON_BYTES", "20")
    with pytest.raises(ValueError, match="--limit json_bytes=N"):
        check_header(good)


def test_a_name_of_weights_has_the_digest_of_what_was_read(tmp_path: Path) -> None:
    file = WeightsFile(_zip(tmp_path / "a.pth", _state(GOOD)), (tmp_path / "a.pth").read_bytes())
    (tmp_path / "a.pth").write_bytes(b"swapped")
    assert parse_state(file)["w0"].shape == (2, 2)
    assert name_weights(file) == f"a.pth {file.sha256[:12]}"


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    state = {"weight": torch.full((2, 2), torch.inf), "bias": torch.zeros(2)}
    with pytest.raises(LpwError, match="NaN or infinite values"):
        load_state(layer, state, tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model.w": torch.tensor([1.0, torch.nan])}, "NaN or infinite values in 'model.w'"),
        ({"evil": torch.zeros(3)}, "an unknown tensor 'evil'"),
        ({"iteration": "-7"}, "iteration -7"),
        ({"iteration": "x"}, "damaged"),
        ({"best_at": "[1,2]"}, "figures that are not numbers"),
        ({"best_at": "[" * 100_000}, "nested too deeply"),
        ({"digest": "0" * 64}, "a checkpoint of other settings"),
    ],
)
def test_a_hostile_run_is_one_line(change: dict[str, object], told: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {"model.w": torch.zeros(2), "optimiser.0.step": torch.tensor(1.0)}
    facts = {"iteration": "5", "digest": "f" * 64, "best_at": "{}"}
    file = tmp_path / "model.safetensors"
    save_file(tensors, file, facts)
    assert run_folder.read_state(file, "f" * 64).iteration == 5
    save_file(
        tensors
        | {name: value for name, value in change.items() if isinstance(value, torch.Tensor)},
        file,
        facts | {name: value for name, value in change.items() if isinstance(value, str)},
    )
    with pytest.raises(MismatchError) as caught:
        run_folder.read_state(file, "f" * 64)
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "timm:hf-hub:evil/model",
        "timm:local-dir:/tmp",
        "timm:../x",
        "timm:",
        "os",
        "__init__",
        "",
    ],
)
def test_a_backbone_is_a_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "timm", None
    )  # whether it is there or not, it never hears of such a name
    with pytest.raises(LpwError, match="option --backbone") as caught:
        open_backbone(name, BackboneOptions("random"))
    assert "a name that timm knows" in str(caught.value) or "timm:NAME" in str(caught.value)


def test_a_width_that_no_network_has_is_refused() -> None:
    with pytest.raises(LpwError, match="a width of 1000000000; expected 576 or 608"):
        BNInception(10**9)
