"""`lpw reproduce`: what is run once, what is left when it is stopped, and that no cell is filled
that was not run."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import moments
import pytest
import torch
from click.testing import CliRunner, Result
from embedder import make_model
from lpw_cli.eval import command as eval_command
from lpw_cli.reproduce import command
from lpw_cli.train import command as train_command
from make_reid import make_reid, rewrite
from sealing import write_manifest

from lpw_toolkit.errors import LpwError, MismatchError
from rqen.data.batches import Shard
from rqen.inference.run_vectors import ScoringOptions
from rqen.reproduce import work
from rqen.reproduce.aggregate_results import summarise_rows
from rqen.reproduce.forecast import forecast_plan
from rqen.reproduce.plan import ReproducePlan, ReproduceRequest, make_plan
from rqen.reproduce.record import read_records
from rqen.reproduce.report import make_report
from rqen.reproduce.work import WorkOptions, run_plan
from rqen.run import run_folder
from rqen.training.distributed import ProcessGroup

ALONE = ProcessGroup(Shard(), torch.device("cpu"))
OPTIONS = WorkOptions(ScoringOptions(n_workers=0), n_workers=0)
SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32",
    "data.n_persons=4",
    "data.n_sets=2", "data.n_frames=2", "data.crop=2", "train.iterations=1",
    "train.checkpoint_every=1000",
    "train.precision=float32", "train.channels_last=no", "optim.warmup=2",
)  # fmt: skip
ODD = "50% & a_b #1 {x} ~^\\ [z] <|> $"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A dataset with one split."""
    return make_reid(tmp_path_factory.mktemp("reproduce") / "one", n_rounds=5).root


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Another one with two splits: the scenes change places."""
    dataset = make_reid(tmp_path_factory.mktemp("reproduce") / "two", n_rounds=6, seed=1)
    table = dataset.tracklets
    pairs = list(zip(table["camera_id"].to_pylist(), table["tracklet_id"].to_pylist(), strict=True))
    splits = []
    for split, scene in enumerate(("scen1", "scen2")):
        roles = {f"{scene}/view2": "query", f"{scene}/view1": "gallery"}
        splits += [(split, roles.get(camera, "train"), name) for camera, name in pairs]
    return rewrite(dataset, None, splits, name=ODD).root


@pytest.fixture(scope="module")
def done(data, tmp_path_factory) -> ReproducePlan:
    """Table 2 with three of its rows, of one training, and the untrained backbone."""
    plan = ask(
        data,
        tmp_path_factory.mktemp("reproduce") / "out",
        methods=("untrained", "rqen", "ru", "rl"),
    )
    run_plan(plan, ALONE, OPTIONS, lambda *_: None)
    return plan


def ask(data: Path, out: Path, *changes: str, table: str = "table2", **more: Any) -> ReproducePlan:
    return make_plan(ReproduceRequest(table, data, out, changes=(*SMALL, *changes), **more))


def words(table: str, data: Path, out: Path, *more: str) -> list[str]:
    sets = [word for change in SMALL for word in ("--set", change)]
    return [table, "--data", str(data), "--out", str(out), "--workers", "0", *sets, *more]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def report(*arguments: str) -> dict[str, Any]:
    result = call(*arguments, "--only-report", "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


class TestQueue:
    def test_rows_of_one_training(self, done):
        assert sorted(p.name for p in (done.request.out / "runs").iterdir()) == [
            f"rqen-{done.items[1].training.digest[:8]}-split0-seed0",
            f"untrained-{done.items[1].training.digest[:8]}-split0-seed0",
        ]
        records = read_records(done.request.out, done.items)
        whole, upper = (records[done.items[i].name] for i in (1, 2))
        assert whole["run_digest"] == upper["run_digest"]
        assert upper["model"].endswith("+RU (" + whole["model"].split("(")[1])
        assert upper["seconds"]["train"] is None  # it was trained for the row before
        assert whole["seconds"]["train"] > 0
        assert whole["config"]["training"]["recipe"]["train"]["seed"] == 0

    def test_a_result_says_what_it_rests_on(self, done):
        record = read_records(done.request.out, done.items)[done.items[1].name]
        assert {"cmc@1", "cmc@5", "cmc@10", "cmc@20", "map", "minp"} <= record["metrics"].keys()
        assert record["cmc"][0] == pytest.approx(record["metrics"]["cmc@1"], abs=1e-6)
        assert {
            "gallery",
            "junk_rule",
            "ap_form",
            "distance",
            "frames_used",
            "n_skipped",
        } <= record.keys()
        queries = record["queries"]
        assert len(queries["person"]) == record["n_query"] - record["n_skipped"]
        hits = [rank == 1 for rank in queries["rank"]]
        assert sum(hits) / len(hits) == pytest.approx(record["metrics"]["cmc@1"])
        assert sum(queries["ap"]) / len(hits) == pytest.approx(record["metrics"]["map"], abs=1e-5)
        for file in (done.request.out / "rows").iterdir():
            assert str(done.request.data.parent) not in file.read_text()

    def test_other_methods_take_recipes_of_their_own(self, data, tmp_path):
        """`--set` changes of them what all trainings share."""
        rows = ("qan", "trinet+rerank", "trinet", "ide+kissme+rerank", "ide_caffenet+xqda")
        plan = ask(data, tmp_path / "o", "method.width=3", methods=rows)
        recipes = {item.row.name: item.training.recipe for item in plan.items}
        assert {name: recipe.name for name, recipe in recipes.items()} == {
            "qan": "modern", "trinet_rerank": "trinet_small", "trinet": "trinet_small",
            "ide_kissme_rerank": "ide_small", "ide_caffenet_xqda": "ide_small",
        }  # fmt: skip
        assert {recipe.train.iterations for recipe in recipes.values()} == {1}
        assert {recipe.model.weights for recipe in recipes.values()} == {"random"}
        assert recipes["qan"].data.n_persons == 4
        assert recipes["trinet"].data.n_persons == 12
        names = {item.row.name: item.training.name for item in plan.items}
        assert names["trinet"] == names["trinet_rerank"] != names["ide_kissme_rerank"]
        metrics = {item.row.name: item.config["metric"] for item in plan.items}
        assert metrics == {
            "qan": "cosine", "trinet_rerank": "euclidean", "trinet": "euclidean",
            "ide_kissme_rerank": "kissme", "ide_caffenet_xqda": "xqda",
        }  # fmt: skip
        (paper,) = ask(data, tmp_path / "p", methods=("trinet",), recipe="paper").items
        assert paper.training.recipe.name == "trinet"
        (own,) = ask(
            data, tmp_path / "q", "data.cut_height=0", "data.cut_width=0", methods=("trinet",),
            recipe="trinet_small",
        ).items  # fmt: skip
        assert own.training.recipe.data.n_persons == 4

    def test_trinet_and_re_ranking_share_a_run(self, data, tmp_path):
        size = ("data.height=72", "data.width=36", "data.cut_height=64", "data.cut_width=32")
        plan = ask(
            data, tmp_path / "o", *size, "data.n_frames=1", methods=("trinet+rerank", "trinet"),
            recipe="trinet_small",
        )  # fmt: skip
        records = run_plan(plan, ALONE, OPTIONS, lambda *_: None)
        assert [record["distance"] for record in records.values()] == [
            "Euclidean + re-ranking (k1 20, k2 6, lambda 0.3, half round_even)", "Euclidean",
        ]  # fmt: skip
        assert len(list((tmp_path / "o" / "runs").iterdir())) == 1

    def test_a_second_start_runs_nothing(self, done, monkeypatch):
        before = {p: p.stat().st_mtime_ns for p in done.request.out.rglob("*") if p.is_file()}
        monkeypatch.setattr(work.Worker, "run", lambda *_: pytest.fail("was run again"))
        found = run_plan(done, ALONE, OPTIONS, lambda *_: pytest.fail("was told again"))
        assert found.keys() == {item.name for item in done.items}
        assert before == {
            p: p.stat().st_mtime_ns for p in done.request.out.rglob("*") if p.is_file()
        }

    def test_an_untrained_backbone_is_the_seed_it_started_from(self, done):
        untrained, trained = (
            done.request.out / "runs" / done.items[i].training.name for i in (0, 1)
        )
        assert run_folder.read_state(untrained / run_folder.MODEL).iteration == 0
        assert run_folder.read_state(trained / run_folder.MODEL).iteration == 1

    def test_seed_by_seed_and_the_untrained_once(self, data, tmp_path):
        plan = ask(data, tmp_path / "o", methods=("untrained", "mean", "ru"), seeds=(2, 0))
        assert [(item.row.name, item.seed) for item in plan.items] == [
            ("untrained", 2), ("mean", 2), ("ru", 2), ("mean", 0), ("ru", 0),
        ]  # fmt: skip
        assert len({item.name for item in plan.items}) == 5

    def test_stopped_between_rows_it_goes_on(self, data, tmp_path, monkeypatch):
        plan = ask(data, tmp_path / "o", "train.iterations=0", methods=("mean", "ru", "rl"))
        run, begun = work.Worker.run, []

        def stop_at_second(self, item):
            begun.append(item.row.name)
            if len(begun) == 2:
                raise KeyboardInterrupt
            return run(self, item)

        monkeypatch.setattr(work.Worker, "run", stop_at_second)
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, ALONE, OPTIONS, lambda *_: None)
        assert len(list((tmp_path / "o" / "rows").iterdir())) == 1
        told = []
        run_plan(plan, ALONE, OPTIONS, lambda item, _: told.append(item.row.name))
        assert (begun, told) == (["mean", "ru", "ru", "rl"], ["ru", "rl"])

    def test_ctrl_c_within_a_row_and_the_same_command_goes_on_to_the_bit(self, data, tmp_path):
        longer = (
            "--set",
            "train.iterations=30",
            "--set",
            "train.checkpoint_every=3",
            "--method",
            "qan",
        )
        start = (
            "import lpw_cli.main; lpw_cli.main.COMMANDS.setdefault('reproduce', ''); "
            "lpw_cli.main.run()"
        )
        out, folder = tmp_path / "o", "runs"

        def begin(place, before=""):  # each in a process of its own: threads and rounding are then
            arguments = [  # the same
                sys.executable,
                "-c",
                before + start,
                "reproduce",
                *words("table2", data, place, *longer),
            ]
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            return moments.start(arguments, cwd=Path(__file__).parents[3], **pipes)

        running = begin(out, moments.hold_after("rqen.training.train", "Runner.save", 1))
        moments.wait_until_held(running)
        assert "Traceback" not in moments.signal_held(running, signal.SIGINT)
        assert running.returncode == 130
        (run,) = (out / folder).iterdir()
        assert 0 < run_folder.read_state(run / run_folder.CHECKPOINT).iteration < 30
        assert not (out / "rows").exists()
        for place in (out, tmp_path / "whole"):
            done = begin(place)
            assert done.communicate(timeout=moments.PATIENCE_S) and done.returncode == 0
        whole = run_folder.read_state(
            tmp_path / "whole" / folder / run.name / run_folder.MODEL
        ).model
        again = run_folder.read_state(run / run_folder.MODEL).model
        assert max(float((whole[n].double() - again[n].double()).abs().max()) for n in whole) < 1e-6

    def test_killed_at_any_point_of_a_publication_it_goes_on(self, data, tmp_path):
        """The result of a row is whole or not there."""
        plan = ask(data, tmp_path / "o", "train.iterations=0", methods=("mean",))
        script = (
            "import sys; sys.argv = ['lpw', *sys.argv[1:]]\n"
            "import lpw_cli.main; lpw_cli.main.COMMANDS.setdefault('reproduce', ''); "
            "lpw_cli.main.run()"
        )
        more = ("--method", "mean", "--set", "train.iterations=0")
        arguments = [
            sys.executable,
            "-c",
            script,
            "reproduce",
            *words("table2", data, tmp_path / "o", *more),
        ]
        killed = subprocess.run(
            arguments,
            env={**os.environ, "LPW_FAULT": "rename:9"},
            capture_output=True,
            cwd=Path(__file__).parents[3],
        )
        assert killed.returncode == -signal.SIGKILL
        assert [p.suffix for p in (tmp_path / "o" / "rows").iterdir()] == [".tmp~"]
        told = []
        run_plan(plan, ALONE, OPTIONS, lambda item, _: told.append(item.row.name))
        assert told == ["mean"]

    def test_other_settings_in_the_same_folder(self, done, data):
        plan = ask(data, done.request.out, "optim.lr=0.1", methods=("rqen",))
        with pytest.raises(LpwError, match=r"training.recipe.optim.lr: 0.00035 then, 0.1 now"):
            run_plan(plan, ALONE, OPTIONS, lambda *_: None)

    def test_a_complete_run_of_other_settings_without_a_result(self, data, tmp_path):
        first = ask(data, tmp_path / "o", "train.iterations=0", methods=("mean",))
        run_plan(first, ALONE, OPTIONS, lambda *_: None)
        for file in (tmp_path / "o" / "rows").iterdir():
            file.unlink()
        plan = ask(data, tmp_path / "o", "train.iterations=0", "optim.lr=0.1", methods=("mean",))
        with pytest.raises(LpwError, match=r"recipe.optim.lr: 0.00035 then, 0.1 now"):
            run_plan(plan, ALONE, OPTIONS, lambda *_: None)

    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "[]", '{"config": {}, "metrics": {}}', '{"config": 1}',
            '{"config": {}, "metrics": {"cmc@1": 1.0, "map": 1.0}, "queries": {"person": [1]}}',
        ],
    )  # fmt: skip
    def test_a_damaged_result(self, done, tmp_path, text):
        plan = replace(done, request=replace(done.request, out=tmp_path))
        (tmp_path / "rows").mkdir()
        (tmp_path / "rows" / f"{plan.items[0].name}.json").write_text(text)
        with pytest.raises(MismatchError, match="remove it to run this row again"):
            run_plan(plan, ALONE, OPTIONS, lambda *_: None)

    def test_an_onnx_model_is_a_row(self, data, tmp_path):
        model = make_model(tmp_path / "m.onnx")
        plan = ask(data, tmp_path / "o", methods=("onnx",), onnx=model)
        (record,) = run_plan(plan, ALONE, OPTIONS, lambda *_: None).values()
        assert record["config"]["training"] is None
        assert record["model"].startswith("m (")
        assert record["seconds"]["train"] is None

    def test_several_processes_are_refused(self, done):
        with pytest.raises(LpwError, match="one process"):
            run_plan(done, ProcessGroup(Shard(0, 2), torch.device("cpu")), OPTIONS, lambda *_: None)


class TestTwoDatasets:
    def test_cross_dataset_is_what_two_plain_commands_give(self, data, two, tmp_path):
        more = ("--test-data", str(two), "--method", "rqen", "--json")
        ours = call(*words("table5", data, tmp_path / "o", *more))
        assert ours.exit_code == 0, ours.exception
        sets = [word for change in SMALL for word in ("--set", change)]
        run = tmp_path / "run"
        plain = [
            "rqen",
            "--data",
            str(data),
            "--split",
            "none",
            "--out",
            str(run),
            "--workers",
            "0",
            *sets,
        ]
        assert CliRunner().invoke(train_command, plain).exit_code == 0
        found = CliRunner().invoke(
            eval_command, [str(run), "--data", str(two), "--protocol", "cross-dataset", "--json"]
        )
        assert found.exit_code == 0, found.exception
        (line,) = json.loads(found.stdout)["lines"]
        row = json.loads(ours.stdout)["rows"][0]
        assert (row["label"], row["row"], row["ours"]["n"]) == ("RQEN", "rqen", 1)
        for metric in ("cmc@1", "cmc@5", "map"):
            assert row["ours"]["mean"][metric] == pytest.approx(line[metric])
        halves = ask(
            data,
            tmp_path / "o",
            table="table5",
            test_data=two,
            methods=("rqen",),
            protocol="cross-dataset-half",
        )
        assert [(item.training.split, item.split) for item in halves.items] == [
            (None, 0),
            (None, 1),
        ]
        assert len({item.training.name for item in halves.items}) == 1

    def test_fine_tuning_is_what_two_plain_commands_give(self, data, two, tmp_path):
        plan = ask(
            data,
            tmp_path / "o",
            table="table6",
            test_data=two,
            methods=("rqen_pretrained",),
            splits=(1,),
        )
        (item,) = plan.items
        assert (item.training.split, item.training.start.split) == (1, 0)
        run_plan(plan, ALONE, OPTIONS, lambda *_: None)
        sets = [word for change in SMALL for word in ("--set", change)]
        start = tmp_path / "o" / "runs" / item.training.start.name
        plain = [
            "rqen",
            "--data",
            str(two),
            "--split",
            "1",
            "--start-from",
            str(start),
            "--out",
            str(tmp_path / "run"),
        ]
        assert CliRunner().invoke(train_command, [*plain, "--workers", "0", *sets]).exit_code == 0
        ours = run_folder.read_run(tmp_path / "o" / "runs" / item.training.name)
        assert ours["start_from"] == run_folder.read_run(start)["digest"]
        assert ours["digest"] == run_folder.read_run(tmp_path / "run")["digest"]


class TestReport:
    def test_nothing_run_fills_nothing(self, data, tmp_path):
        for table in ("table2", "table3", "table4", "table7", "fig6"):
            found = report(*words(table, data, tmp_path / "o"))
            assert found["rows"]
            assert all(row["ours"] is None for row in found["rows"])
            text = call(*words(table, data, tmp_path / "o"), "--only-report").stdout
            assert "nothing was run yet" in text
            assert re.search(
                r"^(RQEN|our|\(g\) RQEN)( \[1\])? +-  +-  +-  +-  +-  +-", text, re.MULTILINE
            )
        assert not (tmp_path / "o").exists()

    def test_a_cell_that_was_not_run_stays_empty(self, done, data):
        found = {
            row["row"]: row for row in report(*words("table2", data, done.request.out))["rows"]
        }
        assert {name for name, row in found.items() if row["ours"]} == {
            "untrained",
            "rqen",
            "ru",
            "rl",
        }
        assert found["rm"]["paper"][0]["values_percent"]["cmc@1"] == 69.1
        text = call(*words("table2", data, done.request.out), "--only-report").stdout
        line = next(line for line in text.splitlines() if line.startswith("(c) +RM"))
        assert line.split()[2:8] == ["-"] * 6
        assert "of one seed, the noise of training is not in the interval" in text
        lead = found["rqen"]["ours"]["mean"]["cmc@1"] - found["rl"]["ours"]["mean"]["cmc@1"]
        below = [line for line in text.splitlines() if line.startswith("(d) +RL")][1]
        assert f" {100 * lead:+.1f} (" in below

    def test_a_mean_is_of_what_was_run_and_says_of_how_many(self, done, data):
        text = call(
            *words("table2", data, done.request.out, "--seeds", "0,1"), "--only-report"
        ).stdout
        line = next(line for line in text.splitlines() if line.startswith("(g) RQEN"))
        assert "1 of 2" in line
        assert "±" not in line

    def test_rows_that_differ_in_their_classifiers_say_so(self, data, tmp_path):
        plan = ask(data, tmp_path / "o", methods=("qan", "qfix"))
        run_plan(plan, ALONE, OPTIONS, lambda *_: None)
        records = read_records(plan.request.out, plan.items)
        (note,) = [n for n in make_report(plan, records).notes if n.startswith("classifiers")]
        assert "1 for QAN; 3 for (e) +QFix; --set model.heads=neck gives every method one" in note
        assert not any("classifiers" in n for n in make_report(plan, {}).notes)
        equal = ask(data, tmp_path / "o", "model.heads=neck", methods=("qan", "qfix"))
        given = {item.name: record for item, record in zip(equal.items, records.values(),
                                                           strict=True)}  # fmt: skip
        assert not any("classifiers" in n for n in make_report(equal, given).notes)

    def test_rows_with_one_classifier_stand_beside_the_others(self, data, tmp_path):
        plan = ask(data, tmp_path / "o", methods=("rqen", "rqen_neck", "qfix_neck"))
        heads = [item.training.recipe.model.heads for item in plan.items]
        assert heads == ["necks", "neck", "neck"]
        assert len({item.training.name for item in plan.items}) == 3

    def test_results_of_more_params_from_before_its_scores_learned_are_not_taken(
        self, data, tmp_path
    ):
        for name, heads, learns in (
            ("more_params", "necks", True),
            ("more_params", "frame", False),
            ("rqen", "necks", False),
        ):
            plan = ask(data, tmp_path / "o", f"model.heads={heads}", methods=(name,))
            said, run = plan.items[0].config["training"], plan.items[0].training.name
            assert said.get("scores") == ("learned behind the neck" if learns else None)
            assert run.startswith(f"{name}-scores-" if learns else f"{name}-{said['data'][:8]}-")

    def test_rows_of_another_length_are_named(self, data, tmp_path):
        asked = ReproduceRequest("table2", data, tmp_path / "o", recipe="paper")
        plan = make_plan(asked)
        lengths = {item.row.name: item.training.recipe.train.iterations for item in plan.items}
        assert (lengths["baseline"], lengths["rqen"], lengths["qfix"]) == (4_000, 15_000, 15_000)
        head = " ".join(make_report(plan, {}).head)
        assert "15,000 iterations; (a) baseline 4,000" in head

    def test_the_data_at_hand_is_named(self, done, data):
        text = call(*words("table2", data, done.request.out), "--only-report").stdout
        assert "no dataset of the paper" in text
        assert "the data at hand is not the paper's (iLIDS-VID, PRID2011)" in text
        assert "paper PRID2011 R-1/5/10/20" in text

    def test_a_whole_benchmark_stands_beside_its_own_column_only(self, data, tmp_path):
        import shutil

        root = tmp_path / "prid"
        shutil.copytree(data, root)
        manifest = json.loads((root / "dataset.json").read_text())
        manifest["settings"]["import"] = {"benchmark": "prid2011", "mismatches": []}
        write_manifest(root, manifest)
        whole = report(*words("table2", root, tmp_path / "o", "--protocol", "market"))
        assert {on["on"] for row in whole["rows"] for on in row["paper"]} == {"PRID2011"}
        manifest["settings"]["import"]["mismatches"] = ["2 persons where 178 are published"]
        manifest["settings"]["import"]["source"] = {"kind": "folder", "name": "raw"}
        write_manifest(root, manifest)
        part = report(*words("table2", root, tmp_path / "o", "--protocol", "market"))
        assert {on["on"] for row in part["rows"] for on in row["paper"]} == {
            "iLIDS-VID",
            "PRID2011",
        }
        assert "a part of PRID2011, not the published set" in part["head"][0]

    def test_doubtful_rows_are_marked_and_explained(self, data, tmp_path):
        text = call(*words("table7", data, tmp_path / "o"), "--only-report").stdout
        for label, word in (
            ("TriNet+Reranking", "multi-query"),
            ("CNN+XQDA", "KISSME"),
            ("our", "QAN"),
        ):
            mark = re.search(rf"^{re.escape(label)} (\[\d\])", text, re.MULTILINE)
            assert mark
            note = next(line for line in text.splitlines() if line.startswith(mark[1]))
            assert word in note
        assert not re.search(r"^our\+XQDA\+Rerank \[", text, re.MULTILINE)
        rows = {row["label"]: row for row in report(*words("table7", data, tmp_path / "o"))["rows"]}
        assert rows["CNN+XQDA"]["paper"][0]["doubtful"]
        assert rows["IDE+Reranking"]["paper"][0]["doubtful"] is None

    def test_deviation_over_splits_is_of_their_means(self, two, tmp_path):
        plan = ask(two, tmp_path / "o", methods=("mean",), seeds=(0, 1))
        values = iter((0.2, 0.6, 0.4, 0.6))
        records = {
            item.name: {"split": item.split, "metrics": {"cmc@1": next(values)}, "cmc": [0.5]}
            for item in plan.items
        }
        found = summarise_rows(plan, records)["mean"]
        assert found.splits == pytest.approx({0: 0.3, 1: 0.6})
        assert found.mean["cmc@1"] == pytest.approx(0.45)
        assert found.deviation["cmc@1"] == pytest.approx(0.3 / 2**0.5)
        one = summarise_rows(
            replace(plan, splits=(0,)), {plan.items[0].name: records[plan.items[0].name]}
        )["mean"]
        assert (one.n, one.n_planned, one.deviation, one.show("map")) == (1, 4, {}, "-")

    def test_per_split_lines(self, two, tmp_path):
        text = call(*words("table3", two, tmp_path / "o"), "--only-report").stdout
        assert "ours, R-1 by split" in text
        assert re.search(r"^ +0  1  mean  deviation$", text, re.MULTILINE)

    def test_latex_of_odd_names(self, two, tmp_path):
        text = call(
            *words("fig6", two, tmp_path / "o", "--format", "latex"), "--only-report"
        ).stdout
        assert (
            r"50\% \& a\_b \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{} [z]"
            in text
        )
        plain = re.sub(r"\\[&%$#_{}]|\$\\pm\$|\\text\w+\{\}", "", text)
        assert not re.search(r"[%$#_~^±<>|]", plain)
        assert plain.count("{") == plain.count("}")
        for body in re.findall(
            r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", plain, re.DOTALL
        ):
            lines = [line for line in body[1].splitlines() if "&" in line]
            assert {line.count("&") for line in lines} == {len(body[0]) - 1}
            assert all(line.endswith(r"\\") for line in lines)
            assert not any(line.startswith("[") for line in lines)

    def test_markdown_and_a_terminal_that_is_not_steered(self, data, two, tmp_path):
        from lpw_toolkit.dataset.dataset import open_dataset

        text = call(
            *words("table4", two, tmp_path / "o", "--format", "markdown"), "--only-report"
        ).stdout
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        assert len({len(re.sub(r"\\.", "", line).split("|")) for line in lines[:9]}) == 1
        manifest = json.loads((two / "dataset.json").read_text())
        try:
            write_manifest(two, manifest | {"name": "a\x1b[31m\nb"})
            text = call(*words("table4", two, tmp_path / "o"), "--only-report").stdout
            assert "a\\x1b[31m b" in text
        finally:
            write_manifest(two, manifest)
        assert open_dataset(two).name == ODD

    def test_figure_6_as_a_plot(self, done, data, tmp_path):
        result = call(
            *words("fig6", data, done.request.out, "--plot", str(tmp_path / "c.svg")),
            "--only-report",
        )
        assert result.exit_code == 0, result.exception
        assert (tmp_path / "c.svg").read_bytes().startswith(b"<?xml")
        assert (
            "RQEN is +15.6 rank-1 over the baseline; ours: - (not run: baseline)" in result.stdout
        )

    def test_table_1_counts(self, data, two):
        text = call("table1", "--data", str(data), "--data", str(two)).stdout
        assert re.search(r"^little +ours +10 ", text, re.MULTILINE)
        assert re.search(
            r"^MARS \[1\] +paper +1,261 +1,067,516 +20,715 +51.5 +yes$", text, re.MULTILINE
        )
        assert "[3] paper, PRID2011: 40,000 boxes are printed as 40k" in text
        assert text.count("have no person yet") == 2


class TestFaults:
    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (("--method", "nobody"), "option --method: got nobody"),
            (("--method", "onnx"), "--onnx FILE"),
            (("--method", "rqen_pretrained"), "table6"),
            (("--seeds", "a"), "option --seeds: got a"),
            (("--seeds", "1,1"), "different whole numbers"),
            (("--seeds", ""), "option --seeds"),
            (("--splits", "7"), "option --splits: got 7; expected one of 0"),
            (("--splits", "-1"), "option --splits"),
            (("--test-data", "x"), "table5 or table6"),
            (("--protocol", "nothing"), "option --protocol"),
            (("--recipe", "nothing"), "option --recipe"),
            (("--set", "optim.rate=1"), "did you mean"),
            (("--plot", "x.gif"), "option --plot"),
            (("--onnx", "nothing.onnx"), "nothing.onnx"),
            (("--only-report", "--plot", "x.png"), "no row that was run"),
        ],
    )
    def test_one_clear_line_before_anything_is_run(self, data, tmp_path, more, message):
        result = call(*words("table2", data, tmp_path / "o", *more))
        assert isinstance(result.exception, LpwError | OSError), result.exception
        assert message in str(result.exception)
        assert "\n" not in str(result.exception)
        assert not (tmp_path / "o").exists()

    def test_table5_and_table6_want_two_datasets(self, data, tmp_path):
        for more in ((), ("--test-data", str(data))):
            result = call(*words("table5", data, tmp_path / "o", *more))
            assert isinstance(result.exception, LpwError)
        assert call(*words("table2", data, tmp_path / "o", "--data", str(data))).exit_code == 2

    def test_a_dataset_without_splits(self, tmp_path):
        root = make_reid(tmp_path / "d", split=False).root
        result = call(*words("table2", root, tmp_path / "o"))
        assert "a dataset without splits" in str(result.exception)

    def test_an_output_inside_a_dataset(self, data):
        result = call(*words("table2", data, data / "o"))
        assert "a place inside the dataset" in str(result.exception)

    def test_table_1_takes_no_more_than_data(self, data):
        result = call("table1", "--data", str(data), "--seeds", "0")
        assert result.exit_code == 2
        assert "--seeds does not go with TABLE table1" in result.output


class TestForecast:
    def test_missing_rows_are_listed_and_a_training_counts_once(self, data, tmp_path):
        plan = ask(data, tmp_path / "out", methods=("untrained", "rqen", "ru"))
        found = forecast_plan(plan, ALONE, n_workers=0, download=False)
        assert [row.label for row in found.rows] == [item.row.label for item in plan.items]
        assert all(row.seconds > 0 for row in found.rows)
        assert found.total.seconds == pytest.approx(sum(row.seconds for row in found.rows))
        assert found.total.n_files == 3 + 2 * 6
        assert found.total.basis.endswith("2 trainings, 3 rows")
        assert not (tmp_path / "out").exists()

    def test_finished_rows_cost_nothing(self, done):
        found = forecast_plan(done, ALONE, n_workers=0, download=False)
        assert found.rows == ()
        assert found.total.seconds == 0

    def test_a_dry_run_prints_the_plan_and_writes_nothing(self, data, tmp_path):
        result = call(
            *words("table2", data, tmp_path / "out", "--method", "rqen"), "--dry-run", "--json"
        )
        assert result.exit_code == 0, result.output
        plan = json.loads(result.stdout)
        assert [row["split"] for row in plan["rows"]] == [0]
        assert plan["work"] == "reproduce"
        assert list(tmp_path.iterdir()) == []
