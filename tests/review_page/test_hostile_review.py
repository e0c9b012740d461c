"""What a second look at strangers' folders found: odd values in tables and manifests, forged states
and packs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from lpw_cli.main import main
from make_reid import make_reid
from moments import give_up_on_a_hang
from sealing import seal_tables, write_manifest

from lpw_toolkit.check import images
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.check.images import STATE_FILE, CheckState, Images
from lpw_toolkit.check.rows import check_paths, check_tracklets
from lpw_toolkit.cleaning.suggest.suggest import FOLDER, TABLES, SuggestOptions, suggest
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.info import describe
from lpw_toolkit.dataset.pack import PACK_FILE, PACK_TABLE, write_pack
from lpw_toolkit.dataset.schema import FRAMES, PACK, SCHEMAS, TRACKLETS
from lpw_toolkit.dataset.tables import make_table, read_table, write_table
from lpw_toolkit.dataset.workspace import recall_root, remember_root
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.files.opening import Folder, parse_json

Row = dict[str, Any]
MANY = 20_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_reid(tmp_path / "d", boxes=True).root


def lpw(*command: object) -> tuple[int, str]:
    """Exit code and the last line."""
    done = CliRunner().invoke(main, [str(word) for word in command])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, LpwError), repr(done.exception)
        assert "\n" not in str(done.exception)
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, done.output


def forge(root: Path, name: str, change: Callable[[Row], Row]) -> None:
    """Changes each row of a table, and dataset.json so that it still fits."""
    schema = SCHEMAS[name]
    table = read_table(root / f"{name}.parquet", schema)
    new = pa.Table.from_pylist([row | change(row) for row in table.to_pylist()], schema=schema)
    write_table(
        root / f"{name}.parquet", new.replace_schema_metadata(table.schema.metadata), schema
    )
    seal_tables(root, f"{name}.parquet")


def forge_manifest(root: Path, **facts: Any) -> None:
    write_manifest(root, json.loads((root / "dataset.json").read_text()) | facts)


class TestTexts:
    @pytest.mark.parametrize("text", [r'"\ud800"', r'{"\uDFff": 1}', r'["a\udC00\ud800"]'])
    def test_half_a_character_is_no_json(self, text: str) -> None:
        for form in (text, text.encode()):
            with pytest.raises(ValueError, match="half a character"):
                parse_json(form)

    def test_whole_characters_are(self) -> None:
        assert parse_json(r'"\ud83d\ude00 \\ud800"') == "\U0001f600 \\ud800"

    @pytest.mark.parametrize(
        "change",
        [{"name": "\ud800"}, {"licence": "\ud800"}, {"images_root": "\ud800"}, {"parent": ["x"]}],
    )
    def test_a_manifest(self, change: Row, root: Path, tmp_path: Path) -> None:
        forge_manifest(root, **change)
        for command in (
            ("info", root),
            ("check", root),
            ("clean", root, "--apply", tmp_path / "o"),
        ):
            assert lpw(*command)[0] == 3

    @pytest.mark.parametrize(
        "change",
        [
            {"start_s": "x"},
            {"start_s": 1e308},
            {"scene_id": [1]},
            {"camera_id": {}},
            {"sha256": ["x"]},
        ],
    )
    def test_sources(self, change: Row, root: Path) -> None:
        facts = json.loads((root / "dataset.json").read_text())
        forge_manifest(root, sources=[source | change for source in facts["sources"]])
        code, said = lpw("clean", root, "--suggest")
        assert code == 3 and "a damaged manifest (sources: " in said

    def test_sources_that_only_a_build_needs(self, root: Path, tmp_path: Path) -> None:
        entry = {"video_id": "a", "path": "b.mp4", "report": {"problems": 7}}
        forge_manifest(root, sources=[entry])
        (tmp_path / "v").mkdir()
        assert lpw("info", root)[0] == 0
        code, said = lpw("relink", root, "--out", tmp_path / "o", "--video", tmp_path / "v")
        assert code == 3 and "without a scene or camera" in said

    def test_a_digest_is_there(self, root: Path) -> None:
        forge_manifest(root, digest=None)
        assert lpw("info", root)[0] == 3

    def test_names_of_thousands_of_digits_have_an_order(self, root: Path, tmp_path: Path) -> None:
        long = "9" * 5_000
        assert natural_key(f"a{long}") > natural_key("a1")
        forge(
            root,
            "tracklets",
            lambda row: {"camera_id": row["camera_id"] + long, "scene_id": f"s{long}"},
        )
        assert lpw("show", root, "--out", tmp_path / "o")[0] == 0
        assert lpw("export", root, tmp_path / "x", "--to", "mars")[0] in (0, 2)


class TestTables:
    @pytest.mark.parametrize("n_frames", [0, -1, -(2**31)])
    def test_tracklets_have_frames(self, n_frames: int, root: Path) -> None:
        forge(root, "tracklets", lambda row: {"n_frames": n_frames})
        code, said = lpw("info", root)
        assert code == 3 and f"a tracklet of {n_frames} frames" in said

    def test_splits_have_a_bound(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """65,536 of them, in a table of some kB, were evaluated for a quarter of an hour."""
        forge(root, "splits", lambda row: {"split": row["split"] + int(row["tracklet_id"][-1]) % 5})
        monkeypatch.setenv("LPW_LIMIT_SPLITS", "1")
        code, said = lpw("info", root)
        assert code == 2 and "more than the 1 splits allowed" in said

    def test_a_kind_is_one_of_three(self, root: Path) -> None:
        forge(root, "tracklets", lambda row: {"kind": "\x1b[31m"})
        code, said = lpw(
            "eval", "--embeddings", root / "e.parquet", "--data", root, "--protocol", "lpw"
        )
        assert code == 3 and "the kind" in said and "\x1b" not in said

    @pytest.mark.parametrize(
        "command", [["pack"], ["clean", "--suggest"], ["embed"], ["export", "O", "--to", "hf"]]
    )
    def test_an_image_without_a_path(self, command: list[str], root: Path, tmp_path: Path) -> None:
        forge(root, "frames", lambda row: {"image": {"bytes": None, "path": None}})
        words = [str(tmp_path / "o") if word == "O" else word for word in command]
        if command == ["embed"]:
            with pytest.raises(LpwError, match="image path None"):
                open_images(open_dataset(root)).read(0)
            return
        code, said = lpw(words[0], root, *words[1:])
        assert code == 3 and "image path None" in said

    def test_a_camera_a_tracklet_costs_no_square(self, root: Path) -> None:
        """Columns for which 20,000 cameras took a minute."""
        names = [f"{i:06}" for i in range(MANY)]
        nothing = [None] * MANY
        halves = [name[:5] for name in names]  # ten tracklets in each camera, of ten scenes
        columns: list[Any] = [
            names,
            names,
            halves,
            nothing,
            ["person"] * MANY,
            names,
            [1] * MANY,
            nothing,
            nothing,
        ]
        table = make_table(columns, TRACKLETS)
        write_table(root / "tracklets.parquet", table, TRACKLETS)
        seal_tables(root, "tracklets.parquet")
        with give_up_on_a_hang():
            cameras = describe(open_dataset(root))["cameras"]
            problems = list(check_tracklets(table))
        assert len(cameras) == MANY // 10
        assert cameras[1] == {
            "camera_id": "00001", "scene_id": "000010", "n_tracklets": 10, "n_images": 10,
            "n_persons": None,
            "time_s": None,
        }  # fmt: skip
        assert len(problems) == 21 and str(MANY // 10 - 20) in problems[-1].found

    def test_one_file_is_verified_once(self, root: Path) -> None:
        first = read_table(root / "frames.parquet", FRAMES).slice(0, 1).to_pylist()[0]
        forge(root, "frames", lambda row: {"image": first["image"], "sha256": first["sha256"]})
        frames = open_dataset(root).frames
        assert check_paths(frames)[1].sum() == 1
        report = check_dataset(root)
        assert report.n_images == 1 and not report.complete

    def test_whose_image_it_is(self, root: Path) -> None:
        frames = open_dataset(root).frames
        images = Images(Folder(root), frames, np.arange(frames.num_rows))
        wanted = frames["sha256"].to_pylist()
        assert [wanted[images.find(digest)] for digest in wanted] == wanted
        assert images.find(b"\0" * 32) == -1 and images.find(b"\xff" * 32) == -1


class TestState:
    def test_a_strangers_state_is_not_believed(self, root: Path) -> None:
        """A disk that is sent brings its inode numbers and times of change along."""
        dataset = open_dataset(root)
        image = root / str(dataset.frames["image"][0].as_py()["path"])
        image.write_bytes(b"other")
        status = image.stat()
        state = CheckState(
            root / ".lpw" / STATE_FILE, str(dataset.manifest["digest"]), dataset.frames.num_rows
        )
        state.start(incremental=True)
        known = [0, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        mark = "0" * 64
        for line in (
            {"verified": [known]},
            {"mark": mark, "verified": [known]},
            {"mark": None, "verified": [known]},
        ):
            with (root / ".lpw" / STATE_FILE).open("a") as stream:
                stream.write(json.dumps(line, separators=(",", ":")) + "\n")
        for incremental in (True, False):
            report = check_dataset(root, incremental=incremental)
            assert "image-hash" in {problem.rule for problem in report.problems}

    def test_a_line_without_a_mark_is_not_parsed(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """200 MB of [] would take gigabytes."""
        check_dataset(root)
        file = root / ".lpw" / STATE_FILE
        with file.open("ab") as stream:
            stream.write(
                b'{"mark":"' + b"0" * 64 + b'","verified":[' + b"[]," * 1_000_000 + b"[]]}\n"
            )
        parsed: list[int] = []
        true_loads = json.loads
        monkeypatch.setattr(
            json,
            "loads",
            lambda text, **words: parsed.append(len(text)) or true_loads(text, **words),
        )
        check_dataset(root, incremental=True)
        assert max(parsed, default=0) < 1_000_000

    def test_without_a_key_it_is_said(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("LPW_CONFIG", str(tmp_path / "file" / "config"))
        monkeypatch.setattr(
            images, "_YOUNG_NS", -(1 << 62)
        )  # a file made just now is remembered too
        report = check_dataset(root)
        assert any("no place for a key" in note for note in report.notes)

    def test_videos_at_a_place_that_is_no_text(self, root: Path, tmp_path: Path) -> None:
        place = tmp_path / "caf\udce9"
        place.mkdir()
        dataset = open_dataset(root)
        assert remember_root(dataset, place) == place == recall_root(dataset)


class TestPack:
    def test_an_image_of_a_pack_has_a_bound(self, root: Path) -> None:
        dataset = open_dataset(root)
        write_pack(dataset)
        table = read_table(root / PACK_TABLE, PACK)
        length = 2**31 - 1
        n_bytes = table.num_rows * length
        rows = [
            row | {"offset": i * length, "length": length}
            for i, row in enumerate(table.to_pylist())
        ]
        facts = {**table.schema.metadata, b"lpw_pack_bytes": str(n_bytes).encode()}
        new = pa.Table.from_pylist(rows, schema=PACK).replace_schema_metadata(facts)
        write_table(root / PACK_TABLE, new, PACK)
        with (root / PACK_FILE).open("r+b") as stream:
            stream.truncate(n_bytes)
        with pytest.raises(LpwError, match="an image of 2147483647 bytes"):
            open_images(dataset)
        assert "image-bound" in {problem.rule for problem in check_dataset(root).problems}


class TestHints:
    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("suggestions", {"tracklet_id": "nobody"}),
            ("suggestions", {"other_id": "nobody"}),
            ("suggestions", {"first_position": -1}),
            ("suggestions", {"end_position": 2**31 - 1}),
            ("signals", {"position": 2**31 - 1}),
            ("candidates", {"other_id": "nobody"}),
        ],
    )
    def test_suggestions_fit_the_dataset(self, name: str, change: Row, root: Path) -> None:
        from lpw_toolkit.review_page.suggestions import open_suggestions

        dataset = open_dataset(root)
        suggest(root, options=SuggestOptions(looks=4))
        assert open_suggestions(dataset).tables.keys() == TABLES.keys()
        file = root / FOLDER / f"{name}.parquet"
        table = read_table(file, TABLES[name])
        rows = [row | change for row in table.to_pylist()]
        new = pa.Table.from_pylist(rows, schema=TABLES[name]).replace_schema_metadata(
            table.schema.metadata
        )
        write_table(file, new, TABLES[name])
        with pytest.raises(LpwError, match=f"{name}.parquet: got suggestions with"):
            open_suggestions(dataset)
