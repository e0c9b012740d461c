"""The `lpw` command: finds the subcommand, turns errors into one line and an exit code."""

import importlib
import os
import re
import signal
import sys
from traceback import walk_tb
from types import FrameType

import click

from lpw_cli.say import guard_terminal, say, say_click_error
from lpw_toolkit.files.limits import is_about_limit, set_limit

# Help texts stand here so that `lpw --help` imports no command.
COMMANDS = {
    "build-tracklets": "Street video becomes an LPW-style dataset of tracklets.",
    "relink": "The same detections, linked another way: no second detection.",
    "link": "The linker alone: MOT text in, MOT text out.",
    "score-tracklets": "Tracklets against ground truth: purity, yield, cleanup cost.",
    "import": "A published benchmark (PRID 2011, iLIDS-VID, MARS, LPW) becomes a dataset.",
    "info": "Counts and settings of a dataset.",
    "check": "Verify every table, row and image of a dataset.",
    "locate": "Say where the images or videos of a dataset are on this machine.",
    "show": "Contact sheets and timelines of a dataset as a local HTML page.",
    "clean": "A person's decisions on tracklets, kept line by line, and the clean dataset that "
    "they make.",
    "pack": "Write the images end to end in one file, for training.",
    "train": "Train RQEN, an ablation of it, or a method it is compared with.",
    "embed": "One vector for each tracklet, by a trained run or an ONNX model.",
    "eval": "A run or embeddings under a protocol: CMC, mAP, mINP, with all that a number needs "
    "beside it.",
    "reproduce": "The paper's tables, ours beside them: runs what is missing, prints what is "
    "there.",
    "regions": "Key points become the division of the body that RQEN cuts its maps by.",
    "quality": "Scores of a trained run painted on frames, with its last maps beneath.",
    "corruption": "Corrupt body regions of a dataset, and test runs on that.",
    "export": "Write a dataset in the form another tool reads.",
    "synth": "Draw a synthetic street: videos with exact ground truth.",
    "demo": "Synthetic street to dataset to pictures, offline, in minutes.",
}
_MODULES = {"import": "import_benchmark"}  # `import` is no name that Python imports
INTERRUPTED = "stopped; what is finished is kept: run the same command again to go on"


class LazyGroup(click.Group):
    """Commands that are imported when they are called: `build-tracklets` is
    `cli.build_tracklets:command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(
            f"lpw_cli.{_MODULES.get(cmd_name, cmd_name.replace('-', '_'))}"
        )
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lpw-toolkit", prog_name="lpw")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Raise a bound on what a file may cost.",
)
def main(limits: tuple[str, ...]) -> None:
    """Street video to person re-identification: tracklets, cleaning, protocols, RQEN."""
    for text in limits:
        set_limit(text)


class _Stopped(BaseException):
    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


def _stop(number: int, _: FrameType | None) -> None:
    raise _Stopped(number)


def run() -> None:
    """Entry point of the `lpw` command: exit code 0, 2 user error, 3 mismatch, 4 partial, 128 +
    signal."""
    guard_terminal()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    code = _run_guarded()
    try:
        _flush_stdout()
    except BrokenPipeError:
        code = _close_stdout()
    except OSError as error:  # what was printed is still held back
        if code == 0:
            say(f"lpw: {_describe_refusal(error)}", err=True)
        _close_stdout()
        code = code or 2
    sys.exit(code)


def _flush_stdout() -> None:
    if sys.stdout is not None:  # None: started with a closed standard output
        sys.stdout.flush()


def _run_guarded() -> int:
    from lpw_toolkit.errors import LpwError

    try:
        main(standalone_mode=False)
    except LpwError as error:
        say(f"lpw: {error}", err=True)
        return LpwError.exit_code if is_about_limit(error.got) else error.exit_code
    except click.ClickException as error:
        say_click_error(error)
        return error.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(f"lpw: {INTERRUPTED}", err=True)
        return 130
    except _Stopped as stopped:
        say(f"lpw: {INTERRUPTED}", err=True)
        return stopped.exit_code
    except (
        BrokenPipeError,
        SystemExit,
    ):  # click leaves by SystemExit where standard output is closed
        return _close_stdout()
    except OSError as error:
        say(f"lpw: {_describe_refusal(error)}", err=True)
        return 2
    except (MemoryError, RecursionError) as error:
        got = (
            "more memory needed than there is"
            if isinstance(error, MemoryError)
            else "data nested too deeply"
        )
        say(
            f"lpw: {LpwError('this command', got, 'a file of ordinary size', 'see `lpw check`')}",
            err=True,
        )
        return LpwError.exit_code
    except ModuleNotFoundError as error:
        extra = find_extra(error.name or "")
        if extra is None:
            raise
        got, do = (
            f"no package {(error.name or '').partition('.')[0]}",
            f'pip install "lpw-toolkit[{extra}]"',
        )
        say(f"lpw: {LpwError('this command', got, f'the extra `{extra}`', do)}", err=True)
        return LpwError.exit_code
    return 0


def find_extra(module: str) -> str | None:
    """The extra of this package that a module comes with; None for one that no extra names."""
    from importlib.metadata import requires

    package = module.partition(".")[0].replace("_", "-")
    found = [
        re.match(r"([\w.-]+).*extra == .(\w+)", line) for line in requires("lpw-toolkit") or []
    ]
    return {match[1]: match[2] for match in found if match}.get(package)


def _describe_refusal(error: OSError) -> str:
    """A file that the system refused: no bug of ours, so one line as for any wrong input."""
    from lpw_toolkit.errors import LpwError
    from lpw_toolkit.files.writing import TEMPORARY_SUFFIX, describe_os_error

    name = str(error.filename or "a file").removesuffix(TEMPORARY_SUFFIX)
    expected = "a file that can be read or written"
    if _is_about_stdout(error):
        name, expected = "standard output", "a place that takes what is printed"
    return str(LpwError(name, describe_os_error(error), expected, "mend that and run again"))


def _is_about_stdout(error: OSError) -> bool:
    """Whether printing was refused: such an error names no file, so the function that raised it has
    to tell."""
    raised_in = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
    return raised_in[-1:] in ([click.echo.__code__], [_flush_stdout.__code__])


def _close_stdout() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 128 + signal.SIGPIPE
