"""What all commands share: one dataclass each, help in groups, suggestions, JSON, the environment,
old names."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from lpw_cli.command import Changes, Command, lpw_command, option, renamed_option
from lpw_cli.main import COMMANDS, GROUPS, main
from lpw_cli.options import dataset_argument
from street import run_lpw

from lpw_toolkit.linking.linker import LinkConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyOptions:
    dataset: Path | None
    colour: str
    size: int


SEEN: list[ToyOptions] = []


@lpw_command(ToyOptions)
@dataset_argument
@option("--colour", type=click.Choice(["red", "green"]), default="red")
@option("--size", type=int, default=3, needs="--colour green")
@renamed_option("--color", "--colour")
@renamed_option("verdant", "--colour", "green")
def toy(options: ToyOptions) -> None:
    """A toy."""
    SEEN.append(options)


def call(*words: str, env: dict[str, str] | None = None) -> str:
    SEEN.clear()
    done = CliRunner().invoke(toy, words, env=env, auto_envvar_prefix="LPW_TOY")
    return done.output


class TestHelp:
    def test_every_command_stands_in_one_group(self) -> None:
        assert sum(map(len, GROUPS.values())) == len(COMMANDS)
        shown = CliRunner().invoke(main, ["--help"]).output
        places = [shown.index(f"\n{heading}:") for heading in GROUPS]
        assert places == sorted(places)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_options_have_a_help_and_no_none(self, name: str) -> None:
        command = main.get_command(click.Context(main), name)
        inner = list(command.commands) if isinstance(command, click.Group) else []
        for words in [[name, one] for one in inner] or [[name]]:
            shown = CliRunner().invoke(main, [*words, "--help"]).output
            assert "None" not in shown and shown.index("\nOptions:") < shown.index("\nGeneral:")
        for one in command.commands.values() if isinstance(command, click.Group) else [command]:
            if isinstance(one, Command):
                assert [given.shown for given in one.options if not given.help] == []

    @pytest.mark.parametrize("name", ["build-tracklets", "relink", "link"])
    def test_the_knobs_of_the_linker_have_a_heading(self, name: str) -> None:
        shown = CliRunner().invoke(main, [name, "--help"]).output
        linking = shown.index("\nLinking:")
        for field in dataclasses.fields(LinkConfig):
            if field.name == "extra":  # of rules that other packages add
                continue
            assert shown.index(f"  --{field.name.replace('_', '-')} ") > linking


class TestDataset:
    def test_it_is_an_argument_or_an_option(self) -> None:
        call("mini")
        assert SEEN[0].dataset == Path("mini")
        call("--data", "mini")
        assert SEEN[0].dataset == Path("mini")
        call()
        assert SEEN[0].dataset is None
        assert "DATASET and --data say the same thing" in call("mini", "--data", "other")

    @pytest.mark.parametrize(
        "name",
        sorted({*COMMANDS} - {"build-tracklets", "link", "import", "synth", "demo", "weights"}),
    )
    def test_every_command_that_reads_one_takes_data(self, name: str) -> None:
        command = main.get_command(click.Context(main), name)
        parts = command.commands.values() if isinstance(command, click.Group) else [command]
        for part in parts:
            assert any("--data" in param.opts for param in part.params), part.name

    def test_the_folder_of_a_street_is_an_argument_or_an_option(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        runner = CliRunner()
        assert runner.invoke(main, ["synth", "--out", "a", "--preset", "tiny"]).exit_code == 0
        assert Path("a/street.json").is_file()
        both = runner.invoke(main, ["synth", "b", "--out", "a", "--preset", "tiny"])
        assert both.exit_code == 2 and "give one" in both.output
        assert "--out" in runner.invoke(main, ["synth"]).output


class TestSuggestions:
    @pytest.mark.parametrize(
        ("words", "near"),
        [
            (["trian", "rqen"], "train"),
            (["build-tracklet", "video"], "build-tracklets"),
            (["build-tracklets", "video", "--preset", "papper"], "paper"),
            (["build-tracklets", "video", "--detector", "onx"], "onnx"),
            (["export", "a", "b", "--to", "torchried"], "torchreid"),
            (["info", "--jsn"], "--json"),
            (["import", "prid2001", "raw", "--out", "o"], "prid2011"),
            (["reproduce", "tabel1"], "table1"),
        ],
    )
    def test_the_nearest_is_named(self, words: list[str], near: str) -> None:
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 2
        assert near in done.output.partition("Did you mean")[2], done.output

    def test_so_it_is_in_errors_of_the_library(self, tmp_path: Path) -> None:
        done = run_lpw("--limit", "jsn_bytes=3", "info", cwd=tmp_path)
        assert done.stderr.endswith("; did you mean json_bytes?\n")
        assert "did you mean" not in run_lpw("info", "gone", cwd=tmp_path).stderr


class TestOldNames:
    def test_an_old_option_goes_on_working_with_a_note(self) -> None:
        assert "note: --color is now --colour" in call("--color", "green")
        assert SEEN[0].colour == "green"
        assert "note: --color is now --colour" in call("--color=green", "--size", "4")
        assert SEEN[0].size == 4

    def test_so_does_an_old_value(self) -> None:
        for words in (["--colour", "verdant"], ["--colour=verdant"]):
            assert "note: --colour verdant is now --colour green" in call(*words)
            assert SEEN[0].colour == "green"

    def test_what_follows_two_dashes_is_no_option(self) -> None:
        assert "note" not in call("--", "--color")
        assert SEEN[0].dataset == Path("--color")


class TestEnvironment:
    def test_an_option_stands_in_it(self) -> None:
        call(env={"LPW_TOY_COLOUR": "green", "LPW_TOY_SIZE": "7"})
        assert (SEEN[0].colour, SEEN[0].size) == ("green", 7)

    def test_one_that_is_not_for_this_call_is_left_out(self) -> None:
        assert call(env={"LPW_TOY_SIZE": "7"}) == ""
        assert SEEN[0].size == 3

    def test_it_never_says_what_is_done(self, tmp_path: Path) -> None:
        done = CliRunner().invoke(main, ["clean"], env={"LPW_CLEAN_STATUS": "1"})
        assert done.exit_code == 2 and "give one of --suggest" in done.output


class TestJson:
    @pytest.mark.parametrize(
        "words",
        [
            ["info", "gone", "--json"], ["--json", "info", "gone"], ["check", "gone", "--json"],
            ["clean", "gone", "--status", "--undo", "--json"], ["trian", "--json"],
            ["eval", "--embeddings", "gone", "--data", "gone", "--protocol", "mars", "--json"],
        ],
    )  # fmt: skip
    def test_an_error_is_one_line_of_json(self, words: list[str], tmp_path: Path) -> None:
        done = run_lpw(*words, cwd=tmp_path)
        assert done.returncode == 2 and done.stdout == ""
        told = json.loads(done.stderr.splitlines()[-1])
        assert told["exit_code"] == 2 and told["error"]["message"]

    def test_every_line_is_json_and_the_result_stands_alone(self, tmp_path: Path) -> None:
        done = run_lpw("synth", "street", "--preset", "tiny", "--json", cwd=tmp_path)
        assert json.loads(done.stdout)["out"] == "street"
        build = ["build-tracklets", "street/video", "--boxes", "street/detections", "--no-cache"]
        done = run_lpw("--json", *build, cwd=tmp_path)
        assert json.loads(done.stdout)["dataset"] == "video-lpw"
        notes = [json.loads(line) for line in done.stderr.splitlines()]
        assert {"note": "output: video-lpw"} in notes
        quiet = run_lpw("info", "-q", cwd=tmp_path)
        assert quiet.returncode == 0 and quiet.stderr == ""
        loud = run_lpw("-v", "info", cwd=tmp_path)
        assert "dataset: video-lpw" in loud.stderr and "info: " in loud.stderr
        wrong = run_lpw("info", "gone", "-v", cwd=tmp_path)
        assert "Traceback" in wrong.stderr and wrong.returncode == 2


class TestChanges:
    def test_they_change_what_was_given(self) -> None:
        changed = Changes[LinkConfig]((("iou", 0.5),)).apply(LinkConfig(min_length=3))
        assert changed == LinkConfig(iou=0.5, min_length=3)


def test_completion_prints_the_commands(tmp_path: Path) -> None:
    env = {"_LPW_COMPLETE": "bash_complete", "COMP_WORDS": "lpw tra", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['lpw']; from lpw_cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "plain,train\n")


def test_resuming_a_run_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run_lpw("synth", "street", "--preset", "tiny", cwd=tmp_path)
    build = ["build-tracklets", "street/video", "--boxes", "street/detections", "--no-cache"]
    run_lpw(*build, cwd=tmp_path)
    done = run_lpw(
        "train", "rqen", "video-lpw", "--split", "none", "--out", "gone", "--resume", cwd=tmp_path
    )
    assert done.returncode == 2 and "no run in gone" in done.stderr
    assert not (tmp_path / "gone").exists()
