"""`check_dataset`: every kind of damage is named, an undamaged dataset passes, an interrupted check
goes on."""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from check_tools import aged, find, pristine, put, rewrite, root, row_of, rules  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from make_dataset import make_dataset
from sealing import write_manifest

from lpw_toolkit.check import images as check_images
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.check.problems import RULES, Problem
from lpw_toolkit.check.rows import check_paths
from lpw_toolkit.dataset.dataset import close_dataset, open_dataset
from lpw_toolkit.dataset.manifest import is_inner_path
from lpw_toolkit.dataset.schema import FRAMES, SCHEMAS, TRACKLETS
from lpw_toolkit.dataset.tables import encode_table, read_table, write_table
from lpw_toolkit.dataset.workspace import locate_images
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.names import show_name

IMAGE = "images/scen1/view1/000001/3.jpg"


class TestSound:
    def test_a_fresh_dataset_passes(self, root: Path) -> None:
        report = check_dataset(root)
        assert report.problems == []
        assert report.ok
        assert report.complete
        assert report.n_tables == 10
        assert report.n_images == open_dataset(root).frames.num_rows == 58
        assert report.notes == []
        assert json.loads(json.dumps(report.as_fields()))["n_images"] == 58

    @pytest.mark.parametrize(
        "options", [{"boxes": False}, {"identified": False}, {"n_tracklets": 1, "n_frames": 1}]
    )
    def test_other_forms_pass(self, tmp_path: Path, options: dict[str, Any]) -> None:
        make_dataset(tmp_path / "d", **options)
        assert check_dataset(tmp_path / "d").problems == []

    def test_an_empty_dataset_passes(self, tmp_path: Path) -> None:
        write_table(tmp_path / "frames.parquet", FRAMES.empty_table(), FRAMES)
        write_table(tmp_path / "tracklets.parquet", TRACKLETS.empty_table(), TRACKLETS)
        close_dataset(tmp_path, {"name": "empty"})
        report = check_dataset(tmp_path)
        assert report.problems == []
        assert report.complete

    def test_nothing_but_the_state_is_written(self, root: Path) -> None:
        before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
        (root / IMAGE).write_bytes(b"damaged")
        check_dataset(root)
        after = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
        assert after.keys() - before.keys() == {root / ".lpw" / "checked.jsonl"}
        assert {p for p in before if before[p] != after[p]} == {root / IMAGE}

    def test_without_images(self, root: Path) -> None:
        shutil.rmtree(root / "images")
        report = check_dataset(root, images=False)
        assert report.problems == []
        assert not report.complete
        assert not (root / ".lpw").exists()

    def test_images_elsewhere(self, root: Path) -> None:
        shutil.move(root / "images", root.parent / "images")
        facts = json.loads((root / "dataset.json").read_text("utf-8")) | {"images_root": ".."}
        write_manifest(root, facts)
        assert (
            find(root) == [("dataset.json", None, "images-root")]
            and not check_dataset(root).complete
        )
        facts |= {"settings": {"import": {"in_place": True}}}
        write_manifest(root, facts)
        assert find(root) == [
            ("dataset.json", None, "images-root")
        ]  # nobody on this machine has named the place
        locate_images(open_dataset(root), root.parent)
        assert check_dataset(root).problems == []
        (root.parent / IMAGE).unlink()
        assert find(root) == [(IMAGE, row_of(root, IMAGE), "image-missing")]

    def test_no_dataset_is_an_error_of_the_call(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"dataset\.json"):
            check_dataset(tmp_path)


class TestManifest:
    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"name": 1}', '{"format_version": 99, "tables": {}, "name": "x"}']
    )
    def test_damaged_or_of_another_version(self, root: Path, text: str) -> None:
        (root / "dataset.json").write_text(text)
        report = check_dataset(root)
        assert [(p.file, p.rule) for p in report.problems] == [("dataset.json", "manifest")]
        assert not report.complete

    @pytest.mark.parametrize("key", ["counts", "digest"])
    @pytest.mark.parametrize("value", [None, 3, "x", {"n_images": -1}])
    def test_counts_and_digest(self, root: Path, key: str, value: object) -> None:
        facts = json.loads((root / "dataset.json").read_text("utf-8")) | {key: value}
        write_manifest(root, facts)
        assert {(f, r) for f, _, r in find(root)} == {("dataset.json", key)}

    @pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\0b", ""])
    def test_tables_outside_are_not_opened(self, root: Path, name: str) -> None:
        facts = json.loads((root / "dataset.json").read_text("utf-8"))
        facts["tables"][name] = {"bytes": 1, "sha256": "x"}
        write_manifest(root, facts)
        assert rules(check_dataset(root)) == {"manifest"}

    @pytest.mark.parametrize("facts_of_table", [None, [], "x", {}, {"bytes": "x", "sha256": 1}])
    def test_entries_of_another_shape(self, root: Path, facts_of_table: object) -> None:
        facts = json.loads((root / "dataset.json").read_text("utf-8"))
        facts["tables"]["frames.parquet"] = facts_of_table
        write_manifest(root, facts)
        report = check_dataset(root)
        assert rules(report) <= {"manifest", "table-size"}
        assert not report.ok
        assert not report.complete


class TestTableFiles:
    @pytest.mark.parametrize("name", ["frames.parquet", "tracklets.parquet"])
    def test_every_flip_is_found_and_none_is_read_as_other_rows(
        self, tmp_path: Path, name: str
    ) -> None:
        root = tmp_path / "dataset"
        make_dataset(root, n_tracklets=2, n_frames=3, boxes=False)
        data, schema, generator = (
            (root / name).read_bytes(),
            SCHEMAS[name.removesuffix(".parquet")],
            random.Random(3),
        )
        table = read_table(root / name, schema)
        for _ in range(300):
            damaged = bytearray(data)
            damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            (root / name).write_bytes(damaged)
            assert find(root, images=False) == [(name, None, "table-hash")]
            with contextlib.suppress(MismatchError):
                assert read_table(root / name, schema).equals(table)

    def test_a_flip_in_any_other_table_is_found(self, root: Path) -> None:
        names = [name for name in open_dataset(root).manifest["tables"] if "/" in name]
        assert len(names) == 8
        for name in names:
            data = (root / name).read_bytes()
            for at in (4, len(data) // 2, len(data) - 20):
                (root / name).write_bytes(data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :])
                assert find(root, images=False) == [(name, None, "table-hash")]
            (root / name).write_bytes(data)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_truncated(self, root: Path, share: float) -> None:
        data = (root / "frames.parquet").read_bytes()
        (root / "frames.parquet").write_bytes(data[: int(len(data) * share)])
        assert find(root) == [("frames.parquet", None, "table-size")]

    @pytest.mark.parametrize("name", ["frames.parquet", "detections/scen2/view1.parquet"])
    @pytest.mark.parametrize("instead", ["nothing", "folder", "pipe", "link"])
    def test_not_a_file_any_more(self, root: Path, name: str, instead: str) -> None:
        file = root / name
        shutil.move(file, root.parent / "copy")
        if instead == "folder":
            file.mkdir()
        elif instead == "pipe":
            os.mkfifo(file)
        elif instead == "link":
            file.symlink_to(root.parent / "copy")
        assert find(root) == [(name, None, "table-missing")]

    def test_a_table_too_many(self, root: Path) -> None:
        shutil.copy(root / "timeline/scen1/view1.parquet", root / "timeline/scen1/view9.parquet")
        report = check_dataset(root)
        assert [(p.file, p.rule) for p in report.problems] == [
            ("timeline/scen1/view9.parquet", "table-unlisted")
        ]

    def test_an_unknown_table_is_hashed_only(self, root: Path) -> None:
        (root / "notes.parquet").write_bytes(b"anything")
        facts = json.loads((root / "dataset.json").read_text("utf-8"))
        facts["tables"]["notes.parquet"] = {
            "bytes": 8,
            "sha256": hashlib.sha256(b"anything").hexdigest(),
        }
        write_manifest(root, facts)
        assert check_dataset(root).problems == []
        (root / "notes.parquet").write_bytes(b"anythinG")
        assert find(root) == [("notes.parquet", None, "table-hash")]

    def test_leftovers_are_a_warning(self, root: Path) -> None:
        (root / "dataset.json.tmp~").write_text("{")
        report = check_dataset(root)
        assert [(p.file, p.rule, p.level) for p in report.problems] == [
            ("dataset.json.tmp~", "leftover", "warning")
        ]
        assert report.ok


def _swap_bytes(root: Path, name: str, data: bytes) -> None:
    """Another table under the old name, with a manifest that vouches for it."""
    (root / name).write_bytes(data)
    facts = json.loads((root / "dataset.json").read_text("utf-8"))
    facts["tables"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_manifest(root, facts)


class TestSchema:
    def test_missing_column_wrong_type_and_no_parquet(self, root: Path) -> None:
        frames = open_dataset(root).frames
        wide = frames.set_column(1, "position", frames["position"].cast(pa.int64()))
        for table in (
            frames.drop_columns(["score"]),
            wide,
            frames.rename_columns([n.upper() for n in frames.column_names]),
        ):
            sink = io.BytesIO()
            pq.write_table(table, sink)
            _swap_bytes(root, "frames.parquet", sink.getvalue())
            assert find(root) == [("frames.parquet", None, "table-read")]
        _swap_bytes(root, "frames.parquet", b"PAR1 but not Parquet")
        assert find(root) == [("frames.parquet", None, "table-read")]

    def test_metadata(self, root: Path) -> None:
        sink = io.BytesIO()
        pq.write_table(open_dataset(root).tracklets.replace_schema_metadata(None), sink)
        _swap_bytes(root, "tracklets.parquet", sink.getvalue())
        assert find(root) == [("tracklets.parquet", None, "table-metadata")]

    def test_broken_utf8(self, root: Path) -> None:
        tracklets = open_dataset(root).tracklets
        raw = tracklets["person_id"].combine_chunks().cast(pa.binary()).fill_null(b"\xff\xfe")
        broken = tracklets.set_column(
            3, TRACKLETS.field("person_id"), pa.array(raw).view(pa.string())
        )
        _swap_bytes(root, "tracklets.parquet", encode_table(broken, TRACKLETS))
        assert find(root) == [("tracklets.parquet", None, "table-read")]

    def test_row_groups_inside_a_tracklet(self, root: Path) -> None:
        sink = io.BytesIO()
        pq.write_table(open_dataset(root).frames, sink, row_group_size=9)
        _swap_bytes(root, "frames.parquet", sink.getvalue())
        assert find(root) == [("frames.parquet", 9, "row-groups")]


def swap(one: int, other: int) -> Callable[[list[dict[str, Any]]], None]:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[one], rows[other] = rows[other], rows[one]

    return change


NAN, INFINITE = float("nan"), float("inf")
FRAME_FAULTS = [
    ("position", put(3, "position", 9), 3),
    ("position", put(0, "position", -1), 0),
    ("position", swap(2, 3), 2),
    ("sorted", swap(0, 20), 1),
    ("frame-index", put(5, "frame_index", -1), 5),
    ("frame-index", put(5, "frame_index", 4), 5),
    ("box", put(5, "x1", NAN), 5),
    ("box", put(5, "x2", INFINITE), 5),
    ("box", put(5, "x2", 0.0), 5),
    ("box", put(5, "y2", -3.0), 5),
    ("box", put(5, "y1", None), 5),
    ("score", put(5, "score", 1.01), 5),
    ("score", put(5, "score", -0.01), 5),
    ("score", put(5, "score", NAN), 5),
    ("size", put(5, "width", 0), 5),
    ("size", put(5, "height", -3), 5),
    ("image-path", put(5, "image", {"path": "../outside.jpg"}), 5),
    ("image-path", put(5, "image", {"path": "/etc/passwd"}), 5),
    ("image-path", put(5, "image", {"path": None}), 5),
    ("image-path", put(5, "image", {"path": "images/a.gif"}), 5),
    ("image-path", put(5, "image", {"path": "images//a.jpg"}), 5),
    ("image-twice", put(5, "image", {"path": IMAGE}), 5),
    (
        "no-tracklet",
        lambda rows: [{**r, "tracklet_id": r["tracklet_id"].replace("n2", "n3")} for r in rows],
        37,
    ),
    ("empty-id", put(0, "tracklet_id", ""), 0),
]
TRACKLET_FAULTS = [
    ("kind", put(2, "kind", "people"), 2),
    ("n-frames", put(2, "n_frames", 3), 2),
    ("pts", put(2, "first_pts_s", 0.01), 2),
    ("pts", put(2, "last_pts_s", None), 2),
    ("sorted", swap(1, 2), 2),
    ("unique-id", lambda rows: [*rows[:1], *rows], 1),
    ("no-frames", lambda rows: [*rows, {**rows[-1], "tracklet_id": "z"}], 6),
    ("empty-id", put(2, "camera_id", ""), 2),
    ("camera", put(0, "scene_id", "scen9"), None),
    ("camera", put(0, "camera_id", "scen1/view7"), None),
]


class TestRows:
    @pytest.mark.parametrize(("rule", "change", "row"), FRAME_FAULTS)
    def test_frames(self, root: Path, rule: str, change: Callable[..., Any], row: int) -> None:
        rewrite(root, "frames.parquet", change)
        assert ("frames.parquet", row, rule) in find(root)

    @pytest.mark.parametrize(("rule", "change", "row"), TRACKLET_FAULTS)
    def test_tracklets(
        self, root: Path, rule: str, change: Callable[..., Any], row: int | None
    ) -> None:
        rewrite(root, "tracklets.parquet", change)
        assert ("tracklets.parquet", row, rule) in find(root)

    @pytest.mark.parametrize(
        ("name", "rule", "change"),
        [
            ("detections", "frame-index", put(3, "frame_index", 900)),
            ("detections", "box", put(4, "x1", NAN)),
            ("detections", "box", put(4, "x1", 900.0)),
            ("detections", "score", put(4, "score", 1.5)),
            ("detections", "empty-id", put(4, "video_id", "")),
            ("timeline", "frame-index", put(4, "frame_index", 3)),
            ("timeline", "segment", put(3, "segment", 5)),
            ("timeline", "size", put(4, "width", 0)),
        ],
    )
    def test_video_tables(
        self, root: Path, name: str, rule: str, change: Callable[..., Any]
    ) -> None:
        rewrite(root, f"{name}/scen1/view2.parquet", change)
        assert (f"{name}/scen1/view2.parquet", 4, rule) in find(root)

    def test_many_bad_rows_are_counted_after_the_first_ones(self, root: Path) -> None:
        rewrite(root, "frames.parquet", lambda rows: [{**row, "score": 7.0} for row in rows])
        lines = [str(p) for p in check_dataset(root).problems]
        assert len(lines) == 21
        assert "38 more such rows" in lines[-1]

    @given(st.text(alphabet="ab./\\\0\n é", max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_a_path_that_leaves_the_dataset_is_never_followed(self, path: str) -> None:
        row = {
            "tracklet_id": "t",
            "position": 0,
            "image": {"path": path},
            "width": 1,
            "height": 1,
            "sha256": bytes(32),
        }
        problems, fit = check_paths(pa.Table.from_pylist([row], FRAMES))
        assert not fit[0] or is_inner_path(path)
        assert fit[0] or problems


def _flip(data: bytes) -> bytes:
    return data[:500] + bytes([data[500] ^ 4]) + data[501:]


def _huge_header(data: bytes) -> bytes:
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + (60_000).to_bytes(2, "big") * 2 + data[at + 9 :]


def _as_png(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".png", pixels)[1].tobytes()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "bit flip": _flip,
    "zero run": lambda data: data[:400] + bytes(64) + data[464:],
    "truncated": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "wrong magic": lambda data: b"GIF89a" + data[6:],
    "empty": lambda data: b"",
    "60k x 60k header": _huge_header,
    "PNG named .jpg": _as_png,
}


class TestImages:
    @pytest.mark.parametrize("kind", DAMAGE)
    @pytest.mark.parametrize("incremental", [False, True])
    def test_damaged_bytes(self, root: Path, kind: str, incremental: bool) -> None:
        check_dataset(root)
        (root / IMAGE).write_bytes(DAMAGE[kind]((root / IMAGE).read_bytes()))
        assert find(root, incremental=incremental) == [(IMAGE, row_of(root, IMAGE), "image-hash")]

    def test_random_flips_in_every_image(self, root: Path) -> None:
        paths = [image["path"] for image in open_dataset(root).frames["image"].to_pylist()]
        generator, n_rounds = random.Random(5), 5
        good = {path: (root / path).read_bytes() for path in paths}
        for _ in range(n_rounds):
            for path, data in good.items():
                damaged = bytearray(data)
                damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
                (root / path).write_bytes(damaged)
            assert find(root) == [(path, row, "image-hash") for row, path in enumerate(paths)]

    def test_swapped_between_two_tracklets(self, root: Path) -> None:
        other = "images/scen2/view1/000001/2.jpg"
        one, two = (root / IMAGE).read_bytes(), (root / other).read_bytes()
        (root / IMAGE).write_bytes(two)
        (root / other).write_bytes(one)
        report = check_dataset(root)
        assert [(p.file, p.rule) for p in report.problems] == [
            (IMAGE, "image-hash"),
            (other, "image-hash"),
        ]
        assert f"image of row {row_of(root, other)}" in report.problems[0].found

    def test_replaced_by_another_whole_image_of_the_same_length(self, root: Path) -> None:
        data = (root / IMAGE).read_bytes()
        stamp = (root / IMAGE).stat()
        check_dataset(root)
        marked = bytearray(data)
        marked[len(data) - 40] ^= 1
        (root / IMAGE).write_bytes(marked)
        os.utime(
            root / IMAGE, ns=(stamp.st_atime_ns, stamp.st_mtime_ns)
        )  # size and mtime as before: ctime tells
        assert find(root, incremental=True) == [(IMAGE, row_of(root, IMAGE), "image-hash")]

    @pytest.mark.parametrize(
        "instead", ["nothing", "folder", "pipe", "link", "dangling link", "loop"]
    )
    def test_no_regular_file(self, root: Path, instead: str) -> None:
        shutil.move(root / IMAGE, root.parent / "copy.jpg")
        file = root / IMAGE
        make: dict[str, Callable[[], None]] = {
            "nothing": lambda: None,
            "folder": file.mkdir,
            "pipe": lambda: os.mkfifo(file),
            "link": lambda: file.symlink_to(root.parent / "copy.jpg"),
            "dangling link": lambda: file.symlink_to("nowhere.jpg"),
            "loop": lambda: file.symlink_to(file.name),
        }
        make[instead]()
        rule = "image-missing" if instead == "nothing" else "image-file"
        assert (IMAGE, row_of(root, IMAGE), rule) in find(root)

    def test_a_folder_that_is_a_link_to_elsewhere(self, root: Path) -> None:
        shutil.move(root / "images" / "scen1" / "view1", root.parent / "view1")
        (root / "images" / "scen1" / "view1").symlink_to(root.parent / "view1")
        found = find(root)
        assert (IMAGE, row_of(root, IMAGE), "image-file") in found
        assert {rule for _, _, rule in found} == {"image-file", "image-extra"}
        assert [file for file, _, rule in found if rule == "image-extra"] == ["images/scen1/view1"]

    def test_no_images_folder(self, root: Path) -> None:
        shutil.rmtree(root / "images")
        assert rules(check_dataset(root)) == {"image-missing"}

    def test_files_too_many_are_a_warning(self, root: Path) -> None:
        (root / "images" / "scen1" / "stray\n.jpg").write_bytes(b"x")
        report = check_dataset(root)
        assert [(p.file, p.rule) for p in report.problems] == [
            ("images/scen1/stray\n.jpg", "image-extra")
        ]
        assert report.ok
        assert "\n" not in str(report.problems[0])

    def test_names_that_are_no_unicode(self, root: Path) -> None:
        with open(os.fsencode(root / "images") + b"/\xff.jpg", "wb") as file:
            file.write(b"x")
        report = check_dataset(root)
        assert rules(report) == {"image-extra"}
        json.dumps(report.as_fields(), ensure_ascii=False).encode("utf-8")

    @pytest.mark.parametrize(
        ("make", "rule"),
        [
            (_as_png, "image-kind"),
            (_huge_header, "image-size"),
            (lambda data: b"text", "image-kind"),
        ],
        ids=["PNG named .jpg", "60k x 60k", "no image"],
    )
    def test_a_writer_that_hashed_the_wrong_thing(
        self, root: Path, make: Callable[[bytes], bytes], rule: str
    ) -> None:
        """The hash is right and the index is wrong all the same."""
        data, row = make((root / IMAGE).read_bytes()), row_of(root, IMAGE)
        (root / IMAGE).write_bytes(data)
        rewrite(root, "frames.parquet", put(row, "sha256", hashlib.sha256(data).digest()))
        assert find(root) == [(IMAGE, row, rule)]

    def test_width_and_height_of_the_index(self, root: Path) -> None:
        rewrite(root, "frames.parquet", put(4, "width", 33))
        assert [(row, rule) for _, row, rule in find(root)] == [(4, "image-size")]

    def test_a_large_file_takes_little_memory(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(check_images, "_READ_BYTES", 1000)
        assert check_dataset(root).problems == []
        with open(root / IMAGE, "ab") as file:
            file.truncate(1 << 20)
        assert find(root) == [(IMAGE, row_of(root, IMAGE), "image-hash")]


class TestLines:
    def test_a_line_has_file_row_rule_found_and_remedy(self) -> None:
        line = str(Problem("images/a.jpg", 7, "image-hash", "aa instead of bb"))
        assert line == (
            "images/a.jpg, row 7: image-hash: got aa instead of bb; expected the SHA-256 of the "
            "index; "
            "restore the file from a copy or build the dataset again"
        )

    @given(st.text(max_size=30))
    @settings(max_examples=100, deadline=None)
    def test_any_name_stays_on_one_line(self, text: str) -> None:
        assert show_name(text).isprintable()
        assert len(show_name(text).splitlines()) <= 1

    def test_every_rule_that_the_code_uses_is_described(self) -> None:
        folder = Path(check_images.__file__).parent
        code = "".join(
            file.read_text() for file in sorted(folder.glob("*.py")) if file.name != "problems.py"
        )
        assert [rule for rule in RULES if f'"{rule}"' not in code] == []
