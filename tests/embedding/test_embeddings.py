"""Embeddings in and out: our own files, users' files in every form, pooling, and what is refused by
name."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_labelled import make_labelled
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import check, embeddings_schema
from lpw_toolkit.embedding import embeddings
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, read_embeddings, write_embeddings
from lpw_toolkit.errors import LpwError, MismatchError

IDS = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rows = [(name, f"p{i // 2}", f"c{i % 2}", "person") for i, name in enumerate(IDS)]
    return make_labelled(tmp_path_factory.mktemp("embeddings") / "d", rows, n_frames=5)


def draw(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def write(
    path: Path, ids: Any, vectors: Any, *, positions: Any = None, kind: Any = None, **options: Any
) -> Path:
    columns: dict[str, Any] = {"tracklet_id": ids}
    if positions is not None:
        columns["position"] = positions
    columns["embedding"] = (
        vectors if isinstance(vectors, pa.Array) else pa.array(list(vectors), kind)
    )
    pq.write_table(pa.table(columns), path, **options)
    return path


class TestOurOwn:
    FACTS = EmbeddingFacts("osnet", "a" * 64, None, "all")

    def test_round_trip(self, dataset: Dataset, tmp_path: Path) -> None:
        facts = EmbeddingFacts("osnet", "a" * 64, dataset.manifest["digest"], "8 evenly spaced")
        vectors = draw(4, 7)
        write_embeddings(tmp_path / "e.parquet", IDS, vectors, facts)
        found = read_embeddings(tmp_path / "e.parquet", dataset)
        assert np.array_equal(found.vectors, vectors)
        assert found.facts == facts
        assert found.present.all()
        assert found.notes == []
        check(pq.read_table(tmp_path / "e.parquet"), embeddings_schema(7))

    def test_rows_follow_the_dataset_not_the_file(self, dataset: Dataset, tmp_path: Path) -> None:
        vectors = draw(2, 3)
        write_embeddings(tmp_path / "e.parquet", ["d", "b"], vectors, self.FACTS)
        found = read_embeddings(tmp_path / "e.parquet", dataset)
        assert found.present.tolist() == [False, True, False, True]
        assert np.array_equal(found.vectors[[3, 1]], vectors)
        assert not found.vectors[[0, 2]].any()

    def test_equal_calls_write_equal_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            write_embeddings(tmp_path / name, IDS, draw(4, 7), self.FACTS)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_another_datasets_embeddings(self, dataset: Dataset, tmp_path: Path) -> None:
        write_embeddings(
            tmp_path / "e", IDS, draw(4, 3), EmbeddingFacts("m", None, "f" * 64, "all")
        )
        with pytest.raises(
            MismatchError, match="got embeddings of the dataset ffffffffffff; expected labels"
        ):
            read_embeddings(tmp_path / "e", dataset)

    @pytest.mark.parametrize(
        ("ids", "vectors", "message"),
        [
            (IDS[:3], draw(4, 2), "3 tracklets and vectors of shape"),
            (IDS, np.zeros((4, 0), np.float32), "D > 0"),
            (
                IDS,
                np.array([[0], [1], [np.nan], [np.inf]], np.float32),
                r"NaN or infinity in 2 tracklets \(c, d\)",
            ),
        ],
    )
    def test_what_is_not_written(
        self, ids: list[str], vectors: Any, message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(LpwError, match=message):
            write_embeddings(tmp_path / "e", ids, vectors, self.FACTS)
        assert not list(tmp_path.iterdir())


class TestUsersFiles:
    @pytest.mark.parametrize(
        "kind",
        [
            pa.list_(pa.float32()),
            pa.list_(pa.float64()),
            pa.large_list(pa.float32()),
            pa.list_(pa.float64(), 3),
        ],
        ids=str,
    )
    def test_lists_of_every_kind(self, kind: Any, dataset: Dataset, tmp_path: Path) -> None:
        vectors = draw(4, 3)
        found = read_embeddings(write(tmp_path / "mine.parquet", IDS, vectors, kind=kind), dataset)
        assert np.array_equal(found.vectors, vectors)
        assert found.vectors.dtype == np.float32
        assert (found.facts.model, found.facts.frames_used) == ("mine", "not said by the file")
        assert "does not say from which dataset" in found.notes[0]

    def test_float16_is_taken_with_a_note(self, dataset: Dataset, tmp_path: Path) -> None:
        half = draw(4, 3).astype(np.float16)
        found = read_embeddings(
            write(tmp_path / "e", IDS, half, kind=pa.list_(pa.float16())), dataset
        )
        assert np.array_equal(found.vectors, half.astype(np.float32))
        assert "float16" in found.notes[0]

    @pytest.mark.parametrize(
        "kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str
    )
    def test_ids_of_other_string_types(self, kind: Any, dataset: Dataset, tmp_path: Path) -> None:
        ids = (
            pa.array(IDS).dictionary_encode()
            if pa.types.is_dictionary(kind)
            else pa.array(IDS, kind)
        )
        assert read_embeddings(write(tmp_path / "e", ids, draw(4, 3)), dataset).present.all()


class TestPooling:
    def brute(
        self, ids: list[str], vectors: NDArray[np.float32], pooling: str
    ) -> NDArray[np.float64]:
        rows = [
            vectors[[i for i, x in enumerate(ids) if x == name]].astype(np.float64) for name in IDS
        ]
        return np.stack([r.mean(axis=0) if pooling == "mean" else r.max(axis=0) for r in rows])

    @pytest.mark.parametrize("pooling", ["mean", "max"])
    @given(seed=st.integers(0, 2**20), batch=st.integers(1, 12))
    @settings(max_examples=15, deadline=None)
    def test_equals_brute_force_in_any_order_and_batch(
        self,
        pooling: Any,
        seed: int,
        batch: int,
        dataset: Dataset,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        rng = np.random.default_rng(seed)
        order = rng.permutation(20)
        ids, positions = [IDS[i // 5] for i in order], [int(i % 5) for i in order]
        vectors = draw(20, 6, seed) - 3
        path = write(tmp_path_factory.mktemp("pool") / "e", ids, vectors, positions=positions)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embeddings, "_BATCH_BYTES", batch * 8 * 6)
            found = read_embeddings(path, dataset, pooling=pooling)
        assert np.allclose(found.vectors, self.brute(ids, vectors, pooling), atol=1e-6)
        assert found.facts.frames_used == f"all, pooled by {pooling}"

    def test_the_mean_is_the_default_and_says_how_many_frames(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        ids, vectors = ["a", "a", "c"], draw(3, 2)
        found = read_embeddings(write(tmp_path / "e", ids, vectors, positions=[0, 4, 2]), dataset)
        assert np.allclose(found.vectors[0], vectors[:2].mean(axis=0))
        assert found.present.tolist() == [True, False, True, False]
        assert found.facts.frames_used == "3 of 10, pooled by mean"

    def test_unit_vectors_first(self, dataset: Dataset, tmp_path: Path) -> None:
        vectors = np.array([[3, 4], [0, 0.1]], np.float32)
        path = write(tmp_path / "e", ["a", "a"], vectors, positions=[0, 1])
        found = read_embeddings(path, dataset, normalize_frames=True)
        assert np.allclose(found.vectors[0], [0.3, 0.9])
        assert found.facts.frames_used.endswith("pooled by mean of unit vectors")

    @pytest.mark.parametrize("options", [{"pooling": "max"}, {"normalize_frames": True}])
    def test_needs_rows_that_are_frames(
        self, options: Any, dataset: Dataset, tmp_path: Path
    ) -> None:
        with pytest.raises(LpwError, match="one row per tracklet"):
            read_embeddings(write(tmp_path / "e", IDS, draw(4, 3)), dataset, **options)

    def test_memory_is_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        dataset = make_labelled(
            tmp_path / "d", [(f"t{i:02d}", "p", "c", "person") for i in range(50)], n_frames=400
        )
        path, schema = tmp_path / "e", pa.schema(
            {"tracklet_id": pa.string(), "position": pa.int32(),
            "embedding": pa.list_(pa.float32())}
        )  # fmt: skip
        block = draw(400, 1024)
        with pq.ParquetWriter(path, schema) as writer:
            for i in range(50):
                columns = [
                    [f"t{i:02d}"] * 400,
                    list(range(400)),
                    pa.array(list(block), pa.list_(pa.float32())),
                ]
                writer.write_table(pa.table(columns, schema=schema))
        allocated, arrow = pa.total_allocated_bytes(), []
        iter_batches = embeddings.iter_batches

        def watch(file: Any) -> Any:
            for batch in iter_batches(file):
                arrow.append(pa.total_allocated_bytes())
                yield batch

        monkeypatch.setattr(embeddings, "iter_batches", watch)
        tracemalloc.start()
        found = read_embeddings(path, dataset)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert np.allclose(found.vectors, block.mean(axis=0), atol=1e-6)
        assert peak + max(arrow) - allocated < 60e6, "the file holds 82 MB of vectors"


class TestRefused:
    def refuse(self, path: Path, dataset: Dataset, message: str) -> None:
        with pytest.raises(LpwError, match=message) as caught:
            read_embeddings(path, dataset)
        assert "\n" not in str(caught.value)
        assert type(caught.value) is LpwError, "a user's file: exit code 2"

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
    def test_numbers_that_are_none(self, bad: float, dataset: Dataset, tmp_path: Path) -> None:
        vectors = draw(4, 3).astype(np.float64)
        vectors[2, 1] = bad
        self.refuse(write(tmp_path / "e", IDS, vectors), dataset, "NaN or infinity in c;")

    def test_half_floats_that_overflowed(self, dataset: Dataset, tmp_path: Path) -> None:
        half = np.array([[1.0], [2.0], [np.inf], [np.inf]], dtype=np.float16)
        path = write(tmp_path / "e", IDS, half, kind=pa.list_(pa.float16()))
        self.refuse(path, dataset, r"NaN or infinity in 2 tracklets \(c, d\)")

    @pytest.mark.parametrize(
        ("ids", "vectors", "positions", "message"),
        [
            ([*IDS, "x", "y"], draw(6, 3), None, r"got unknown tracklets: x, y;"),
            (
                [*IDS, "b"],
                draw(5, 3),
                None,
                "doubles of b; expected each tracklet once; add a column position",
            ),
            (["a", "a", "b"], draw(3, 3), [1, 1, 0], "doubles of a; expected each frame once"),
            (["a", "b"], draw(2, 3), [0, 5], "position 5 of b; expected 0 to 4"),
            (["a", "b"], draw(2, 3), [0, -1], "position -1 of b"),
            (["a", "b"], draw(2, 3), [0, None], "1 rows without a position"),
            (["a", None], draw(2, 3), None, "1 rows without a tracklet_id"),
            (
                IDS,
                [[1.0, 2.0], [1.0], [1.0, 2.0], [1.0, 2.0]],
                None,
                "vectors of 1 numbers in b; expected 2",
            ),
            (IDS, [[1.0], None, [1.0], [1.0]], None, "vectors of 0 numbers in b"),
            (IDS, [[1.0], [None], [1.0], [1.0]], None, "NaN or infinity in b"),
            (IDS, [[], [], [], []], None, "vectors of 0 numbers in every tracklet"),
            ([], [], None, "no rows"),
        ],
    )
    def test_rows(
        self, ids: Any, vectors: Any, positions: Any, message: str, dataset: Dataset, tmp_path: Path
    ) -> None:
        kind = pa.list_(pa.float32())
        ids = pa.array(ids, pa.string())
        self.refuse(
            write(tmp_path / "e", ids, vectors, positions=positions, kind=kind), dataset, message
        )

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (
                {"tracklet_id": [1, 2], "embedding": [[1.0], [2.0]]},
                "column tracklet_id: got type int64",
            ),
            (
                {"tracklet_id": ["a"], "embedding": [[1]]},
                "column embedding: got type list<element: int64>",
            ),
            ({"tracklet_id": ["a"], "embedding": [1.0]}, "column embedding: got type double"),
            (
                {"id": ["a"], "feature": [[1.0]]},
                "columns id, feature; expected one column tracklet_id",
            ),
            (
                {"tracklet_id": ["a"], "embedding": [[1.0]], "position": [0.5]},
                "column position: got type double",
            ),
        ],
    )
    def test_columns(self, table: Any, message: str, dataset: Dataset, tmp_path: Path) -> None:
        pq.write_table(pa.table(table), tmp_path / "e")
        self.refuse(tmp_path / "e", dataset, message)

    def test_files(self, dataset: Dataset, tmp_path: Path) -> None:
        self.refuse(tmp_path / "none.parquet", dataset, "no such file")
        self.refuse(tmp_path, dataset, "no regular file|directory")
        (tmp_path / "e.npy").write_bytes(b"\x93NUMPY" + bytes(100))
        self.refuse(tmp_path / "e.npy", dataset, "a file that cannot be read")
        self.refuse(
            dataset.root / "tracklets.parquet",
            dataset,
            "a table of tracklets; expected a table of embeddings",
        )
        whole = write(tmp_path / "whole", IDS, draw(4, 300), write_page_checksum=True).read_bytes()
        (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
        self.refuse(tmp_path / "cut", dataset, "a file that cannot be read")
        flipped = bytearray(whole)
        flipped[len(whole) // 3] ^= 0x10
        (tmp_path / "flipped").write_bytes(bytes(flipped))
        self.refuse(tmp_path / "flipped", dataset, "a damaged file")

    def test_facts_of_a_stranger_are_one_short_line(self, dataset: Dataset, tmp_path: Path) -> None:
        table = pa.table({"tracklet_id": IDS, "embedding": list(draw(4, 2))})
        pq.write_table(
            table.replace_schema_metadata({"lpw_model": "a\n\x1b[31m" + "b" * 999}), tmp_path / "e"
        )
        model = read_embeddings(tmp_path / "e", dataset).facts.model
        assert model.isprintable()
        assert len(model) == 200
