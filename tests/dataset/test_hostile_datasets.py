"""Changed tables, manifests and runs: no number rests on them, and what was verified stands beside
each number."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from click.testing import CliRunner
from lpw_cli.main import main
from make_reid import make_reid
from safetensors import safe_open
from safetensors.torch import save_file
from sealing import seal_tables, write_manifest

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset import parquet_file
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.schema import SCHEMAS
from lpw_toolkit.dataset.tables import read_table, write_table
from lpw_toolkit.errors import LpwError, MismatchError
from rqen.inference.run_vectors import ScoringOptions, embed_run
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.run.trained_network import open_network
from rqen.training.distributed import ProcessGroup, Shard
from rqen.training.job import TrainJob
from rqen.training.train import train

SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32",
    "data.n_persons=4",
    "data.n_sets=2", "data.n_frames=2", "data.crop=2", "train.iterations=1",
    "train.precision=float32",
    "train.channels_last=no", "optim.warmup=0",
)  # fmt: skip
#: Commands that must refuse a table which is not the one that dataset.json names; `D`, `R`, `O` as
#: in the tests.
COMMANDS = {
    "eval": ["eval", "R", "--data", "D", "--protocol", "lpw", "--workers", "0"],
    "train": ["train", "rqen", "--data", "D", "--out", "O", "--workers", "0"],
    "embed": ["embed", "R", "--data", "D", "--out", "O.parquet", "--workers", "0"],
    "export": ["export", "D", "O", "--to", "tree"],
    "clean": ["clean", "D", "--status"],
    "suggest": ["clean", "D", "--suggest"],
    "pack": ["pack", "D"],
    "show": ["show", "D", "--out", "O"],
    "info": ["info", "D"],
    "locate": ["locate", "D", "--video", "O"],
}
READS_SPLITS = ("eval", "train")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `d` with splits, and a run `run` on it."""
    root = tmp_path_factory.mktemp("home")
    dataset = make_reid(root / "d", boxes=True)
    job = TrainJob(dataset.root, root / "run", "rqen", read_recipe("modern", SMALL), n_workers=0)
    train(job, ProcessGroup(Shard(), torch.device("cpu")))
    return root


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home, tmp_path / "p")
    return tmp_path / "p"


def lpw(place: Path, command: list[str]) -> tuple[int, str]:
    """Exit code, and what was said: the error's one line where there is one."""
    words = {"D": "d", "R": "run", "O": "o", "O.parquet": "o.parquet"}
    done = CliRunner().invoke(
        main, [str(place / words[word]) if word in words else word for word in command]
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, LpwError), repr(done.exception)
        assert "\n" not in str(done.exception)
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, done.output


def change_table(root: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    schema = SCHEMAS[name.removesuffix(".parquet").split("/")[0]]
    table = read_table(root / name, schema)
    write_table(root / name, change(table).replace_schema_metadata(table.schema.metadata), schema)


def one_person(tracklets: pa.Table) -> pa.Table:
    names = [name and "scen1/1" for name in tracklets["person_id"].to_pylist()]
    at = tracklets.schema.get_field_index("person_id")
    return tracklets.set_column(at, "person_id", pa.array(names, pa.string()))


def wider(frames: pa.Table) -> pa.Table:
    return frames.set_column(3, "width", pc.add(frames["width"], pa.scalar(1, pa.int16())))


def fewer_queries(splits: pa.Table) -> pa.Table:
    """All but the first query."""
    keep = np.ones(splits.num_rows, dtype=bool)
    keep[pc.index(splits["subset"], "query").as_py()] = False
    return splits.filter(pa.array(keep))


def train_on_the_test(splits: pa.Table) -> pa.Table:
    """The queries' persons train too, by tracklets that neither ask nor answer."""
    gallery = splits.filter(pc.equal(splits["subset"], "gallery"))
    moved = gallery.set_column(
        1, splits.schema.field("subset"), pa.array(["train"] * gallery.num_rows)
    ).slice(0, 2)
    return pa.concat_tables(
        [splits.filter(pc.not_equal(splits["subset"], "gallery")), gallery.slice(2), moved]
    )


class TestTables:
    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("tracklets.parquet", one_person),
            ("splits.parquet", fewer_queries),
            (
                "frames.parquet",
                wider,
            ),
            ("timeline/scen1/view1.parquet", lambda table: table.slice(1)),
            ("detections/scen1/view1.parquet", lambda table: table.slice(1)),
        ],
    )
    def test_a_changed_table_is_refused_by_name(
        self, name: str, change: Any, command: str, place: Path
    ) -> None:
        change_table(place / "d", name, change)
        code, said = lpw(place, COMMANDS[command])
        assert code == 3 and name in said and "Traceback" not in said

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_table_that_is_gone(self, command: str, place: Path) -> None:
        (place / "d" / "splits.parquet").unlink()
        code, said = lpw(place, COMMANDS[command])
        assert code == 3 and "splits.parquet" in said

    def test_a_table_that_nothing_names_is_not_read(self, place: Path) -> None:
        facts = json.loads((place / "d" / "dataset.json").read_text())
        del facts["tables"]["splits.parquet"]
        write_manifest(place / "d", facts)
        assert open_dataset(place / "d").splits is None
        code, said = lpw(place, COMMANDS["eval"])
        assert code == 2 and "without splits" in said

    def test_large_tables_by_their_footer(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet_file, "SMALL_BYTES", 1 << 10)
        root = place / "d"
        facts = json.loads((root / "dataset.json").read_text())
        facts["tables"] = {
            name: parquet_file.describe_table(root / name) for name in facts["tables"]
        }
        write_manifest(root, facts)
        assert "footer_sha256" in facts["tables"]["frames.parquet"]
        assert open_dataset(root).unverified == ()
        assert len(open_index(root)) == 16
        change_table(
            root,
            "frames.parquet",
            wider,
        )
        for read in (open_dataset, open_index):
            with pytest.raises(MismatchError, match=r"frames\.parquet"):
                read(root)

    def test_one_image_in_many_rows_is_not_copied_as_often(self, place: Path) -> None:
        def repeat(frames: pa.Table) -> pa.Table:
            paths = [image | {"path": "images/one.jpg"} for image in frames["image"].to_pylist()]
            return frames.set_column(2, "image", pa.array(paths, frames.schema.field("image").type))

        change_table(place / "d", "frames.parquet", repeat)
        seal_tables(place / "d", "frames.parquet")
        for command in ("export", "pack"):
            code, said = lpw(place, COMMANDS[command])
            assert code == 3 and "'images/one.jpg' in 78 rows" in said, command


class TestManifest:
    @pytest.mark.parametrize(
        "change",
        [
            {"name": "MARS"}, {"splits": {"source": "published", "drawn": False}}, {"sources": []},
            {"licence": "mine"},
            {"counts": {}}, {"settings": {}}, {"digest": "0" * 64}, {"tool": "x"}, {"new": 1},
        ],
    )  # fmt: skip
    def test_no_field_can_be_changed(self, change: dict[str, Any], place: Path) -> None:
        facts = json.loads((place / "d" / "dataset.json").read_text())
        (place / "d" / "dataset.json").write_text(json.dumps(facts | change))
        with pytest.raises(
            MismatchError, match=r"dataset\.json: got fields that are not those it was written with"
        ):
            open_dataset(place / "d")
        assert "manifest-hash" in {problem.rule for problem in check_dataset(place / "d").problems}

    def test_what_fits_together_again_has_another_digest(self, place: Path) -> None:
        """Whoever changes everything makes another dataset, and the numbers say so."""
        before = open_dataset(place / "d").digest
        said = lpw(place, COMMANDS["eval"])[1]
        assert before[:12] in said
        change_table(place / "d", "splits.parquet", fewer_queries)
        seal_tables(place / "d", "splits.parquet")
        code, now = lpw(place, COMMANDS["eval"])
        assert code == 0 and before[:12] not in now and open_dataset(place / "d").digest[:12] in now

    def test_a_dataset_of_an_older_version_opens_with_a_note(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = json.loads((place / "d" / "dataset.json").read_text())
        del facts["manifest_sha256"]
        (place / "d" / "dataset.json").write_text(json.dumps(facts))
        dataset = open_dataset(place / "d")
        assert dataset.unverified == (
            (
                "dataset.json is of an older version and does not vouch for its own notes, counts "
                "and "
                "sources"
            ),
        )
        assert dataset.digest == dataset.manifest["digest"]
        for command in COMMANDS:
            shutil.rmtree(place / "o", ignore_errors=True)
            if command != "train":
                code, said = lpw(place, COMMANDS[command])
                assert code == 0 and "older version" in said, command
        monkeypatch.setattr(parquet_file, "SMALL_BYTES", 1 << 10)
        assert (
            "frames.parquet was compared by its size only: run `lpw check`"
            in open_dataset(place / "d").unverified
        )


class TestSplits:
    def test_persons_on_both_sides(self, place: Path) -> None:
        change_table(place / "d", "splits.parquet", train_on_the_test)
        seal_tables(place / "d", "splits.parquet")
        assert "split-person" in {problem.rule for problem in check_dataset(place / "d").problems}
        for command in COMMANDS:
            code, said = lpw(place, COMMANDS[command])
            assert code == 3 and "train and are tested in split 0" in said, command


def rewrite_run(
    run: Path,
    change: Callable[[dict[str, Any]], None],
    *,
    digest: bool = False,
    whole: bool = False,
) -> None:
    """Changes run.json, as a stranger would; with its own digest made to fit where asked."""
    facts = json.loads((run / run_folder.RUN).read_text())
    change(facts)
    if digest:
        facts["digest"] = run_folder.digest_settings(facts)
    (run / run_folder.RUN).write_text(json.dumps(facts))


def rewrite_model(run: Path, *, metadata: dict[str, str | None], scale: float = 1.0) -> None:
    """Other weights, or other metadata, in model.safetensors."""
    with safe_open(run / run_folder.MODEL, "pt") as opened:
        said = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    tensors = {
        name: value * scale if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    said = {key: value for key, value in {**said, **metadata}.items() if value is not None}
    save_file(tensors, run / run_folder.MODEL, said)


def set_height(facts: dict[str, Any]) -> None:
    facts["recipe"]["data"]["height"] = 96


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "height": set_height,
    "division": lambda facts: facts["recipe"]["model"].update(division=[1.0, 1.0, 1.0]),
    "persons": lambda facts: facts.update(persons=[f"x{n}" for n in range(len(facts["persons"]))]),
    "nobody": lambda facts: facts.update(persons=[]),
    "split": lambda facts: facts.update(split=7),
    "dataset": lambda facts: facts.update(dataset_digest="0" * 64),
    "name": lambda facts: facts["recipe"].update(name="released"),
}


class TestRuns:
    @pytest.mark.parametrize("name", CHANGES)
    @pytest.mark.parametrize("fits", [False, True])
    def test_run_json_is_bound_to_the_weights(self, fits: bool, name: str, place: Path) -> None:
        rewrite_run(place / "run", CHANGES[name], digest=fits)
        for command in ("eval", "embed"):
            code, said = lpw(place, COMMANDS[command])
            assert code == 3 and ("run.json" in said or "model.safetensors" in said), command

    def test_what_the_machine_chose_is_bound_too(self, place: Path) -> None:
        rewrite_run(place / "run", lambda facts: facts["mode"].update(precision="bfloat16"))
        with pytest.raises(
            MismatchError, match=r"run\.json: got fields that are not those of its weights"
        ):
            open_network(place / "run")

    def test_weights_are_bound_to_run_json(self, place: Path) -> None:
        rewrite_model(place / "run", metadata={}, scale=1.5)
        with pytest.raises(MismatchError, match=r"model\.safetensors: got other weights"):
            open_network(place / "run")

    def test_neither_digest_can_be_left_out_alone(self, place: Path) -> None:
        rewrite_run(place / "run", lambda facts: facts.pop("model_sha256"))
        with pytest.raises(MismatchError, match="fields that are not those of its weights"):
            open_network(place / "run")

    def test_a_run_of_an_older_version_opens_with_a_note(self, place: Path) -> None:
        rewrite_model(place / "run", metadata={"run_sha256": None})
        rewrite_run(place / "run", lambda facts: facts.pop("model_sha256"))
        code, said = lpw(place, COMMANDS["eval"])
        assert code == 0 and "they do not vouch for each other" in said

    def test_a_start_is_verified(self, place: Path) -> None:
        rewrite_model(place / "run", metadata={}, scale=1.5)
        start = [
            *COMMANDS["train"],
            "--start-from",
            "R",
            *(word for one in SMALL for word in ("--set", one)),
        ]
        code, said = lpw(place, start)
        assert code == 3 and "model.safetensors" in said

    def test_the_digest_of_the_weights_is_that_of_the_bytes(self, place: Path) -> None:
        found = embed_run(place / "run", place / "d", ScoringOptions(n_workers=0))
        assert (
            found.facts.checkpoint_sha256
            == hashlib.sha256((place / "run" / run_folder.MODEL).read_bytes()).hexdigest()
        )
