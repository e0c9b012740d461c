"""The import: what it writes, what it refuses, and that it ends the same however often it is
stopped."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_benchmark
from click.testing import CliRunner
from fakes import write_fake
from hostile_archives import write_ordinary
from moments import PATIENCE_S, kill_after, resume_with, start_and_stop
from tiny_benchmark import Tiny, digest_tree, import_tiny, write_tiny

from lpw_toolkit.benchmarks.image_copier import measure_image
from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.benchmarks.reader import RawTracklet, ReadOptions, Splits, list_benchmarks
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files import faults, listing, writing

SCRIPT = tiny_benchmark.__file__
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw tree that nobody changes."""
    return write_tiny(tmp_path_factory.mktemp("tiny") / "raw")


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "dataset"
    import_tiny(raw, out)
    return digest_tree(out)


@pytest.fixture
def damaged(raw: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    shutil.copytree(raw, tmp_path / "raw")
    return tmp_path / "raw"


def errors_of(root: Path) -> list[str]:
    return [str(problem) for problem in check_dataset(root).problems if problem.level != "warning"]


class TestWhatIsWritten:
    def test_tables(self, raw: Path, tmp_path: Path) -> None:
        dataset = import_tiny(raw, tmp_path / "out").dataset
        rows = dataset.frames.to_pylist()
        assert dataset.tracklets["tracklet_id"].to_pylist() == [
            f"{c}/{p}" for c in ("cam1", "cam2") for p in sorted(("2", "10", "3", "11"))
        ]
        assert [row["image"]["path"] for row in rows[:3]] == [
            "cam1/10/1.jpg",
            "cam1/10/9.jpg",
            "cam1/10/10.jpg",
        ]
        assert [
            (row["position"], row["width"], row["height"], row["frame_index"]) for row in rows[:2]
        ] == [
            (0, 8, 16, 0),
            (1, 8, 16, 1),
        ]
        assert dataset.tracklets["n_frames"].to_pylist() == [3] * 8
        assert errors_of(tmp_path / "out") == []

    def test_images_keep_their_bytes(self, raw: Path, tmp_path: Path) -> None:
        dataset = import_tiny(raw, tmp_path / "out").dataset
        for row in dataset.frames.to_pylist():
            path = row["image"]["path"]
            assert dataset.read_image(path, row["sha256"]) == (raw / path).read_bytes()
        assert len(list((tmp_path / "out" / "images").rglob("*.jpg"))) == 24

    def test_splits(self, raw: Path, tmp_path: Path) -> None:
        dataset = import_tiny(raw, tmp_path / "out", options=ReadOptions(split_seed=3)).dataset
        assert dataset.splits is not None
        rows = [tuple(row.values()) for row in dataset.splits.to_pylist()]
        assert rows == sorted(rows) and len(rows) == 8
        assert (0, "query", "cam1/2") in rows and (0, "gallery", "cam2/2") in rows
        said = {
            "split_source": "drawn with seed 3",
            "split_digest": "ab" * 32,
            "drawn": "true",
            "note": "n",
        }
        metadata = dataset.splits.schema.metadata
        assert {key: metadata[key.encode()].decode() for key in said} == said
        assert dataset.manifest["splits"] == {
            "source": "drawn with seed 3",
            "digest": "ab" * 32,
            "drawn": True,
            "n_splits": 1,
            "note": "n",
        }

    def test_manifest(self, raw: Path, tmp_path: Path) -> None:
        result = import_tiny(raw, tmp_path / "out", licence="mine", consent="given")
        manifest = result.dataset.manifest
        assert (manifest["name"], manifest["licence"], manifest["consent"]) == (
            "tiny",
            "mine",
            "given",
        )
        assert result.facts["benchmark"] == "tiny" and result.facts["citation"] == "Nobody, 2018"
        assert result.facts["source"] == {"kind": "folder", "name": "raw"}
        assert result.facts["extras"] == {"n_files": 1, "first": ["readme.txt"]}
        assert result.facts["notes"] == ["a note"]
        assert result.published == tiny_benchmark.COUNTS
        assert str(tmp_path) not in json.dumps(manifest)

    def test_nothing_of_this_machine_is_published(self, raw: Path, tmp_path: Path) -> None:
        import_tiny(raw, tmp_path / "out", in_place=True)
        for file in (tmp_path / "out").glob("[!.]*"):
            assert str(tmp_path).encode() not in file.read_bytes()

    def test_the_name_given(self, raw: Path, tmp_path: Path) -> None:
        assert import_tiny(raw, tmp_path / "out", name="mine").dataset.name == "mine"


class TestSameFromAll:
    @pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz"])
    def test_archives_give_the_same_rows(
        self, raw: Path, undisturbed: dict[str, str], suffix: str, tmp_path: Path
    ) -> None:
        files = {f"a b/c/{p.relative_to(raw).as_posix()}": p.read_bytes() for p in raw.rglob("*.*")}
        write_ordinary(tmp_path / f"raw.{suffix}", files)
        import_tiny(tmp_path / f"raw.{suffix}", tmp_path / "out")
        found = digest_tree(tmp_path / "out")
        assert {k: v for k, v in found.items() if k != "dataset.json"} == {
            k: v for k, v in undisturbed.items() if k != "dataset.json"
        }
        assert errors_of(tmp_path / "out") == []

    def test_in_place(self, raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "deep" / "er").mkdir(parents=True)
        (tmp_path / "link").symlink_to("deep/er")  # `..` behind a link is not where it seems
        dataset = import_tiny(raw, tmp_path / "link" / "out", in_place=True).dataset
        found = digest_tree(tmp_path / "link" / "out")
        assert set(found) == {
            "dataset.json",
            "frames.parquet",
            "splits.parquet",
            "tracklets.parquet",
        }
        assert found["frames.parquet"] == undisturbed["frames.parquet"]
        assert not os.path.isabs(dataset.manifest["images_root"])
        assert errors_of(tmp_path / "link" / "out") == []

    def test_the_order_of_the_system_means_nothing(
        self,
        raw: Path,
        undisturbed: dict[str, str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        true_scandir = os.scandir

        class Reversed:
            def __init__(self, path: str) -> None:
                self.entries = list(true_scandir(path))[::-1]

            def __enter__(self) -> list[os.DirEntry[str]]:
                return self.entries

            def __exit__(self, *_: object) -> None:
                return

        with monkeypatch.context() as patch:
            patch.setattr(listing.os, "scandir", Reversed)
            import_tiny(raw, tmp_path / "out")
        assert digest_tree(tmp_path / "out") == undisturbed

    @pytest.mark.parametrize("name", list_benchmarks())
    def test_every_benchmark(self, name: str, tmp_path: Path) -> None:
        write_fake(name, tmp_path / "raw", np.random.default_rng(0))
        files = {
            p.relative_to(tmp_path / "raw").as_posix(): p.read_bytes()
            for p in (tmp_path / "raw").rglob("*")
            if p.is_file()
        }
        for path in [
            path
            for path in files
            if path.lower() != path and path.lower().endswith(".jpg") and ".JPG" in path
        ]:
            files.pop(path)  # beside 1.jpg, which an archive may not hold
            (tmp_path / "raw" / path).unlink()
        write_ordinary(tmp_path / "raw.tar.gz", files)
        digests = set()
        for source, in_place in (("raw", False), ("raw", True), ("raw.tar.gz", False)):
            out = tmp_path / f"out-{source}-{in_place}"
            config = ImportConfig(
                name, tmp_path / source, out, in_place=in_place, allow_partial=True
            )
            digests.add(import_benchmark(config).dataset.manifest["digest"])
            report = check_dataset(out)
            assert report.ok and {problem.rule for problem in report.problems} == {"published"}
        assert len(digests) == 1


class TestWhatDiffers:
    def test_counts_end_it_and_leave_nothing(self, damaged: Path, tmp_path: Path) -> None:
        shutil.rmtree(damaged / "cam1" / "2")
        said: list[str] = []
        with pytest.raises(
            MismatchError, match=r"n_tracklets: 7 where 8 are published; .*--allow-partial"
        ) as caught:
            import_benchmark(ImportConfig("tiny", damaged, tmp_path / "out"), said.append, Tiny())
        assert caught.value.exit_code == 3
        assert said == ["differs: n_tracklets: 7 where 8 are published"]
        assert not (tmp_path / "out").exists()

    def test_allowed_counts_are_recorded(self, damaged: Path, tmp_path: Path) -> None:
        shutil.rmtree(damaged / "cam1" / "2")
        result = import_tiny(damaged, tmp_path / "out", allow_partial=True)
        assert result.facts["mismatches"] == ["n_tracklets: 7 where 8 are published"]
        assert result.dataset.manifest["counts"]["n_tracklets"] == 7

    def test_many_lines_are_counted(self, raw: Path, tmp_path: Path) -> None:
        said: list[str] = []
        reader = Tiny(mismatches=[f"folder {i}\n" for i in range(50)])
        with pytest.raises(MismatchError, match=r"folder 0.* and 49 more"):
            import_benchmark(ImportConfig("tiny", raw, tmp_path / "out"), said.append, reader)
        assert (
            len(said) == 21 and said[-1] == "differs: 30 more" and said[0] == "differs: folder 0\\n"
        )

    def test_no_splits(self, raw: Path, tmp_path: Path) -> None:
        dataset = import_tiny(raw, tmp_path / "out", Tiny(splits=None)).dataset
        assert dataset.splits is None and dataset.manifest["splits"] is None
        assert errors_of(tmp_path / "out") == []

    def test_splits_that_name_nobody(self, raw: Path, tmp_path: Path) -> None:
        splits = Splits(
            "a.mat", "cd", False, [{"train": ["cam1/2"], "query": ["cam9/2"], "gallery": []}]
        )
        with pytest.raises(MismatchError, match=r"a\.mat: got the tracklet 'cam9/2'"):
            import_tiny(raw, tmp_path / "out", Tiny(splits=splits))
        assert not (tmp_path / "out" / "dataset.json").exists()


BAD = {
    "empty": (b"", "0 bytes"),
    "text": (b"hello, this is no image", "neither a JPEG nor a PNG"),
    "png": (
        cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes(),
        "a PNG that is named otherwise",
    ),
    "huge": (
        b"\xff\xd8\xff\xc0\0\x0b\x08\xea\x60\xea\x60\1\1\x11\0\xff\xd9",
        "60000 x 60000 pixels",
    ),
    "flat": (b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\5\1\1\x11\0\xff\xd9", "5 x 0 pixels"),
    "cut": (
        cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()[:-2],
        "a JPEG that is cut off",
    ),
}


class TestUnusableImages:
    @pytest.mark.parametrize("kind", BAD)
    @pytest.mark.parametrize("in_place", [False, True])
    def test_each_is_named(self, kind: str, in_place: bool, damaged: Path, tmp_path: Path) -> None:
        data, said = BAD[kind]
        (damaged / "cam2" / "10" / "9.jpg").write_bytes(data)
        with pytest.raises(MismatchError) as caught:
            import_tiny(damaged, tmp_path / "out", in_place=in_place)
        assert f"cam2/10/9.jpg: {said}" in str(caught.value) and caught.value.exit_code == 3
        assert not (tmp_path / "out" / "dataset.json").exists()
        result = import_tiny(damaged, tmp_path / "out", in_place=in_place, allow_partial=True)
        assert result.facts["dropped"] == {
            "n_images": 1,
            "n_tracklets": 0,
            "images": [f"cam2/10/9.jpg: {said}"],
        }
        rows = [row for row in result.dataset.frames.to_pylist() if row["tracklet_id"] == "cam2/10"]
        assert [(row["position"], row["frame_index"]) for row in rows] == [(0, 0), (1, 2)]
        assert errors_of(tmp_path / "out") == []

    def test_all_are_listed(self, damaged: Path, tmp_path: Path) -> None:
        said: list[str] = []
        for person in ("2", "3"):
            for frame in (1, 9, 10):
                (damaged / "cam1" / person / f"{frame}.jpg").write_bytes(b"")
        with pytest.raises(MismatchError, match="and 5 more images"):
            import_benchmark(ImportConfig("tiny", damaged, tmp_path / "out"), said.append, Tiny())
        assert len(said) == 6 and said[0] == "unusable: cam1/2/1.jpg: 0 bytes"

    def test_a_tracklet_without_any_image_leaves_the_splits_too(
        self, damaged: Path, tmp_path: Path
    ) -> None:
        for frame in (1, 9, 10):
            (damaged / "cam1" / "2" / f"{frame}.jpg").write_bytes(b"")
        result = import_tiny(damaged, tmp_path / "out", allow_partial=True)
        assert result.facts["dropped"]["n_tracklets"] == 1
        assert result.dataset.splits is not None
        assert "cam1/2" not in result.dataset.splits["tracklet_id"].to_pylist()
        assert errors_of(tmp_path / "out") == []

    def test_nothing_but_bad_images(self, damaged: Path, tmp_path: Path) -> None:
        for file in damaged.rglob("*.jpg"):
            file.write_bytes(b"")
        with pytest.raises(MismatchError, match="no image that can be used"):
            import_tiny(damaged, tmp_path / "out", allow_partial=True)

    def test_a_restored_image_is_looked_at_again(
        self, raw: Path, undisturbed: dict[str, str], damaged: Path, tmp_path: Path
    ) -> None:
        (damaged / "cam2" / "10" / "9.jpg").write_bytes(b"")
        with pytest.raises(MismatchError):
            import_tiny(damaged, tmp_path / "out")
        shutil.copy(raw / "cam2" / "10" / "9.jpg", damaged / "cam2" / "10" / "9.jpg")
        import_tiny(damaged, tmp_path / "out")
        assert digest_tree(tmp_path / "out") == undisturbed

    def test_pipes_and_links(self, damaged: Path, tmp_path: Path) -> None:
        (damaged / "cam1" / "2" / "1.jpg").unlink()
        os.mkfifo(damaged / "cam1" / "2" / "1.jpg")
        (damaged / "cam1" / "3" / "1.jpg").unlink()
        (damaged / "cam1" / "3" / "1.jpg").symlink_to("9.jpg")
        with pytest.raises(MismatchError, match=r"cam1/2/1\.jpg: no regular file"):
            import_tiny(damaged, tmp_path / "out")
        result = import_tiny(damaged, tmp_path / "out2", in_place=True, allow_partial=True)
        assert result.facts["dropped"]["images"] == [
            "cam1/2/1.jpg: no regular file",
            "cam1/3/1.jpg: a link",
        ]
        assert errors_of(tmp_path / "out2") == []

    def test_a_damaged_member_of_a_zip(self, raw: Path, tmp_path: Path) -> None:
        write_ordinary(
            tmp_path / "raw.zip",
            {p.relative_to(raw).as_posix(): p.read_bytes() for p in raw.rglob("*.*")},
        )
        data = bytearray((tmp_path / "raw.zip").read_bytes())
        data[data.index(b"cam2/10/9.jpg") + 60] ^= 255
        (tmp_path / "raw.zip").write_bytes(data)
        with pytest.raises(MismatchError, match=r"cam2/10/9\.jpg: "):
            import_tiny(tmp_path / "raw.zip", tmp_path / "out")

    def test_what_is_measured(self) -> None:
        whole = cv2.imencode(".png", np.zeros((7, 5), np.uint8))[1].tobytes()
        assert measure_image("a.PNG", whole) == (5, 7)
        assert measure_image("a.png", whole[:-12]) == "a PNG that is cut off"


class TestRefused:
    @pytest.mark.parametrize("where", ["raw/out", "raw", "."])
    def test_nested(self, where: str, damaged: Path, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="a folder apart from it"):
            import_tiny(damaged, tmp_path / where)

    def test_foreign_folder(self, raw: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(LpwError, match=r"other things \(mine.txt\)"):
            import_tiny(raw, tmp_path)

    def test_archive_in_place(self, raw: Path, tmp_path: Path) -> None:
        write_ordinary(tmp_path / "raw.zip", {"cam1/1/1.jpg": b"x"})
        with pytest.raises(LpwError, match="a folder with --in-place"):
            import_tiny(tmp_path / "raw.zip", tmp_path / "out", in_place=True)

    @pytest.mark.parametrize(
        "name", ["a\nb.jpg", "a\\b.jpg", "a\u202eb.jpg", os.fsdecode(b"a\xff.jpg")]
    )
    def test_names_that_a_table_cannot_hold(self, name: str, damaged: Path, tmp_path: Path) -> None:
        (damaged / "cam1" / "2" / name).write_bytes(b"x")
        with pytest.raises(LpwError, match="printable names") as caught:
            import_tiny(damaged, tmp_path / "out")
        assert str(caught.value).isprintable()

    def test_odd_names_of_other_files_do_no_harm(self, damaged: Path, tmp_path: Path) -> None:
        (damaged / os.fsdecode(b"\xff\n.txt")).write_bytes(b"x")
        assert import_tiny(damaged, tmp_path / "out").facts["extras"]["n_files"] == 2

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda t: [], "no tracklets"),
            (lambda t: [*t, t[0]], "twice"),
            (lambda t: [*t, RawTracklet("z", None, "c", "1", "person", t[0].images)], "twice"),
            (
                lambda t: [RawTracklet("z", None, "c", "1", "person", ("no.jpg",))],
                "not in the tree",
            ),
            (lambda t: [RawTracklet("z", None, "c", "1", "ghost", t[0].images)], "ghost"),
            (
                lambda t: [RawTracklet("z", None, "c", "1", "person", t[0].images, (3, 2, 1))],
                "do not grow",
            ),
        ],
    )
    def test_a_faulty_reader_is_a_bug(
        self, change: Callable[[Any], Any], said: str, raw: Path, tmp_path: Path
    ) -> None:
        from lpw_toolkit.benchmarks.archives.archive import open_tree

        found = Tiny().read(open_tree(raw), ReadOptions()).tracklets
        with pytest.raises(ValueError, match=said):
            import_tiny(raw, tmp_path / "out", Tiny(tracklets=change(found)))


class TestGoingOn:
    def test_a_finished_one_is_complete_at_once(
        self, raw: Path, undisturbed: dict[str, str], tmp_path: Path
    ) -> None:
        import_tiny(raw, tmp_path / "out")
        times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
        assert import_tiny(raw, tmp_path / "out").remarks == ["complete already: nothing to do"]
        assert import_tiny(raw, tmp_path / "out", allow_partial=True).remarks
        assert {p: p.stat().st_mtime_ns for p in times} == times and digest_tree(
            tmp_path / "out"
        ) == undisturbed

    def test_other_settings_are_refused(self, raw: Path, tmp_path: Path) -> None:
        import_tiny(raw, tmp_path / "out")
        with pytest.raises(LpwError, match="other settings"):
            import_tiny(raw, tmp_path / "out", name="other")

    def test_a_raw_tree_that_changed_is_refused(self, damaged: Path, tmp_path: Path) -> None:
        import_tiny(damaged, tmp_path / "out")
        (damaged / "cam1" / "2" / "1.jpg").unlink()
        with pytest.raises(MismatchError, match="other files than when this import began"):
            import_tiny(damaged, tmp_path / "out")

    def test_restart(
        self, raw: Path, undisturbed: dict[str, str], damaged: Path, tmp_path: Path
    ) -> None:
        (damaged / "cam1" / "2" / "1.jpg").write_bytes(b"")
        with pytest.raises(MismatchError):
            import_tiny(damaged, tmp_path / "out", name="other")
        with pytest.raises(LpwError, match="--restart"):
            import_tiny(raw, tmp_path / "out")
        import_tiny(raw, tmp_path / "out", restart=True)
        assert digest_tree(tmp_path / "out") == undisturbed

    def test_a_damaged_part_is_done_again(
        self, raw: Path, undisturbed: dict[str, str], tmp_path: Path
    ) -> None:
        fork_import(raw, tmp_path / "out", fault="any:60")
        parts = sorted((tmp_path / "out" / ".lpw" / "parts").rglob("*.part"))
        data = bytearray(parts[0].read_bytes())
        data[40] ^= 1
        parts[0].write_bytes(data)
        import_tiny(raw, tmp_path / "out")
        assert digest_tree(tmp_path / "out") == undisturbed

    def test_an_image_that_went_bad_since_leaves_no_copy(
        self, damaged: Path, tmp_path: Path
    ) -> None:
        fork_import(damaged, tmp_path / "out", fault="write:5")
        for file in damaged.rglob("1.jpg"):
            file.write_bytes(b"")
        import_tiny(damaged, tmp_path / "out", allow_partial=True)
        assert [problem.rule for problem in check_dataset(tmp_path / "out").problems] == [
            "published"
        ]


def fork_import(
    raw: Path, out: Path, fault: str | None = None, log: Path | None = None, **changes: Any
) -> int:
    """An import in a child process; returns how it ended (as `os.waitstatus_to_exitcode`)."""
    child = os.fork()
    if child == 0:
        os.environ |= {"LPW_FAULT": fault} if fault else {}
        os.environ |= {"LPW_FAULT_LOG": str(log)} if log else {}
        faults._hits.clear()
        writing.os.sync = lambda: None  # type: ignore[attr-defined]
        try:
            import_tiny(raw, out, **changes)
            os._exit(0)
        except LpwError as error:
            os._exit(error.exit_code)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_hooks(raw: Path, folder: Path, **changes: Any) -> int:
    assert fork_import(raw, folder / "counted", log=folder / "log", **changes) == 0
    names = (folder / "log").read_text().split()
    assert {"write", "fsync", "rename", "unlink"} <= set(names)
    return len(names)


class TestFaults:
    @pytest.mark.parametrize("in_place", [False, True])
    def test_kill_9_at_every_hook(self, in_place: bool, raw: Path, tmp_path: Path) -> None:
        n_hooks = count_hooks(raw, tmp_path, in_place=in_place)
        assert n_hooks > (30 if in_place else 50)
        wanted = digest_tree(tmp_path / "counted")
        for n in range(1, n_hooks + 1):
            out = tmp_path / f"out{n}"
            assert fork_import(raw, out, fault=f"any:{n}", in_place=in_place) == -signal.SIGKILL
            if (out / "dataset.json").exists():
                open_dataset(out)
            assert fork_import(raw, out, in_place=in_place) == 0
            assert digest_tree(out) == wanted, n
            shutil.rmtree(out)

    def test_finished_parts_are_not_done_again(self, raw: Path, tmp_path: Path) -> None:
        n_hooks = count_hooks(raw, tmp_path)
        fork_import(raw, tmp_path / "out", fault=f"any:{n_hooks - 3}")
        assert fork_import(raw, tmp_path / "out", log=tmp_path / "again") == 0
        assert len((tmp_path / "again").read_text().split()) < 0.5 * n_hooks

    @pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT"])
    @pytest.mark.parametrize("point", ["write:3", "write:20", "fsync:2", "rename:2", "rename:4"])
    def test_a_system_that_refuses(
        self, point: str, code: str, raw: Path, undisturbed: dict[str, str], tmp_path: Path
    ) -> None:
        done = run_tiny(raw, tmp_path / "out", env={"LPW_FAULT": f"{point}:{code}"})
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "run the same command again" in done.stderr and done.stderr.count("\n") == 1
        assert not (tmp_path / "out" / "dataset.json").exists()
        import_tiny(raw, tmp_path / "out")
        assert digest_tree(tmp_path / "out") == undisturbed

    def test_a_disk_that_is_really_full(self, raw: Path, tmp_path: Path) -> None:
        small = tmp_path / "small"
        small.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)]
        if (
            shutil.which("mount") is None
            or subprocess.run(mount, capture_output=True).returncode != 0
        ):
            pytest.skip("cannot mount a small disk here (needs root)")
        try:
            done = run_tiny(raw, small / "out")
            assert (
                done.returncode == 2
                and "no space left" in done.stderr
                and "Traceback" not in done.stderr
            )
            assert not (small / "out" / "dataset.json").exists()
            subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
            assert run_tiny(raw, small / "out").returncode == 0
            assert errors_of(small / "out") == []
        finally:
            subprocess.run(["umount", "-l", str(small)], check=True)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_read_only_folder_is_named(self, raw: Path, tmp_path: Path) -> None:
        (tmp_path / "locked").mkdir(mode=0o500)
        done = run_tiny(raw, tmp_path / "locked" / "out")
        assert done.returncode == 2 and "permission denied" in done.stderr

    def test_two_at_once(self, raw: Path, tmp_path: Path) -> None:
        from lpw_toolkit.dataset.workspace import Workspace

        with Workspace(tmp_path / "out"), pytest.raises(LpwError, match="another process"):
            import_tiny(raw, tmp_path / "out")


def run_tiny(
    raw: Path, out: Path, *more: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, SCRIPT, str(raw), str(out), *more]
    return subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough images for a signal to come in the middle."""
    root = write_tiny(tmp_path_factory.mktemp("many") / "raw")
    data = (root / "cam1" / "2" / "1.jpg").read_bytes()
    for person in ("2", "10"):
        for i in range(1_200):
            (root / "cam1" / person / f"{100 + i}.jpg").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def many_digests(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("many-whole") / "out"
    import_tiny(many, out, part_images=1_000)
    return digest_tree(out)


class TestSignals:
    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
    )
    def test_it_says_how_to_go_on(self, number: int, code: int, many: Path, tmp_path: Path) -> None:
        command = [sys.executable, SCRIPT, many, tmp_path / "out", "400"]
        process = start_and_stop(command, "write:5", stderr=subprocess.PIPE, cwd=ROOT)
        _, stderr = resume_with(process, number)
        assert process.returncode == code, stderr
        assert "run the same command again" in stderr and "Traceback" not in stderr
        assert not (tmp_path / "out" / "dataset.json").exists()
        assert run_tiny(many, tmp_path / "out", "400").returncode == 0

    @pytest.mark.parametrize("k", range(3))
    def test_kill_9_between_hooks(
        self, k: int, many: Path, many_digests: dict[str, str], tmp_path: Path
    ) -> None:
        command = [sys.executable, SCRIPT, many, tmp_path / "out", "400"]
        n_points = random.Random(k).randrange(1, 40)
        kill_after(command, n_points, tmp_path / "fifo", stderr=subprocess.PIPE, cwd=ROOT)
        import_tiny(many, tmp_path / "out", part_images=400)
        assert digest_tree(tmp_path / "out") == many_digests


class TestCommand:
    def test_lines(self, tmp_path: Path) -> None:
        from lpw_cli.import_benchmark import command

        write_fake("lpw", tmp_path / "raw", np.random.default_rng(0))
        arguments = [
            "lpw",
            str(tmp_path / "raw"),
            "--out",
            str(tmp_path / "out"),
            "--allow-partial",
        ]
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 0, done.output
        for said in (
            "published",
            "2,731  differs",
            "splits: 1 from manifests/lpw/splits.json",
            "digest",
            "next: lpw check",
        ):
            assert said in done.output
        again = CliRunner().invoke(command, [*arguments, "--json"])
        fields = json.loads(again.stdout)
        assert fields["n_cameras"] == 11 and fields["published"]["n_images"] == 590_547
        assert fields["splits"]["drawn"] is False and fields["remarks"] == [
            "complete already: nothing to do"
        ]

    def test_a_drawn_split_says_so(self, tmp_path: Path) -> None:
        from lpw_cli.import_benchmark import command

        write_fake("prid2011", tmp_path / "raw", np.random.default_rng(0))
        arguments = [
            "prid2011",
            str(tmp_path / "raw"),
            "--out",
            str(tmp_path / "out"),
            "--allow-partial",
        ]
        done = CliRunner().invoke(command, [*arguments, "--split-seed", "5"])
        assert done.exit_code == 0, done.output
        assert "DRAWN, not the published ones" in done.output

    def test_without_leave_it_ends_with_exit_code_3(self, tmp_path: Path) -> None:
        from lpw_cli.import_benchmark import command

        write_fake("lpw", tmp_path / "raw", np.random.default_rng(0))
        done = CliRunner().invoke(
            command, ["lpw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]
        )
        assert isinstance(done.exception, MismatchError) and "scen1/view1" in str(done.exception)
        assert not (tmp_path / "out").exists()

    @pytest.mark.realdata
    def test_mini_lpw(self, shared_data: Path, tmp_path: Path) -> None:
        raw = shared_data / "mini_lpw"
        config = ImportConfig("lpw", raw, tmp_path / "out", in_place=True, allow_partial=True)
        counts = import_benchmark(config).dataset.manifest["counts"]
        assert counts["n_images"] == 5_200 and counts["n_persons"] == 116 + 129 + 125
        assert errors_of(tmp_path / "out") == []
