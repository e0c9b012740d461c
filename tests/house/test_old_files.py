"""Files of the first version (commit c363c30) open, resume and relink, and give what they gave
then.

`tests/fixtures/made_by_c363c30.zip` was made by that commit's commands: a synthetic street (8
persons, 2 cameras, seed 3) built with 64 x 32 crops, suggestions, the log of a scripted reviewer,
the same dataset with persons named, a run of 4 steps that began with zeros (so that it packs), a
run that was stopped before its last file, embeddings, and the results of an evaluation.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from lpw_cli.main import main
from safetensors.numpy import load_file

OLD = Path(__file__).parents[1] / "fixtures" / "made_by_c363c30.zip"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(folder)
    return folder


def lpw(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, f"{words}: {result.output} {result.exception!r}"
    return result


@pytest.mark.parametrize("name", ["d", "named"])
def test_datasets_open_and_check_clean(old: Path, name: str) -> None:
    assert "386 images verified" in lpw("check", old / name).output
    assert "tracklets   15 (15 person)" in lpw("info", old / name).output


@pytest.mark.parametrize("preset", ["thrifty", "low-cost"])
def test_relinking_by_the_old_and_the_new_name_gives_the_old_rows(
    old: Path, tmp_path: Path, preset: str
) -> None:
    out = tmp_path / "relinked"
    lpw("relink", old / "d", "--preset", preset, "--out", out, "--video", old / "video")
    made = json.loads((out / "dataset.json").read_text())
    assert made["digest"] == "baf09da15779ab4a6648d966d1c04a9dd0a7d3088446a4758699a43124e3a01b"


def test_an_old_log_is_replayed_and_applied(old: Path, tmp_path: Path) -> None:
    replayed = lpw("clean", old / "d", "--replay").output
    assert "every line and its chain as written" in replayed
    lpw("clean", old / "d", "--apply", tmp_path / "cleaned", "--min-cameras", 1)
    assert (
        json.loads((tmp_path / "cleaned" / "dataset.json").read_text())["counts"]["n_persons"] == 8
    )


def test_an_old_review_is_whole(old: Path) -> None:
    assert "15 of 15 pieces reviewed" in lpw("clean", old / "d", "--status").output


def test_an_old_run_gives_the_vectors_it_gave(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "embeddings.parquet"
    lpw("embed", old / "run", "--data", old / "named", "--out", out, "--workers", 0)
    assert pq.read_table(out).equals(pq.read_table(old / "emb.parquet"))


def test_an_old_run_that_was_stopped_resumes(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old)  # it began with zeros.safetensors, named so in its settings
    settings = json.loads((old / "stopped" / "run.json").read_text())["recipe"]
    changes = [
        f"{section}.{key}={json.dumps(value)}"
        for section, values in settings.items()
        if isinstance(values, dict)
        for key, value in values.items()
    ]
    words = [word for change in changes for word in ("--set", change)]
    lpw(
        "train", "rqen", "--data", old / "named", "--split", 0, "--recipe", settings["name"],
        "--out", old / "stopped", "--resume", "--workers", 0, *words,
    )  # fmt: skip
    ours = load_file(old / "stopped" / "model.safetensors")
    theirs = load_file(old / "run" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_old_embeddings_and_results_are_read(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    lpw(
        "eval", "--embeddings", old / "emb.parquet", "--data", old / "named",
        "--protocol", "market", "--metric", "euclidean", "--out", out,
    )  # fmt: skip
    before = pq.read_table(old / "res" / "metrics.parquet").to_pylist()
    after = pq.read_table(out / "metrics.parquet").to_pylist()
    assert [row["value"] for row in before] == [row["value"] for row in after]
    assert "market" in lpw("eval", "--table", old / "res", out, "--mix").output
