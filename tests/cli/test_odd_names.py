"""Names that a file system allows, in a video, its folder and the dataset: every command takes
them, or refuses them before anything is made."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from lpw_cli.main import main
from street import run_lpw
from walkers import draw_frame, encode, write_boxes

N = 16
ODD = {
    "no utf-8": b"v\xe9w 1",
    "backslash and line break": b"a\\b\nc",
    "dash": b"-rf",
    "long": b"l" * 200,
    "signs": b"a'\"$(x)`%03d",
    "scripts": "日本 ü\u202e".encode(),
}
#: Locales of other encodings than UTF-8; Python itself treats C as UTF-8 unless told otherwise.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    encode(folder / "film.mp4", [draw_frame(i) for i in range(N)])
    write_boxes(folder / "det.txt", N)
    return folder


def run(*words: object) -> None:
    """`lpw WORDS` in this process, which must end well."""
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, (words[0], done.output)


def build(film: Path, work: Path, name: bytes, **env: str) -> tuple[Path, Path]:
    """The folder of a video and the dataset, all of that name."""
    odd = os.fsdecode(name)
    (work / odd).mkdir(parents=True)
    shutil.copy(film / "film.mp4", work / odd / f"{odd}.mp4")
    out = work / f"{odd}-ds"
    arguments = ("build-tracklets", work / odd, "--boxes", film / "det.txt", "--out", out)
    more = ("--no-cache", "--preset", "paper")
    if env:
        done = run_lpw(*arguments, *more, env=env)
        assert done.returncode == 0, done.stderr
    else:
        run(*arguments, *more)
    return work / odd, out


@pytest.mark.parametrize("kind", sorted(ODD))
def test_commands_take_the_name(film: Path, tmp_path: Path, kind: str) -> None:
    video, out = build(film, tmp_path, ODD[kind])
    manifest = json.loads((out / "dataset.json").read_text("utf-8"))
    assert manifest["counts"]["n_images"] == 2 * N
    path = manifest["sources"][0]["path"]
    assert path.isprintable()
    plain = kind in ("dash", "long", "signs")
    assert (path == f"{os.fsdecode(ODD[kind])}.mp4") == plain
    for words in (
        ("check", out),
        ("info", out),
        ("clean", out, "--suggest"),
        ("relink", out, "--out", tmp_path / "again", "--preset", "paper"),
    ):
        run(*words)
    again = json.loads((tmp_path / "again" / "dataset.json").read_text("utf-8"))
    assert again["sources"][0]["path"] == path
    assert again["counts"] == manifest["counts"]
    run("locate", out, "--video", video)


@pytest.mark.parametrize("kind", ["no utf-8", "backslash and line break"])
def test_pages_and_exports_take_the_name(film: Path, tmp_path: Path, kind: str) -> None:
    _, out = build(film, tmp_path, ODD[kind])
    run("show", out)
    for form in ("mot", "coco", "tree"):
        run("export", out, tmp_path / f"to-{form}", "--to", form)
        assert any((tmp_path / f"to-{form}").iterdir())


def test_another_locale_makes_and_reads_the_same(film: Path, tmp_path: Path) -> None:
    name = ODD["scripts"]
    _, out = build(film, tmp_path / "utf8", name)
    _, other = build(film, tmp_path / "ascii", name, **ASCII)
    assert (out / "dataset.json").read_bytes() == (other / "dataset.json").read_bytes()
    for dataset in (out, other):
        done = run_lpw("check", dataset, env=ASCII)
        assert done.returncode == 0, done.stderr


def test_a_name_too_long_for_the_dataset_is_refused_before_anything_is_made(
    film: Path, tmp_path: Path
) -> None:
    folder = tmp_path / ("l" * 254)
    folder.mkdir()
    shutil.copy(film / "film.mp4", folder / "a.mp4")
    done = run_lpw("build-tracklets", folder, "--boxes", film / "det.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "file name too long" in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) < 1200
    assert list(tmp_path.iterdir()) == [folder]


def test_a_note_that_is_no_utf8_is_refused(film: Path, tmp_path: Path) -> None:
    done = run_lpw(
        "build-tracklets", film / "film.mp4", "--boxes", film / "det.txt",
        "--out", tmp_path / "out", "--licence", os.fsdecode(b"caf\xe9"),
    )  # fmt: skip
    assert done.returncode == 2
    assert r"--licence: got caf\xe9, whose bytes are no UTF-8" in done.stderr
    assert not (tmp_path / "out").exists()
