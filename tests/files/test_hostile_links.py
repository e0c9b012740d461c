"""Links in a stranger's folder: nothing is written through one, and nothing is read through one.

Each command runs once on an innocent dataset; what it made is then planted, on a fresh copy, as a
link to a file or folder outside, and the command runs again. A watched folder outside must stay as
it was, to the byte.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from lpw_cli.main import main
from make_dataset import make_dataset
from sealing import write_manifest

from lpw_toolkit.cleaning.state.review import open_review
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.dataset.pack import write_pack
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import appending, opening, writing
from lpw_toolkit.files.listing import list_names, scan_tree

ROOT = Path(__file__).resolve().parents[2]
#: Commands that write into the dataset itself, or read all of it; `D` is the dataset, `O` a free
#: place beside it.
WRITERS = {
    "check": ["check", "D"],
    "pack": ["pack", "D"],
    "suggest": ["clean", "D", "--suggest", "--looks", "8"],
    "auto": ["clean", "D", "--auto", "duplicate"],
    "locate": ["locate", "D", "--video", "O"],
}
READERS = {
    **WRITERS,
    "info": ["info", "D"],
    "status": ["clean", "D", "--status"],
    "replay": ["clean", "D", "--replay"],
    "show": ["show", "D", "--out", "O"],
    "tree": ["export", "D", "O", "--to", "tree"],
    "mot": ["export", "D", "O", "--to", "mot"],
}


def run(command: list[str], root: Path, out: Path) -> int:
    """Exit code of `lpw`; any error but the one-line ones of a user passes through and fails the
    test."""
    arguments = [
        str(root) if word == "D" else str(out) if word == "O" else word for word in command
    ]
    try:
        main(arguments, standalone_mode=False)
    except LpwError as error:
        assert "\n" not in str(error)
        return error.exit_code
    except OSError:  # lpw_cli.main.run tells it in one line
        return 2
    except click.ClickException as error:
        return error.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    return 0


def state_of(folder: Path) -> dict[str, str]:
    """Every name below `folder`, with the SHA-256 of files, the target of links, and the rights of
    both."""
    found = {}
    for name in list_names(folder):
        file = folder / name
        what = (
            os.readlink(file)
            if file.is_symlink()
            else hashlib.sha256(file.read_bytes()).hexdigest()
        )
        found[name] = f"{what} {file.lstat().st_mode:o} {file.lstat().st_nlink}"
    return found


@pytest.fixture(scope="module")
def innocent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("innocent") / "d"
    make_dataset(root, n_tracklets=4, n_frames=3)
    open_review(open_dataset(root), "anna").close()
    assert run(WRITERS["suggest"], root, root) == 0  # the rules of `--auto` need them
    return root


@pytest.fixture(scope="module")
def made(innocent: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """By command the files (POSIX, relative) that it makes in, or adds to, an innocent dataset."""
    found = {}
    for name, command in WRITERS.items():
        root = tmp_path_factory.mktemp(name) / "d"
        shutil.copytree(innocent, root)
        (root.parent / "o").mkdir()
        if name == "suggest":
            shutil.rmtree(root / "cleanup" / "suggestions")
        before = state_of(root)
        assert run(command, root, root.parent / "o") == 0
        found[name] = sorted(
            file for file, state in state_of(root).items() if before.get(file) != state
        )
    return found


@pytest.fixture
def place(innocent: Path, tmp_path: Path) -> Path:
    """A folder with a fresh copy of the dataset `d`, a free folder `o`, and `outside`, which must
    stay as it is."""
    shutil.copytree(innocent, tmp_path / "d")
    (tmp_path / "o").mkdir()
    (tmp_path / "outside" / "folder").mkdir(parents=True)
    (tmp_path / "outside" / "file").write_text("precious\n")
    return tmp_path


class TestNothingIsWrittenOutside:
    def test_every_command_makes_something(self, made: dict[str, list[str]]) -> None:
        assert {name for name, files in made.items() if files} == set(WRITERS)

    @pytest.mark.parametrize("kind", ["link", "hard link", "link that leads nowhere"])
    @pytest.mark.parametrize("suffix", ["", ".tmp~", ".0123456789abcdef.tmp~"])
    @pytest.mark.parametrize("command", WRITERS)
    def test_files(
        self, command: str, suffix: str, kind: str, made: dict[str, list[str]], place: Path
    ) -> None:
        before = state_of(place / "outside")
        for file in made[command]:
            planted = place / "d" / f"{file}{suffix}"
            planted.parent.mkdir(parents=True, exist_ok=True)
            planted.unlink(missing_ok=True)
            if kind == "hard link":
                os.link(place / "outside" / "file", planted)
            else:
                planted.symlink_to(place / "outside" / ("file" if kind == "link" else "new"))
            run(WRITERS[command], place / "d", place / "o")
            found = {
                name: state.rpartition(" ")[0]
                for name, state in state_of(place / "outside").items()
            }
            assert found == {name: state.rpartition(" ")[0] for name, state in before.items()}, (
                planted
            )

    @pytest.mark.parametrize("command", WRITERS)
    def test_folders(self, command: str, made: dict[str, list[str]], place: Path) -> None:
        before = state_of(place / "outside")
        folders = {
            parent for file in made[command] for parent in Path(file).parents if parent != Path()
        }
        for folder in sorted(folders):
            root = place / "d"
            shutil.rmtree(root / folder, ignore_errors=True)
            (root / folder).parent.mkdir(parents=True, exist_ok=True)
            (root / folder).symlink_to(place / "outside" / "folder")
            assert run(WRITERS[command], root, place / "o") in (0, 2, 3)
            assert state_of(place / "outside") == before, folder
            (root / folder).unlink()

    def test_a_temporary_file_of_a_killed_run_is_cleared(self, tmp_path: Path) -> None:
        (tmp_path / "a.0123456789abcdef.tmp~").write_text("torn")
        (tmp_path / "b.0123456789abcdef.tmp~").write_text("of another file")
        writing.atomic_write_text(tmp_path / "a", "whole")
        assert list_names(tmp_path) == ["a", "b.0123456789abcdef.tmp~"]

    def test_a_log_with_a_second_name_is_not_added_to(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("a\n")
        os.link(tmp_path / "precious", tmp_path / "log")
        with pytest.raises(OSError, match="second name"):
            appending.append_line(tmp_path / "log", b"b")
        with pytest.raises(OSError, match="second name"):
            appending.Appender(tmp_path / "log")
        assert (tmp_path / "precious").read_text() == "a\n"

    def test_output_folders_are_not_reached_through_links(self, place: Path) -> None:
        (place / "o.tmp~").symlink_to(place / "outside")
        before = state_of(place / "outside")
        with pytest.raises(LpwError), publish_folder(place / "o"):
            pass
        assert state_of(place / "outside") == before


def test_the_attack_that_was_found(place: Path) -> None:
    """`lpw check` wrote a stranger's digest into a file of the stranger's choice."""
    facts = json.loads((place / "d" / "dataset.json").read_text())
    write_manifest(place / "d", facts | {"digest": "$(touch owned)"})
    (place / "d" / ".lpw").mkdir()
    (place / "d" / ".lpw" / "checked.jsonl.tmp~").symlink_to("../../outside/file")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "lpw_cli", "check", str(place / "d")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert (place / "outside" / "file").read_text() == "precious\n"


class TestNothingIsReadOutside:
    def test_tables_images_and_the_manifest(self, innocent: Path, tmp_path: Path) -> None:
        """A link in place of a file, to the very same bytes: whoever follows it does not notice,
        and must not."""
        shutil.copytree(innocent, tmp_path / "elsewhere")
        for name in ("dataset.json", "tracklets.parquet", "frames.parquet", "timeline", "images"):
            root = tmp_path / f"d-{name}"
            shutil.copytree(innocent, root)
            shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()
            (root / name).symlink_to(tmp_path / "elsewhere" / name)
            for command in ("tree", "pack", "show") if name == "images" else READERS:
                out = tmp_path / f"o-{name}-{command}"
                code = run(READERS[command], root, out)
                if (name, command) == (
                    "images",
                    "show",
                ):  # a page is made, and says what is missing
                    assert code == 4
                else:
                    assert code in (2, 3), (name, command)

    @pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
    def test_a_link_at_every_level_of_an_image(self, level: int, place: Path) -> None:
        root = place / "d"
        dataset = open_dataset(root)
        path = dataset.frames["image"].to_pylist()[0]["path"]
        parts = path.split("/")
        target = "/".join(parts[: level + 1])
        shutil.move(root / target, place / "outside" / "moved")
        (root / target).symlink_to(place / "outside" / "moved")
        reader = open_images(dataset)
        with pytest.raises(LpwError, match="a link, which is not followed"):
            reader.read(0)
        with pytest.raises(LpwError, match="a link, which is not followed"):
            dataset.read_image(path, b"")
        with pytest.raises(LpwError, match="a link, which is not followed"):
            write_pack(dataset)

    def test_a_linked_pack(self, place: Path) -> None:
        root = place / "d"
        write_pack(open_dataset(root))
        shutil.move(root / "images.pack", place / "outside" / "images.pack")
        (root / "images.pack").symlink_to(place / "outside" / "images.pack")
        with pytest.raises(LpwError, match="a link, which is not followed"):
            open_images(open_dataset(root))
        assert run(["check", "D"], root, place / "o") == 3

    def test_linked_logs_and_suggestions(self, place: Path) -> None:
        root = place / "d"
        assert run(WRITERS["auto"], root, place / "o") == 0
        shutil.move(root / "cleanup", place / "outside" / "cleanup")
        (root / "cleanup").symlink_to(place / "outside" / "cleanup")
        for command in ("status", "replay", "auto"):
            assert run(READERS[command], root, place / "o") in (2, 3), command

    @pytest.mark.parametrize("root", ["..", "../..", "../outside", "images/../../outside"])
    def test_images_root_of_a_stranger(self, root: str, place: Path) -> None:
        facts = json.loads((place / "d" / "dataset.json").read_text())
        for settings in ({}, {"import": {"in_place": True}}):
            write_manifest(place / "d", facts | {"images_root": root, "settings": settings})
            for command in ("tree", "pack", "check"):
                assert run(READERS[command], place / "d", place / "o" / command) == 3, (
                    settings,
                    command,
                )

    def test_records_of_another_user_are_not_believed(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = json.loads((place / "d" / "dataset.json").read_text())
        facts |= {"images_root": "../outside", "settings": {"import": {"in_place": True}}}
        write_manifest(place / "d", facts)
        for name in list_names(place / "d" / "images"):
            target = place / "outside" / "images" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(place / "d" / "images" / name, target)
        assert run(["locate", "D", "--images", "O"], place / "d", place / "outside") == 0
        assert run(["check", "D"], place / "d", place / "o") == 0
        monkeypatch.setenv("LPW_CONFIG", str(place / "configuration of another user"))
        assert run(["check", "D"], place / "d", place / "o") == 3
        assert run(["pack", "D"], place / "d", place / "o") == 3
        forged = {"images_root": {"place": str(place / "outside"), "mark": "0" * 64}}
        (place / "d" / ".lpw" / "local.json").write_text(json.dumps(forged))
        assert run(["pack", "D"], place / "d", place / "o") == 3


class TestWhatTheUserNamesMayBeALink:
    def test_a_dataset_on_another_disk(self, place: Path) -> None:
        (place / "link").symlink_to(place / "d")
        for name, command in READERS.items():
            assert run(command, place / "link", place / "o" / name) == 0, name

    def test_a_parent_folder(self, place: Path) -> None:
        (place / "disk").symlink_to(place)
        assert run(["check", "D"], place / "disk" / "d", place / "o") == 0
        assert (
            run(["export", "D", "O", "--to", "tree"], place / "disk" / "d", place / "disk" / "out")
            == 0
        )
        assert (place / "out").is_dir()


class TestRaces:
    """A second process swaps what is opened; every turn ends with the true bytes or a refusal."""

    N_TURNS = 300

    def swap(self, change: Callable[[int], None], read: Callable[[], object]) -> list[object]:
        ended = threading.Event()

        def keep_changing() -> None:
            turn = 0
            while not ended.is_set():
                change(turn)
                turn += 1

        other = threading.Thread(target=keep_changing)
        other.start()
        found: list[object] = []
        try:
            for _ in range(self.N_TURNS):
                try:
                    found.append(read())
                except (LpwError, OSError):
                    found.append(None)
        finally:
            ended.set()
            other.join()
        return found

    def test_a_file_that_becomes_a_link(self, place: Path) -> None:
        own, link = place / "o" / "own", place / "o" / "link"

        def change(turn: int) -> None:
            if turn % 2:
                own.write_text("own")
                own.rename(place / "o" / "file")
            else:
                link.symlink_to(place / "outside" / "file")
                link.rename(place / "o" / "file")

        change(1)
        found = self.swap(change, lambda: opening.read_bytes(place / "o" / "file", "text_bytes"))
        assert set(found) <= {b"own", None}

    def test_a_folder_that_becomes_a_link(self, place: Path) -> None:
        inner = place / "o" / "inner"

        def change(turn: int) -> None:
            if turn % 2:
                inner.symlink_to(place / "outside")
                inner.unlink()
            else:
                inner.mkdir()
                (inner / "file").write_text("own")
                shutil.rmtree(inner)

        folder = opening.Folder(place / "o")
        found = self.swap(change, lambda: folder.read("inner/file", "line_bytes"))
        assert set(found) <= {b"own", b"", None}

    def test_writing_where_a_link_appears(self, place: Path) -> None:
        link = place / "o" / "link"
        before = state_of(place / "outside")

        def change(turn: int) -> None:
            link.symlink_to(place / "outside" / "file")
            link.rename(place / "o" / "out")

        self.swap(change, lambda: writing.atomic_write_text(place / "o" / "out", "new"))
        self.swap(change, lambda: writing.write_file(place / "o" / "out", b"new"))
        assert state_of(place / "outside") == before

    def test_a_table_that_changes_after_it_was_verified(self, place: Path) -> None:
        root = place / "d"
        good = (root / "tracklets.parquet").read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        names = open_dataset(root).tracklets["tracklet_id"].to_pylist()

        def change(turn: int) -> None:
            (place / "o" / "new").write_bytes(good if turn % 2 else bad)
            (place / "o" / "new").rename(root / "tracklets.parquet")

        dataset = open_dataset(root)

        def read() -> object:
            vars(dataset).pop("tracklets", None)
            return tuple(dataset.tracklets["tracklet_id"].to_pylist())

        assert set(self.swap(change, read)) <= {tuple(names), None}


def test_scanning_names_links_and_follows_none(place: Path) -> None:
    (place / "o" / "inner").mkdir()
    (place / "o" / "inner" / "link").symlink_to(place / "outside")
    found = scan_tree(place / "o")
    assert (found.files, found.links) == ([], ["inner/link"])
    with pytest.raises(OSError, match="a link, which is not followed"):
        scan_tree(place / "o" / "inner" / "link")
