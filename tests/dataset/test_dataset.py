"""A dataset folder: opened whole or not at all, images verified as they are read, closed by its
manifest."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_dataset import make_dataset
from sealing import write_manifest

from lpw_toolkit.dataset.dataset import (
    Dataset,
    close_dataset,
    count_rows,
    iter_tables,
    open_dataset,
    sha256_file,
)
from lpw_toolkit.dataset.manifest import is_inner_path
from lpw_toolkit.dataset.schema import DETECTIONS, FRAMES, TIMELINE, TRACKLETS
from lpw_toolkit.dataset.tables import digest_rows, write_table
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError
from lpw_toolkit.files import faults
from lpw_toolkit.files.machine import remember


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("pristine") / "dataset", n_tracklets=5, n_frames=3)


@pytest.fixture
def dataset(pristine: Dataset, tmp_path: Path) -> Dataset:
    shutil.copytree(pristine.root, tmp_path / "dataset")
    return open_dataset(tmp_path / "dataset")


class TestOpen:
    def test_gives_name_tables_and_images(self, dataset: Dataset) -> None:
        assert dataset.name == "little"
        assert dataset.tracklets.num_rows == 5
        assert dataset.frames.num_rows == sum(dataset.tracklets["n_frames"].to_pylist())
        for row in dataset.frames.to_pylist():
            data = dataset.read_image(row["image"]["path"], row["sha256"])
            assert hashlib.sha256(data).digest() == row["sha256"]

    def test_no_folder_no_manifest_and_a_build_that_did_not_end(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="no such folder"):
            open_dataset(tmp_path / "none")
        with pytest.raises(LpwError, match="build one first"):
            open_dataset(tmp_path)
        (tmp_path / ".lpw").mkdir()
        with pytest.raises(LpwError, match="build command again: it resumes") as caught:
            open_dataset(tmp_path)
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "null",
            "[]",
            "3",
            '{"format_version": 1}',
            '{"format_version": 1, "name": 3, "tables": {}}',
            '{"format_version": 1, "name": "a", "tables": []}',
            "[" * 100_000,
            '{"a": ' * 100_000,
            "\ud800",
        ],
    )
    def test_a_damaged_manifest_is_one_line(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "dataset.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(MismatchError, match="damaged manifest") as caught:
            open_dataset(tmp_path)
        assert caught.value.exit_code == 3
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("tool", "need"),
        [
            ("lpw-toolkit 0.9.1", 'pip install --upgrade "lpw-toolkit>=0.9.1"'),
            ("evil\n; rm", 'pip install --upgrade "lpw-toolkit"'),
            (None, 'pip install --upgrade "lpw-toolkit"'),
        ],
    )
    def test_a_newer_format_names_the_version_that_is_needed(
        self, tmp_path: Path, tool: str | None, need: str
    ) -> None:
        text = json.dumps({"format_version": 2, "tool": tool, "tables": ["of another kind"]})
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(MismatchError, match=f"format version 2, written by .*{need}") as caught:
            open_dataset(tmp_path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("version", [0, "1", None])
    def test_another_version(self, dataset: Dataset, version: object) -> None:
        facts = dataset.manifest | {"format_version": version}
        write_manifest(dataset.root, facts)
        with pytest.raises(MismatchError, match="the lpw version that wrote it"):
            open_dataset(dataset.root)

    def test_a_manifest_of_gigabytes_is_not_read(self, tmp_path: Path) -> None:
        with open(tmp_path / "dataset.json", "wb") as file:
            file.truncate(8 << 30)
        with pytest.raises(MismatchError, match="more than the 33554432 bytes allowed"):
            open_dataset(tmp_path)

    def test_a_pipe_is_no_manifest(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "dataset.json")
        with pytest.raises(MismatchError, match="no regular file"):
            open_dataset(tmp_path)


class TestImages:
    def test_missing_and_changed_bytes(self, dataset: Dataset) -> None:
        row = dataset.frames.slice(2, 1).to_pylist()[0]
        path, file = row["image"]["path"], dataset.root / row["image"]["path"]
        data = file.read_bytes()
        for damaged in (data[:-1], b"", bytes([data[0] ^ 1]) + data[1:]):
            file.write_bytes(damaged)
            with pytest.raises(CorruptCropError, match="SHA-256") as caught:
                dataset.read_image(path, row["sha256"])
            assert str(file) in str(caught.value)
        file.unlink()
        with pytest.raises(CorruptCropError, match="no such file"):
            dataset.read_image(path, row["sha256"])

    @pytest.mark.parametrize(
        "path", ["../x.jpg", "/etc/passwd", "a/../../x.jpg", "a\0b", "a\\b", "", "\\\\host\\x"]
    )
    def test_paths_that_leave_the_dataset(self, dataset: Dataset, path: str) -> None:
        assert not is_inner_path(path)
        with pytest.raises(MismatchError, match="a path inside it"):
            dataset.image_file(path)

    @given(st.text(alphabet="ab./é ", min_size=1, max_size=10))
    def test_inner_paths_stay_inside(self, path: str) -> None:
        if is_inner_path(path):
            inside = os.path.normpath(f"/root/{path}")
            assert inside == "/root" or inside.startswith("/root/")

    def test_images_root(self, dataset: Dataset) -> None:
        in_place = {"images_root": "../raw", "settings": {"import": {"in_place": True}}}
        elsewhere = Dataset(dataset.root, dataset.manifest | in_place)
        with pytest.raises(MismatchError, match=r"lpw locate .* --images DIR"):
            elsewhere.image_file("a/b.jpg")
        remember(dataset.root / ".lpw", "images_root", "../raw", elsewhere.digest)
        assert elsewhere.image_file("a/b.jpg") == dataset.root / ".." / "raw" / "a" / "b.jpg"
        assert dataset.image_file("a/b.jpg") == dataset.root / "a" / "b.jpg"
        inside = Dataset(dataset.root, dataset.manifest | {"images_root": "raw"})
        assert inside.image_file("a/b.jpg") == dataset.root / "raw" / "a" / "b.jpg"

    @pytest.mark.parametrize(
        "settings", [{}, {"import": {}}, {"import": None}, {"import": {"in_place": "yes"}}]
    )
    def test_images_elsewhere_need_an_import_in_place(
        self, dataset: Dataset, settings: dict[str, object]
    ) -> None:
        elsewhere = Dataset(
            dataset.root, dataset.manifest | {"images_root": "../raw", "settings": settings}
        )
        with pytest.raises(
            MismatchError, match=r"images_root '\.\./raw'; expected a folder inside the dataset"
        ):
            elsewhere.read_image("a/b.jpg", b"")

    @pytest.mark.parametrize("root", ["/etc", "", "a\\b", "a\0b"])
    def test_no_import_leads_to_an_absolute_or_odd_folder(
        self, dataset: Dataset, root: str
    ) -> None:
        settings = {"import": {"in_place": True}}
        with pytest.raises(MismatchError, match="images_root"):
            Dataset(
                dataset.root, dataset.manifest | {"images_root": root, "settings": settings}
            ).image_file("a.jpg")


class TestClose:
    def test_manifest_says_what_is_there(self, dataset: Dataset) -> None:
        manifest = dataset.manifest
        assert set(manifest["tables"]) == {name for name, _ in iter_tables(dataset.root)}
        for name, facts in manifest["tables"].items():
            assert facts["bytes"] == (dataset.root / name).stat().st_size
            assert facts["sha256"] == hashlib.sha256((dataset.root / name).read_bytes()).hexdigest()
        assert manifest["digest"] == digest_rows(
            {"tracklets": dataset.tracklets, "frames": dataset.frames}
        )
        assert manifest["counts"] == {
            "n_tracklets": 5, "n_images": dataset.frames.num_rows, "n_persons": 3, "n_cameras": 4,
            "n_scenes": 2,
        }  # fmt: skip

    def test_no_clock_host_or_absolute_path(self, dataset: Dataset, tmp_path: Path) -> None:
        text = (dataset.root / "dataset.json").read_text("utf-8")
        assert str(tmp_path) not in text
        assert os.uname().nodename not in text
        other = make_dataset(tmp_path / "elsewhere", n_tracklets=5, n_frames=3)
        assert (other.root / "dataset.json").read_text("utf-8") == text

    @pytest.mark.parametrize("number", range(1, 5))
    def test_a_fault_while_closing_leaves_no_half_dataset(
        self, dataset: Dataset, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (dataset.root / "dataset.json").unlink()
        faults._hits.clear()
        monkeypatch.setenv("LPW_FAULT", f"any:{number}:ENOSPC")
        with pytest.raises(OSError, match="No space left"):
            close_dataset(dataset.root, {"name": "little"})
        monkeypatch.delenv("LPW_FAULT")
        if number < 4:  # the fourth is the fsync of the folder: the name is there already
            with pytest.raises(LpwError):
                open_dataset(dataset.root)
        assert (
            close_dataset(dataset.root, {"name": "little"}).manifest["digest"]
            == dataset.manifest["digest"]
        )
        assert open_dataset(dataset.root).name == "little"

    def test_a_wrong_table_is_not_closed_over(self, dataset: Dataset) -> None:
        (dataset.root / "dataset.json").unlink()
        shutil.copy(dataset.root / "tracklets.parquet", dataset.root / "frames.parquet")
        with pytest.raises(MismatchError):
            close_dataset(dataset.root, {"name": "little"})
        assert not (dataset.root / "dataset.json").exists()

    def test_packing_keeps_the_digest(self, dataset: Dataset) -> None:
        write_table(dataset.root / "frames.parquet", dataset.frames, FRAMES)
        assert (
            close_dataset(dataset.root, {"name": "x"}).manifest["digest"]
            == dataset.manifest["digest"]
        )


def test_tables_are_found_in_order_with_their_schemas(dataset: Dataset) -> None:
    found = list(iter_tables(dataset.root))
    cameras = ("scen1/view1", "scen1/view2", "scen2/view1", "scen2/view2")
    assert found == [
        ("tracklets.parquet", TRACKLETS),
        ("frames.parquet", FRAMES),
        *((f"detections/{camera}.parquet", DETECTIONS) for camera in cameras),
        *((f"timeline/{camera}.parquet", TIMELINE) for camera in cameras),
    ]


def test_counts_ignore_unknown_persons_and_scenes() -> None:
    rows = [
        {
            "tracklet_id": str(i),
            "camera_id": "c",
            "kind": "person",
            "n_frames": 1,
            "person_id": p,
            "scene_id": s,
        }
        for i, (p, s) in enumerate([(None, None), ("a", None), ("a", "s"), ("b", "s")])
    ]
    counts = count_rows(pa.Table.from_pylist(rows, TRACKLETS), FRAMES.empty_table())
    assert counts == {
        "n_tracklets": 4,
        "n_images": 0,
        "n_persons": 2,
        "n_cameras": 1,
        "n_scenes": 1,
    }


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_file(tmp_path / "f").startswith("ba7816bf8f01cfea")
    with pytest.raises(OSError, match="No such file"):
        sha256_file(tmp_path / "g")
