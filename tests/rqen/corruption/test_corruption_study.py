"""`lpw corruption`: from a dataset to corrupted sets, and from runs to figures with intervals."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli.corruption import command
from make_reid import make_reid
from tiny_runs import OPTIONS, make_run

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError, MismatchError
from rqen.corruption.inject import read_mask
from rqen.corruption.plan import KINDS, CorruptionConfig
from rqen.corruption.study import (
    StudyResult,
    evaluate_run,
    make_corrupted_sets,
    mask_of,
    measure_leads,
    name_method,
    open_corrupted_sets,
)
from rqen.corruption.study_report import make_study_report


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_reid(tmp_path_factory.mktemp("study") / "d")


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("corrupted") / "out"
    words = ["make", str(data.root), "--out", str(out), "--tests", "2", "--json"]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "train": str(out / "train"),
        "tests": [str(out / "test01"), str(out / "test02")],
    }
    return out


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return [make_run(data, out / method, method=method) for method in ("rqen", "qfix")]


def test_the_sets_are_those_of_the_split(data, folder):
    sets = open_corrupted_sets(data.root, folder)
    ids = data.tracklets["tracklet_id"].to_pylist()
    tested = open_dataset(sets.tests[0]).tracklets["tracklet_id"].to_pylist()
    assert [ids[row] for row in sets.rows] == tested
    assert all(name.startswith("scen1/") for name in tested)
    assert open_dataset(sets.train).tracklets["tracklet_id"].to_pylist() == ids
    masks = [read_mask(mask_of(test), open_dataset(test).frames)[0] for test in sets.tests]
    assert not np.array_equal(*masks)


def test_the_command_compares_the_first_run_with_the_others(data, folder, runs):
    words = ["evaluate", *map(str, runs), "--data", str(data.root), "--corrupted", str(folder)]
    done = CliRunner().invoke(command, [*words, "--workers", "0", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["n_tests"] == 2
    ours, theirs = found["runs"].values()
    assert "auc" not in theirs
    assert set(ours["auc"]) == {"upper", "middle", "lower", "all"}
    (lead,) = found["leads_points"].values()
    assert lead["rank1"]["mean"] == pytest.approx(ours["rank1"] - theirs["rank1"], abs=0.011)
    assert lead["rank1"]["low"] <= lead["rank1"]["mean"] <= lead["rank1"]["high"]
    shown = CliRunner().invoke(command, [*words, "--workers", "0"])
    assert f"{runs[0]} over {runs[1]}: rank-1" in shown.stdout
    assert "clean mAP" in shown.stdout


def test_kinds_of_corruption_stand_side_by_side(data, folder, runs, tmp_path):
    other = tmp_path / "random"
    words = ["make", str(data.root), "--out", str(other), "--position", "random", "--quiet"]
    assert CliRunner().invoke(command, words).exit_code == 0
    words = ["evaluate", str(runs[0]), "--data", str(data.root), "--workers", "0"]
    words += ["--corrupted", str(folder), "--corrupted", str(other)]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    assert "corruption on the borders 3:2:2, cover 1 x 0.8, blur 0.05, darken 0.15" in done.stdout
    assert "corruption at random heights, cover 1 x 0.8, blur 0.05, darken 0.15" in done.stdout
    found = json.loads(CliRunner().invoke(command, [*words, "--json"]).stdout)["studies"]
    assert list(found) == [str(folder), str(other)]
    assert found[str(other)]["noise"].startswith("at random heights")
    figures = [of["runs"][str(runs[0])]["clean_map"] for of in found.values()]
    assert figures[0] == figures[1]


def test_runs_of_one_method_are_one_side(data, runs, tmp_path):
    again = make_run(data, tmp_path / "again", "train.seed=1")
    names = [name_method(run) for run in (*runs, again)]
    assert names[0] == names[2] != names[1]

    def make(hits: list[int]) -> StudyResult:
        hit = np.array([[1] * 4, hits], dtype=float)
        return StudyResult(np.arange(4), hit, hit.astype(np.float32), None, 1.0, 0.0)

    results = {"a": make([1, 1, 1, 1]), "b": make([0, 1, 0, 1]), "c": make([0, 0, 0, 0])}
    methods = {"a": "rqen", "b": "qfix", "c": "rqen"}
    facts, text = make_study_report(results, methods=methods)
    (lead,) = facts["leads_points"].values()
    assert list(facts["leads_points"]) == ["a (2 seeds) over b"]
    assert (lead["rank1"]["mean"], lead["rank1"]["n_seeds"]) == (0, 1)
    assert lead["rank1"]["low"] < -50
    assert "of one run of a method, the noise of training is not in the interval" in text
    assert set(facts["runs"]) == {"a", "b", "c"}


def test_seeds_are_resampled_and_test_sets_averaged():
    def make(hits: list[int]) -> StudyResult:
        hit = np.array([[1] * 6, hits, hits], dtype=float)
        return StudyResult(np.arange(6), hit, hit.astype(np.float32), None, 1.0, 0.0)

    ours = [make([1] * 6), make([1] * 6), make([0] * 6)]
    lead = measure_leads(ours, [make([0] * 6)] * 3, n_resamples=2000)["rank1"]
    assert (lead.mean, lead.n_seeds) == (pytest.approx(2 / 3), 3)
    assert lead.low < 0
    alone = measure_leads(ours[:1], [make([0] * 6)], n_resamples=100)["rank1"]
    assert (alone.low, alone.high, alone.n_seeds) == (1, 1, 1)


def test_a_result_knows_clean_from_corrupted(data, folder, runs):
    result = evaluate_run(runs[0], open_corrupted_sets(data.root, folder), OPTIONS)
    assert result.hit.shape == result.precision.shape == (3, len(result.person))
    facts = result.describe()
    assert facts["clean_rank1"] == pytest.approx(100 * result.hit[0].mean(), abs=0.005)
    assert facts["rank1"] == pytest.approx(100 * result.hit[1:].mean(), abs=0.005)


def test_leads_by_hand():
    def make(hits: list[int]) -> StudyResult:
        hit = np.array([[1, 1, 1, 1], hits], dtype=float)
        return StudyResult(np.array([0, 0, 1, 1]), hit, hit.astype(np.float32), None, 1.0, 0.0)

    leads = measure_leads([make([1, 1, 1, 1])], [make([0, 1, 0, 1])], n_resamples=100)
    assert (leads["rank1"].mean, leads["clean_rank1"].mean) == (0.5, 0)
    assert leads["rank1"].holds
    facts, table = make_study_report({"a": make([1, 1, 1, 1]), "b": make([0, 1, 0, 1])})
    assert facts["leads_points"]["a over b"]["map"]["mean"] == 50
    assert "of one run of a method, the noise of training is not" in table
    assert table.splitlines()[3].split() == ["a", "100.0", "100.0", "100.0", "100.0"] + ["-"] * (
        1 + len(KINDS)
    )


def test_faults(data, folder, tmp_path):
    with pytest.raises(LpwError, match="no corrupted test set"):
        open_corrupted_sets(data.root, tmp_path)
    with pytest.raises(LpwError, match="option --split: got 7; expected 0"):
        make_corrupted_sets(data.root, tmp_path / "out", CorruptionConfig(), n_tests=1, split=7)
    other = make_reid(tmp_path / "other", n_rounds=3)
    with pytest.raises(MismatchError, match="test sets of another dataset"):
        open_corrupted_sets(other.root, folder)
    plain = make_reid(tmp_path / "plain", split=False)
    with pytest.raises(LpwError, match="a dataset with splits"):
        make_corrupted_sets(plain.root, tmp_path / "out", CorruptionConfig(), n_tests=1)
