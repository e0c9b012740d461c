"""What `lpw info` says: counts, unknown things as unknown, Table 1."""

import json
import math

import numpy as np
import pytest
from make_dataset import make_dataset

from lpw_toolkit.dataset import info
from lpw_toolkit.dataset.dataset import Dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("info") / "d", n_tracklets=8, n_frames=12)


@pytest.fixture(scope="module")
def unknown(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("info") / "u", identified=False, boxes=False)


def with_manifest(dataset, **facts):
    return Dataset(dataset.root, {**dataset.manifest, **facts})


def test_describe_counts(dataset):
    facts = info.describe(dataset)
    assert facts["counts"] == {
        "n_tracklets": 8,
        "n_images": 109,
        "n_persons": 4,
        "n_cameras": 4,
        "n_scenes": 2,
    }
    assert facts["kinds"] == {"person": 8}
    assert [(s["scene_id"], s["n_cameras"], s["n_tracklets"]) for s in facts["scenes"]] == [
        ("scen1", 2, 4),
        ("scen2", 2, 4),
    ]
    assert [c["camera_id"] for c in facts["cameras"]] == [
        "scen1/view1",
        "scen1/view2",
        "scen2/view1",
        "scen2/view2",
    ]
    assert sum(c["n_images"] for c in facts["cameras"]) == facts["counts"]["n_images"]
    assert facts["cameras"][0]["time_s"] == {"first": 0.0, "last": 2.2}


def test_describe_lengths_and_sizes(dataset):
    facts = info.describe(dataset)
    lengths = facts["lengths"]
    assert (lengths["min"], lengths["max"], lengths["mean"]) == (12, 16, 13.625)
    assert sum(slot["n_tracklets"] for slot in lengths["histogram"]) == 8
    assert [s["n_tracklets"] for s in lengths["histogram"] if s["from"] in (8, 16)] == [7, 1]
    assert facts["image_size_px"]["most_frequent"] == {"width": 32, "height": 64, "n_images": 109}
    assert facts["score"]["min"] == pytest.approx(0.5)


def test_describe_is_json_without_surprises(dataset, unknown):
    for each in (dataset, unknown):
        text = json.dumps(info.describe(each), allow_nan=False)
        assert json.loads(text) == info.describe(each)
        assert str(each.root) not in text


def test_unknown_is_none_not_zero(unknown):
    facts = info.describe(unknown)
    assert facts["counts"]["n_persons"] is None
    assert facts["score"] is None
    assert facts["time_s"] is None
    assert all(
        camera["n_persons"] is None and camera["time_s"] is None for camera in facts["cameras"]
    )
    lines = info.format_info(facts).splitlines()
    assert next(line for line in lines if line.startswith("persons")).split() == ["persons", "—"]
    assert next(line for line in lines if line.startswith("score")).split() == ["score", "—"]


def test_each_digest_says_what_it_covers(dataset):
    facts = info.describe(dataset)
    assert facts["dataset_digest"] == dataset.digest != facts["digest"]
    text = info.format_info(facts)
    assert f"digest      {dataset.digest[:16]} of all, as results quote it" in text
    assert f"{facts['digest'][:16]} of tracklets and frames alone" in text
    other = info.describe(with_manifest(dataset, name="x", manifest_sha256="ab" * 32))
    assert f"digest      {'ab' * 8} of all" in info.format_info(other)
    assert other["digest"] == facts["digest"]


def test_settings_digest_follows_content_not_order():
    assert info.digest_settings({"a": 1, "b": 2}) == info.digest_settings({"b": 2, "a": 1})
    assert info.digest_settings({"a": 1}) != info.digest_settings({"a": 2})
    assert info.digest_settings(None) is None


def test_sources_in_trouble_are_named(dataset):
    sources = [
        {"video_id": "good", "report": {"complete": True, "problems": []}},
        {"video_id": "cut", "report": {"complete": False, "problems": ["ends at 3.2 s of 10 s"]}},
        {"video_id": "bad", "error": "got an empty file; expected a video"},
    ]
    facts = info.describe(with_manifest(dataset, sources=sources))
    assert (facts["sources"]["n_sources"], facts["sources"]["n_complete"]) == (3, 1)
    assert [row["video_id"] for row in facts["sources"]["troubled"]] == ["cut", "bad"]
    text = info.format_info(facts)
    assert "1 of 3 complete" in text
    assert "cut: incomplete; ends at 3.2 s of 10 s" in text
    assert "bad: incomplete; got an empty file; expected a video" in text


def test_text_has_the_numbers_and_no_control_characters(dataset):
    facts = info.describe(
        with_manifest(
            dataset, name="evil\x1b[31m\u202ename", parent={"name": "p", "digest": "ab" * 32}
        )
    )
    text = info.format_info(facts)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "evil\\x1b[31m" in text
    assert "p, digest abababababababab" in text
    assert "32 x 64" in text
    assert "4 in 2 scenes" in text


def test_table1_of_an_identified_dataset(dataset):
    table = info.table1(dataset)
    mine = table["dataset"]
    assert (mine["identities"], mine["boxes"], mine["tracklets"], mine["mean_length"]) == (
        4,
        109,
        8,
        13.6,
    )
    assert mine["identities_by_cameras"] == {"1": 2, "2": 2}
    assert table["n_unidentified"] == 2


def test_table1_of_an_unidentified_dataset(unknown):
    table = info.table1(unknown)
    assert table["dataset"]["identities"] is None
    assert table["dataset"]["identities_by_cameras"] is None
    row = info.format_table1(table).splitlines()[1].split()
    assert row == ["little", "—", "82", "6", "13.7", "—"]


def test_paper_rows_hold_what_is_known_of_lpw():
    lpw = next(row for row in info.read_paper_table()["rows"] if row["dataset"] == "LPW")
    assert (lpw["identities"], lpw["boxes"], lpw["tracklets"]) == (2731, 590547, 7694)
    by_cameras = {int(n): count for n, count in lpw["identities_by_cameras"].items()}
    assert sum(by_cameras.values()) == lpw["identities"]
    assert sum(n * count for n, count in by_cameras.items()) == lpw["tracklets"]
    assert math.isclose(info.mean_length(lpw), 76.8)


@pytest.mark.realdata
def test_paper_rows_equal_the_published_table(shared_data):
    text = (shared_data.parent / "spec" / "protocols.md").read_text("utf-8")
    start = text.index("table1_dataset,")
    lines = text[start : text.index("```", start)].split()[1:]
    rows = {row["dataset"]: row for row in info.read_paper_table()["rows"]}
    assert len(lines) == len(rows)
    for name, identities, boxes, failures, *tracklets in (line.split(",") for line in lines):
        row = rows[name]
        assert row["identities"] == int(identities)
        assert row["boxes"] == int(boxes.replace("k", "000"))
        assert row["failures"] == (failures == "yes")
        assert row["tracklets"] == (int(tracklets[0]) if tracklets[0] else None)


def test_text_of_table1_is_aligned(dataset):
    lines = info.format_table1(info.table1(dataset)).splitlines()
    ends = {line.index("590,547") + 7 for line in lines if "590,547" in line}
    assert ends == {lines[0].index("boxes") + 5}
    assert "2: 1,058  3: 1,114  4: 559" in "\n".join(lines)
    assert any(line.startswith("Source: ") for line in lines)


def test_summarise_ignores_what_is_missing():
    assert info.summarise(np.array([np.nan, 1.0, 3.0])) == {
        "min": 1.0, "p25": 1.5, "median": 2.0, "p75": 2.5, "max": 3.0, "mean": 2.0
    }  # fmt: skip
    assert info.summarise(np.array([np.nan])) is None
