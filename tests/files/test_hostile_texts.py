"""Texts, JSON, TOML and logs that mean harm: refused in one line, in little memory and time; no
decision is lost."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from limited_process import read_each
from make_dataset import make_dataset
from make_decisions import DIGEST, ask, chain, write_lines

from lpw_toolkit.cleaning.log.decision_set import merge_folder, read_folder
from lpw_toolkit.cleaning.log.log import open_log, read_log
from lpw_toolkit.dataset.mot_text import read_boxes, read_detections
from lpw_toolkit.dataset.schema import METRICS
from lpw_toolkit.dataset.tables import write_table
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.metrics_table import read_lines, read_metrics
from lpw_toolkit.files.lines import iter_lines
from lpw_toolkit.files.opening import parse_json
from lpw_toolkit.video.source_names import read_cameras
from rqen.body.key_points import read_landmarks
from rqen.recipe import make_recipe, read_recipe
from rqen.run.run_folder import digest_settings

CHILD = """
kind, folder, paths = sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]]
if kind == "mot":
    from lpw_toolkit.dataset.mot_text import read_boxes as read
elif kind == "log":
    from lpw_toolkit.cleaning.log.log import read_log_file
    read = lambda path: read_log_file(path, "d" * 64)
elif kind == "cameras":
    from lpw_toolkit.video.source_names import read_cameras
    read = lambda path: read_cameras(path, {})
elif kind == "recipe":
    from rqen.recipe import read_recipe
    read = lambda path: read_recipe(str(path))
elif kind == "run":
    from rqen.run.run_folder import read_run as read
elif kind == "landmarks":
    from lpw_toolkit.dataset.dataset import open_dataset
    from rqen.body.key_points import read_landmarks
    read = lambda path: read_landmarks(path, open_dataset(folder))
"""


def read_in_child(kind: str, folder: Path, *paths: Path, mib: int = 300) -> list[tuple[int, str]]:
    """Exit code and message for each of `paths`, read by one process; torch alone maps more than 2
    GB."""
    return read_each(
        CHILD, kind, folder, *paths, mib=mib, gib=16 if kind in ("recipe", "run") else 2
    )


def sparse(path: Path, n_bytes: int, begin: bytes = b"") -> Path:
    path.write_bytes(begin)
    os.truncate(path, n_bytes)
    return path


class TestMot:
    def test_a_sparse_text_of_gigabytes(self, tmp_path: Path) -> None:
        [(code, message)] = read_in_child(
            "mot", tmp_path, sparse(tmp_path / "b.txt", 20 << 30, b"1,1,1,1,1,1,1\n")
        )
        assert code == 2
        assert "--limit mot_bytes=" in message

    def test_lines_of_megabytes_and_thousands_of_columns(self, tmp_path: Path) -> None:
        good = b"1,1,1,1,1,1,1\n"
        (tmp_path / "long").write_bytes(good + b"1," * (5 << 20) + b"1\n" + good)
        (tmp_path / "wide").write_bytes((b"1," * 100_000 + b"1\n") * 20)
        (tmp_path / "text").write_bytes(good + b"x" * (5 << 20))
        (tmp_path / "digits").write_bytes(good + b"1,1,1,1,1,1," + b"9" * (5 << 20) + b"\n")
        (tmp_path / "empty").write_bytes(b"\n" * (30 << 20))
        told = read_in_child(
            "mot", tmp_path, *(tmp_path / n for n in ("long", "wide", "text", "digits"))
        )
        assert [code for code, _ in told] == [2] * 4
        assert "line 2: got 10485761 letters, more than the 1048576 bytes allowed" in told[0][1]
        assert "100001 columns; expected at most 64" in told[1][1]
        assert read_in_child("mot", tmp_path, tmp_path / "empty") == [(0, "read")]

    def test_one_bad_cell_at_the_end_of_a_large_text(self, tmp_path: Path) -> None:
        """The slow way, which finds the line, takes no more memory than the quick one."""
        (tmp_path / "t").write_bytes(b"1,1,1,1,1,1,1\n" * 1_000_000 + b"1,1,1,1,1,1,x\n")
        [(code, message)] = read_in_child("mot", tmp_path, tmp_path / "t")
        assert code == 2
        assert "line 1000001 (frame 1): got score 'x'" in message

    def test_links_and_pipes(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text("1,1,1,1,1,1,1\n")
        (tmp_path / "link").symlink_to(tmp_path / "t")
        os.mkfifo(tmp_path / "pipe")
        for name, message in (("link", "a link"), ("pipe", "no regular file")):
            for read in (read_boxes, read_detections):
                with pytest.raises(LpwError, match=message):
                    read(tmp_path / name)
        assert len(read_boxes(tmp_path / "t")) == 1

    def test_a_byte_order_mark_and_carriage_returns_stay(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_bytes(b"\xef\xbb\xbf1,1,1,1,1,1,1\r\n\r\n2,1,1,1,1,1,1\r\n")
        assert read_boxes(tmp_path / "t").frame_index.tolist() == [0, 1]


class TestTables:
    def test_cameras(self, tmp_path: Path) -> None:
        files = [sparse(tmp_path / "a", 3 << 30), tmp_path / "b", tmp_path / "c"]
        files[1].write_bytes(b"path,scene,camera\n" + b"x," * (3 << 20) + b"\n")
        files[2].write_bytes(b",".join(b"c%d" % i for i in range(100_000)) + b"\n")
        told = read_in_child("cameras", tmp_path, *files)
        assert [code for code, _ in told] == [2] * 3
        assert "--limit table_text_bytes" in told[0][1]
        assert "--limit line_bytes" in told[1][1]
        (tmp_path / "link").symlink_to(tmp_path / "c")
        with pytest.raises(LpwError, match="a link"):
            read_cameras(tmp_path / "link", {})

    def test_landmarks(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_tracklets=2, n_frames=3)
        path = dataset.frames["image"].to_pylist()[0]["path"]
        header = ",".join(["path", *(f"{c}{i}" for c in "xy" for i in range(1, 15))]) + "\n"
        row = f"{path}{',1' * 28}\n"
        files = [sparse(tmp_path / "a.csv", 3 << 30), *(tmp_path / f"{n}.csv" for n in "bcd")]
        files[1].write_text(header + row + f"other{',1' * 28}\n" * 200_000)
        files[2].write_text(header + row * 200_000)
        files[3].write_text(header + "x" * (2 << 20))
        told = read_in_child("landmarks", tmp_path / "d", *files)
        assert [code for code, _ in told] == [2, 0, 2, 2]
        assert "--limit text_bytes" in told[0][1]
        assert "199999 images named more than once" in told[2][1]
        assert "--limit line_bytes" in told[3][1]
        (tmp_path / "link.csv").symlink_to(files[1])
        with pytest.raises(LpwError, match="a link"):
            read_landmarks(tmp_path / "link.csv", dataset)

    def test_tables_of_metrics(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        row: dict[str, Any] = {f.name: "x" if f.type == pa.string() else 1 for f in METRICS}
        rows = [{**row, "model": f"m{i}", "value": 0.5} for i in range(5_000)]
        write_table(tmp_path / "metrics.parquet", pa.Table.from_pylist(rows, METRICS), METRICS)
        tables = read_metrics([tmp_path])
        assert len(read_lines([*tables, *tables])) == 5_000, (
            "equal ones once, and not by comparing each with each"
        )
        monkeypatch.setenv("LPW_LIMIT_METRICS_ROWS", "4999")
        with pytest.raises(LpwError, match="--limit metrics_rows=N raises it"):
            read_metrics([tmp_path])

    def test_lines(self) -> None:
        for text in ("", "a", "a\n", "a\r\nb\rc\n\nd", "\r\n\n\r", "a\u2028b\n"):
            assert "".join(iter_lines(text)) == text
        assert list(iter_lines("a\r\nb\rc\n\nd")) == ["a\r\n", "b\r", "c\n", "\n", "d"]


def make_log(n: int = 5) -> bytes:
    return write_lines(chain("anna", [ask(i + 1, "accept", f"t{i}") for i in range(n)]))


class TestLogs:
    def test_a_tail_of_zeros_is_told_and_left_alone(self, tmp_path: Path) -> None:
        data = make_log()
        file = sparse(tmp_path / "anna.jsonl", len(data) + (400 << 20), data)
        small = sparse(
            tmp_path / "bob.jsonl", 20_000, write_lines(chain("bob", [ask(9, "accept", "t")]))
        )
        told = read_in_child("log", tmp_path, file, small)
        assert [code for code, _ in told] == [3, 3]
        assert "--limit decision_bytes" in told[0][1]
        assert "zero bytes after the last whole line" in told[1][1]
        for name in ("anna", "bob"):
            size = (tmp_path / f"{name}.jsonl").stat().st_size
            with pytest.raises(MismatchError, match=r"zero bytes after|decision_bytes"):
                open_log(tmp_path, name, DIGEST)
            assert (tmp_path / f"{name}.jsonl").stat().st_size == size, "nothing is cut off"

    @pytest.mark.parametrize(
        "tail", [b"\0" * 4_096, b"\0", b'{"arguments', b'{"argum' + b"\0" * 500]
    )
    def test_what_a_power_failure_leaves_is_a_torn_line(self, tmp_path: Path, tail: bytes) -> None:
        (tmp_path / "anna.jsonl").write_bytes(make_log() + tail)
        assert read_log(make_log() + tail, "anna.jsonl", DIGEST).torn == tail
        with open_log(tmp_path, "anna", DIGEST) as log:
            assert len(log.decisions) == 5
            assert "torn last line" in log.repairs[0]
        assert (tmp_path / "anna.jsonl").read_bytes() == make_log()

    @pytest.mark.parametrize(
        "tail", [b"\0" * 4_097, b"x" * (1 << 20) + b"x", b'{"a' + b"\0" * 100_000 + b"}"]
    )
    def test_what_is_no_torn_line_is_never_cut_off(self, tmp_path: Path, tail: bytes) -> None:
        file = tmp_path / "anna.jsonl"
        file.write_bytes(make_log() + tail)
        for read in (
            lambda: open_log(tmp_path, "anna", DIGEST),
            lambda: read_folder(tmp_path, DIGEST),
        ):
            with pytest.raises(
                MismatchError, match=r"anna\.jsonl, line 6: got .* after the last whole line"
            ):
                read()
        assert file.read_bytes() == make_log() + tail
        with pytest.raises(MismatchError, match="line 6"):
            merge_folder(tmp_path / "ours", tmp_path, DIGEST)

    def test_zeros_between_lines_and_lines_of_nothing(self, tmp_path: Path) -> None:
        data = make_log()
        (tmp_path / "anna.jsonl").write_bytes(b"\n" * (60 << 20))
        (tmp_path / "bob.jsonl").write_bytes(b"[" * (60 << 20) + b"\n")
        (tmp_path / "carl.jsonl").write_bytes(b"[" * 60_000 + b"\n")
        told = read_in_child(
            "log", tmp_path, *(tmp_path / f"{n}.jsonl" for n in ("anna", "bob", "carl"))
        )
        assert [code for code, _ in told] == [3] * 3
        with pytest.raises(MismatchError, match="line 6"):
            read_log(data + b"\0" * 100 + b"\n", "anna.jsonl", DIGEST)

    def test_links_are_no_logs(self, tmp_path: Path) -> None:
        (tmp_path / "l").mkdir()
        (tmp_path / "anna.jsonl").write_bytes(make_log())
        (tmp_path / "l" / "anna.jsonl").symlink_to(tmp_path / "anna.jsonl")
        with pytest.raises(MismatchError, match="a link"):
            read_folder(tmp_path / "l", DIGEST)


BAD_VALUES = [
    ("data", "height", 200_000, "--limit image_side"),
    ("data", "width", 10**30, "a number of more than 16 digits; expected a finite number"),
    ("data", "height", 1e30, "finite"),
    ("data", "height", -5, "finite"),
    ("data", "height", "x" * 10_000, "type int"),
    ("data", "crop", 5_000, "--limit image_side"),
    ("data", "n_frames", 70_000, "--limit recipe_images"),
    ("data", "n_persons", 5_000, "--limit recipe_images"),
    ("data", "batch", ["sets"] * 9, "a list of 9 entries"),
    ("model", "division", [1.0] * 200_000, "--limit recipe_parts"),
    ("model", "division", [float("nan"), 1, 1], "finite"),
    ("model", "division", [1e300, 1, 1], "finite|parts? or more"),
    ("model", "division", [[1]], "a list of 1 entries"),
    ("model", "last_stride", 0, "1 or 2"),
    ("model", "weights", "w" * 5_000, "letters"),
    ("optim", "lr", 10**400, "more than 16 digits"),
    ("optim", "lr", True, "type float"),
    ("optim", "steps", list(range(100)), "--limit recipe_parts"),
    ("train", "iterations", float("inf"), "finite"),
]


NAMES = [f"{section}.{key}{i}" for i, (section, key, *_) in enumerate(BAD_VALUES)]


@pytest.mark.parametrize(("section", "key", "value", "message"), BAD_VALUES, ids=NAMES)
def test_recipes(section: str, key: str, value: Any, message: str) -> None:
    with pytest.raises(LpwError, match=message) as caught:
        given: dict[str, Any] = {"data": {"batch": "sets"}}
        make_recipe("mine", given | {section: given.get(section, {}) | {key: value}})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_recipes_as_files(tmp_path: Path) -> None:
    texts = {
        "brackets": "[model]\ndivision = " + "[" * 100_000,
        "dotted": "[data]\nheight." + "a." * 100_000 + "a = 1",
        "hex": "[data]\nheight = 0x" + "f" * 100_000,
        "digits": "[data]\nheight = " + "9" * 100_000,
        "list": f"[model]\ndivision = [{'1.0,' * 200_000}]",
        "key": "[data]\n" + "k" * 500_000 + " = 1",
        "sections": "".join(f"[s{i}]\n" for i in range(50_000)),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    sparse(tmp_path / "sparse.toml", 5 << 30)
    told = read_in_child("recipe", tmp_path, *sorted(tmp_path.glob("*.toml")))
    assert [code for code, _ in told] == [2] * 8, told
    assert "--limit recipe_bytes" in next(
        message for _, message in told if "sparse.toml" in message
    )
    for change in (
        "data.height=" + "[" * 100_000,
        "data.height=0x" + "f" * 10_000,
        "data.width=1e30",
    ):
        with pytest.raises(LpwError):
            read_recipe("paper", (change,))
    (tmp_path / "mine.toml").write_text("[data]\nheight = 64\n")
    (tmp_path / "link.toml").symlink_to(tmp_path / "mine.toml")
    assert read_recipe(str(tmp_path / "link.toml")).data.height == 64, "the user typed it"


def make_run(folder: Path, change: Any = None) -> Path:
    recipe = {"name": "modern", "data": {"height": 64, "width": 64}}
    facts: dict[str, Any] = {
        "method": "rqen",
        "recipe": recipe,
        "persons": ["a", "b"],
        "digest": "d",
        "width": 576,
    }
    facts |= {"dataset_digest": "e", "split": None, "validation": []}
    facts |= {
        "mode": {"precision": "float32", "channels_last": False, "seconds": {}, "cuda_graph": False}
    }
    if change:
        change(facts)
    facts["digest"] = digest_settings(facts)
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def test_runs(tmp_path: Path) -> None:
    def set_in(*path: Any) -> Any:
        def change(facts: dict[str, Any]) -> None:
            for key in path[:-2]:
                facts = facts.setdefault(key, {})
            facts[path[-2]] = path[-1]

        return change

    changes = [
        set_in("recipe", section, key, value)
        for section, key, value, _ in BAD_VALUES
        if value != ["sets"] * 9
    ]
    changes = [
        c
        for c, (s, k, v, _) in zip(
            changes, [b for b in BAD_VALUES if b[2] != ["sets"] * 9], strict=True
        )
        if (s, k, v) != ("data", "n_persons", 5_000)
    ]
    changes += [
        set_in("persons", [1, 2]),
        set_in("persons", ["p"] * 1_000_001),
        set_in("persons", {}),
        set_in("validation", [[]]),
        set_in("width", 10**9),
        set_in("width", "x"),
        set_in("width", True),
        set_in("split", [1]),
        set_in("method", "../../x"),
        set_in("method", "m" * 100_000),
        set_in("recipe", "evil", {}),
        set_in("recipe", "data", "evil", 1),
        set_in("mode", "precision", "exec"),
        set_in("mode", "evil", 1),
        set_in("mode", {}),
        set_in("mode", "seconds", None),
    ]
    folders = [make_run(tmp_path / f"{i}", change) for i, change in enumerate(changes)]
    for name, data in {
        "brackets": b"[" * 100_000,
        "lists": b"[" + b"[]," * (2 << 20) + b"[]]",
        "many": b"[" + b"[]," * (60 << 20) + b"[]]",
        "digits": b"9" * 100_000,
        "empty": b"",
        "null": b"null",
        "bytes": b"\xff\xfe",
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "run.json").write_bytes(data)
        folders.append(folder)
    told = read_in_child("run", tmp_path, make_run(tmp_path / "good"), *folders, mib=1_000)
    assert told[0] == (0, "read")
    assert [code for code, _ in told[1:]] == [3] * len(folders), [t for t in told[1:] if t[0] != 3]
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "run.json").symlink_to(tmp_path / "good" / "run.json")
    assert read_in_child("run", tmp_path, tmp_path / "linked")[0][0] == 3


def test_json_is_told_as_such() -> None:
    for text in ("[" * 100_000, "9" * 100_000, '{"a":' * 100_000, b"\xff"):
        with pytest.raises(ValueError, match=r"nested|digits|decode"):
            parse_json(text)
