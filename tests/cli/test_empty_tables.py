"""Tables without rows: every command works, or says in one line why it does not."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from embedder import make_model
from lpw_cli.main import main
from make_dataset import make_dataset
from media import Recipe, write_video

from lpw_toolkit import open_dataset as open_for_python
from lpw_toolkit.cleaning.state.review import open_review
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.review_page.server import ServeOptions, open_session
from lpw_toolkit.review_page.suggestions import open_suggestions

FORMS = ("coco", "hf", "mot", "tree", "webdataset")
NAMED_FORMS = ("fastreid", "lpw", "mars", "torchreid")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def refusal(*arguments: object) -> str:
    """The one line with which a command ends."""
    done = run(*arguments)
    assert isinstance(done.exception, LpwError), (done.exception, done.output)
    return str(done.exception)


def shown(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exception is None, (done.exception, done.output)
    return done.output


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    write_video(folder / "film.mp4", Recipe(pts=tuple(range(20))))
    rows = [f"{f},-1,{20 + f},20,30,80,0.9\n" for f in range(1, 21)]
    (folder / "det.txt").write_text("".join(rows))
    (folder / "none.txt").write_text("")
    return folder


@pytest.fixture(scope="module")
def empty(film: Path) -> Path:
    """A dataset without tracklets."""
    out = film / "empty"
    said = shown(
        "build-tracklets",
        film / "film.mp4",
        "--boxes",
        film / "none.txt",
        "--out",
        out,
        "--no-cache",
    )
    assert "warning: film.mp4: no tracklets: there are no boxes" in said
    return out


class TestBuild:
    @pytest.mark.parametrize(
        ("options", "reason", "n"),
        [
            (["--min-length", 50], "track too short (--min-length)", 20),
            (["--min-score", 0.95], "score too low (--min-score)", 20),
            (["--min-height-px", 90], "too low (--min-height-px)", 20),
            (["--max-aspect", 1.5], "too high for its width (--max-aspect)", 20),
        ],
    )
    def test_the_rule_that_took_the_boxes_is_told_and_recorded(
        self, film: Path, tmp_path: Path, options: list[object], reason: str, n: int
    ) -> None:
        words = ["--boxes", film / "det.txt", "--out", tmp_path / "d", "--no-cache", *options]
        said = shown("build-tracklets", film / "film.mp4", *words)
        assert f"warning: film.mp4: no tracklets: all 20 boxes were left out: {n} {reason}" in said
        (entry,) = open_dataset(tmp_path / "d").manifest["sources"]
        assert entry["left_out"] == {reason: n}

    def test_a_relinked_dataset_tells_it_too(self, empty: Path, tmp_path: Path) -> None:
        assert "no tracklets: there are no boxes" in shown("relink", empty, "--out", tmp_path / "r")

    def test_a_dataset_with_tracklets_holds_no_such_record(
        self, film: Path, tmp_path: Path
    ) -> None:
        words = ["--boxes", film / "det.txt", "--out", tmp_path / "d", "--no-cache"]
        shown("build-tracklets", film / "film.mp4", *words)
        (entry,) = open_dataset(tmp_path / "d").manifest["sources"]
        assert (entry["n_tracklets"], "left_out" in entry) == (1, False)


class TestLink:
    def test_a_text_without_rows(self, film: Path, tmp_path: Path) -> None:
        said = shown("link", film / "none.txt", "--out", tmp_path / "t.txt")
        assert "warning: no tracklets: there are no boxes" in said
        assert (tmp_path / "t.txt").read_text() == ""

    def test_what_was_left_out(self, film: Path, tmp_path: Path) -> None:
        words = ["--out", tmp_path / "t.txt", "--min-length", 99]
        done = run("link", film / "det.txt", *words, "--json")
        assert json.loads(done.stdout)["left_out"] == {"track too short (--min-length)": 20}
        assert "all 20 boxes were left out: 20 track too short (--min-length)" in done.stderr

    def test_frames_are_counted_as_in_the_input(self, film: Path, tmp_path: Path) -> None:
        lines = (film / "det.txt").read_text().splitlines()
        for first in (0, 1):
            text = "".join(f"{i + first},{line.split(',', 1)[1]}\n" for i, line in enumerate(lines))
            (tmp_path / "d.txt").write_text(text)
            shown("link", tmp_path / "d.txt", "--out", tmp_path / "t.txt")
            assert (tmp_path / "t.txt").read_text().startswith(f"{first},1,")
        words = ["--first-frame", 1, "--out", tmp_path / "t.txt"]
        shown("link", film / "det.txt", *words)
        assert len((tmp_path / "t.txt").read_text().splitlines()) == 20


class TestNoTracklets:
    def test_looking(self, empty: Path, tmp_path: Path) -> None:
        assert "tracklets" in shown("info", empty)
        assert json.loads(run("info", empty, "--json").stdout)["counts"]["n_tracklets"] == 0
        assert "0 images verified" in shown("check", empty)
        shown("show", empty, "--out", tmp_path / "show")
        assert (tmp_path / "show" / "index.html").is_file()

    def test_packing(self, film: Path, tmp_path: Path) -> None:
        words = ["--boxes", film / "none.txt", "--out", tmp_path / "d", "--no-cache"]
        shown("build-tracklets", film / "film.mp4", *words)
        assert "0 images" in shown("pack", tmp_path / "d")
        assert "0 images verified" in shown("check", tmp_path / "d")

    @pytest.mark.parametrize("form", FORMS)
    def test_exporting(self, empty: Path, tmp_path: Path, form: str) -> None:
        said = shown("export", empty, tmp_path / "out", "--to", form)
        assert "warning: empty has no tracklets, so the export holds none" in said

    @pytest.mark.parametrize("form", NAMED_FORMS)
    def test_exporting_persons(self, empty: Path, tmp_path: Path, form: str) -> None:
        assert "person" in refusal("export", empty, tmp_path / "out", "--to", form)

    def test_cleaning(self, empty: Path, tmp_path: Path) -> None:
        assert "got no tracklets" in refusal("clean", empty, "--suggest")
        assert "run `lpw clean --suggest` first" in refusal("clean", empty, "--auto", "short")
        assert "0 of 0 pieces reviewed" in shown("clean", empty, "--status")
        assert "0 unreviewed, 0 accepted" in shown("clean", empty, "--replay")
        assert "fewer than two people" in shown("clean", empty, "--agreement")
        words = ["--apply", tmp_path / "out", "--unreviewed", "keep"]
        assert "nothing to write: no tracklet" in refusal("clean", empty, *words)
        assert not (tmp_path / "out").exists()

    def test_the_review_page(self, empty: Path) -> None:
        dataset = open_dataset(empty)
        with open_review(dataset, "anna") as review:
            session = open_session(dataset, review, open_suggestions(dataset), ServeOptions("anna"))
            assert session is not None

    def test_embedding(self, empty: Path, tmp_path: Path) -> None:
        model = make_model(tmp_path / "model.onnx")
        said = shown("embed", empty, "--onnx", model, "--out", tmp_path / "e.parquet")
        assert "0 tracklets, 3 numbers each, from 0 images" in said
        words = ["--embeddings", tmp_path / "e.parquet", "--data", empty, "--protocol", "market"]
        assert "no rows" in refusal("eval", *words)

    def test_training(self, empty: Path, tmp_path: Path) -> None:
        words = ["--data", empty, "--split", "none", "--out", tmp_path / "run"]
        assert "0 persons" in refusal("train", "rqen", *words)

    def test_from_python(self, empty: Path) -> None:
        dataset = open_for_python(empty)
        assert (len(dataset), list(dataset)) == (0, [])
        assert "0 tracklets" in repr(dataset)
        assert len(dataset.tracklets) == len(dataset.frames) == 0
        assert dataset.reader is not None


class TestNoCandidates:
    """Suggestions of which the table of candidates has no row: one tracklet has no partner."""

    @pytest.fixture
    def dataset(self, tmp_path: Path) -> Dataset:
        dataset = make_dataset(tmp_path / "one", n_tracklets=1, identified=False)
        assert "at most 9 a tracklet: 0 ways in which a track may go on" in shown(
            "clean", dataset.root, "--suggest"
        )
        return dataset

    def test_the_review_opens(self, dataset: Dataset) -> None:
        found = open_suggestions(dataset)
        (name,) = dataset.tracklets["tracklet_id"].to_pylist()
        assert found.rows_of("candidates", name) == []
        assert found.rows["candidates"] == {}
        assert found.rows["suggestions"].keys() == {name}
        assert np.isfinite(next(iter(found.signals_of(name).values()))).size == 12

    def test_every_rule_decides_nothing(self, dataset: Dataset) -> None:
        for rule in ("short", "duplicate", "odd-frame"):
            shown("clean", dataset.root, "--auto", rule)
        assert "1 pieces" in shown("clean", dataset.root, "--status")
