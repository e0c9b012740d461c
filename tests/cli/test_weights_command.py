"""`lpw weights`: what is known, where it lies, and fetching one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lpw_cli.main import COMMANDS, main
from weights_server import (  # noqa: F401
    DATA,
    WeightsServer,
    make_entry,
    online,
    server,
    use_catalogue,
)

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import Address, load_catalogue
from lpw_toolkit.networks.fetching import is_offline


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["weights", *arguments])


def ask(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


@pytest.fixture
def known(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> WeightsServer:
    """A catalogue of three: one that can be fetched, one that lies here, one without a digest."""
    use_catalogue(
        monkeypatch,
        make_entry(server.put("tiny.onnx")),
        make_entry(name="mine", file="mine.onnx"),
        make_entry(name="loose", file="loose.pt", sha256=None, n_bytes=None, figures=None),
    )
    Path("mine.onnx").write_bytes(b"mine")
    return server


def test_it_is_a_command() -> None:
    assert "weights" in COMMANDS


@pytest.mark.usefixtures("known")
def test_the_list_says_licence_size_and_place() -> None:
    lines = call("list").stdout.splitlines()
    assert lines[0].split() == ["name", "task", "licence", "size", "where", "network"]
    cells = ("tiny", "person detector", "MIT", "0.1 MB", "not here", "a network of a test")
    assert lines[1].split() == " ".join(cells).split()
    assert "working folder" in lines[2] and "not here, get it yourself" in lines[3]


def test_the_list_as_json(known: WeightsServer, online: Path) -> None:
    said = ask("list")
    assert said["cache"] == str(online / "cache" / "weights")
    assert [entry["where"] for entry in said["weights"]] == [
        "not here", "working folder", "not here, get it yourself",
    ]  # fmt: skip
    first = said["weights"][0]
    assert (first["licence"], first["n_bytes"]) == ("MIT", len(DATA))
    assert first["figures"]["values"] == {"street": 0.9}
    assert first["sources"] == [f"{known.url}/tiny.onnx"]


def test_get_prints_the_path(known: WeightsServer, online: Path) -> None:
    path = online / "cache" / "weights" / "tiny.onnx"
    done = call("get", "tiny")
    assert done.stdout == f"{path}\n" and path.read_bytes() == DATA
    assert f"fetching tiny.onnx (0.1 MB, MIT) from {known.url}/tiny.onnx" in done.stderr
    assert ask("get", "tiny")["where"] == "cache" and len(known.asked) == 1
    assert call("where").stdout.splitlines() == [str(path), "mine.onnx"]
    assert call("where", "tiny").stdout == f"{path}\n"


def test_get_offline(known: WeightsServer) -> None:
    error = call("get", "tiny", "--offline").exception
    assert isinstance(error, LpwError) and "nothing may be fetched" in str(error)
    assert known.asked == [] and not is_offline()


def test_get_without_a_cache(
    known: WeightsServer, online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (online / "file").touch()
    monkeypatch.setenv("LPW_CACHE", str(online / "file" / "cache"))
    error = call("get", "tiny").exception
    assert isinstance(error, LpwError) and "set LPW_CACHE" in str(error)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "tiny"), "NAME belongs to get and where"),
        (("get",), "give the NAME"),
        (("fetch",), "'fetch' is not one of"),
        (("get", "tyni"), "got tyni; expected tiny, mine, loose"),
        (("get", "loose"), "not fetched (made by a test)"),
        (("where", "tiny"), "run `lpw weights get tiny`"),
    ],
)
def test_refusals(arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert done.exit_code != 0 and said in f"{done.exception} {done.output}"


@pytest.mark.usefixtures("online")
def test_the_real_list() -> None:
    assert len(ask("list")["weights"]) == len(load_catalogue())
    assert call("where").stdout == ""
    assert isinstance(load_catalogue()[0].sources[0], Address)
