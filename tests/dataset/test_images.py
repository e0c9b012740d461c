"""Reading images and opening an index: files and pack alike, other processes, damage named, tables
that do not fit."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from make_dataset import CROP_HEIGHT, CROP_WIDTH, make_dataset

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.image_reader import ImageReader, open_images
from lpw_toolkit.dataset.pack import PACK_FILE, PACK_TABLE, write_pack
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "little"
    write_pack(make_dataset(root, n_tracklets=6, n_frames=8))
    return root


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Dataset:
    shutil.copytree(made, tmp_path / "little")
    return open_dataset(tmp_path / "little")


def paths_of(dataset: Dataset) -> list[str]:
    return [row["path"] for row in dataset.frames["image"].to_pylist()]


class TestReading:
    @pytest.mark.parametrize("source", ["files", "pack", "auto"])
    def test_every_row_gives_the_bytes_of_its_file(self, made: Path, source: str) -> None:
        dataset = open_dataset(made)
        reader = open_images(dataset, source=source)  # type: ignore[arg-type]
        for row in np.random.default_rng(0).permutation(len(reader)).tolist():
            assert reader.read(row) == (made / paths_of(dataset)[row]).read_bytes()

    def test_pixels_are_rgb_and_stretched_on_request(self, made: Path) -> None:
        dataset = open_dataset(made)
        reader = open_images(dataset)
        wanted = cv2.imread(str(made / paths_of(dataset)[3]))[..., ::-1]
        assert np.array_equal(reader.decode(3), wanted)
        large = reader.decode(3, (256, 128))
        assert large.shape == (256, 128, 3) and large.dtype == np.uint8

    def test_auto_without_a_pack_reads_files(self, dataset: Dataset) -> None:
        (dataset.root / PACK_TABLE).unlink()
        (dataset.root / PACK_FILE).write_bytes(b"half a pack")
        data = open_images(dataset).read(0)
        assert data == (dataset.root / paths_of(dataset)[0]).read_bytes()

    def test_a_stale_pack_is_named_and_never_read(self, dataset: Dataset) -> None:
        os.truncate(dataset.root / PACK_FILE, 7)
        with pytest.raises(MismatchError, match=r"images\.pack: got 7 bytes"):
            open_images(dataset)
        assert len(open_images(dataset, source="files")) == dataset.frames.num_rows

    def test_asking_for_a_pack_that_is_not_there(self, dataset: Dataset) -> None:
        (dataset.root / PACK_TABLE).unlink()
        with pytest.raises(MismatchError, match=r"pack\.parquet"):
            open_images(dataset, source="pack")


def read_all(reader: ImageReader, rows: list[int]) -> list[bytes]:
    return [reader.read(row) for row in rows]


class TestProcesses:
    def test_forked_after_opening(self, made: Path) -> None:
        reader = open_images(open_dataset(made), source="pack")
        rows = list(range(len(reader)))
        alone = read_all(reader, rows)  # the descriptor is open now, and shared
        with multiprocessing.get_context("fork").Pool(2) as pool:
            orders = [list(np.random.default_rng(i).permutation(rows)) for i in range(8)]
            found = pool.starmap(read_all, [(reader, order) for order in orders])
        assert all(
            got == [alone[row] for row in order] for got, order in zip(found, orders, strict=True)
        )

    def test_a_pickled_reader_opens_for_itself(self, made: Path) -> None:
        reader = open_images(open_dataset(made), source="pack")
        first = reader.read(5)
        assert pickle.loads(pickle.dumps(reader)).read(5) == first


def spoil(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    bad = bytearray(data)
    at = int(rng.integers(20, len(bad) - 70))
    if kind == "flip":
        bad[at] ^= 1 << int(rng.integers(8))
    elif kind == "zeros":
        bad[at : at + 64] = bytes(64)
    elif kind == "cut":
        del bad[at:]
    elif kind == "magic":
        bad[:4] = b"RIFF"
    elif kind == "bomb":
        place = bad.index(b"\xff\xc0")
        bad[place + 5 : place + 9] = (60_000).to_bytes(2, "big") * 2
    return b"" if kind == "empty" else bytes(bad)


class TestDamage:
    @pytest.mark.parametrize("kind", ["flip", "zeros", "cut", "magic", "empty", "bomb"])
    def test_every_damage_is_named_where_all_are_verified(
        self, dataset: Dataset, kind: str
    ) -> None:
        rng, path = np.random.default_rng(1), paths_of(dataset)[4]
        data = (dataset.root / path).read_bytes()
        reader = open_images(dataset, source="files")
        for _ in range(60):
            bad = spoil(data, kind, rng)
            if bad == data:
                continue
            (dataset.root / path).write_bytes(bad)
            with pytest.raises(CorruptCropError, match=path):
                reader.decode(4)

    @pytest.mark.parametrize("kind", ["magic", "empty", "bomb"])
    def test_what_is_no_such_image_is_named_without_hashing(
        self, dataset: Dataset, kind: str
    ) -> None:
        path = paths_of(dataset)[4]
        bad = spoil((dataset.root / path).read_bytes(), kind, np.random.default_rng(1))
        (dataset.root / path).write_bytes(bad)
        with pytest.raises(CorruptCropError, match=path):
            open_images(dataset, source="files", verify_every=0).decode(4)

    def test_a_swapped_crop_is_found_by_sampling(self, dataset: Dataset) -> None:
        one, other = paths_of(dataset)[0], paths_of(dataset)[40]
        (dataset.root / one).write_bytes((dataset.root / other).read_bytes())
        reader = open_images(dataset, source="files", verify_every=4)
        for _ in range(3):
            reader.decode(0)
        with pytest.raises(CorruptCropError, match=one):
            reader.decode(0)

    def test_damage_in_the_pack_is_named_with_its_image(self, dataset: Dataset) -> None:
        data = bytearray((dataset.root / PACK_FILE).read_bytes())
        data[500] ^= 1
        (dataset.root / PACK_FILE).write_bytes(data)
        with pytest.raises(
            CorruptCropError, match=r"images.pack, images/.*1\.jpg: got SHA-256.*lpw pack"
        ):
            open_images(dataset).read(0)

    def test_an_undecodable_image_that_the_index_names(self, dataset: Dataset) -> None:
        """The bytes are the ones that were imported: no SHA-256 can tell."""
        import hashlib

        path = paths_of(dataset)[0]
        bad = spoil((dataset.root / path).read_bytes(), "bomb", np.random.default_rng(0))
        (dataset.root / path).write_bytes(bad)
        hashes = [hashlib.sha256(bad).digest(), *dataset.frames["sha256"].to_pylist()[1:]]
        place = dataset.frames.schema.get_field_index("sha256")
        frames = dataset.frames.set_column(
            place, schema.FRAMES.field("sha256"), pa.array(hashes, pa.binary(32))
        )
        with pytest.raises(
            CorruptCropError,
            match=f"60000x60000 pixels; expected an image of {CROP_WIDTH}x{CROP_HEIGHT}",
        ):
            open_images(dataset, frames, source="files").decode(0)

    def test_missing_files_folders_and_pipes(self, dataset: Dataset) -> None:
        first, second, third = paths_of(dataset)[:3]
        (dataset.root / first).unlink()
        (dataset.root / second).unlink()
        (dataset.root / second).mkdir()
        (dataset.root / third).unlink()
        os.mkfifo(dataset.root / third)
        reader = open_images(dataset, source="files")
        for row, got in enumerate(
            ("no such file", "no regular file|is a directory", "no regular file")
        ):
            with pytest.raises(CorruptCropError, match=got):
                reader.read(row)


class TestIndex:
    def test_starts_are_those_of_the_tracklets(self, made: Path) -> None:
        index = open_index(made)
        ids = open_dataset(made).frames["tracklet_id"].to_pylist()
        for i, name in enumerate(index.tracklets["tracklet_id"].to_pylist()):
            rows = range(index.starts[i], index.starts[i + 1])
            assert {ids[row] for row in rows} == {name} and len(rows) == index.tracklets[
                "n_frames"
            ][i].as_py()
        assert index.starts[-1] == len(ids) == len(index.images)

    @pytest.mark.parametrize("change", ["n_frames", "order", "position", "fewer"])
    def test_tables_that_do_not_fit_are_refused(self, dataset: Dataset, change: str) -> None:
        tracklets, frames = dataset.tracklets.to_pylist(), dataset.frames.to_pylist()
        if change == "n_frames":
            tracklets[0]["n_frames"] += 1
        elif change == "order":
            tracklets[0], tracklets[1] = tracklets[1], tracklets[0]
        elif change == "position":
            frames[3]["position"] = 4
        else:
            del tracklets[-1]
        for name, rows, kind in (
            ("tracklets", tracklets, schema.TRACKLETS),
            ("frames", frames, schema.FRAMES),
        ):
            tables.write_table(
                dataset.root / f"{name}.parquet", pa.Table.from_pylist(rows, schema=kind), kind
            )
        close_dataset(dataset.root, {"name": "odd"})
        with pytest.raises(MismatchError, match=r"frames\.parquet: got other rows"):
            open_index(dataset.root)

    def test_no_dataset(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"without dataset\.json"):
            open_index(tmp_path)

    def test_opening_imports_no_pandas(self, made: Path) -> None:
        """Its import takes three times as long as opening a large index."""
        code = (
            "import sys; from pathlib import Path; from lpw_toolkit.dataset.clip_index import "
            "open_index; "
        )
        code += (
            "open_index(Path(sys.argv[1])); print('pandas' in sys.modules, 'torch' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, str(made)], capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == ["False", "False"]
