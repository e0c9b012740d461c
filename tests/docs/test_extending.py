"""What docs/extending.md says: each kind of plug-in is one file, in our folder or in another
package."""

import importlib
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from make_dataset import make_dataset
from pages import DOCS, ROOT
from plugin_tools import add_plugin
from tiny_models import Video, draw_frames

from lpw_toolkit import import_benchmark
from lpw_toolkit.benchmarks.reader import READERS
from lpw_toolkit.detection.detector import DETECTORS, DetectorOptions, open_detector
from lpw_toolkit.exports.form import FORMS, export_dataset
from lpw_toolkit.plugins import PluginFolder

WAYS = pytest.mark.parametrize("way", ["file", "entry point"])
ROWS = re.findall(
    r"^\| ([a-z ]+) \| `([\w/]+)/` \| `([\w/]+)\.py` \| .* \| `(tests/[\w/]+\.py)` \|$",
    (DOCS / "extending.md").read_text("utf-8"),
    re.MULTILINE,
)
DETECTOR = """
import numpy as np


class Everywhere:
    name, needs_images, settings, notes, startup_s = "everywhere", False, {}, [], 0.0

    def detect(self, frames, video):
        for frame in frames:
            box = [0, 0, frame.width, frame.height, 0.5]
            yield frame.index, np.array([box], dtype=np.float32)


def open_detector(options):
    return Everywhere()
"""
READER = """
from lpw_toolkit.benchmarks.reader import Facts, RawDataset, RawTracklet

FACTS = Facts("folders", "Folders", "nobody", "https://example.org", "free", {}, None, [])


def read(tree, options):
    persons = sorted({name.split("/")[0] for name in tree.names})
    return RawDataset(
        [
            RawTracklet(p, None, "only", p, "person",
                        tuple(name for name in tree.names if name.startswith(p + "/")))
            for p in persons
        ],
        None,
    )
"""
FORM = """
from lpw_toolkit.exports.form import Exported
from lpw_toolkit.files import writing

TITLE, OPTIONS = "a list of ids", ()


def export(dataset, out, options):
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    writing.make_folder(out)
    writing.write_file(out / "ids.txt", "\\n".join(ids).encode())
    return Exported(out, ["images: the form has no place for them"])
"""
BACKBONE = """
from torch import nn

from rqen.model.backbone import IMAGENET, Maps


class Tiny(nn.Module):
    tap_channels, last_channels, middle_channels = 3, 3, ()
    pixels, weights = IMAGENET, "random"

    def forward(self, images):
        return Maps(nn.functional.avg_pool2d(images, 8), nn.functional.avg_pool2d(images, 32), ())


def open_backbone(options):
    return Tiny()
"""


def test_the_table_names_every_folder_with_its_contract_and_its_test() -> None:
    found = set()
    for kind, folder, contract, test in ROWS:
        module = importlib.import_module(contract.replace("/", "."))
        folders = [value for value in vars(module).values() if isinstance(value, PluginFolder)]
        assert folder.replace("/", ".") in {one.package for one in folders}, kind
        assert re.search("add_plugin|plug_in_star|entry_points", (ROOT / test).read_text()), kind
        found.add(folder.replace("/", "."))
    sources = [*ROOT.glob("lpw_toolkit/**/*.py"), *ROOT.glob("rqen/**/*.py")]
    made = "\n".join(source.read_text("utf-8") for source in sources)
    assert found == set(re.findall(r'^[A-Z]+ = PluginFolder\("([\w.]+)"', made, re.MULTILINE))


@WAYS
def test_a_detector_is_one_file(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_plugin(DETECTORS, way, "everywhere", DETECTOR, tmp_path, monkeypatch)
    detector = open_detector("everywhere", DetectorOptions())
    found = list(detector.detect(draw_frames(2), Video()))
    assert [(index, boxes.tolist()) for index, boxes in found] == [
        (n, [[0.0, 0.0, 160.0, 120.0, 0.5]]) for n in range(2)
    ]


@WAYS
def test_a_reader_is_one_file(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugin").mkdir()
    add_plugin(READERS, way, "folders", READER, tmp_path / "plugin", monkeypatch)
    for person, colour in (("ann", 60), ("ben", 190)):
        (tmp_path / "raw" / person).mkdir(parents=True)
        image = np.full((64, 32, 3), colour, dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "raw" / person / "1.jpg"), image)
    dataset = import_benchmark("folders", tmp_path / "raw", tmp_path / "out", allow_partial=True)
    assert [tracklet.person_id for tracklet in dataset] == ["ann", "ben"]


@WAYS
def test_an_export_form_is_one_file(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "d", n_tracklets=2)
    (tmp_path / "plugin").mkdir()
    add_plugin(FORMS, way, "ids", FORM, tmp_path / "plugin", monkeypatch)
    exported = export_dataset(dataset, "ids", tmp_path / "out")
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    assert (exported.out / "ids.txt").read_text().splitlines() == ids


@WAYS
def test_a_backbone_is_one_file(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from rqen import RQEN
    from rqen.model.backbone import BACKBONES

    add_plugin(BACKBONES, way, "tiny", BACKBONE, tmp_path, monkeypatch)
    model = RQEN("rqen", backbone="tiny", weights="random", size=(64, 32)).eval()
    with torch.no_grad():
        assert model(torch.ones(1, 2, 3, 64, 32)).shape == (1, 9)
