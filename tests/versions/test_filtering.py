"""`lpw filter`: whole tracklets are left out by rules; those that stay are as they were."""

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from lpw_cli.filter import command
from make_dataset import make_dataset
from make_decisions import Asker

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.info import describe, format_info
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.dataset.schema import FRAMES, SPLITS
from lpw_toolkit.dataset.tables import make_table, write_table
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.provenance import describe_splits
from lpw_toolkit.exports.form import export_dataset
from lpw_toolkit.versions.carrying import ANEW
from lpw_toolkit.versions.filtering import FilterConfig, FilterRules, filter_dataset
from lpw_toolkit.versions.sharpness import measure_image, measure_tracklets

A1, A2 = "scen1/view1/000001", "scen1/view1/000002"
B1, B2 = "scen1/view2/000001", "scen1/view2/000002"
C1, D1 = "scen2/view1/000001", "scen2/view2/000001"
FACTS = ("name", "parent", "sources", "settings", "licence", "consent")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Of the eight tracklets A1 has 12 frames, B1 13, C1 14, D1 15, A2 16, B2 12 and so on."""
    return make_dataset(tmp_path / "set", n_tracklets=8)


def run(dataset: Dataset, out: Path, **rules: object) -> tuple[Dataset, tuple[str, ...]]:
    made = filter_dataset(FilterConfig(dataset.root, out, FilterRules(**rules)))  # type: ignore
    return made.dataset, made.lines


def with_frames(dataset: Dataset, **values: dict[str, float]) -> Dataset:
    """Other values in columns of frames, by tracklet."""
    rows = dataset.frames.to_pylist()
    for row in rows:
        row |= {key: by[row["tracklet_id"]] for key, by in values.items()
                if row["tracklet_id"] in by}  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=FRAMES)
    write_table(dataset.root / "frames.parquet", table, FRAMES, group_by="tracklet_id")
    return close_dataset(dataset.root, {key: dataset.manifest[key] for key in FACTS})


def test_each_rule_says_how_many_it_takes_of_those_that_are_left(
    dataset: Dataset, tmp_path: Path
) -> None:
    made, lines = run(dataset, tmp_path / "new", min_length=13, max_length=15, scenes=("scen1",))
    assert made.tracklets["tracklet_id"].to_pylist() == [B1]
    assert lines == (
        "1 of 8 tracklets stay",
        "taken away by --scene: 4",
        "taken away by --min-length 13: 2",
        "taken away by --max-length 15: 1",
        ANEW,
    )
    assert made.manifest["settings"]["filter"] == {
        "rules": {"min_length": 13, "max_length": 15, "scenes": ["scen1"]},
        "taken": {"--scene": 4, "--min-length 13": 2, "--max-length 15": 1},
    }
    assert check_dataset(made.root).problems == []
    assert [one.is_dataset(dataset.manifest) for one in parents_of(made.manifest)] == [True]
    kept = dataset.frames.filter(pa.compute.equal(dataset.frames["tracklet_id"], B1))
    assert made.frames.equals(kept)
    export_dataset(made, "coco", tmp_path / "coco")
    boxes = json.loads((tmp_path / "coco/annotations.json").read_text())["annotations"]
    assert len(boxes) == made.frames.num_rows


def test_height_and_score_are_those_of_the_boxes(dataset: Dataset, tmp_path: Path) -> None:
    low = dict.fromkeys((A1, C1), 0.25)
    tops = dict.fromkeys(dataset.tracklets["tracklet_id"].to_pylist(), 60.0)
    tall = {name: 60.0 + 30 * i for i, name in enumerate(tops, start=1)}
    dataset = with_frames(dataset, score=low, y1=tops, y2=tall)
    made, lines = run(dataset, tmp_path / "a", min_score=0.5)
    assert "taken away by --min-score 0.5: 2" in lines
    assert not {A1, C1} & {*made.tracklets["tracklet_id"].to_pylist()}
    made, _ = run(dataset, tmp_path / "b", min_height_px=60, max_height_px=90)
    assert made.tracklets["tracklet_id"].to_pylist() == [A2, B1]


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    flat = np.full((128, 64, 3), 90, np.uint8)
    assert measure_image(flat) == 0
    dot = np.zeros((5, 5, 3), np.uint8)
    dot[2, 2] = 10  # the Laplacian is -40 there, 10 at four neighbours, 0 elsewhere: mean 0
    assert measure_image(dot) == pytest.approx((40**2 + 4 * 10**2) / 25)
    noise = np.random.default_rng(0).integers(0, 255, (128, 64, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2)
    assert measure_image(blurred) < 100 < 1000 < measure_image(noise)


def test_blurred_tracklets_are_taken_away(dataset: Dataset, tmp_path: Path) -> None:
    import hashlib

    hashes = {}
    for row in dataset.frames.to_pylist():
        if row["tracklet_id"] in (A2, D1):
            file = dataset.root / row["image"]["path"]
            image = cv2.GaussianBlur(cv2.imread(str(file)), (0, 0), 3)
            data = cv2.imencode(".jpg", image)[1].tobytes()
            file.write_bytes(data)
            hashes[row["image"]["path"]] = hashlib.sha256(data).digest()
    rows = dataset.frames.to_pylist()
    for row in rows:
        row["sha256"] = hashes.get(row["image"]["path"], row["sha256"])
    write_table(dataset.root / "frames.parquet", pa.Table.from_pylist(rows, schema=FRAMES), FRAMES)
    dataset = close_dataset(dataset.root, {key: dataset.manifest[key] for key in FACTS})
    known = read_base(dataset).tracklets.values()
    starts, lengths = np.array([t.start for t in known]), np.array([t.n_frames for t in known])
    values = measure_tracklets(open_images(dataset), starts, lengths)
    by_sharpness = [t.tracklet_id for _, t in sorted(zip(values, known, strict=True),
                                                     key=lambda pair: pair[0])]  # fmt: skip
    assert {*by_sharpness[:2]} == {A2, D1}
    made, lines = run(dataset, tmp_path / "new", min_sharpness=float(sorted(values)[2]))
    assert made.tracklets["tracklet_id"].to_pylist() == sorted(by_sharpness[2:])
    assert lines[1].startswith("taken away by --min-sharpness") and lines[1].endswith(": 2")


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({}, "no rule"),
        ({"min_length": 1.5}, "a whole number"),
        ({"min_score": 2.0}, "from 0 to 1"),
        ({"cameras": ("nowhere",)}, "nowhere"),
        ({"min_length": 99}, "nothing to write: --min-length 99 takes 8 of 8 tracklets"),
    ],
)
def test_what_cannot_be_is_refused(
    dataset: Dataset, tmp_path: Path, rules: dict[str, object], told: str
) -> None:
    with pytest.raises(LpwError, match=told):
        run(dataset, tmp_path / "new", **rules)
    assert not (tmp_path / "new").exists()


def test_rules_on_boxes_need_boxes(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", boxes=False)
    for rule in ("min_height_px", "min_score"):
        with pytest.raises(LpwError, match=f"--{rule.replace('_', '-')}.*{A1}"):
            run(dataset, tmp_path / "new", **{rule: 0.1})


def with_splits(dataset: Dataset, rows: list[tuple[int, str, str]]) -> Dataset:
    said = {"source": "a test", "digest": "5" * 64, "drawn": True, "note": None}
    table = make_table(list(zip(*sorted(rows), strict=True)), SPLITS)
    words = {"split_source": "a test", "split_digest": "5" * 64, "drawn": "true", "note": ""}
    table = table.replace_schema_metadata(
        {**(SPLITS.metadata or {}), **{k.encode(): v.encode() for k, v in words.items()}}
    )
    write_table(dataset.root / "splits.parquet", table, SPLITS)
    facts = {key: dataset.manifest[key] for key in FACTS}
    return close_dataset(dataset.root, facts | {"splits": said})


def test_splits_stay_where_they_still_hold(dataset: Dataset, tmp_path: Path) -> None:
    rows = [(0, "train", D1), (0, "query", A1), (0, "gallery", B1), (0, "gallery", A2)]
    dataset = with_splits(dataset, rows)
    made, lines = run(dataset, tmp_path / "a", max_length=15)
    assert made.splits is not None
    assert [tuple(row.values()) for row in made.splits.to_pylist()] == sorted(rows[:3])
    assert "splits carry over: 1 of 4 rows left it with their tracklets" in lines
    said, again = made.manifest["splits"], run(dataset, tmp_path / "again", max_length=15)[0]
    assert said["origins"] == ["5" * 64] and said["digest"] != "5" * 64
    assert again.manifest["splits"] == said
    assert f"digest {said['digest'][:12]}; made from {'5' * 12}" in describe_splits(made)
    assert f"digest {said['digest'][:12]}, made from {'5' * 12}" in format_info(describe(made))
    assert check_dataset(made.root).problems == []
    whole, lines = run(dataset, tmp_path / "b", min_length=1)
    assert whole.manifest["splits"] == dataset.manifest["splits"]
    assert whole.manifest["tables"]["splits.parquet"] == dataset.manifest["tables"][
        "splits.parquet"
    ]  # fmt: skip
    made, lines = run(dataset, tmp_path / "c", cameras=("scen1/view1", "scen2/view2"))
    assert made.splits is not None and made.splits.num_rows == 3
    made, lines = run(dataset, tmp_path / "d", cameras=("scen1/view2", "scen2/view2"))
    assert made.splits is None and "splits" not in made.manifest
    assert any("split 0 has no query left; draw new ones" in line for line in lines)
    assert check_dataset(made.root).problems == []


def test_decisions_hold_on_what_stays(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", n_tracklets=8, identified=False)
    ask = Asker()
    with open_review(dataset, "anna") as review:
        review.decide(ask("accept", A1))
        review.decide(ask("link", A2, B2))
    arguments = [str(dataset.root), "--max-length", "15", "--out", str(tmp_path / "new")]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "1 of 2 decisions on little carry over" in shown.output
    assert f"not carried: link {A2}, {B2} (by anna): {A2} is not there" in shown.output
    assert "written:" in shown.output
    made = open_dataset(tmp_path / "new")
    assert [d.tracklets for d in read_union(made).decisions] == [(A1,)]
