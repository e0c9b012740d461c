"""The `lpw` command: finds the subcommand, turns errors into one line and an exit code."""

import importlib
import os
import re
import signal
import sys
from traceback import walk_tb
from types import FrameType

import click

from lpw_cli.command import option
from lpw_cli.say import (
    guard_terminal,
    output,
    say_click_error,
    say_error,
    say_note,
    say_traceback,
    set_output,
    tell_stopped,
)
from lpw_toolkit.errors import did_you_mean
from lpw_toolkit.files.limits import list_unknown, set_limit

# Help texts stand here so that `lpw --help` imports no command.
GROUPS = {
    "Build": {
        "build-tracklets": "Make an LPW-style dataset of tracklets from street video.",
        "relink": "Link the same detections another way, without a second detection.",
        "merge": "Join datasets into one; their persons stay apart unless a table maps them.",
        "filter": "Leave out short, small, blurred or doubtful tracklets, or whole cameras.",
        "rename": "Give cameras and scenes other names.",
        "link": "The linker alone: MOT text in, MOT text out.",
        "score-tracklets": "Compare tracklets with ground truth: purity, yield, cleanup cost.",
        "synth": "Draw a synthetic street: videos with exact ground truth.",
        "weights": "Weights of networks: which are known, where they lie, fetch one.",
    },
    "Clean": {
        "clean": "Review tracklets in a browser, and make the clean dataset of the decisions.",
    },
    "Benchmarks and other tools": {
        "import": "Make a dataset of a published benchmark (PRID 2011, iLIDS-VID, MARS, LPW).",
        "export": "Write a dataset in the form another tool reads.",
    },
    "Train": {
        "split": "Divide the persons of a dataset into training and test.",
        "train": "Train RQEN, an ablation of it, or a method it is compared with.",
        "regions": "Divide the body by key points, for the regions of RQEN.",
        "pack": "Write the images end to end in one file, for training.",
    },
    "Evaluate": {
        "eval": "Evaluate a run or embeddings under a protocol: CMC, mAP, mINP.",
        "embed": "Compute one vector for each tracklet, by a run or an ONNX model.",
        "corruption": "Corrupt body regions of a dataset, and test runs on that.",
        "reproduce": "The paper's tables beside ours: run what is missing, print the rest.",
    },
    "Look": {
        "info": "Counts and settings of a dataset.",
        "show": "Contact sheets and timelines of a dataset as a local HTML page.",
        "quality": "The quality scores of a run, painted on frames.",
        "check": "Verify every table, row and image of a dataset.",
        "locate": "Say where the images or videos of a dataset are on this machine.",
        "demo": "From a synthetic street to a table of results, offline, in minutes.",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
_MODULES = {"import": "import_benchmark"}  # `import` is no name that Python imports
_WIDE_EXTRAS = ("all", "bench", "docs", "test")  # more than one command needs


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was named. Errors: UsageError that suggests the nearest."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(
                f"No such command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        width = max(map(len, COMMANDS))
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in commands.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "LPW"},
    epilog="`lpw COMMAND --help` explains one command. Options can also stand in the environment: "
    "LPW_TRAIN_RECIPE=paper is `lpw train --recipe paper`. -q, -v and --json work on both sides of "
    "COMMAND.",
)
@click.version_option(package_name="lpw-toolkit", prog_name="lpw")
@option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    allow_from_autoenv=False,
    help="Raise a bound on what a file may cost.",
)
@option("--json", "as_json", is_flag=True, help="Print results, notes and errors as JSON.")
@option("-q", "--quiet", is_flag=True, help="No progress and no notes.")
@option("-v", "--verbose", is_flag=True, help="Also print times and tracebacks.")
def main(*, limits: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool) -> None:
    """Street video to person re-identification: tracklets, cleaning, protocols, RQEN."""
    set_output(as_json=as_json, quiet=quiet, verbose=verbose)
    for text in limits:
        set_limit(text)
    for name in list_unknown():
        say_note(f"note: {name} in the environment is no bound; see `lpw --help`")


class _Stopped(BaseException):
    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


def _stop(number: int, _: FrameType | None) -> None:
    raise _Stopped(number)


def run() -> None:
    """Entry point of the `lpw` command: exit code 0, 2 user error, 3 mismatch, 4 partial, 128 +
    signal."""
    _read_names_as_utf8()
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
            say_error({"message": _describe_refusal(error)}, 2)
        _close_stdout()
        code = code or 2
    sys.exit(code)


def _read_names_as_utf8() -> None:
    """Starts again in Python's UTF-8 mode where the locale reads file names in another encoding:
    what a dataset is called must not depend on it."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _flush_stdout() -> None:
    if sys.stdout is not None:  # None: started with a closed standard output
        sys.stdout.flush()


def _run_guarded() -> int:
    """Runs the command; the exit code, after an error was printed in one line."""
    try:
        main(standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except (
        BrokenPipeError,
        SystemExit,
    ) as error:  # click leaves by SystemExit where standard output is closed, and after completion
        if isinstance(error, SystemExit) and not error.code:
            return 0
        return _close_stdout()
    except BaseException as error:
        if output().verbose:
            say_traceback(error)
        words = sys.argv[1 : sys.argv.index("--") if "--" in sys.argv else None]
        if "--json" in words:  # an error of the call itself: no command has read it
            set_output(as_json=True)
        code = _report_error(error)
        if code is None:
            raise
        return code
    return 0


def _report_error(error: BaseException) -> int | None:
    """Prints what the user can do something about; its exit code, None for a bug of ours."""
    from lpw_toolkit.errors import LpwError, exit_code_of, install_hint

    if isinstance(error, click.ClickException):
        say_click_error(error)
        return error.exit_code
    code = LpwError.exit_code
    if isinstance(error, LpwError):
        code = exit_code_of(error)
        fields = {"message": str(error)}
        fields |= vars(error)
    elif isinstance(error, (click.Abort, KeyboardInterrupt, _Stopped)):
        fields = {"message": tell_stopped()}
        code = error.exit_code if isinstance(error, _Stopped) else 130
    elif isinstance(error, OSError):
        fields = {"message": _describe_refusal(error)}
    elif isinstance(error, (MemoryError, RecursionError)):
        is_memory = isinstance(error, MemoryError)
        got = "more memory needed than there is" if is_memory else "data nested too deeply"
        told = LpwError("this command", got, "a file of ordinary size", "see `lpw check`")
        fields = {"message": str(told)}
    elif isinstance(error, ModuleNotFoundError) and (extra := find_extra(error.name or "")):
        got = f"no package {(error.name or '').partition('.')[0]}"
        hint = install_hint(extra)
        fields = {"message": str(LpwError("this command", got, f"the extra `{extra}`", hint))}
    else:
        return None
    say_error(fields, code)
    return code


def find_extra(module: str) -> str | None:
    """The extra of this package that a module comes with; None for one that no extra names; the
    first where several do."""
    from importlib.metadata import requires

    package = module.partition(".")[0].replace("_", "-")
    lines = requires("lpw-toolkit") or []
    found = [match for line in lines if (match := re.match(r"([\w.-]+).*extra == .(\w+)", line))]
    extras = [match[2] for match in found if match[1] == package and match[2] not in _WIDE_EXTRAS]
    return extras[0] if extras else None


def _describe_refusal(error: OSError) -> str:
    """A file that the system refused: no bug of ours, so one line as for any wrong input."""
    from lpw_toolkit.errors import LpwError
    from lpw_toolkit.files.writing import TEMPORARY_SUFFIX, describe_os_error

    name = str(error.filename or "a file").removesuffix(TEMPORARY_SUFFIX)
    expected = "a file that can be read or written"
    if _is_about_stdout(error):
        name, expected = "standard output", "a place that takes what is printed"
    return str(LpwError(name, describe_os_error(error), expected, "fix that and run again"))


def _is_about_stdout(error: OSError) -> bool:
    """Whether printing was refused: such an error names no file, so the function that raised it has
    to tell."""
    raised_in = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
    return raised_in[-1:] in ([click.echo.__code__], [_flush_stdout.__code__])


def _close_stdout() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 128 + signal.SIGPIPE
