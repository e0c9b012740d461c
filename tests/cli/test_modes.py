"""No option is ignored: pairs of a mode and an option that does not belong to it, made from what
the commands declare."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from lpw_cli.command import Command
from lpw_cli.main import COMMANDS, main

CONTEXT = click.Context(click.Command("lpw"))


def leaves(name: str) -> Iterator[tuple[list[str], Command]]:
    """The commands below `name`: itself, or its subcommands."""
    command = main.get_command(CONTEXT, name)
    if isinstance(command, click.Group):
        for inner in command.list_commands(CONTEXT):
            yield [name, inner], command.get_command(CONTEXT, inner)
    else:
        yield [name], command


ALL = [(words, command) for name in COMMANDS for words, command in leaves(name)]


def example(param: click.Parameter, value: str | None = None) -> list[str]:
    """Words that give a parameter some value that its type takes."""
    if value is None:
        if isinstance(param.type, click.Choice):
            second = isinstance(param, click.Argument)  # the first table runs nothing
            value = str(param.type.choices[second])
        else:
            value = "1" if isinstance(param.type, click.types.IntParamType) else "x"
        if isinstance(param.type, click.types.FloatParamType):
            value = "0.5"
        if isinstance(param.type, click.IntRange):
            value = str(param.type.min if param.type.min is not None else 1)
    if isinstance(param, click.Argument):
        return [value]
    return [param.shown] if param.is_flag else [param.shown, value]


def find(command: Command, name: str) -> click.Parameter:
    for param in command.params:
        if name in param.opts or (isinstance(param, click.Argument) and name.lower() == param.name):
            return param
    return next(param for param in command.params if isinstance(param, click.Argument))  # RUN


def activate(command: Command, condition: str) -> list[str]:
    name, _, value = condition.split(" or ")[0].partition(" ")
    return example(find(command, name), value or None)


def required(command: Command, given: list[str]) -> list[str]:
    """Words for whatever the command cannot do without."""
    words = []
    for param in command.params:
        must = param.required or getattr(param, "must", False)
        choices = getattr(param.type, "choices", ()) if isinstance(param, click.Argument) else ()
        positional = any(choice in given for choice in choices)
        if must and not positional and not any(name in given for name in param.opts):
            words += example(param)
    return words


def foreign_pairs() -> Iterator[object]:
    """`words, names`: a call, and the two that its message must name."""
    for words, command in ALL:
        for option in command.options:
            for i, need in enumerate(option.needs):
                subject = need.removeprefix("no ").split(" ")[0]
                before = [one for one in option.needs[:i] if one.split(" ")[0] != subject]
                before = [one for one in before if not one.startswith("no ")]
                around = [word for one in before for word in activate(command, one)]
                modes = [mode for mode in command.one_of if mode in need.split(" or ")]
                others = [mode for mode in command.one_of if mode not in modes] if modes else [need]
                if need.startswith("no "):
                    others = [need.removeprefix("no ")]
                for other in others:
                    if find(command, other.split(" ")[0]) is option:
                        continue
                    mode = [] if other == need else activate(command, other)
                    given = [*around, *mode, *example(option)]
                    call = [*words, *required(command, given), *given]
                    yield pytest.param(call, (option.shown, other), id=" ".join(call))


PAIRS = list(foreign_pairs())


def test_there_are_many_pairs():
    assert len(PAIRS) > 150


@pytest.mark.parametrize(("words", "names"), PAIRS)
def test_a_foreign_option_is_refused_and_both_are_named(words, names):
    done = CliRunner().invoke(main, words)
    message = done.output.splitlines()[-1]
    assert done.exit_code == 2, done.output
    for name in names:
        assert name.split(" or ")[0] in message, done.output


@pytest.mark.parametrize(
    ("words", "command"),
    [pytest.param(words, command, id=" ".join(words)) for words, command in ALL if command.one_of],
)
def test_two_modes_are_refused_and_both_are_named(words, command):
    for first, second in zip(command.one_of, command.one_of[1:], strict=False):
        given = [*activate(command, first), *activate(command, second)]
        done = CliRunner().invoke(main, [*words, *required(command, given), *given])
        message = done.output.splitlines()[-1]
        assert done.exit_code == 2 and first in message and second in message, done.output
