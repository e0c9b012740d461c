"""Packing: the bytes and their places, what is refused, what a fault leaves behind, and what `lpw
check` sees."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from lpw_cli.pack import command
from make_dataset import make_dataset

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset import tables
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.pack import PACK_FILE, PACK_TABLE, read_pack, write_pack
from lpw_toolkit.dataset.schema import PACK
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError
from lpw_toolkit.files import writing


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "little"
    make_dataset(root, n_tracklets=6, n_frames=12)
    return root


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Dataset:
    shutil.copytree(made, tmp_path / "little")
    return open_dataset(tmp_path / "little")


def rules(root: Path) -> list[str]:
    return [problem.rule for problem in check_dataset(root).problems]


def snapshot(root: Path) -> dict[str, str]:
    files = [f for f in sorted(root.rglob("*")) if f.is_file() and ".lpw" not in f.parts]
    return {
        f.relative_to(root).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
    }


class TestWriting:
    def test_the_bytes_lie_end_to_end_in_the_order_of_the_frames(self, dataset: Dataset) -> None:
        pack, is_new = write_pack(dataset)
        data = (dataset.root / PACK_FILE).read_bytes()
        paths = [row["path"] for row in dataset.frames["image"].to_pylist()]
        assert is_new and data == b"".join((dataset.root / path).read_bytes() for path in paths)
        assert pack.n_images == len(paths) and pack.n_bytes == len(data)
        table = pq.read_table(dataset.root / PACK_TABLE)
        assert table["tracklet_id"].to_pylist() == dataset.frames["tracklet_id"].to_pylist()
        for row, sha256 in zip(
            table.to_pylist(), dataset.frames["sha256"].to_pylist(), strict=True
        ):
            image = data[row["offset"] : row["offset"] + row["length"]]
            assert hashlib.sha256(image).digest() == sha256

    def test_nothing_else_changes_and_twice_is_the_same(self, dataset: Dataset) -> None:
        before = snapshot(dataset.root)
        write_pack(dataset)
        packed = snapshot(dataset.root)
        assert {name: packed[name] for name in before} == before
        assert packed.keys() - before.keys() == {PACK_FILE, PACK_TABLE}
        assert write_pack(open_dataset(dataset.root))[1] is False
        (dataset.root / PACK_TABLE).unlink()
        assert write_pack(dataset)[1] is True and snapshot(dataset.root) == packed
        assert rules(dataset.root) == []

    def test_a_corrupt_image_is_named_and_nothing_is_left(self, dataset: Dataset) -> None:
        path = dataset.root / dataset.frames["image"][30]["path"].as_py()
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(CorruptCropError, match=path.name):
            write_pack(dataset)
        assert not list(dataset.root.glob("*pack*"))

    def test_the_command_says_what_it_did(self, dataset: Dataset) -> None:
        first = CliRunner().invoke(command, [str(dataset.root)], catch_exceptions=False)
        second = CliRunner().invoke(command, [str(dataset.root), "--json"], catch_exceptions=False)
        assert f"{dataset.frames.num_rows} images" in first.output and "written" in first.output
        assert json.loads(second.output)["new"] is False

    def test_two_at_once_do_not_mix(self, dataset: Dataset) -> None:
        with writing.atomic_write_stream(dataset.root / PACK_FILE) as stream:
            stream.write(b"half")
            with pytest.raises(LpwError, match="another process"):
                write_pack(dataset)
            stream.write(b"whole")
        assert (dataset.root / PACK_FILE).read_bytes() == b"halfwhole"

    def test_a_link_in_its_place_is_refused(self, dataset: Dataset, tmp_path: Path) -> None:
        (tmp_path / "precious").write_bytes(b"precious")
        (dataset.root / PACK_FILE).symlink_to(tmp_path / "precious")
        with pytest.raises(LpwError, match="a link"):
            write_pack(dataset)
        assert (tmp_path / "precious").read_bytes() == b"precious"


PACK_CODE = """
import sys; from pathlib import Path
from lpw_toolkit.dataset.dataset import open_dataset; from lpw_toolkit.errors import LpwError
from lpw_toolkit.dataset.pack import *
try: write_pack(open_dataset(Path(sys.argv[1])))
except LpwError as error: print(error); sys.exit(error.exit_code)
"""


def run_pack(root: Path, fault: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LPW_FAULT": fault}
    argv = [sys.executable, "-c", PACK_CODE, str(root)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


class TestFaults:
    def test_every_kill_and_every_full_disk(self, dataset: Dataset, tmp_path: Path) -> None:
        """At every fault point: no pack is believed that is not whole, and a second run ends as an
        undisturbed one."""
        whole = tmp_path / "whole"
        shutil.copytree(dataset.root, whole)
        write_pack(open_dataset(whole))
        n_points = 0
        for n in range(1, 40):
            kind = ("", ":ENOSPC", ":EIO")[n % 3]
            root = tmp_path / f"n{n}"
            shutil.copytree(dataset.root, root)
            run = run_pack(root, f"any:{n}{kind}")
            if run.returncode == 0:
                break
            n_points += 1
            assert run.returncode == (-signal.SIGKILL if not kind else 2), run.stderr
            assert not kind or len(run.stdout.splitlines()) == 1
            if kind == ":ENOSPC" and "space" in run.stdout:
                assert f"{(whole / PACK_FILE).stat().st_size} free bytes" in run.stdout
            if (root / PACK_TABLE).exists():
                assert (
                    read_pack(open_dataset(root), dataset.frames.num_rows).n_images
                    == dataset.frames.num_rows
                )
            assert check_dataset(root).ok
            assert run.returncode != 2 or not list(root.glob("*~"))
            write_pack(open_dataset(root))
            assert snapshot(root) == snapshot(whole)
        assert 10 <= n_points < 39

    def test_a_stale_table_goes_before_the_pack_is_replaced(self, dataset: Dataset) -> None:
        write_pack(dataset)
        (dataset.root / PACK_FILE).write_bytes(b"short")
        for point in ("write:1", "write:2", "rename:1"):
            run_pack(dataset.root, point)
            assert not (dataset.root / PACK_TABLE).exists()
        assert run_pack(dataset.root, "").returncode == 0
        assert rules(dataset.root) == []


def change_table(root: Path, change: dict[str, list[int]] | None = None, **facts: str) -> None:
    """pack.parquet written again with other values and metadata."""
    table = pq.read_table(root / PACK_TABLE)
    metadata = {
        **table.schema.metadata,
        **{f"lpw_{k}".encode(): v.encode() for k, v in facts.items()},
    }
    for name, values in (change or {}).items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, PACK.field(name), pa.array(values, PACK.field(name).type))
    tables.write_table(root / PACK_TABLE, table.replace_schema_metadata(metadata), PACK)


class TestStale:
    def test_a_pack_of_another_version_is_refused(self, dataset: Dataset) -> None:
        write_pack(dataset)
        change_table(dataset.root, dataset_digest="0" * 64)
        with pytest.raises(MismatchError, match=r"a pack of dataset 0{12}.*lpw pack"):
            read_pack(dataset, dataset.frames.num_rows)
        assert rules(dataset.root) == ["pack-stale"]
        assert write_pack(dataset)[1] is True and rules(dataset.root) == []

    def test_a_pack_of_another_size_is_refused(self, dataset: Dataset) -> None:
        write_pack(dataset)
        os.truncate(dataset.root / PACK_FILE, 1000)
        with pytest.raises(MismatchError, match="1000 bytes"):
            read_pack(dataset, dataset.frames.num_rows)
        assert "pack-stale" in rules(dataset.root)

    def test_a_missing_half_is_named(self, dataset: Dataset) -> None:
        write_pack(dataset)
        (dataset.root / PACK_FILE).rename(dataset.root / "aside")
        with pytest.raises(MismatchError, match="no such file"):
            read_pack(dataset, dataset.frames.num_rows)
        assert rules(dataset.root) == ["pack-half"]
        (dataset.root / "aside").rename(dataset.root / PACK_FILE)
        (dataset.root / PACK_TABLE).unlink()
        report = check_dataset(dataset.root)
        assert [p.rule for p in report.problems] == [
            "pack-half"
        ] and report.ok  # a warning: files are read instead

    def test_gaps_and_missing_rows_are_refused(self, dataset: Dataset) -> None:
        pack, _ = write_pack(dataset)
        offsets = pack.starts[:-1].tolist()
        change_table(dataset.root, {"offset": [offsets[0], offsets[1] + 1, *offsets[2:]]})
        with pytest.raises(MismatchError, match="end to end"):
            read_pack(dataset, dataset.frames.num_rows)
        assert rules(dataset.root) == ["pack-rows"]

    def test_swapped_images_are_found_by_check(self, dataset: Dataset) -> None:
        pack, _ = write_pack(dataset)
        data = bytearray((dataset.root / PACK_FILE).read_bytes())
        data[pack.starts[7] + 50] ^= 1
        (dataset.root / PACK_FILE).write_bytes(data)
        problems = check_dataset(dataset.root).problems
        assert [(p.file, p.row, p.rule) for p in problems] == [(PACK_FILE, 7, "pack-hash")]
        assert not check_dataset(dataset.root, images=False).problems

    def test_a_damaged_table_is_named(self, dataset: Dataset) -> None:
        write_pack(dataset)
        data = (dataset.root / PACK_TABLE).read_bytes()
        (dataset.root / PACK_TABLE).write_bytes(data[: len(data) // 2])
        with pytest.raises(MismatchError, match=r"pack\.parquet"):
            read_pack(dataset, dataset.frames.num_rows)
        assert rules(dataset.root) == ["table-read"]

    def test_flips_anywhere_in_the_table_never_mislead(self, dataset: Dataset) -> None:
        pack, _ = write_pack(dataset)
        data, rng = (dataset.root / PACK_TABLE).read_bytes(), np.random.default_rng(0)
        for _ in range(100):
            flipped = bytearray(data)
            flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
            (dataset.root / PACK_TABLE).write_bytes(flipped)
            try:
                assert np.array_equal(
                    read_pack(dataset, dataset.frames.num_rows).starts, pack.starts
                )
            except MismatchError as error:
                assert str(dataset.root) in str(error)
