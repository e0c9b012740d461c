"""Every command and every Python example of README and docs/ does what it says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from lpw_cli.main import COMMANDS, main
from moments import PATIENCE_S
from pages import ROOT, find_blocks, find_commands, list_pages
from street import OPTIONS, run_lpw
from tour import make_tour

README = ROOT / "README.md"
PAGES = {page.name: page for page in list_pages()}
RUN = [name for name, page in PAGES.items() if find_commands(page) or find_blocks(page, "python")]
BUILD = ["build-tracklets", "video/", "--out", "my-dataset", "--weights", "yolov8n.pt"]
IMPORT = ["import", "lpw", "mini_lpw", "--out", "lpw", "--allow-partial"]
#: What a page expects to be there already.
BEFORE = {"cleaning.md": [BUILD], "training.md": [IMPORT], "data-contract.md": [BUILD]}
#: A training of seconds.
TINY = (
    "train.iterations=1",
    "train.precision=float32",
    "train.channels_last=yes",
    "data.n_persons=2",
    "data.n_frames=2",
)
#: Only read, not run: minutes long, a server, or made of other commands.
LONG = ("demo", "reproduce")


def parse(arguments: list[str]) -> None:
    """Names of options and choices, checked by click as it would; nothing is run."""
    command: click.Command = main
    context, rest = click.Context(main, info_name="lpw"), list(arguments)
    while isinstance(command, click.Group):
        _, (name, *rest), _ = command.make_parser(context).parse_args(rest)
        inner = command.get_command(context, name)
        assert inner is not None, name
        command, context = inner, click.Context(inner, info_name=name, parent=context)
    values, left, _ = command.make_parser(context).parse_args(rest)
    assert not left, left
    for option in command.params:
        if (
            isinstance(option.type, click.Choice | click.types.IntParamType)
            and option.name in values
        ):
            option.type_cast_value(context, values[option.name])


def shorten(arguments: list[str]) -> list[str] | None:
    """The command with saved boxes for weights, and one training step; None if only read."""
    if arguments[0] in LONG or "--review" in arguments or "my.toml" in arguments:
        return None
    if arguments[:2] == ["weights", "get"] or "osnet_x0_25_msmt17" in arguments:
        return None  # fetches
    if arguments[0] == "build-tracklets" and "--boxes" not in arguments:
        at = arguments.index("--weights") if "--weights" in arguments else len(arguments)
        return [*arguments[:at], "--boxes", "det.txt", *arguments[at + 2 :], *OPTIONS]
    if arguments[0] == "train":
        return [*arguments, *(f"--set={change}" for change in TINY)]
    return arguments


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tour(tmp_path_factory.mktemp("tour"))


def test_the_readme_shows_the_two_commands_first_and_is_short():
    text = README.read_text("utf-8")
    assert len(text.encode()) <= 8192
    first = text.split("```")[1].splitlines()[1:]
    assert [line.split("#")[0].strip() for line in first] == [
        'pip install -e ".[all]" && lpw demo',
        'pip install -e ".[all,test]" && pytest',
    ]


def test_every_command_has_an_example():
    shown = {arguments[0] for page in PAGES.values() for arguments in find_commands(page)}
    assert set(COMMANDS) - {"demo"} <= shown


@pytest.mark.parametrize("page", PAGES)
def test_options_and_choices_of_every_command_exist(page):
    for arguments in find_commands(PAGES[page]):
        parse(arguments)


@pytest.mark.parametrize("page", RUN)
def test_commands_and_python_examples_run_as_written(page, tour, tmp_path, monkeypatch):
    folder = shutil.copytree(tour, tmp_path / "tour")
    monkeypatch.chdir(folder)
    for arguments in filter(
        None, map(shorten, [*BEFORE.get(page, []), *find_commands(PAGES[page])])
    ):
        found = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert found.exit_code == 0, (arguments, found.output)
    made = [path for path in folder.iterdir() if (path / "dataset.json").is_file()]
    assert made or not page.startswith(("README", "building", "cleaning", "protocols", "training"))
    blocks = find_blocks(PAGES[page], "python")
    if not blocks:
        return
    script = folder / "examples.py"
    script.write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.realdata
def test_the_readme_tour_on_real_video_with_real_weights(shared_data, tmp_path):
    (tmp_path / "video").mkdir()
    shutil.copy(shared_data / "video" / "tud-stadtmitte" / "TUD-Stadtmitte.mp4", tmp_path / "video")
    shutil.copy(shared_data / "mot15" / "TUD-Stadtmitte" / "gt" / "gt.txt", tmp_path / "gt.txt")
    shutil.copy(shared_data / "mot15" / "TUD-Stadtmitte" / "det" / "det.txt", tmp_path / "det.txt")
    shutil.copy(shared_data / "weights" / "yolov8n_coco_dequantized.pt", tmp_path / "yolov8n.pt")
    shutil.copytree(shared_data / "mini_lpw", tmp_path / "mini_lpw")
    shutil.copy(shared_data / "weights" / "osnet_x0_25_msmt17.onnx", tmp_path / "osnet.onnx")
    env = {"LPW_CACHE": str(tmp_path / "cache")}
    shown = [*find_commands(README), *find_commands(PAGES["protocols.md"])]
    for arguments in map(list, dict.fromkeys(map(tuple, shown))):
        if shorten(arguments) and arguments[0] != "train" and "runs/rqen" not in arguments:
            done = run_lpw(*arguments, cwd=tmp_path, env=env)
            assert done.returncode == 0, (arguments, done.stderr)
    score = json.loads(
        run_lpw("score-tracklets", "my-dataset", "--truth", "gt.txt", "--json", cwd=tmp_path).stdout
    )
    assert score["all"]["yield_frac"] > 0.5 and score["all"]["purity"] > 0.9
    rows = json.loads((tmp_path / "result" / "table.json").read_text())
    assert "cmc@1" in json.dumps(rows)
