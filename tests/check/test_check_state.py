"""The state of a check, which lets it go on where it stopped, and the reader of image headers."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from check_tools import aged, find, pristine, put, rewrite, root, row_of, rules  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from moments import PATIENCE_S
from PIL import Image

from lpw_toolkit.check import images as check_images
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.image_format import ImageHeader, read_image_header
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import faults
from lpw_toolkit.files.machine import mark_text

IMAGE = "images/scen1/view1/000001/3.jpg"


class TestHeader:
    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    @pytest.mark.parametrize("size", [(1, 1), (128, 256), (333, 7)])
    @pytest.mark.parametrize("mode", ["RGB", "L"])
    def test_agrees_with_pillow(self, suffix: str, size: tuple[int, int], mode: str) -> None:
        for options in (
            {},
            {
                "progressive": True,
                "exif": b"Exif\0\0" + bytes(3000),
                "comment": b"\xff\xc0 no frame",
            },
        ):
            sink = io.BytesIO()
            Image.new(mode, size, 7).save(sink, {".jpg": "JPEG", ".png": "PNG"}[suffix], **options)
            found = read_image_header(sink.getvalue())
            assert found == ImageHeader({".jpg": "JPEG", ".png": "PNG"}[suffix], *size)

    @given(
        st.binary(max_size=60),
        st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]),
    )
    @settings(max_examples=300, deadline=None)
    def test_any_bytes_end(self, data: bytes, start: bytes) -> None:
        found = read_image_header(start + data)
        assert found is None or (found.kind in ("JPEG", "PNG") and found.width >= 0)

    def test_every_cut_of_a_jpeg(self) -> None:
        data = cv2.imencode(".jpg", np.zeros((64, 32, 3), np.uint8))[1].tobytes()
        frame = data.index(b"\xff\xc0")
        for size in range(len(data)):
            wanted = ImageHeader("JPEG", 32, 64) if size >= frame + 9 else None
            assert read_image_header(data[:size]) == wanted


class TestState:
    def test_incremental_looks_at_what_changed_only(self, aged: Path) -> None:
        check_dataset(aged)
        report = check_dataset(aged, incremental=True)
        assert (report.n_images, report.n_unchanged) == (0, 58)
        data = (aged / IMAGE).read_bytes()
        (aged / IMAGE).write_bytes(data)
        os.utime(aged / IMAGE, (0, 0))
        report = check_dataset(aged, incremental=True)
        assert (report.n_images, report.n_unchanged, report.problems) == (1, 57, [])

    def test_a_full_check_reads_everything_again(self, aged: Path) -> None:
        check_dataset(aged)
        report = check_dataset(aged)
        assert (report.n_images, report.n_unchanged) == (58, 0)

    def test_what_was_bad_is_looked_at_again(self, aged: Path) -> None:
        (aged / IMAGE).write_bytes(b"bad")
        assert not check_dataset(aged).ok
        for incremental in (True, True, False):
            assert not check_dataset(aged, incremental=incremental).ok

    def test_another_dataset_of_the_same_folder_starts_anew(self, aged: Path) -> None:
        check_dataset(aged)
        rewrite(aged, "frames.parquet", put(4, "score", 0.123))
        assert check_dataset(aged, incremental=True).n_unchanged == 0

    @pytest.mark.parametrize("cut", [2, 30, 500])
    def test_a_torn_or_strange_line_only_costs_its_images(
        self, aged: Path, cut: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(check_images, "CHECKPOINT_IMAGES", 10)
        monkeypatch.setattr(check_images, "_CHUNK_ROWS", 10)
        check_dataset(aged)
        state = aged / ".lpw" / "checked.jsonl"
        lines = state.read_bytes().splitlines(keepends=True)
        odd = (
            b'\xff\n{"verified": [[1, 2]]}\n{"verified": [[-1,0,0,0,0],[58,0,0,0,0]]}\n[]\n3\n'
            + b"[" * 5000
            + b"\n"
        )
        state.write_bytes(lines[0] + odd + b"".join(lines[1:-1])[:-cut])
        report = check_dataset(aged, incremental=True)
        assert report.problems == []
        assert 1 <= report.n_images <= 20
        assert report.n_images + report.n_unchanged == 58
        assert check_dataset(aged, incremental=True).n_unchanged == 58

    def test_an_interrupted_full_check_goes_on(
        self, aged: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(check_images, "_CHUNK_ROWS", 5)
        true_check = check_images._Chunk.check

        def check_some(chunk: Any, rows: Any) -> Any:
            if rows[0] >= 30:
                raise KeyboardInterrupt
            return true_check(chunk, rows)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(check_images._Chunk, "check", check_some)
            check_dataset(aged)
        report = check_dataset(aged)
        assert report.n_unchanged + report.n_images == 58
        assert report.n_unchanged == 30
        assert report.complete
        assert check_dataset(aged).n_unchanged == 0  # that one was whole: the next begins anew

    @pytest.mark.parametrize("number", [3, 6, 9])
    def test_kill_at_any_point_leaves_a_state_to_go_on_from(self, aged: Path, number: int) -> None:
        assert mark_text("")  # the key is there already: its making is no point of a check
        code = (
            "import sys; from pathlib import Path; from lpw_toolkit.check import images as im\n"
            "from lpw_toolkit.check.check import check_dataset as check\n"
            "im._CHUNK_ROWS = im.CHECKPOINT_IMAGES = 10; im._YOUNG_NS = -10 ** 12\n"
            "check(Path(sys.argv[1]))"
        )
        child = subprocess.run(
            [sys.executable, "-c", code, str(aged)],
            env={**os.environ, "LPW_FAULT": f"any:{number}"}, capture_output=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert child.returncode == -signal.SIGKILL
        report = check_dataset(aged)
        assert report.ok
        assert report.complete
        assert report.n_images + report.n_unchanged == 58
        assert report.n_unchanged >= 10 * max(0, (number - 5) // 2)

    def test_state_elsewhere(self, aged: Path, tmp_path: Path) -> None:
        state = tmp_path / "state" / "of it"
        assert check_dataset(aged, state=state).ok
        assert not (aged / ".lpw").exists()
        assert check_dataset(aged, state=state, incremental=True).n_unchanged == 58

    def test_a_dataset_that_cannot_be_written_to(self, aged: Path, tmp_path: Path) -> None:
        (aged / ".lpw").write_text("in the way")
        report = check_dataset(aged)
        assert report.ok
        assert report.complete
        assert "--state" in report.notes[0]
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(LpwError, match="a folder that can be written"):
            check_dataset(aged, state=tmp_path / "file")

    def test_a_disk_that_fills_up_stops_no_check(
        self, aged: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faults._hits.clear()
        monkeypatch.setenv("LPW_FAULT", "write:2:ENOSPC")
        report = check_dataset(aged)
        assert report.problems == []
        assert report.complete
        assert "no space left" in report.notes[0]

    def test_files_changed_in_the_same_tick_are_not_remembered(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(check_images, "_YOUNG_NS", 3_600_000_000_000)
        check_dataset(root)
        assert check_dataset(root, incremental=True).n_images == 58
