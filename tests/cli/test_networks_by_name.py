"""Re-identification networks by name: `lpw embed --onnx NAME`, `lpw clean --suggest --embeddings
NAME`."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from embedder import make_model
from lpw_cli.main import main
from make_dataset import make_dataset
from weights_server import (  # noqa: F401
    WeightsServer,
    make_entry,
    online,
    server,
    use_catalogue,
)

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import InputForm

FORM = InputForm("NCHW", None, "bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "")
SAID = "a network of a test, MIT; best F1 at IoU 0.5: street 0.9"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


@pytest.fixture
def known(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> WeightsServer:
    """A dataset `little`, and the re-identification network `halves`, which wants B, G, R."""
    make_dataset(Path("little"), n_tracklets=6, n_frames=5)
    data = make_model(server.site / "halves.onnx").read_bytes()
    source = server.put("halves.onnx", data)
    entry = make_entry(source, data=data, name="halves", file="halves.onnx", task="re-id",
                       input=FORM)  # fmt: skip
    use_catalogue(monkeypatch, entry)
    return server


def test_embed(known: WeightsServer, online: Path) -> None:
    """Images are given to the network as the catalogue says, unless the call says otherwise."""
    done = call("embed", "--onnx", "halves", "little", "--out", "named.parquet")
    assert done.exit_code == 0, done.output
    path = online / "cache" / "weights" / "halves.onnx"
    assert f"weights {path} ({SAID})" in done.stderr
    plain = ("--mean", "none", "--std", "none")
    for out, more in (("bgr.parquet", ("--bgr",)), ("rgb.parquet", ())):
        call("embed", "--onnx", str(path), "little", "--out", out, *plain, *more)
    vectors = {
        name: pq.read_table(f"{name}.parquet")["embedding"].to_pylist()
        for name in ("named", "bgr", "rgb")
    }
    assert vectors["named"] == vectors["bgr"] != vectors["rgb"]
    call("embed", "--onnx", "halves", "little", "--out", "asked.parquet", *plain)
    assert pq.read_table("asked.parquet")["embedding"].to_pylist() == vectors["rgb"]
    assert known.asked == ["/halves.onnx"]


def test_suggest(known: WeightsServer) -> None:
    """The same suggestions as from vectors that were written before."""
    named = call("clean", "little", "--suggest", "--frames", "4", "--embeddings", "halves")
    assert named.exit_code == 0, named.output
    assert f"vectors by halves: {SAID}" in named.stderr
    folder = Path("little/cleanup/suggestions")
    first = {path.name: pq.read_table(path) for path in folder.iterdir()}
    made = ("--per-frame", "--frames", "4", "--out", "frames.parquet")
    call("embed", "--onnx", "halves", "little", *made)
    call("clean", "little", "--suggest", "--frames", "4", "--embeddings", "frames.parquet")
    assert {path.name: pq.read_table(path) for path in folder.iterdir()} == first
    assert known.asked == ["/halves.onnx"]


def test_offline(known: WeightsServer) -> None:
    for arguments in (
        ("embed", "--onnx", "halves", "little"),
        ("clean", "little", "--suggest", "--embeddings", "halves"),
    ):
        error = call(*arguments, "--offline").exception
        assert isinstance(error, LpwError) and "nothing may be fetched" in str(error)
    assert known.asked == [] and not Path("embeddings.parquet").exists()


@pytest.mark.usefixtures("known")
def test_an_unknown_name() -> None:
    error = call("embed", "--onnx", "osnet", "little").exception
    assert isinstance(error, LpwError) and "known by name: halves" in str(error)
