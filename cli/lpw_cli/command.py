"""The `click` command class that all commands share: its options fill one frozen dataclass, and an
option that would be ignored is refused.

An option says where it belongs, and that one line groups it in `--help` and refuses it elsewhere:

    option("--undo", is_flag=True, needs="--auto", help="Take back what the rule decided.")
    lpw clean d --status --undo    ->  --undo belongs to --auto, not to --status (exit code 2)
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import click

from lpw_cli.say import output, say_note, set_output
from lpw_toolkit.errors import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])
Options = TypeVar("Options")
Config = TypeVar("Config")
Needs = str | tuple[str, ...]
GENERAL = "General"


@dataclasses.dataclass(frozen=True)
class Changes(Generic[Config]):
    """The fields of a configuration that the user gave.

    >>> Changes((("frames", 3),)).values
    (('frames', 3),)
    """

    values: tuple[tuple[str, Any], ...] = ()

    def apply(self, base: Config, **fixed: Any) -> Config:
        """`base` with these fields, and with what is `fixed`."""
        return dataclasses.replace(base, **dict(self.values), **fixed)  # type: ignore[type-var]


class Option(click.Option):
    """An option that knows where it belongs.

    Args:
        needs: conditions that must all hold, see `holds`.
        heading: its group in `--help`; the first condition where none is named.
        instead_of: the argument whose value it may give.
        must: with `instead_of`: one of the two must be given.
        field: the field of a configuration that it fills, and the name under which the command
            gets the configuration.
    """

    def __init__(
        self,
        *names: Any,
        needs: Needs = (),
        heading: str | None = None,
        instead_of: str | None = None,
        must: bool = False,
        field: tuple[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*names, **settings)
        self.needs = (needs,) if isinstance(needs, str) else needs
        first = next((one for one in self.needs if not one.startswith("no ")), None)
        self.heading = heading or (f"With {first}" if first else None)
        self.instead_of, self.must, self.field = instead_of, must, field

    @property
    def shown(self) -> str:
        """The name that messages use."""
        return max(self.opts, key=len)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """`LPW_<COMMAND>_<OPTION>`, by the option's long name."""
        if not self.allow_from_autoenv or ctx.auto_envvar_prefix is None:
            return super().resolve_envvar_value(ctx)
        return os.environ.get(self.variable(ctx.auto_envvar_prefix)) or None

    def variable(self, prefix: str | None) -> str:
        """The variable of the environment that may give its value."""
        name = self.shown.lstrip("-").replace("-", "_").upper()
        return f"{prefix}_{name}"


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """`click.option` with the arguments of `Option`."""
    return click.option(*names, cls=Option, **settings)


class NearestChoice(click.Choice[Any]):
    """A choice that suggests the nearest value."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The chosen value. Errors: BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = did_you_mean(str(value), map(str, self.choices))
            raise click.BadParameter(error.message + near, ctx, param) from error


class Command(click.Command):
    """A command that refuses what it would ignore.

    Args:
        one_of: its modes (options or arguments): exactly one is given, unless `free`.
        free: none of the modes may be given too.
        arrange: sorts what the arguments are (a run, a dataset) before anything is checked.
    """

    def __init__(
        self,
        *words: Any,
        one_of: Sequence[str] = (),
        free: bool = False,
        arrange: Callable[[dict[str, Any]], None] | None = None,
        renamed: Sequence[tuple[str, str, str | None]] = (),
        **settings: Any,
    ) -> None:
        super().__init__(*words, **settings)
        self.one_of, self.free, self.arrange, self.renamed = one_of, free, arrange, renamed
        self.params += _general_options()
        for param in self.params:
            if isinstance(param.type, click.Choice):
                param.type = NearestChoice(param.type.choices)
            if isinstance(param, Option) and {*param.opts} & {*one_of}:
                param.allow_from_autoenv = False  # the environment never says what is done

    @property
    def options(self) -> list[Option]:
        """Those of its parameters that know where they belong."""
        return [param for param in self.params if isinstance(param, Option)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses and checks. Errors: UsageError for options that do not belong together."""
        rest = super().parse_args(ctx, self._translate(args))
        if not ctx.resilient_parsing:
            for param in self.options:
                if param.instead_of is not None:
                    _merge(ctx, param)
            if self.arrange is not None:
                self.arrange(ctx.params)
            self._check(ctx)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Sets how much is printed, and runs the command."""
        group = ctx.parent.params if ctx.parent else {}
        as_json, quiet, verbose = (
            ctx.params.pop(name) or group.get(name, False)
            for name in ("as_json", "quiet", "verbose")
        )
        as_json = as_json or ctx.params.get("form") == "json"
        set_output(as_json=as_json, quiet=quiet, verbose=verbose)
        self._tell_unknown_variables(ctx)
        start = time.monotonic()
        result = super().invoke(ctx)
        if output().verbose:
            say_note(f"{ctx.info_name}: {time.monotonic() - start:.1f} s")
        return result

    def _tell_unknown_variables(self, ctx: click.Context) -> None:
        """A note on variables of the environment that are named as options of this command, and are
        none."""
        start = f"{ctx.auto_envvar_prefix}_"
        known = {param.variable(ctx.auto_envvar_prefix) for param in self.options}
        for name in sorted(os.environ):
            if name.startswith(start) and name not in known:
                near = did_you_mean(name, known)
                say_note(f"note: {name} in the environment is no option of this command.{near}")

    def holds(self, ctx: click.Context, condition: str) -> bool:
        """Whether a condition holds: `--auto`, `RUN` (given), `--metric xqda` (has that value),
        `no --table`, and several of them joined by ` or `."""
        if condition.startswith("no "):
            return not self.holds(ctx, condition.removeprefix("no "))
        return any(self._is_active(ctx, *one.split(" ", 1)) for one in condition.split(" or "))

    def _is_active(self, ctx: click.Context, name: str, wanted: str | None = None) -> bool:
        key = next((param.name for param in self.params if name in param.opts), name.lower())
        value = ctx.params.get(str(key))
        if wanted is not None:
            return str(value) == wanted
        source = ctx.get_parameter_source(str(key))
        return (
            value not in (None, False, (), "") and source is not click.core.ParameterSource.DEFAULT
        )

    def _check(self, ctx: click.Context) -> None:
        """Refuses two modes, options that belong elsewhere, and no mode at all."""
        active = [mode for mode in self.one_of if self.holds(ctx, mode)]
        if len(active) > 1:
            raise click.UsageError(f"{active[0]} and {active[1]} do not go together: give one", ctx)
        for param in self.options:
            name = str(param.name)
            unmet = next((need for need in param.needs if not self.holds(ctx, need)), None)
            if unmet is None or name not in ctx.params:
                continue
            if is_given(name, ctx):
                raise click.UsageError(self._explain(param.shown, unmet, active), ctx)
            if ctx.get_parameter_source(name) in _FROM_OUTSIDE:  # not meant for this call
                ctx.params[name] = param.type_cast_value(ctx, param.get_default(ctx))
        if self.one_of and not active and not self.free:
            raise click.UsageError(f"give one of {', '.join(self.one_of)}", ctx)

    def _explain(self, shown: str, unmet: str, active: list[str]) -> str:
        if unmet.startswith("no "):
            return f"{shown} does not go with {unmet.removeprefix('no ')}: leave one out"
        is_mode = any(one in self.one_of for one in unmet.split(" or "))
        beside = f", not to {active[0]}" if active and is_mode else ""
        return f"{shown} belongs to {unmet}{beside}"

    def _translate(self, args: list[str]) -> list[str]:
        """The arguments with today's names, and a note for each old one."""
        made = list(args)
        end = made.index("--") if "--" in made else len(made)
        for old, new, value in self.renamed:
            for i in range(end):
                name, sign, text = made[i].partition("=")
                if value is None and name in (old, f"--no-{old[2:]}"):
                    name = new if name == old else f"--no-{new[2:]}"
                    said, made[i] = (old, new), name + sign + text
                elif value is not None and made[i] == f"{new}={old}":
                    said, made[i] = (f"{new} {old}", f"{new} {value}"), f"{new}={value}"
                elif value is not None and i > 0 and made[i - 1 : i + 1] == [new, old]:
                    said, made[i] = (f"{new} {old}", f"{new} {value}"), value
                else:
                    continue
                say_note(
                    f"note: {said[0]} is now {said[1]}; the old name ends with the next version"
                )
        return made

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the options by heading: what everybody needs first, what all commands have last."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                heading = GENERAL if "--help" in param.opts else getattr(param, "heading", None)
                groups.setdefault(heading or "Options", []).append(record)
        groups[GENERAL] = groups.pop(GENERAL)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


_FROM_OUTSIDE = (click.core.ParameterSource.ENVIRONMENT, click.core.ParameterSource.DEFAULT_MAP)


def is_given(name: str, ctx: click.Context | None = None) -> bool:
    """Whether the parameter stands on the command line."""
    source = (ctx or click.get_current_context()).get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def lpw_command(
    options: Callable[..., Options], **settings: Any
) -> Callable[[Callable[[Options], None]], Command]:
    """Makes a command of a function that takes one frozen dataclass.

    Args:
        options: the dataclass; its fields are the names of the parameters, and configurations
            (`Changes`) under the names that their options were declared with.
        settings: of `Command`.
    """

    def decorate(function: Callable[[Options], None]) -> Command:
        def callback(**values: Any) -> None:
            changes: dict[str, list[tuple[str, Any]]] = {}
            for param in made.options:
                if param.field is not None:
                    name, into = param.field
                    value = values.pop(param.name or "")
                    changes.setdefault(into, [])
                    if value is not None:
                        changes[into].append((name, value))
            given: dict[str, Any] = {into: Changes(tuple(pairs)) for into, pairs in changes.items()}
            function(options(**values, **given))

        callback.__doc__ = function.__doc__
        params = list(reversed(getattr(function, "__click_params__", [])))
        renamed = getattr(function, "__renamed__", ())
        made = Command("command", callback=callback, params=params, help=function.__doc__,
                       renamed=renamed, **settings)  # fmt: skip
        return made

    return decorate


def renamed_option(old: str, new: str, value: str | None = None) -> Callable[[Function], Function]:
    """An old name goes on working for one version, with a note of one line.

    `renamed_option("--steady", "--jitter-threshold")` is for an option,
    `renamed_option("thrifty", "--preset", "low-cost")` for a value of one.
    """

    def decorate(function: Function) -> Function:
        earlier = getattr(function, "__renamed__", ())
        function.__renamed__ = [*earlier, (old, new, value)]  # type: ignore[attr-defined]
        return function

    return decorate


def retired_option(name: str, reason: str) -> Callable[[Function], Function]:
    """A flag that does nothing any more is taken for one version, with a note of one line.

    Args:
        reason: why it is not needed.
    """

    def tell(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            say_note(f"note: {name} is no longer needed: {reason}; it ends with the next version")

    said = f"Does nothing any more: {reason}."
    return option(name, is_flag=True, expose_value=False, hidden=True, callback=tell, help=said)


def _general_options() -> list[click.Parameter]:
    return [
        Option(
            ["--json", "as_json"],
            is_flag=True,
            heading=GENERAL,
            help="Print the result as JSON; progress, notes and errors as JSON lines on standard "
            "error.",
        ),
        Option(["-q", "--quiet"], is_flag=True, heading=GENERAL, help="No progress and no notes."),
        Option(
            ["-v", "--verbose"],
            is_flag=True,
            heading=GENERAL,
            help="Also print the time taken, and the traceback of an error.",
        ),
    ]


def _merge(ctx: click.Context, param: Option) -> None:
    """Gives the value of the option to the argument that it stands for."""
    name, key = param.instead_of or "", param.name or ""
    value = ctx.params.pop(key)
    if value and ctx.params[name]:
        if is_given(key, ctx):
            raise click.UsageError(
                f"{name.upper()} and {param.shown} say the same thing: give one", ctx
            )
        return
    ctx.params[name] = ctx.params[name] or value
    if param.must and not ctx.params[name]:
        raise click.UsageError(f"give {name.upper()} or {param.shown}", ctx)
