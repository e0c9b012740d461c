"""Parquet files that mean harm: refused in one line, in little memory and time; changed ones before
any parsing."""

import hashlib
import io
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_parquet import Struct, change_footer, encode, get, parse, put, replace_pages
from limited_process import read_each
from make_dataset import make_dataset

from lpw_toolkit.cleaning.suggest.frame_vectors import open_vectors
from lpw_toolkit.dataset import parquet_file
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.schema import FRAMES, PACK, TRACKLETS
from lpw_toolkit.dataset.tables import (
    TableFacts,
    describe_table,
    encode_table,
    make_table,
    read_table,
    verify_table,
    write_table,
)
from lpw_toolkit.embedding.embeddings import read_embeddings
from lpw_toolkit.errors import LpwError, MismatchError

IDS = ["scen1/view1/000001", "scen1/view2/000001"]
CHILD = """
from lpw_toolkit.cleaning.suggest.frame_vectors import open_vectors
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.embedding.embeddings import read_embeddings
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.schema import TRACKLETS
from lpw_toolkit.dataset.tables import read_table
kind, paths = sys.argv[1], [Path(name) for name in sys.argv[2:]]
if kind != "table":
    index = open_index(paths.pop(0), source="files")
read = {
    "table": lambda path: read_table(path, TRACKLETS),
    "embeddings": lambda path: read_embeddings(path, index.dataset),
    "frames": lambda path: open_vectors(path, index),
}[kind]
"""


def read_in_child(kind: str, *paths: Path) -> list[tuple[int, str]]:
    """Exit code and message for each of `paths`, read in one process that may take 2 GB."""
    return read_each(CHILD, kind, *paths)


def zeros(n_bytes: int) -> bytes:
    """That many zeros, packed by zstd in little memory."""
    sink = io.BytesIO()
    with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), "zstd") as stream:
        for _ in range(n_bytes >> 20):
            stream.write(bytes(1 << 20))
        stream.flush()
        packed = sink.getvalue()
    return sink.getvalue() if not sink.closed else packed


def tracklets(n: int = 40) -> pa.Table:
    names = [f"t{i:03d}" for i in range(n)]
    columns: list[Any] = [
        names,
        ["s"] * n,
        ["c"] * n,
        ["p"] * n,
        ["person"] * n,
        [None] * n,
        [1] * n,
        [None] * n,
    ]
    return make_table([*columns, [None] * n], TRACKLETS)


def refuse(path: Path, message: str, schema: pa.Schema = TRACKLETS) -> None:
    with pytest.raises(MismatchError, match=message) as caught:
        read_table(path, schema)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2_000


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "d", n_tracklets=2, n_frames=3).root


def big_dictionary(n_rows: int) -> pa.Array:
    """One text of a megabyte, again and again."""
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(n_rows, np.int32)), pa.array(["x" * (1 << 20)])
    )


def write_plain(path: Path, table: pa.Table, **options: Any) -> Path:
    """Without Arrow's own schema, so that dictionaries are read as texts."""
    pq.write_table(
        table,
        path,
        compression="zstd",
        store_schema=False,
        dictionary_pagesize_limit=1 << 30,
        **options,
    )
    return path


class TestMemory:
    def test_a_dictionary_that_is_repeated(self, tmp_path: Path, labelled: Path) -> None:
        n = 100_000
        columns = {name: tracklets(1)[name].combine_chunks().take(pa.array(np.zeros(n, np.int64)))
                   for name in TRACKLETS.names}  # fmt: skip
        columns["tracklet_id"] = big_dictionary(n)
        file = write_plain(tmp_path / "t.parquet", pa.table(columns))
        assert file.stat().st_size < 20_000
        [(code, message)] = read_in_child("table", file)
        assert code == 3
        assert "--limit table_bytes=N raises it" in message
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(20_000 * 2, np.float32)), 2)
        rows = {"tracklet_id": big_dictionary(20_000), "embedding": vectors}
        one = write_plain(tmp_path / "e", pa.table(rows))
        typed = tmp_path / "typed"
        pq.write_table(pa.table(rows), typed, compression="zstd", dictionary_pagesize_limit=1 << 30)
        rows["position"] = pa.array(np.zeros(20_000, np.int32))
        per_frame = write_plain(tmp_path / "f", pa.table(rows))
        told = read_in_child("embeddings", labelled, one, typed, per_frame)
        told += read_in_child("frames", labelled, per_frame)
        assert [code for code, _ in told] == [2] * 4, told
        assert all("--limit table_bytes=N" in message for _, message in told)

    def test_texts_that_share_their_beginnings(self, tmp_path: Path) -> None:
        """DELTA_BYTE_ARRAY keeps of each text how much of the one before it repeats."""
        part = pa.table(
            {
                name: ["x" * (1 << 20)] * 100 if name == "tracklet_id" else tracklets(100)[name]
                for name in TRACKLETS.names
            },
            TRACKLETS,
        )
        options = {"use_dictionary": False, "column_encoding": {"tracklet_id": "DELTA_BYTE_ARRAY"}}
        with pq.ParquetWriter(
            tmp_path / "t.parquet", TRACKLETS, compression="zstd", **options
        ) as writer:
            for _ in range(30):
                writer.write_table(part)
        [(code, message)] = read_in_child("table", tmp_path / "t.parquet")
        assert code == 3
        assert "--limit table_bytes" in message

    def test_a_page_that_unpacks_to_more_than_its_footer_says(self, tmp_path: Path) -> None:
        data, packed = encode_table(tracklets(), TRACKLETS), zeros(1500 << 20)

        def make(header: Struct, pages: bytes) -> bytes:
            rest = pages[parse(pages)[1] + get(header, 3) :]
            put(header, 2, 1500 << 20)
            put(header, 3, len(packed))
            header[:] = [field for field in header if field[0] != 4]  # no checksum
            return encode(header) + packed + rest

        (tmp_path / "dictionary").write_bytes(replace_pages(data, 0, make))
        sink = io.BytesIO()
        pq.write_table(tracklets(), sink, compression="zstd", use_dictionary=False)
        plain = sink.getvalue()
        (tmp_path / "data").write_bytes(replace_pages(plain, 0, make))
        (tmp_path / "numbers").write_bytes(replace_pages(plain, 6, make))
        told = read_in_child(
            "table", *(tmp_path / name for name in ("dictionary", "data", "numbers"))
        )
        assert [code for code, _ in told] == [3, 3, 3], told
        assert all("--limit table_bytes" in message for _, message in told), told

    def test_levels_that_claim_a_billion_values(self, tmp_path: Path, labelled: Path) -> None:
        """Repetition and definition levels are run lengths: a billion of them take nine bytes."""
        rows = pa.table(
            {"tracklet_id": IDS[:1], "embedding": pa.array([[0.5, 0.5]], pa.list_(pa.float32()))}
        )
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="none", store_schema=False)
        n = 1_000_000_000

        def run(length: int, level: int) -> bytes:
            return _number(length << 1) + bytes([level])

        def make(header: Struct, pages: bytes) -> bytes:
            dictionary, start = parse(pages)
            end = start + get(dictionary, 3)
            data, start = parse(pages, end)
            levels = [run(1, 0) + run(n - 1, 1), run(n, 3)]
            body = (
                b"".join(len(one).to_bytes(4, "little") + one for one in levels) + b"\1" + run(n, 0)
            )
            put(data, 2, len(body))
            put(data, 3, len(body))
            put(get(data, 5), 1, n)
            data[:] = [field for field in data if field[0] != 4]
            return pages[:end] + encode(data) + body

        (tmp_path / "honest").write_bytes(replace_pages(sink.getvalue(), 1, make, num_values=n))
        (tmp_path / "lying").write_bytes(replace_pages(sink.getvalue(), 1, make))
        told = read_in_child("embeddings", labelled, tmp_path / "honest", tmp_path / "lying")
        assert [code for code, _ in told] == [2, 2], told
        assert all("--limit table_bytes" in message for _, message in told)

    def test_rows_that_no_page_holds(self, tmp_path: Path) -> None:
        """Nulls take no room at all."""
        data = encode_table(tracklets(), TRACKLETS)

        def claim(footer: Struct) -> None:
            put(footer, 3, 150_000_000)

        (tmp_path / "rows").write_bytes(change_footer(data, claim))
        [(code, message)] = read_in_child("table", tmp_path / "rows")
        assert code == 3
        assert "150000000 rows, more than the 100000000 rows allowed" in message

    def test_a_sparse_file_with_a_chunk_of_gigabytes(self, tmp_path: Path) -> None:
        data = encode_table(tracklets(), TRACKLETS)

        def claim(footer: Struct) -> None:
            put(get(footer, 4, 0, 1, 0, 3), 7, 20 << 30)

        changed, size = (
            change_footer(data, claim),
            len(data) - 8 - int.from_bytes(data[-8:-4], "little"),
        )
        with (tmp_path / "t").open("wb") as file:
            file.write(changed[:size])
            file.truncate(21 << 30)
            file.seek(0, os.SEEK_END)
            file.write(changed[size:])
        [(code, _)] = read_in_child("table", tmp_path / "t")
        assert code == 3

    def test_lists_of_the_footer(self, tmp_path: Path) -> None:
        """Thrift makes room for what a list claims, before it reads any of it."""
        data = encode_table(tracklets(), TRACKLETS)
        size = int.from_bytes(data[-8:-4], "little")
        body = data[: len(data) - 8 - size]
        for name, footer in {
            "schema": b"\x15\2\x19\xfc" + _number(900_000),
            "groups": b"\x15\2\x19\xfc" + _number(50_000) + b"\x48\1r\0" * 50_000,
            "text": b"\x15\2\x19\x1c\x48" + _number(2**31 - 1) + b"r",
            "nested": b"\x1c" * 100_000,
        }.items():
            (tmp_path / name).write_bytes(
                body + footer + len(footer).to_bytes(4, "little") + b"PAR1"
            )
        (tmp_path / "long").write_bytes(
            body + bytes(5 << 20) + (5 << 20).to_bytes(4, "little") + b"PAR1"
        )
        (tmp_path / "endless").write_bytes(body + b"\xff\xff\xff\x7fPAR1")
        told = read_in_child("table", *sorted(tmp_path.iterdir()))
        assert [code for code, _ in told] == [3] * 6
        assert any("--limit footer_bytes" in message for _, message in told)

    def test_many_small_pages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LPW_LIMIT_TABLE_PAGES", "30")
        table = tracklets(100)
        pq.write_table(table, tmp_path / "t", data_page_size=1, write_batch_size=10)
        refuse(tmp_path / "t", "31 pages or more, more than the 30 pages allowed")
        monkeypatch.delenv("LPW_LIMIT_TABLE_PAGES")
        assert read_table(tmp_path / "t", TRACKLETS).equals(table)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


class TestForm:
    def test_vectors_of_ten_million_numbers(self, tmp_path: Path, labelled: Path) -> None:
        values = pa.array(np.zeros(10_000_000, np.float32))
        wide = pa.table(
            {
                "tracklet_id": IDS[:1],
                "embedding": pa.FixedSizeListArray.from_arrays(values, 10_000_000),
            }
        )
        pq.write_table(wide, tmp_path / "wide", compression="zstd")
        lists = pa.ListArray.from_arrays(pa.array([0, *[10_000_000] * 200], pa.int32()), values)
        uneven = pa.table({"tracklet_id": IDS[:1] * 200, "position": [0] * 200, "embedding": lists})
        pq.write_table(uneven, tmp_path / "uneven", compression="zstd")
        told = read_in_child("embeddings", labelled, tmp_path / "wide", tmp_path / "uneven")
        assert [code for code, _ in told] == [2, 2]
        assert all("--limit embedding_dims=N raises it" in message for _, message in told)
        [(code, message)] = read_in_child("frames", labelled, tmp_path / "uneven")
        assert (code, "vectors of several lengths" in message) == (2, True)

    def test_frames_of_several_lengths_are_not_taken_for_one(
        self, tmp_path: Path, labelled: Path
    ) -> None:
        columns = {"tracklet_id": IDS, "position": [0, 0], "embedding": [[1.0], [2.0, 3.0, 4.0]]}
        pq.write_table(pa.table(columns), tmp_path / "e")
        with pytest.raises(LpwError, match="vectors of several lengths"):
            open_vectors(tmp_path / "e", open_index(labelled, source="files"))

    def test_nested_lists(self, tmp_path: Path) -> None:
        for depth in (3, 90, 200):
            kind = pa.string()
            for _ in range(depth):
                kind = pa.list_(kind)
            table = tracklets().set_column(0, "tracklet_id", pa.nulls(40, kind))
            pq.write_table(table, tmp_path / "t")
            refuse(tmp_path / "t", "column tracklet_id: got type list|too deeply nested")

    def test_twenty_thousand_columns_with_names_of_a_kilobyte(self, tmp_path: Path) -> None:
        pq.write_table(
            pa.table({f"{'c' * 100}{i}": [1] for i in range(20_000)}),
            tmp_path / "t",
            compression="none",
        )
        refuse(tmp_path / "t", "and 19980 more|footer")

    def test_wrong_types_and_nulls(self, tmp_path: Path) -> None:
        for values in (pa.array(range(40)), pa.array([[["a"]]] * 40), pa.nulls(40, pa.string())):
            pq.write_table(tracklets().set_column(0, "tracklet_id", values), tmp_path / "t")
            refuse(tmp_path / "t", "column tracklet_id: got (type|nulls)")

    def test_texts_that_are_none(self, tmp_path: Path) -> None:
        ids = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"a"]).buffers())
        odd = tracklets(2).set_column(0, TRACKLETS.field(0), ids)
        pq.write_table(odd, tmp_path / "t")
        refuse(tmp_path / "t", "UTF")

    def test_links_pipes_and_folders(self, tmp_path: Path) -> None:
        write_table(tmp_path / "t", tracklets(), TRACKLETS)
        (tmp_path / "link").symlink_to(tmp_path / "t")
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "folder").mkdir()
        (tmp_path / "inner").symlink_to(tmp_path)
        refuse(tmp_path / "link", "a link")
        refuse(tmp_path / "inner" / "t", "a link")
        refuse(tmp_path / "pipe", "no regular file")
        refuse(tmp_path / "folder", "directory")
        assert read_table(tmp_path / "t", TRACKLETS).num_rows == 40

    def test_damage_anywhere_is_one_line(self, tmp_path: Path) -> None:
        """Bytes of headers and footers changed at random; whatever is read is what was written."""
        generator, table = random.Random(13), tracklets()
        data, n_refused = encode_table(table, TRACKLETS), 0
        for _ in range(1_500):
            damaged = bytearray(data)
            for _ in range(generator.randint(1, 3)):
                damaged[generator.randrange(len(data))] = generator.choice(
                    (0, 1, 127, 128, 255, generator.randrange(256))
                )
            (tmp_path / "t").write_bytes(damaged)
            try:
                back = read_table(tmp_path / "t", TRACKLETS)
            except MismatchError as error:
                assert "\n" not in str(error)
                n_refused += 1
            else:
                assert back.equals(table)
        assert n_refused > 900

    def test_what_lpw_reads_of_other_writers(self, tmp_path: Path) -> None:
        """No codec, page version, encoding or size of pages is refused for its own sake."""
        table = tracklets(3_000)
        for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
            for version in ("1.0", "2.0"):
                for dictionary in (True, False):
                    options = {
                        "data_page_version": version,
                        "use_dictionary": dictionary,
                        "data_page_size": 4_000,
                    }
                    pq.write_table(table, tmp_path / "t", compression=codec, **options)
                    assert read_table(tmp_path / "t", TRACKLETS).equals(table)
        encodings = dict.fromkeys(("tracklet_id", "camera_id"), "DELTA_BYTE_ARRAY") | {
            "n_frames": "DELTA_BINARY_PACKED"
        }
        pq.write_table(table, tmp_path / "t", use_dictionary=False, column_encoding=encodings)
        assert read_table(tmp_path / "t", TRACKLETS).equals(table)

    def test_a_dictionary_with_one_long_text_is_no_bomb(self, tmp_path: Path) -> None:
        """What the texts come to is bounded by the longest of them, not by the size of the
        dictionary."""
        n, names = 60_000, [f"{i:0100d}" for i in range(2_000)]
        columns = {name: tracklets(1)[name].combine_chunks().take(pa.array(np.zeros(n, np.int64)))
                   for name in TRACKLETS.names}  # fmt: skip
        columns["tracklet_id"] = pa.array(names).take(pa.array(np.arange(n) % 2_000))
        table = pa.table(columns, TRACKLETS)
        for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
            pq.write_table(table, tmp_path / "t", compression=codec)
            assert read_table(tmp_path / "t", TRACKLETS).num_rows == n


def facts_of(path: Path) -> TableFacts:
    said: Any = describe_table(path)
    return TableFacts(said["bytes"], said["sha256"], said.get("footer_sha256"))


class TestFacts:
    def large(self, path: Path, n: int = 700_000, seed: int = 0) -> Path:
        offsets = np.random.default_rng(seed).integers(0, 2**62, n)
        columns = [["t"] * n, np.arange(n, dtype=np.int32), offsets, np.ones(n, np.int32)]
        write_table(path, make_table(columns, PACK), PACK)
        assert path.stat().st_size > parquet_file.SMALL_BYTES or seed < 0
        return path

    def test_a_small_table_is_vouched_for_byte_by_byte(self, tmp_path: Path) -> None:
        file = tmp_path / "t.parquet"
        write_table(file, tracklets(), TRACKLETS)
        data, facts = file.read_bytes(), facts_of(file)
        assert describe_table(file) == {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        assert verify_table(file, facts) is None
        assert read_table(file, TRACKLETS, facts=facts).num_rows == 40
        write_table(file, tracklets(39), TRACKLETS)
        with pytest.raises(
            MismatchError, match=r"got another table \(.* restore it, or run `lpw check`"
        ):
            read_table(file, TRACKLETS, facts=facts)
        changed = bytearray(data)
        changed[100] ^= 1
        file.write_bytes(changed)
        with pytest.raises(
            MismatchError, match=rf"another table \(SHA-256 .*names \({facts.sha256[:12]}"
        ):
            read_table(file, TRACKLETS, facts=facts)
        assert "another table (SHA-256 " in str(verify_table(file, facts))

    def test_what_is_not_vouched_for_is_not_parsed(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_bytes(b"PAR1" + b"\xff" * 100 + b"\x10\0\0\0PAR1")
        facts = TableFacts(112, "0" * 64)
        with pytest.raises(MismatchError, match="another table"):
            read_table(tmp_path / "t", TRACKLETS, facts=facts)

    def test_a_large_table_is_vouched_for_by_its_size_and_footer(self, tmp_path: Path) -> None:
        file = self.large(tmp_path / "p.parquet")
        data, facts = file.read_bytes(), facts_of(file)
        size = int.from_bytes(data[-8:-4], "little") + 8
        assert facts == TableFacts(
            len(data), hashlib.sha256(data).hexdigest(), hashlib.sha256(data[-size:]).hexdigest()
        )
        assert verify_table(file, facts) is None
        assert verify_table(file, facts, whole=True) is None
        whole = read_table(file, PACK, facts=facts)
        assert whole.equals(read_table(file, PACK))
        assert read_table(file, PACK, columns=["length"], facts=facts).column_names == ["length"]
        footer = bytearray(data)
        footer[-size + 40] ^= 1
        file.write_bytes(footer)
        with pytest.raises(MismatchError, match=r"another table \(SHA-256 of the footer"):
            read_table(file, PACK, facts=facts)
        assert "SHA-256 of the footer" in str(verify_table(file, facts))
        body = bytearray(data)
        body[5_000_000] ^= 1
        file.write_bytes(body)
        assert verify_table(file, facts) is None, (
            "a page is verified by its checksum when it is read"
        )
        assert "another table (SHA-256 " in str(verify_table(file, facts, whole=True))
        with pytest.raises(MismatchError):
            read_table(file, PACK, facts=facts)
        file.write_bytes(data + b"0")
        with pytest.raises(MismatchError, match=r"another table \(\d+ bytes\)"):
            read_table(file, PACK, facts=TableFacts(facts.n_bytes, facts.sha256))

    def test_the_path_is_opened_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another file under the name, put there after the first look, is never read."""
        for file in (tmp_path / "small.parquet", self.large(tmp_path / "large.parquet")):
            schema = TRACKLETS if file.name.startswith("small") else PACK
            if schema is TRACKLETS:
                write_table(file, tracklets(), TRACKLETS)
            expected, opened = read_table(file, schema), parquet_file.open_file

            def swap(path: Path, opened: Any = opened) -> int:
                descriptor = opened(path)
                path.unlink()
                path.write_bytes(b"another file")
                return int(descriptor)

            monkeypatch.setattr(parquet_file, "open_file", swap)
            assert read_table(file, schema).equals(expected)
            assert file.read_bytes() == b"another file"
            monkeypatch.undo()


def test_limits_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "t", tracklets(), TRACKLETS)
    for name, low in (("TABLE_ROWS", 39), ("TABLE_BYTES", 1_000), ("FOOTER_BYTES", 100)):
        monkeypatch.setenv(f"LPW_LIMIT_{name}", str(low))
        refuse(tmp_path / "t", f"--limit {name.lower()}=N raises it")
        monkeypatch.setenv(f"LPW_LIMIT_{name}", "1000000")
        assert read_table(tmp_path / "t", TRACKLETS).num_rows == 40


def test_embeddings_are_opened_once_and_not_through_links(tmp_path: Path, labelled: Path) -> None:
    from lpw_toolkit.dataset.dataset import open_dataset

    rows = pa.table({"tracklet_id": [*IDS], "embedding": [[1.0, 2.0], [3.0, 4.0]]})
    pq.write_table(rows, tmp_path / "e")
    assert read_embeddings(tmp_path / "e", open_dataset(labelled)).vectors.tolist() == [
        [1, 2],
        [3, 4],
    ]
    (tmp_path / "link").symlink_to(tmp_path / "e")
    with pytest.raises(LpwError, match="a link"):
        read_embeddings(tmp_path / "link", open_dataset(labelled))


def test_paths_of_images_are_written_without_a_dictionary() -> None:
    footer = pq.read_metadata(io.BytesIO(encode_table(FRAMES.empty_table(), FRAMES)))
    assert footer.num_rows == 0
