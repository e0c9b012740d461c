"""A loss and a method are added by one file, or by another package, and train."""

import dataclasses
import json

import pytest
from pages import DOCS, find_blocks
from plugin_tools import add_plugin
from tiny_runs import ALONE
from tiny_training import make_data, make_job

from lpw_toolkit.errors import LpwError
from rqen.loss import LOSSES, LossRecipe, list_distance_losses
from rqen.model.method import METHODS
from rqen.model.network import Output
from rqen.recipe import read_recipe
from rqen.reproduce.rows import choose_rows, list_added
from rqen.training.train import train

LOSS = """
from rqen.loss import Term

def measure_loss(output, person, recipe, gather):
    return {"length": Term(0.5, output.raw.square().mean())}
"""
METHOD = """
from rqen.model.method import MethodSpec

METHOD = MethodSpec(division=(1.0, 1.0), region=1)
"""


@pytest.mark.parametrize("way", ["file", "entry point"])
def test_a_loss_is_added_and_trains(tmp_path, monkeypatch, way):
    (tmp_path / "plugin").mkdir()
    add_plugin(LOSSES, way, "short_vectors", LOSS, tmp_path / "plugin", monkeypatch)
    changes = ("loss.triplet=short_vectors", "train.iterations=2")
    run = train(make_job(make_data(tmp_path / "data"), tmp_path / "run", *changes), ALONE)
    row = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert row["iteration"] == 2
    assert row["loss"] == pytest.approx(row["softmax"] + 0.5 * row["length"], abs=1e-5)


def test_the_loss_of_the_docs_trains(tmp_path, monkeypatch):
    (text,) = [text for text in find_blocks(DOCS / "extending.md", "python") if "Term(" in text]
    (tmp_path / "plugin").mkdir()
    add_plugin(LOSSES, "entry point", "hard_cosine", text, tmp_path / "plugin", monkeypatch)
    changes = ("loss.triplet=hard_cosine", "loss.margin=0.3", "train.iterations=2")
    run = train(make_job(make_data(tmp_path / "data"), tmp_path / "run", *changes), ALONE)
    row = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert row["loss"] == pytest.approx(row["softmax"] + row["hard_cosine"], abs=1e-5)
    assert row["hard_cosine"] > 0


def test_the_docs_name_every_field_that_a_loss_sees():
    text = (DOCS / "extending.md").read_text("utf-8")
    section = text.partition("## A loss\n")[2].partition("\n## ")[0]
    fields = [*Output._fields, *(field.name for field in dataclasses.fields(LossRecipe))]
    assert [name for name in fields if f"`{name}`" not in section] == []


@pytest.mark.parametrize("way", ["file", "entry point"])
def test_a_method_is_added_and_trains(tmp_path, monkeypatch, way):
    (tmp_path / "plugin").mkdir()
    add_plugin(METHODS, way, "legs_only", METHOD, tmp_path / "plugin", monkeypatch)
    job = make_job(
        make_data(tmp_path / "data"),
        tmp_path / "run",
        "model.division=[1.0, 1.0]",
        "train.iterations=2",
        method="legs-only",
    )
    run = train(job, ALONE)
    assert json.loads((run / "run.json").read_text())["method"] == "legs-only"
    assert (run / "model.safetensors").is_file()


@pytest.mark.parametrize("way", ["file", "entry point"])
def test_an_added_method_gets_a_row_of_the_paper_s_tables(tmp_path, monkeypatch, way):
    add_plugin(METHODS, way, "legs_only", METHOD, tmp_path, monkeypatch)
    (row,) = choose_rows("table2", ("legs-only",), onnx=False)
    assert (row.name, row.label, row.run) == ("legs_only", "legs-only", "legs_only")
    assert "legs_only" in list_added()
    with pytest.raises(LpwError, match="legs_only"):
        choose_rows("table2", ("legs",), onnx=False)


def test_our_own_methods_all_have_rows():
    assert list_added() == []


def test_an_unknown_loss_is_refused_with_the_names_of_all():
    names = ", ".join(list_distance_losses())
    assert "released" in names
    with pytest.raises(LpwError, match=rf"got softmax; expected {names}; choose"):
        read_recipe("modern", ("loss.triplet=softmax",))
