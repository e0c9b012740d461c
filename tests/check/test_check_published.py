"""`lpw check` on splits, and on an imported benchmark beside what was published of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import write_fake
from make_dataset import make_dataset
from sealing import write_manifest

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.benchmarks.reader import list_benchmarks, published_counts, read_facts
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.check.published import check_published
from lpw_toolkit.check.splits import check_splits
from lpw_toolkit.dataset.dataset import close_dataset
from lpw_toolkit.dataset.schema import SPLITS, TRACKLETS
from lpw_toolkit.dataset.tables import make_table, write_table

SAID = {"source": "here", "digest": "ab", "drawn": False, "note": None}
METADATA = {b"split_source": b"here", b"split_digest": b"ab", b"drawn": b"false", b"note": b""}
GOOD = [
    (0, "gallery", "scen1/view2/000001"),
    (0, "query", "scen1/view1/000001"),
    (0, "train", "scen2/view1/000001"),
    (1, "gallery", "scen2/view1/000001"),
    (1, "query", "scen2/view1/000001"),
]


def table_of(rows: list[tuple[int, str, str]]) -> pa.Table:
    table = make_table([[row[i] for row in rows] for i in range(3)], SPLITS)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **METADATA})


def close_with(root: Path, rows: list[tuple[int, str, str]], **facts: Any) -> Path:
    """Gives the dataset at `root` these splits and closes it again."""
    write_table(root / "splits.parquet", table_of(rows), SPLITS)
    manifest = json.loads((root / "dataset.json").read_text("utf-8"))
    for key in ("format_version", "tool", "counts", "tables", "digest"):
        manifest.pop(key)
    close_dataset(root, {**manifest, "splits": SAID, **facts})
    return root


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pristine") / "dataset"
    make_dataset(root)
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "dataset")
    return tmp_path / "dataset"


def rules(root: Path) -> list[str]:
    return [problem.rule for problem in check_dataset(root).problems]


class TestSplits:
    def test_good_ones(self, root: Path) -> None:
        report = check_dataset(close_with(root, GOOD))
        assert report.problems == [] and report.complete

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            (lambda rows: [(0, "probe", rows[0][2]), *rows], "split-subset"),
            (lambda rows: [*rows, (3, "query", rows[0][2])], "split-number"),
            (lambda rows: [(-1, "query", rows[0][2]), *rows], "split-number"),
            (lambda rows: rows[::-1], "split-sorted"),
            (lambda rows: [rows[1], rows[0], *rows[2:]], "split-sorted"),
            (lambda rows: [rows[0], *rows], "split-twice"),
            (
                lambda rows: [
                    *rows[:3],
                    (0, "train", "scen2/view2/000001"),
                    (0, "train", rows[1][2]),
                    *rows[3:],
                ],
                "split-leak",
            ),
            (lambda rows: [(0, "gallery", "nobody"), *rows], "split-tracklet"),
        ],
    )
    def test_each_rule(self, change: Callable[[Any], Any], rule: str, root: Path) -> None:
        assert rule in rules(close_with(root, change(GOOD)))

    def test_the_row_is_named(self) -> None:
        rows = [*GOOD[:2], GOOD[1], *GOOD[2:]]
        assert [(p.row, p.rule) for p in check_splits(table_of(rows))] == [(2, "split-twice")]
        assert [(p.row, p.rule) for p in check_splits(table_of([GOOD[1], GOOD[0], *GOOD[2:]]))] == [
            (1, "split-sorted")
        ]

    def test_order_is_that_of_utf_8(self) -> None:
        rows = [(0, "train", name) for name in ("Z", "a", "\uffff", "\U0001f600")]
        assert list(check_splits(table_of(rows))) == []

    def test_empty(self) -> None:
        assert list(check_splits(table_of([]))) == []

    def test_another_source_in_the_manifest(self, root: Path) -> None:
        assert rules(close_with(root, GOOD, splits={**SAID, "drawn": True})) == ["split-source"]
        assert rules(close_with(root, GOOD, splits=None)) == ["split-source"]

    def test_a_damaged_table(self, root: Path) -> None:
        close_with(root, GOOD)
        data = bytearray((root / "splits.parquet").read_bytes())
        for at in range(0, len(data), 97):
            data[at] ^= 4
            (root / "splits.parquet").write_bytes(data)
            assert rules(root) == ["table-hash"]
            data[at] ^= 4

    def test_a_table_of_another_kind(self, root: Path) -> None:
        shutil.copy(root / "tracklets.parquet", root / "splits.parquet")
        manifest = json.loads((root / "dataset.json").read_text("utf-8"))
        manifest["tables"]["splits.parquet"] = manifest["tables"]["tracklets.parquet"]
        write_manifest(root, manifest)
        assert rules(root) == ["table-read"]


def whole_of(counts: dict[str, Any]) -> tuple[pa.Table, pa.Table]:
    """Tracklets and splits that have the published counts of LPW."""
    cameras = counts["n_persons_by_camera"]
    rows = []
    all_of = {camera.split("/")[0]: camera for camera in counts["cameras_that_see_all"]}
    for camera, n in cameras.items():
        scene = camera.split("/")[0]
        first = (
            756 - n if camera == "scen1/view3" else 0
        )  # the two galleries of scene 1 show all 756 together
        rows += [
            (f"{camera}/{i}", scene, camera, f"{scene}/{i}", 60) for i in range(first, first + n)
        ]
    assert set(all_of) == {row[1] for row in rows}
    rows.sort()
    subset = {"scen1/view1": "gallery", "scen1/view2": "query", "scen1/view3": "gallery"}
    splits = sorted((0, subset.get(row[2], "train"), row[0]) for row in rows)
    ids, scenes, cams, persons, lengths = (list(column) for column in zip(*rows, strict=True))
    nothing = [None] * len(rows)
    columns = [
        ids,
        scenes,
        cams,
        persons,
        ["person"] * len(rows),
        nothing,
        lengths,
        nothing,
        nothing,
    ]
    return make_table(columns, TRACKLETS), table_of(splits)


def found(
    manifest: dict[str, Any], tracklets: pa.Table, splits: pa.Table, n_images: int
) -> list[str]:
    return [
        f"{p.file}: {p.found}"
        for p in check_published(manifest, tracklets, splits, n_images)
        if p.level == "error"
    ]


MANIFEST = {
    "settings": {
        "import": {
            "benchmark": "lpw",
            "variant": None,
            "mismatches": [],
            "dropped": {"n_images": 0},
        }
    }
}


class TestPublished:
    def test_a_whole_one(self) -> None:
        counts = read_facts("lpw").counts
        tracklets, splits = whole_of(counts)
        lines = found(MANIFEST, tracklets, splits, counts["n_images"])
        assert [
            line for line in lines if "n_images" not in line
        ] == []  # how many are in a view is not published
        assert len(lines) <= 3

    def test_what_is_missing_is_named_with_its_camera(self) -> None:
        counts = read_facts("lpw").counts
        tracklets, splits = whole_of(counts)
        lines = found(MANIFEST, tracklets.slice(2), splits, counts["n_images"] - 120)
        assert "tracklets.parquet: n_tracklets 7692 where 7694 is published" in lines
        assert "tracklets.parquet: n_images 590427 where 590547 is published" in lines
        assert "tracklets.parquet: scen1/view1: n_persons 660 where 662 is published" in lines
        assert "tracklets.parquet: scen1: n_tracklets 1826 where 1828 is published" in lines

    def test_subsets(self) -> None:
        counts = read_facts("lpw").counts
        tracklets, splits = whole_of(counts)
        lines = found(MANIFEST, tracklets, splits.slice(1), counts["n_images"])
        assert "splits.parquet: split 0, gallery: n_tracklets 1071 where 1072 is published" in lines

    def test_what_was_recorded_is_a_warning(self) -> None:
        tracklets, splits = whole_of(read_facts("lpw").counts)
        own = {
            "benchmark": "lpw",
            "mismatches": [f"line {i}" for i in range(30)],
            "dropped": {"n_images": 4},
        }
        problems = list(
            check_published({"settings": {"import": own}}, tracklets.slice(5), splits, 1)
        )
        assert {problem.level for problem in problems} == {"warning"} and len(problems) == 21
        assert (
            problems[0].found == "recorded when it was imported: line 0"
            and problems[-1].found == "11 more recorded"
        )

    @pytest.mark.parametrize(
        "own",
        [
            {"benchmark": "../../etc"},
            {"benchmark": ["lpw"]},
            {"benchmark": None},
            {"benchmark": "lpw", "mismatches": 5, "dropped": [], "variant": 7},
            {"benchmark": "prid2011", "variant": "nonsense", "mismatches": {"a": 1}},
        ],
    )
    def test_a_hostile_manifest(self, own: dict[str, Any]) -> None:
        tracklets, splits = whole_of(read_facts("lpw").counts)
        assert [
            problem.rule
            for problem in check_published({"settings": {"import": own}}, tracklets, splits, 5)
        ]

    @pytest.mark.parametrize(
        "manifest",
        [{}, {"settings": None}, {"settings": {"link": {}}}, {"settings": {"import": 5}}],
    )
    def test_other_datasets_are_left_alone(self, manifest: dict[str, Any]) -> None:
        tracklets, splits = whole_of(read_facts("lpw").counts)
        assert list(check_published(manifest, tracklets, splits, 5)) == []

    def test_variants(self) -> None:
        counts = read_facts("prid2011").counts
        assert published_counts(counts, None)["n_tracklets"] == 356
        assert published_counts(counts, "200")["n_tracklets"] == 400

    def test_the_cameras_of_the_raw_prid_are_not_those_of_its_protocol(self) -> None:
        persons = [f"person_{i:04d}" for i in range(178)]
        rows = sorted(
            (f"{camera}/{person}", camera, person)
            for camera in ("cam_a", "cam_b")
            for person in persons
        )
        nothing = [None] * len(rows)
        columns = [
            [r[0] for r in rows],
            nothing,
            [r[1] for r in rows],
            [r[2] for r in rows],
            ["person"] * len(rows),
        ]
        tracklets = make_table([*columns, nothing, [30] * len(rows), nothing, nothing], TRACKLETS)
        own = {
            "benchmark": "prid2011",
            "variant": None,
            "mismatches": [],
            "dropped": {"n_images": 0},
        }
        assert list(check_published({"settings": {"import": own}}, tracklets, None, 5)) == []


@pytest.mark.parametrize("name", list_benchmarks())
def test_an_import_that_hides_what_differs_is_found(name: str, tmp_path: Path) -> None:
    write_fake(name, tmp_path / "raw", np.random.default_rng(0))
    import_benchmark(ImportConfig(name, tmp_path / "raw", tmp_path / "out", allow_partial=True))
    assert check_dataset(tmp_path / "out").ok
    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text("utf-8"))
    manifest["settings"]["import"]["mismatches"] = []
    write_manifest(tmp_path / "out", manifest)
    report = check_dataset(tmp_path / "out")
    assert not report.ok and {problem.rule for problem in report.problems} == {"published"}


def test_splits_survive_other_readers(tmp_path: Path) -> None:
    write_table(tmp_path / "splits.parquet", table_of(GOOD), SPLITS)
    assert pq.read_table(tmp_path / "splits.parquet").num_rows == len(GOOD)
