"""Raw trees: the same files from a folder and every kind of archive, and hostile ones refused with
one line."""

import io
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hostile_archives import (
    make_tar,
    make_zip,
    member,
    pax,
    tar_cases,
    write_many_zip,
    write_ordinary,
    zip_cases,
)
from moments import give_up_on_a_hang

from lpw_toolkit.benchmarks.archives.archive import Limits, find_prefix, open_tree
from lpw_toolkit.benchmarks.archives.names import sort_key, sort_paths
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import listing
from lpw_toolkit.files.listing import natural_key, scan_tree

SUFFIXES = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")
FILES = {
    f"top/scen{s}/view{v}/{i}/{k}.jpg": os.urandom(300) + bytes([s, v, i, k])
    for s in (1, 2)
    for v in (1, 2)
    for i in (1, 2, 10)
    for k in (1, 2, 9, 10, 11)
} | {"top/info/list.mat": b"facts" * 50, "top/empty.jpg": b""}
CASES = {f"{name}.zip": data for name, data in zip_cases().items()} | {
    f"{name}.tar" if "." not in name else f"{name.split('.')[0]}.tar.{name.split('.')[1]}": data
    for name, data in tar_cases().items()
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files as a folder and in every kind of archive."""
    root = tmp_path_factory.mktemp("packed")
    for name, data in FILES.items():
        (root / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "folder" / name).write_bytes(data)
    shuffled = list(FILES)
    random.Random(0).shuffle(shuffled)
    for suffix in SUFFIXES:
        write_ordinary(root / f"packed.{suffix}", {name: FILES[name] for name in shuffled})
    return root


def read_all(path: Path, limits: Limits | None = None) -> dict[str, bytes]:
    with closing(open_tree(path, limits)) as tree:
        return dict(tree.iter_members(sorted(tree.names, key=tree.place_of)))


class TestSameFromAll:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_names_and_bytes(self, packed: Path, suffix: str) -> None:
        folder = open_tree(packed / "folder")
        with closing(open_tree(packed / f"packed.{suffix}")) as tree:
            assert tree.names == folder.names
            assert tree.kind == suffix and tree.facts()["name"] == f"packed.{suffix}"
            assert {name: tree.read(name) for name in tree.names} == FILES
        assert read_all(packed / f"packed.{suffix}") == FILES

    def test_natural_order(self, packed: Path) -> None:
        names = [
            name
            for name in open_tree(packed / "folder").names
            if name.startswith("top/scen2/view1")
        ]
        assert names[4:6] == ["top/scen2/view1/1/11.jpg", "top/scen2/view1/2/1.jpg"]
        assert [n.split("/")[-1] for n in names[:5]] == [
            "1.jpg",
            "2.jpg",
            "9.jpg",
            "10.jpg",
            "11.jpg",
        ]

    def test_the_order_of_the_system_means_nothing(
        self, packed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        straight = open_tree(packed / "folder").names
        true_scandir = os.scandir

        class Reversed:
            def __init__(self, path: str) -> None:
                self.entries = list(true_scandir(path))[::-1]

            def __enter__(self) -> list[os.DirEntry[str]]:
                return self.entries

            def __exit__(self, *_: object) -> None:
                return

        monkeypatch.setattr(listing.os, "scandir", Reversed)
        assert open_tree(packed / "folder").names == straight

    def test_a_sequential_archive_keeps_small_files(
        self, packed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(open_tree(packed / "packed.tar.gz")) as tree:
            assert tree.is_sequential
            monkeypatch.setattr(type(tree), "iter_members", None)
            assert tree.read("top/info/list.mat") == FILES["top/info/list.mat"]

    def test_no_such_member(self, packed: Path) -> None:
        for suffix in SUFFIXES:
            with (
                closing(open_tree(packed / f"packed.{suffix}")) as tree,
                pytest.raises(LpwError, match="no such member"),
            ):
                tree.read("top/nothing.jpg")

    def test_the_suffix_means_nothing(self, packed: Path, tmp_path: Path) -> None:
        (tmp_path / "a.dat").write_bytes((packed / "packed.zip").read_bytes())
        assert read_all(tmp_path / "a.dat") == FILES


class TestOrdinaryOddities:
    def test_dot_slash_and_folders(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as tar:
            (tmp_path / "d" / ("x" * 120)).mkdir(parents=True)
            (tmp_path / "d" / ("x" * 120) / "1.jpg").write_bytes(b"one")
            tar.add(tmp_path / "d", ".")
        assert read_all(tmp_path / "a.tar") == {f"{'x' * 120}/1.jpg": b"one"}

    def test_pax_names(self, tmp_path: Path) -> None:
        (tmp_path / "a.tar").write_bytes(
            make_tar(pax({"path": "é/ü.jpg", "mtime": "1.5"}), member("short", b"x"))
        )
        assert read_all(tmp_path / "a.tar")["é/ü.jpg"] == b"x"

    def test_global_comment(self, tmp_path: Path) -> None:
        (tmp_path / "a.tar").write_bytes(
            make_tar(pax({"comment": "by git"}, b"g"), member("a.jpg", b"x"))
        )
        assert read_all(tmp_path / "a.tar")["a.jpg"] == b"x"

    def test_zip_written_as_a_stream(self, tmp_path: Path) -> None:
        class Pipe(io.BytesIO):
            def seekable(self) -> bool:
                return False

            def seek(self, *_: int) -> int:
                raise OSError("a pipe")

        sink = Pipe()
        with zipfile.ZipFile(sink, "w") as archive:
            with archive.open("d/1.jpg", "w", force_zip64=True) as stream:
                stream.write(b"one")
            archive.mkdir("e")
        (tmp_path / "a.zip").write_bytes(sink.getvalue())
        assert read_all(tmp_path / "a.zip") == {"d/1.jpg": b"one"}

    def test_old_code_page(self, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(make_zip([(b"caf\x82.jpg", b"x")]))
        assert read_all(tmp_path / "a.zip") == {"café.jpg": b"x"}

    def test_empty_archives(self, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(make_zip([]))
        (tmp_path / "a.tar").write_bytes(bytes(0))
        assert read_all(tmp_path / "a.zip") == {}
        with pytest.raises(LpwError, match="an empty file"):
            open_tree(tmp_path / "a.tar")


class TestHostile:
    def test_how_many(self) -> None:
        assert len(CASES) >= 100

    @pytest.mark.parametrize("case", CASES)
    def test_refused_with_one_line(self, case: str, tmp_path: Path) -> None:
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        (inner / case).write_bytes(CASES[case])
        with pytest.raises(LpwError) as caught, give_up_on_a_hang():
            read_all(inner / case)
        line = str(caught.value)
        assert "\n" not in line and line.isprintable() and "expected" in line and len(line) < 500
        assert scan_tree(tmp_path).files == [f"a/b/{case}"]  # nothing was written anywhere

    @pytest.mark.parametrize(
        ("kind", "magic"),
        [("7z", b"7z\xbc\xaf\x27\x1c"), ("RAR", b"Rar!"), ("zstd", b"(\xb5/\xfd")],
    )
    def test_other_archives_are_named(self, kind: str, magic: bytes, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(magic + bytes(600))
        with pytest.raises(LpwError, match=kind):
            open_tree(tmp_path / "a")

    def test_caps(self, packed: Path) -> None:
        limits = Limits()
        for change, said in (
            (replace(limits, max_members=5), "members"),
            (replace(limits, max_folders=2), "folders"),
            (replace(limits, max_total_bytes=1000), "unpacked"),
            (replace(limits, max_names_bytes=100), "names of more"),
            (replace(limits, max_member_bytes=200), "at most 200"),
        ):
            for suffix in SUFFIXES:
                with pytest.raises(LpwError, match=said):
                    read_all(packed / f"packed.{suffix}", change)

    @pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz"])
    def test_flipped_bytes_are_an_error_or_nothing(
        self, packed: Path, suffix: str, tmp_path: Path
    ) -> None:
        whole = (packed / f"packed.{suffix}").read_bytes()
        rng = random.Random(suffix)
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(rng.choice([1, 1, 4])):
                data[rng.randrange(len(data))] = rng.randrange(256)
            (tmp_path / "a").write_bytes(
                data[: rng.choice([len(data), len(data), rng.randrange(len(data))])]
            )
            try:
                read = read_all(tmp_path / "a")
            except LpwError as error:
                assert "\n" not in str(error)
                continue
            assert len(read) == len(FILES)
            if suffix != "tar":  # a plain tar has no checksum over its data
                assert sorted(read.values()) == sorted(FILES.values())


#: The peak of the process itself: what `getrusage` gives begins with that of the test run it was
#: forked from.
PEAK = """
import re, sys
from pathlib import Path
from lpw_toolkit.benchmarks.archives.archive import open_tree
from lpw_toolkit.errors import LpwError
from lpw_toolkit.progress import set_style
set_style("none")
try:
    print(len(open_tree(Path(sys.argv[1])).names), end=" ")
except LpwError:
    print("refused", end=" ")
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10)
"""


def peak_mb(path: Path) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    said, peak = done.stdout.split()
    return said, int(peak)


class TestMemory:
    @pytest.mark.parametrize(
        "case", ["bomb.tar.gz", "bomb.tar.xz", "memory.tar.xz", "total-ratio.zip"]
    )
    def test_bombs(self, case: str, tmp_path: Path) -> None:
        (tmp_path / case).write_bytes(CASES[case])
        said, peak = peak_mb(tmp_path / case)
        assert said == "refused" and peak < 128

    def test_a_hundred_thousand_members(self, tmp_path: Path) -> None:
        write_many_zip(tmp_path / "a.zip", (f"{i}a{i * 7919 % 1000}.jpg" for i in range(100_000)))
        said, peak = peak_mb(tmp_path / "a.zip")
        assert said == "100000" and peak < 100

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("pattern", "n", "said"),
        [
            ("{0}a{1}b{2}.jpg", 1_000_000, "1000000"),
            ("bbox_test/{1:04d}/{1:04d}C1T0001F{0:07d}.jpg", 1_200_000, "1200000"),
            ("{0}.jpg", 2_000_000, "refused"),
            ("{0}/1.jpg", 1_000_000, "refused"),
            ("{0:0200d}.jpg", 1_000_000, "refused"),
        ],
    )
    def test_a_million_members(self, pattern: str, n: int, said: str, tmp_path: Path) -> None:
        write_many_zip(
            tmp_path / "a.zip", (pattern.format(i, i * 7919 % 1000, i % 13) for i in range(n))
        )
        found, peak = peak_mb(tmp_path / "a.zip")
        assert found == said and peak <= 256


class TestFolder:
    def test_a_link_that_leaves_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        (tmp_path / "secret").mkdir()
        (tmp_path / "raw" / "a").symlink_to("../secret")
        with pytest.raises(LpwError, match="leaves the folder"):
            open_tree(tmp_path / "raw")

    @pytest.mark.parametrize("target", ["/etc/passwd", "../raw2/1.jpg", "nowhere/../../x"])
    def test_links_to_files_outside(self, target: str, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "1.jpg").symlink_to(target)
        with pytest.raises(LpwError, match="leaves the folder"):
            open_tree(tmp_path / "raw")

    def test_a_loop_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "raw" / "a").mkdir(parents=True)
        (tmp_path / "raw" / "a" / "again").symlink_to("../a")
        with pytest.raises(LpwError, match="a link to a folder"):
            open_tree(tmp_path / "raw")

    def test_a_link_inside_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "1.jpg").write_bytes(b"one")
        (tmp_path / "raw" / "2.jpg").symlink_to("1.jpg")
        tree = open_tree(tmp_path / "raw")
        assert tree.names == ["1.jpg", "2.jpg"] and tree.read("2.jpg") == b"one"

    def test_a_root_that_is_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "1.jpg").write_bytes(b"one")
        (tmp_path / "link").symlink_to("raw")
        assert open_tree(tmp_path / "link").read("1.jpg") == b"one"

    def test_nothing_is_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "1.jpg")
        tree = open_tree(tmp_path)
        with pytest.raises(LpwError, match="no regular file"):
            tree.read("1.jpg")
        with pytest.raises(LpwError, match="no regular file"):
            open_tree(tmp_path / "1.jpg")

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "1.jpg").write_bytes(b"one")
        tree = open_tree(tmp_path)
        (tmp_path / "1.jpg").unlink()
        with pytest.raises(LpwError, match="no such file"):
            tree.read("1.jpg")
        with pytest.raises(LpwError, match="no such file"):
            open_tree(tmp_path / "nothing")

    def test_a_file_replaced_by_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "1.jpg").write_bytes(b"one")
        tree = open_tree(tmp_path / "raw")
        (tmp_path / "raw" / "1.jpg").unlink()
        (tmp_path / "raw" / "1.jpg").symlink_to("/etc/passwd")
        with pytest.raises(LpwError):
            tree.read("1.jpg")

    def test_a_large_file(self, tmp_path: Path) -> None:
        with (tmp_path / "1.jpg").open("wb") as stream:
            stream.truncate(1 << 40)
        with pytest.raises(LpwError, match="1099511627776 bytes"):
            open_tree(tmp_path).read("1.jpg")


class TestNames:
    def test_the_short_key_orders_as_the_natural_one(self) -> None:
        rng = random.Random(0)
        names = sorted(
            {"".join(rng.choices("ab019. -_é٣", k=rng.randrange(1, 9))) for _ in range(3000)}
        )
        assert sorted(names, key=sort_key) == sorted(names, key=natural_key)

    def test_large_folders_are_sorted_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from lpw_toolkit.benchmarks.archives import names as module

        names = [f"d/{i}.jpg" for i in range(500)]
        random.Random(0).shuffle(names)
        monkeypatch.setattr(module, "_SORT_NAMES", 64)
        sort_paths(names)
        assert names == [f"d/{i}.jpg" for i in range(500)]

    @pytest.mark.parametrize(
        ("names", "prefix"),
        [
            ([], ""),
            (["1.jpg"], ""),
            (["a/1.jpg"], "a/"),
            (["a/b/1.jpg", "a/c/1.jpg"], "a/"),
            (["a/b/1.jpg", "a/b/c/1.jpg"], "a/b/"),
            (["a/b/1.jpg", "a/1.jpg", "ab/1.jpg"], ""),
            (["ab/1.jpg", "a/1.jpg"], ""),
        ],
    )
    def test_shared_folders(self, names: list[str], prefix: str) -> None:
        assert find_prefix(names) == prefix
