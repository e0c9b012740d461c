"""`write_split` and `lpw split`: a new version with splits, checked, shown and evaluated."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from lpw_cli.main import main
from make_dataset import make_dataset
from make_reid import make_one_camera, make_reid
from sealing import write_manifest
from street import digest_tree

import lpw_toolkit
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.info import describe, format_info
from lpw_toolkit.errors import CorruptCropError, LpwError
from lpw_toolkit.evaluation.protocol_choice import choose_protocol
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.split_version import write_split


@pytest.fixture
def parent(tmp_path: Path) -> Dataset:
    """Four cameras, twenty persons, seven of whom two cameras saw."""
    return make_dataset(tmp_path / "d", n_tracklets=40, n_frames=2)


def lpw(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)


class TestVersion:
    def test_the_rest_is_the_parent(self, parent: Dataset, tmp_path: Path) -> None:
        made, drawn = write_split(parent, tmp_path / "out", SplitConfig(n_splits=2))
        assert made.manifest["parent"]["digest"] == parent.manifest["digest"]
        assert (made.name, made.manifest["splits"]) == ("out", drawn.facts)
        before, after = digest_tree(parent.root), digest_tree(made.root)
        assert after.pop("splits.parquet")
        assert before.pop("dataset.json") != after.pop("dataset.json")
        assert after == before
        assert made.splits is not None
        assert made.splits.equals(drawn.table)
        assert check_dataset(made.root).problems == []

    def test_the_same_again(self, parent: Dataset, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_split(parent, tmp_path / name / "out", SplitConfig())
        assert digest_tree(tmp_path / "a") == digest_tree(tmp_path / "b")

    def test_splits_that_were_there_are_replaced(self, tmp_path: Path) -> None:
        published = make_reid(tmp_path / "d")
        made, _ = write_split(published, tmp_path / "out", SplitConfig(n_splits=1))
        assert made.splits is not None
        assert not made.splits.equals(published.splits)
        assert choose_protocol(made)[0] == "cross_camera"

    def test_a_broken_image_leaves_nothing(self, parent: Dataset, tmp_path: Path) -> None:
        next((parent.root / "images").rglob("*.jpg")).write_bytes(b"broken")
        with pytest.raises(CorruptCropError):
            write_split(parent, tmp_path / "out", SplitConfig())
        assert not (tmp_path / "out").exists()

    def test_one_camera(self, tmp_path: Path) -> None:
        made, drawn = write_split(make_one_camera(tmp_path / "d"), tmp_path / "out", SplitConfig())
        assert check_dataset(made.root).problems == []
        assert choose_protocol(made)[0] == "within_camera"
        assert [count.n_queries for count in drawn.counts] == [6] * 10
        vectors = np.random.default_rng(0).normal(size=(24, 8))
        found = lpw_toolkit.evaluate_dataset(made, vectors, protocol="within_camera")
        rows = found.metrics.to_pylist()
        assert {row["protocol"] for row in rows} == {"within_camera"}
        assert all("less than 2 s before or after" in row["junk_rule"] for row in rows)
        assert all("DRAWN" in row["split_source"] for row in rows)
        assert {row["n_skipped"] for row in rows} == {0}

    def test_an_export_says_that_other_tools_find_nobody(self, tmp_path: Path) -> None:
        made, _ = write_split(make_one_camera(tmp_path / "d"), tmp_path / "out", SplitConfig())
        result = lpw("export", made.root, tmp_path / "market", "--to", "fastreid")
        assert result.exit_code == 0, result.output
        assert "splits: they are for a test within one camera" in result.output


class TestSaid:
    def test_info(self, parent: Dataset, tmp_path: Path) -> None:
        made, drawn = write_split(parent, tmp_path / "out", SplitConfig(n_splits=2))
        facts = describe(made)
        assert facts["splits"]["digest"] == drawn.facts["digest"]
        assert len(facts["splits"]["n_tracklets"]) == 2
        assert "splits      2 drawn for cross_camera (" in format_info(facts)
        assert describe(parent)["splits"] is None
        assert "splits" not in format_info(describe(parent))

    def test_show(self, parent: Dataset, tmp_path: Path) -> None:
        made, _ = write_split(parent, tmp_path / "out", SplitConfig(n_splits=2))
        assert lpw("show", made.root, "--out", tmp_path / "page").exit_code == 0
        data = (tmp_path / "page" / "data.js").read_text()
        assert "2 drawn for cross_camera" in data
        assert '"query, gallery"' in data

    def test_check_names_another_source(self, parent: Dataset, tmp_path: Path) -> None:
        made, _ = write_split(parent, tmp_path / "out", SplitConfig(n_splits=1))
        facts = json.loads((made.root / "dataset.json").read_text())
        facts["splits"]["digest"] = "0" * 64
        write_manifest(made.root, facts)
        found = {problem.rule for problem in check_dataset(made.root).problems}
        assert found == {"split-source"}


class TestCommand:
    def test_counts_are_printed(self, parent: Dataset, tmp_path: Path) -> None:
        result = lpw("split", parent.root, "--splits", 1, "--out", tmp_path / "out")
        assert result.exit_code == 0
        made = open_dataset(tmp_path / "out")
        digest = made.manifest["splits"]["digests"][0][:12]
        assert "protocol cross_camera: persons seen by two cameras or more: " in result.output
        assert "split 0: train 10 persons, " in result.output
        assert "queries; digest " + digest in result.output

    def test_json(self, parent: Dataset, tmp_path: Path) -> None:
        result = lpw("split", parent.root, "--json", "--out", tmp_path / "out")
        said = json.loads(result.stdout)
        assert said["splits"] == open_dataset(tmp_path / "out").manifest["splits"]
        assert [count["n_train_persons"] for count in said["counts"]] == [10] * 10

    def test_the_default_output(
        self, parent: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert lpw("split").exit_code == 0
        assert open_dataset(tmp_path / "d-split").name == "d-split"
        again = lpw_toolkit.split(parent, splits=3, out="again")
        assert sorted(again.splits.split.unique()) == [0, 1, 2]

    @pytest.mark.parametrize("words", [["DATA", "--by", "list", "FILE"], ["--by", "list", "FILE"],
                                       ["--data", "DATA", "--by", "list", "FILE"]])  # fmt: skip
    def test_a_list(
        self, words: list[str], parent: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        people = sorted(set(parent.tracklets["person_id"].drop_null().to_pylist()))
        text = "".join(f"{p},{('train', 'test')[i % 2]}\n" for i, p in enumerate(people))
        (tmp_path / "list.csv").write_text(text)
        known = {"DATA": str(parent.root), "FILE": str(tmp_path / "list.csv")}
        result = lpw("split", *(known.get(word, word) for word in words), "--out", "out")
        assert result.exit_code == 0, result.output
        facts = open_dataset(tmp_path / "out").manifest["splits"]
        assert (facts["by"], facts["n_splits"], facts["seed"]) == ("list", 1, None)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["d", "--by", "scene", "--test", "0.2"], "--test does not go with --by scene"),
            (["d", "--by", "time", "--seed", "2"], "--seed does not go with --by time"),
            (["d", "--by", "time", "--splits", "2"], "--splits does not go with --by time"),
            (["d", "e"], "one name too many"),
            (["d", "--data", "e"], "one name too many"),
        ],
    )
    def test_usage(
        self, words: list[str], message: str, parent: Dataset, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        result = lpw("split", *words)
        assert result.exit_code == 2
        assert message in result.output

    def test_a_list_without_its_file(self, parent: Dataset, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"got no file; .*`lpw split DATASET --by list FILE`"):
            lpw("split", parent.root, "--by", "list", "--out", tmp_path / "out")

    def test_what_cannot_be_tested(self, tmp_path: Path) -> None:
        nameless = make_dataset(tmp_path / "d", n_tracklets=8, n_frames=2, identified=False)
        with pytest.raises(LpwError, match="no person in any tracklet"):
            lpw("split", nameless.root, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
