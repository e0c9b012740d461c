"""`lpw clean --apply` divides the persons it leaves; one camera is told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lpw_cli.main import main
from make_dataset import make_dataset
from make_reid import make_one_camera

import lpw_toolkit
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.draw import draw_splits


@pytest.fixture
def named(tmp_path: Path) -> Dataset:
    """Persons of whom seven were seen by two cameras."""
    return make_dataset(tmp_path / "d", n_tracklets=40, n_frames=2)


def lpw(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)


def apply(dataset: Dataset, out: Path, *words: object) -> Result:
    return lpw("clean", dataset.root, "--apply", out, "--unreviewed", "keep", *words)


class TestApply:
    def test_splits_are_those_of_lpw_split(self, named: Dataset, tmp_path: Path) -> None:
        result = apply(named, tmp_path / "out", "--splits", 2, "--seed", 3, "--test", 0.4)
        made = open_dataset(tmp_path / "out")
        drawn = draw_splits(
            made.tracklets, made.manifest["sources"], SplitConfig("seed", 0.4, 2, 3), "out"
        )
        assert made.splits is not None
        assert made.splits.equals(drawn.table)
        assert made.manifest["splits"] == drawn.facts
        assert all(line in result.stdout for line in drawn.describe())
        assert check_dataset(made.root).problems == []

    def test_unless_told_not_to(self, named: Dataset, tmp_path: Path) -> None:
        said = json.loads(apply(named, tmp_path / "out", "--no-splits", "--json").stdout)
        assert (said["splits"], said["why_no_splits"]) == (None, None)
        assert open_dataset(tmp_path / "out").splits is None
        assert "splits" not in open_dataset(tmp_path / "out").manifest

    def test_nothing_to_test_is_told_and_the_dataset_is_written(self, tmp_path: Path) -> None:
        """Nobody has named anyone: each tracklet is a person of its own."""
        nameless = make_dataset(tmp_path / "d", n_tracklets=8, n_frames=2, identified=False)
        result = apply(nameless, tmp_path / "out", "--min-cameras", 1)
        assert "no splits: 8 persons with one tracklet each, so that no query" in result.stdout
        assert open_dataset(tmp_path / "out").splits is None

    def test_one_camera(self, tmp_path: Path) -> None:
        film = make_one_camera(tmp_path / "d")
        with pytest.raises(LpwError, match="keep persons of one camera with --min-cameras 1"):
            apply(film, tmp_path / "out")
        result = apply(film, tmp_path / "out", "--min-cameras", 1)
        assert "protocol within_camera: the dataset has one camera" in result.stdout
        assert "test 6 persons, 12 tracklets, " in result.stdout
        assert check_dataset(tmp_path / "out").problems == []

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--status", "--seed", 1], "--seed belongs to --apply, not to --status"),
            (["--status", "--no-splits"], "--no-splits belongs to --apply, not to --status"),
            (["--apply", "x", "--no-splits", "--test", 0.2], "--test does not go with --no-splits"),
        ],
    )
    def test_usage(self, words: list[object], message: str, named: Dataset) -> None:
        result = lpw("clean", named.root, *words)
        assert result.exit_code == 2
        assert message in result.output

    def test_from_python(self, named: Dataset, tmp_path: Path) -> None:
        made = lpw_toolkit.apply_decisions(named, tmp_path / "a", unreviewed="keep", splits=3)
        assert sorted(made.splits.split.unique()) == [0, 1, 2]
        none = lpw_toolkit.apply_decisions(named, tmp_path / "b", unreviewed="keep", splits=0)
        assert none.splits is None


@pytest.mark.parametrize("n_cameras", [1, 4])
def test_a_review_says_what_one_camera_means(
    n_cameras: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = make_one_camera if n_cameras == 1 else make_dataset
    dataset = make(tmp_path / "d")
    monkeypatch.setattr("lpw_toolkit.review_page.server.serve_review", lambda *_: None)
    result = lpw("clean", dataset.root, "--review", "--no-open")
    assert ("one camera (c): nobody can be looked for" in result.stderr) == (n_cameras == 1)
    assert ("--min-cameras 1" in result.stderr) == (n_cameras == 1)
