"""Names that a stranger chose: wherever they go, they are shown, never obeyed."""

import csv
import io
import json
import os
import pickle
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_archives import write_ordinary
from make_dataset import make_dataset
from make_reid import make_reid, rewrite
from metric_rows import metrics
from moments import PATIENCE_S
from sealing import write_manifest
from show_tools import rename_tracklets
from tiny_benchmark import import_tiny, write_tiny

from lpw_toolkit.benchmarks.archives.archive import open_tree
from lpw_toolkit.check.problems import Problem
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.info import describe, format_info, format_table1, table1
from lpw_toolkit.dataset.video_boxes import name_files
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.metrics_table import format_table, read_lines
from lpw_toolkit.evaluation.ranked_page import format_page as format_ranked
from lpw_toolkit.evaluation.table_writer import TextTable
from lpw_toolkit.exports.form import export_dataset
from lpw_toolkit.exports.forms.tree import name_folders
from lpw_toolkit.names import (
    MAX_NAME_BYTES,
    csv_cell,
    find_path_fault,
    fold_name,
    format_csv,
    html_text,
    json_text,
    latex_cell,
    markdown_cell,
    safe_file_name,
    show_name,
    show_text,
)
from lpw_toolkit.pages.dataset_page import encode_data, read_static, write_show
from lpw_toolkit.progress import set_style, show_progress
from lpw_toolkit.video.source_names import IdMaker
from rqen.quality_page.picture_page import Section, format_page
from rqen.reproduce.forms import Report, format_report

ROOT = Path(__file__).resolve().parents[2]
#: What a terminal acts on, or nobody sees: a title, a link, the clipboard, C1, turned text, no
#: width, fillers.
STEERING = (
    "\x1b]0;pwn\x07", "\x1b]8;;http://e\x1b\\", "\x1b]52;c;cHdu\x07", "a\rb", "\x07", "\x9b31m",
    "\x7f", "\x00", "a\nb",
    "\u202egpj.exe", "\u2066a\u2069", "\u202ab\u202c", "a\u200bb", "a\u200db", "\ufeffa",
    "a\u2028b", "a\u2029b",
    "a\u00adb", "a\u3164b", "a\u2800b", "a\U000e0041", "a\ufe0f", "a\u034fb", "a\x85b", "\t=1",
    "a\x0bb", "a\udcffb",
)  # fmt: skip
STATUS_CODES = (
    "scen1/view2/000001",
    "Straßenkamera",
    "カメラ１",
    "камера",
    "كاميرا",
    "กล้อง",
    "कैमरा",
    "é",
    "e\u0301",
    "🚲",
    "a b",
)
FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-rf",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "a;=1+1",
    "'=1",
)
DEVICES = ("CON", "con.jpg", "aux", "nul.txt", "PRN .jpg", "com1.jpg", "LPT9", "com¹", "CONIN$")
ALL = "".join(STEERING)
TEXT = ALL.replace("\udcff", "")  # that a table can hold


def is_safe(text: str) -> bool:
    """Whether a terminal only shows `text`, line by line."""
    odd = [
        c for c in text if c != "\n" and (not c.isprintable() or c in "\u3164\u2800\ufe0f\u034f")
    ]
    return not odd


class TestShown:
    @pytest.mark.parametrize("name", STEERING)
    def test_what_steers_is_escaped(self, name: str) -> None:
        shown = show_name(name)
        assert is_safe(shown)
        assert "\n" not in shown
        assert "\\" in shown

    @pytest.mark.parametrize("name", STATUS_CODES)
    def test_letters_of_every_script_stay(self, name: str) -> None:
        assert show_name(name) == name

    def test_lines_of_a_table_stay_lines(self) -> None:
        assert show_text("a\n\x1b[31mb\n") == "a\n\\x1b[31mb\n"

    @pytest.mark.parametrize("text", ["x" * 5_000, "\x1b" * 5_000, "\U000e0041" * 5_000])
    def test_a_long_name_is_cut(self, text: str) -> None:
        shown = show_name(text, 100)
        assert len(shown) == 100
        assert "…" in shown

    def test_of_a_long_name_both_ends_stay(self) -> None:
        shown = show_name(f"/data/{'x' * 999}/frames.parquet", 90)
        assert shown.startswith("/data/")
        assert shown.endswith("/frames.parquet")

    @pytest.mark.parametrize("name", [*STEERING, *STATUS_CODES, '"', "\\", "\\u202e"])
    def test_json_means_the_same(self, name: str) -> None:
        for value in (name, {name: [name, 1.5, None]}):
            for indent in (None, 2):
                text = json_text(value, indent=indent)
                assert is_safe(text)
                assert json.loads(text) == value

    @pytest.mark.parametrize("name", STEERING)
    def test_errors(self, name: str) -> None:
        error = LpwError(Path(name.replace("\0", "")) / name, name, name, name)
        assert is_safe(str(error))
        assert "\n" not in str(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
        assert error.got == name

    def test_the_text_of_another_library_is_cut(self) -> None:
        assert len(str(LpwError("a", "x" * 100_000, "y", "z"))) < 2_000

    @pytest.mark.parametrize("name", STEERING)
    def test_problems_of_a_check(self, name: str) -> None:
        assert is_safe(str(Problem(name, 3, "image-missing", name)))
        assert "\n" not in str(Problem(name, 3, "image-missing", name))

    @pytest.mark.parametrize("style", ["auto", "json"])
    def test_progress(self, style: Any, capsys: pytest.CaptureFixture[str]) -> None:
        set_style(style)
        try:
            with show_progress(f"link {ALL}", 3, "boxes") as lines:
                lines.note(ALL)
                lines._print()  # type: ignore[attr-defined]
        finally:
            set_style("auto")
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1
        assert is_safe(printed)


class TestTables:
    @pytest.mark.parametrize("text", [*FORMULAS, *STEERING])
    def test_no_cell_computes(self, text: str) -> None:
        cell = csv_cell(text)
        assert isinstance(cell, str)
        assert is_safe(cell)
        assert not re.search("(^|;)[=+@\t\r\n＝＋－＠-]", cell)

    @pytest.mark.parametrize(
        "value", [-1, -1.5, np.int64(-1), np.float64(-0.5), "-1", "+2.5e-3", "-.5", None, 0, "12"]
    )
    def test_numbers_stay_numbers(self, value: object) -> None:
        assert csv_cell(value) is value

    @pytest.mark.parametrize(
        "text", ["=1+1", "'a", "''", "a;=1", "a;'b", "-rf", "plain", "a'b", "a;b"]
    )
    def test_what_it_was_can_be_read_back(self, text: str) -> None:
        assert re.sub("(^|;)'", r"\1", str(csv_cell(text))) == text

    def test_rows_stay_rows(self) -> None:
        rows = [["id", "n"], ['a,"b"', -1], ["line\nbreak", 2]]
        assert list(csv.reader(io.StringIO(format_csv(rows)))) == [
            ["id", "n"],
            ['a,"b"', "-1"],
            ["line\\nbreak", "2"],
        ]

    @pytest.mark.parametrize(
        "text",
        [r"\input{/etc/passwd}", "a & b \\\\ c", "% gone", "^^5cinput", "$x$", "a\n\\par", ALL],
    )
    def test_latex_has_no_command(self, text: str) -> None:
        cell = latex_cell(text)
        known = r"\\text(backslash|asciitilde|asciicircum|less|greater|bar)\{\}|\\[&%$#_{}]"
        rest = re.sub(known, "", cell)
        assert not set(rest) & set("\\{}$&#^_~%")
        assert is_safe(cell)

    @pytest.mark.parametrize("text", ["[2cm]", "*", "[x"])
    def test_latex_takes_no_cell_for_an_option_of_the_line_break(self, text: str) -> None:
        assert latex_cell(text) == "{}" + text

    @pytest.mark.parametrize(
        "text",
        [
            "[a](javascript:b)",
            "![a](http://b)",
            "<img src=x>",
            "a | b",
            "`a`",
            "&lt;b&gt;",
            "<http://e>",
            ALL,
        ],
    )
    def test_markdown_has_no_marks(self, text: str) -> None:
        cell = markdown_cell(text)
        assert not set(re.sub(r"\\[\\|*_`<>\[\]&~$!]", "", cell)) & set("\\|*_`<>[]&~$")
        assert is_safe(cell)

    @pytest.mark.parametrize(
        ("text", "shown"),
        [("- a", "\\- a"), ("1. a", "1\\. a"), ("# a", "\\# a"), ("-", "-"), ("1.5", "1.5")],
    )
    def test_markdown_begins_no_list(self, text: str, shown: str) -> None:
        assert markdown_cell(text) == shown

    @pytest.mark.parametrize("form", ["table", "csv", "json", "markdown", "latex"])
    def test_results(self, form: str) -> None:
        name = f"=cmd|x [a](b) <b> \\input{{/etc/passwd}} {TEXT}"
        text = format_table(
            read_lines([metrics(model=name, dataset=name)]), form=form, notes=[name]
        )
        assert is_safe(text)
        plain = format_table(read_lines([metrics()]), form=form, notes=["x"])
        assert len(text.splitlines()) == len(plain.splitlines())
        if form == "json":
            assert json.loads(text)["lines"][0]["model"] == name
        if form == "csv":
            row = next(csv.DictReader(io.StringIO(text)))
            assert row["model"].startswith("'=cmd")
            assert float(row["cmc@1"]) == 0.5
        if form == "latex":
            assert "\\input" not in text
        if form == "markdown":
            assert "[a](b)" not in text
            assert "<b>" not in text.replace("\\<b\\>", "")

    @pytest.mark.parametrize("form", ["table", "markdown", "latex", "json"])
    def test_reports(self, form: str) -> None:
        name = f"\\input{{x}} [a](b) <b> {ALL}"
        text = format_report(
            Report(
                name, [name], [TextTable([["", "n"], [name, "1"]], 1, name)], [name], {"f": name}
            ),
            form,
        )
        assert is_safe(text)
        assert "\\input" not in text or form != "latex"
        assert "[a](b)" not in text or form != "markdown"


class TestFileNames:
    @pytest.mark.parametrize(
        "name",
        [
            *STEERING,
            *DEVICES,
            "-rf",
            "--",
            ".",
            "..",
            ".ssh",
            "a.",
            "a ",
            " a",
            "",
            "a/b",
            "a\\b",
            "a:b",
            "*?<>|",
            "é" * 300,
        ],
    )
    def test_safe_everywhere(self, name: str) -> None:
        made = safe_file_name(name, set())
        assert find_path_fault(made) is None
        assert "/" not in made
        assert not made.startswith((".", "-", " "))
        assert len(made.encode()) <= MAX_NAME_BYTES
        assert unicodedata.is_normalized("NFC", made)

    @pytest.mark.parametrize(
        "name", ["000001", "view2", "Straße", "カメラ", "a-b.c", "console", "com10", "aux1", "c++"]
    )
    def test_an_ordinary_name_stays(self, name: str) -> None:
        assert safe_file_name(name, set()) == name

    def test_no_two_fall_together(self) -> None:
        taken: set[str] = set()
        names = [
            "a",
            "A",
            "é",
            "e\u0301",
            "É",
            "ß",
            "ss",
            "x" * 300,
            "x" * 301,
            "a-2",
            "-a",
            "_a",
            "con",
            "CON",
            "con_",
        ]
        made = [safe_file_name(name, taken) for name in names]
        assert len({fold_name(name) for name in made}) == len(names)
        assert max(len(name.encode()) for name in made) <= MAX_NAME_BYTES

    @pytest.mark.parametrize(
        "name", [*DEVICES, "-rf", "a.", "a ", "a:b", "a?b", "..", ".", "", "a\\b", "a\0b"]
    )
    @pytest.mark.parametrize("form", ["{}/1/5.jpg", "cam1/{}"])
    def test_paths_with_such_a_part(self, name: str, form: str) -> None:
        assert find_path_fault(form.format(name))

    @pytest.mark.parametrize(
        "path",
        [
            "pep_256x128/scen1/view1/1/5.jpg",
            "bbox_test/00-1/00-1C1T0001F001.jpg",
            ".DS_Store",
            "é/1.jpg",
        ],
    )
    def test_paths_of_real_benchmarks(self, path: str) -> None:
        assert find_path_fault(path) is None

    def test_sequences_and_ids_of_videos(self) -> None:
        assert name_files(["CON", "con", "x"]) == {"CON": "CON_", "con": "con_-2", "x": "x"}
        made = IdMaker("video")
        assert [made.make(name) for name in ("nul", "aux.mp4", "-rf", "a\u202eb")] == [
            "_nul",
            "_aux.mp4",
            "rf",
            "a_u202eb",
        ]


class TestImport:
    @pytest.mark.parametrize(
        "name", ["CON.jpg", "aux.jpg", "-rf.jpg", "nul .jpg", "a?.jpg", "com1.jpg"]
    )
    @pytest.mark.parametrize("kind", ["folder", "raw.zip", "raw.tar"])
    def test_names_that_are_none_elsewhere_are_refused(
        self, name: str, kind: str, tmp_path: Path
    ) -> None:
        raw = write_tiny(tmp_path / "raw")
        image = raw / "cam1" / "2" / "9.jpg"
        image.rename(image.with_name(name))
        if kind != "folder":
            files = {
                f.relative_to(raw).as_posix(): f.read_bytes()
                for f in sorted(raw.rglob("*"))
                if f.is_file()
            }
            raw = tmp_path / kind
            write_ordinary(raw, files)
        with pytest.raises(LpwError, match=r"device|dash|not every system") as caught:
            import_tiny(raw, tmp_path / "out")
        assert caught.value.exit_code == 2
        assert not (tmp_path / "out" / "dataset.json").exists()

    def test_names_that_fall_together_elsewhere(self, tmp_path: Path) -> None:
        raw = write_tiny(tmp_path / "raw")
        image = raw / "cam1" / "2" / "9.jpg"
        image.with_name("9.JPG").write_bytes(image.read_bytes())
        with pytest.raises(LpwError, match=r"both .*stay apart"):
            import_tiny(raw, tmp_path / "out")

    def test_a_folder_named_as_an_option(self, tmp_path: Path) -> None:
        write_ordinary(tmp_path / "a.zip", {"-rf/1.jpg": b"x"})
        with pytest.raises(LpwError, match="dash"):
            open_tree(tmp_path / "a.zip")


IDS = (
    "-rf/1",
    "a\nb",
    "\x1b]0;pwn\x07",
    "CON/aux.txt",
    "x/1.jpg",
    "names.csv",
    "y./z ",
    "\u202egpj",
    "A/q",
    "a/q",
    "=1+1",
)


class TestExport:
    def test_tree(self, tmp_path: Path) -> None:
        dataset = rename_tracklets(make_dataset(tmp_path / "d", n_tracklets=12, n_frames=2), IDS)
        made = export_dataset(dataset, "tree", tmp_path / "out")
        names = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")]
        assert [name for name in names if find_path_fault(name)] == []
        assert len({fold_name(name) for name in names}) == len(names)
        assert any("names.csv" in line for line in made.losses)
        rows = list(
            csv.DictReader((tmp_path / "out" / "names.csv").open(encoding="utf-8", newline=""))
        )
        found = {row["tracklet_id"]: row["name"] for row in rows}
        assert len(found) == 12
        for name in IDS:
            folder = tmp_path / "out" / found[str(csv_cell(name))]
            assert len([p for p in folder.iterdir() if p.is_file()]) >= 2

    def test_ordinary_ids_are_folders_as_they_are(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_frames=2)
        made = export_dataset(dataset, "tree", tmp_path / "out")
        assert not (tmp_path / "out" / "names.csv").exists()
        assert not any("names" in line for line in made.losses)
        assert all(
            (tmp_path / "out" / name).is_dir()
            for name in dataset.tracklets["tracklet_id"].to_pylist()
        )

    def test_equal_parts_share_a_folder(self) -> None:
        assert name_folders(["-a/1", "-a/2", "_a/1"]) == ["_a/1", "_a/2", "_a-2/1"]

    def test_mot(self, tmp_path: Path) -> None:
        dataset = rename_tracklets(make_dataset(tmp_path / "d", n_tracklets=12, n_frames=2), IDS)
        export_dataset(dataset, "mot", tmp_path / "out")
        text = (tmp_path / "out" / "tracks.csv").read_text("utf-8")
        assert is_safe(text)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["tracklet_id"] for row in rows} >= {str(csv_cell(name)) for name in IDS}
        assert all(row["track"].isdecimal() for row in rows)

    @pytest.mark.parametrize("form", ["fastreid", "mars", "torchreid"])
    def test_the_map_of_a_layout(self, form: str, tmp_path: Path) -> None:
        dataset = make_reid(tmp_path / "d", split=False)
        dataset = rewrite(
            dataset, lambda row: {"person_id": row["person_id"] and f"=cmd|{row['person_id']}\x1b"}
        )
        export_dataset(dataset, form, tmp_path / "out")
        text = (tmp_path / "out" / "tracklets.csv").read_text("utf-8")
        assert is_safe(text)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert all(row["person_id"].startswith("'=cmd") for row in rows if row["person_id"])
        assert {row["person"] for row in rows if row["kind"] == "junk"} <= {"-1"}

    def test_the_card_of_a_dataset(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_frames=2)
        manifest = json.loads((tmp_path / "d" / "dataset.json").read_text("utf-8"))
        evil = f"x\n---\n# h [a](javascript:b) <script> \u202e\x85 {TEXT}"
        manifest |= {"name": evil, "licence": evil, "consent": evil}
        write_manifest(tmp_path / "d", manifest)
        export_dataset(open_dataset(dataset.root), "hf", tmp_path / "out")
        card = (tmp_path / "out" / "README.md").read_text("utf-8")
        assert is_safe(card)
        assert card.count("\n---\n") == 1
        body = card.partition("\n---\n")[2]
        assert "[a](javascript" not in body
        assert "<script" not in body.replace("\\<script", "")


class Seen(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL_HTML = f"</title></script><script>alert(1)</script><img src=x onerror=alert(1)>\" ' & {ALL}"


class TestPages:
    def test_quality_and_regions(self) -> None:
        section = Section(EVIL_HTML, (EVIL_HTML,), b"png", EVIL_HTML, ((EVIL_HTML,), (EVIL_HTML,)))
        page = format_page(EVIL_HTML, [(EVIL_HTML, EVIL_HTML)], [section])
        seen = Seen(page)
        assert "script" not in seen.tags
        assert seen.tags.count("img") == 1
        assert not [name for name, _ in seen.attributes if name.startswith("on")]
        assert seen.text.count(show_name(EVIL_HTML)) >= 7
        assert is_safe(page)
        assert "default-src 'none'" in page

    def test_ranked(self) -> None:
        page = format_ranked(
            {"title": EVIL_HTML, "facts": [(EVIL_HTML, EVIL_HTML)], "skipped": [EVIL_HTML]}
        )
        plain = format_ranked({"title": "a", "facts": [], "skipped": []})
        assert Seen(page).tags == Seen(plain).tags
        assert is_safe(page)
        assert "default-src 'none'" in page

    def test_data_of_a_page(self) -> None:
        text = encode_data({"id": [EVIL_HTML, "a\u2028b"]})
        assert text.isascii()
        assert "<" not in text
        assert text.count("\n") == 1
        ids = json.loads(text.removeprefix("window.LPW_SHOW = ").removesuffix(";\n"))["id"]
        assert ids[1] == "a\u2028b"
        assert is_safe(ids[0].replace("\u2028", "").replace("\u2029", ""))

    def test_every_page_has_a_policy(self, tmp_path: Path) -> None:
        write_show(make_dataset(tmp_path / "d", n_frames=2), tmp_path / "show")
        pages = [read_static(name) for name in ("show.html", "persons.html", "ranked.html")]
        for page in [*pages, (tmp_path / "show" / "index.html").read_text("utf-8")]:
            policy = dict(Seen(page).attributes)["content"] or ""
            assert "default-src 'none'" in page
            assert "unsafe" not in policy
        from lpw_toolkit.review_page.guard import HEADERS

        assert "unsafe" not in HEADERS["content-security-policy"]
        assert "default-src 'none'" in HEADERS["content-security-policy"]

    def test_no_script_makes_markup_of_a_text(self) -> None:
        scripts = sorted((ROOT / "lpw_toolkit").rglob("*.js"))
        assert len(scripts) > 5
        marks = (
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new "
            r"Function|srcdoc|DOMParser"
        )
        assert [file.name for file in scripts if re.search(marks, file.read_text("utf-8"))] == []

    def test_text_of_a_page(self) -> None:
        assert html_text("<a href='x'>\x1b\"") == "&lt;a href=&#x27;x&#x27;&gt;\\x1b&quot;"


def run_lpw(*words: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[bytes]:
    """`lpw` with these words, and the environment changed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    return subprocess.run(
        [sys.executable, "-m", "lpw_cli", *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        timeout=PATIENCE_S,
    )


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset all of whose names steer a terminal."""
    root = tmp_path_factory.mktemp("evil") / "d\x1b]0;pwn\x07\u202e"
    names = ("\x1b]0;pwn\x07", "a\u202eb", "c\nlpw: all is well", "\x9b31m")
    dataset = rename_tracklets(make_dataset(root, n_frames=2), names)
    rewrite(dataset, lambda row: {"camera_id": f"{row['camera_id']}\x1b]52;c;x\x07\nb"})
    manifest = json.loads((root / "dataset.json").read_text("utf-8"))
    manifest |= {"name": "n\x1b[2J\u202e", "tool": "t\x9b\n", "licence": "l\x1b"}
    write_manifest(root, manifest)
    return root


class TestCommands:
    @pytest.mark.parametrize(
        "words",
        [
            ("info",), ("info", "--json"), ("info", "--table1"), ("check",), ("check", "--json"),
            ("clean", "--status"), ("clean", "--agreement"), ("clean", "--status", "--json"),
        ],
    )  # fmt: skip
    def test_a_hostile_dataset(self, words: tuple[str, ...], evil: Path) -> None:
        command, *options = words
        run = run_lpw(command, str(evil), *options, cwd=evil.parent)
        printed = (run.stdout + run.stderr).decode()
        assert is_safe(printed), printed
        assert "Traceback" not in printed
        assert "\nlpw: all is well" not in printed
        if "--json" in options:
            assert json.loads(run.stdout)

    @pytest.mark.parametrize(
        "words",
        [("show", "--out", "s"), ("export", "--to", "tree", "t"), ("export", "--to", "coco", "c")],
    )
    def test_what_writes(self, words: tuple[str, ...], evil: Path, tmp_path: Path) -> None:
        command, *options = words
        run = run_lpw(
            command,
            *(
                [str(evil), *options]
                if command == "show"
                else [*options[:2], str(evil), options[2]]
            ),
            cwd=tmp_path,
        )
        printed = (run.stdout + run.stderr).decode()
        assert is_safe(printed), printed
        assert "Traceback" not in printed
        assert [
            str(p)
            for p in tmp_path.rglob("*")
            if find_path_fault(p.relative_to(tmp_path).as_posix())
        ] == []

    @pytest.mark.parametrize(
        "words",
        [
            ("no\x1b]0;pwn\x07\nError: x",),
            ("info", "--x\x1b\u202e"),
            ("info", "a", "b\x1b\nlpw: c"),
            ("info", "a\x1b\n"),
        ],
    )
    def test_a_call_that_is_none(self, words: tuple[str, ...], tmp_path: Path) -> None:
        run = run_lpw(*words, cwd=tmp_path)
        printed = run.stderr.decode()
        assert run.returncode == 2
        assert is_safe(printed), printed
        assert "\\x1b" in printed
        assert not re.search("^(lpw: c|Error: x)", printed, re.MULTILINE)

    def test_a_terminal_of_few_letters(self, tmp_path: Path) -> None:
        make_dataset(tmp_path / "d", n_frames=2)
        manifest = json.loads((tmp_path / "d" / "dataset.json").read_text("utf-8"))
        write_manifest(tmp_path / "d", manifest | {"name": "é日"})
        run = run_lpw("info", "d", cwd=tmp_path, PYTHONIOENCODING="ascii:strict")
        assert run.returncode == 0, run.stderr
        assert b"\\xe9\\u65e5" in run.stdout

    def test_warnings_and_bugs(self, tmp_path: Path) -> None:
        code = (
            "import warnings\nfrom lpw_cli.say import guard_terminal\nguard_terminal()\n"
            "warnings.warn('w\\x1b]0;pwn\\x07\\nlpw: fine')\nraise ValueError('b\\x9b\\u202e')"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        printed = run.stderr.decode()
        assert is_safe(printed), printed
        assert "UserWarning: w\\x1b]0;pwn\\x07\\nlpw: fine" in printed
        assert "ValueError: b\\x9b\\u202e" in printed


def test_info_has_a_line_for_each_fact(evil: Path) -> None:
    dataset = open_dataset(evil)
    shown = [format_info(describe(dataset)), format_table1(table1(dataset))]
    assert all(map(is_safe, shown))
    assert "\nb" not in shown[0]
