"""`lpw clean`: suggestions, the review page, and the cleaned dataset from the decisions of
reviewers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.clean_options import CleanCommandOptions
from lpw_cli.command import lpw_command, option, renamed_option
from lpw_cli.options import FOLDER, dataset_argument, offline_option, open_named
from lpw_cli.say import say, say_note, say_result
from lpw_cli.split_options import split_options
from lpw_toolkit.errors import CorruptCropError, LpwError, join_names
from lpw_toolkit.files.opening import is_folder
from lpw_toolkit.names import count_of

if TYPE_CHECKING:
    from lpw_toolkit.dataset.at_hand import Need
    from lpw_toolkit.dataset.dataset import Dataset

ACTIONS = ("suggest", "auto", "review", "status", "merge", "replay", "agreement", "apply")
_SPLITTING = ("--apply", "no --no-splits")
_OUT = "--out"  # stands for the value of --apply where --out has it


def _arrange(values: dict[str, Any]) -> None:
    """`--apply OUT`, or `--apply --out OUT`."""
    out = values.pop("out")
    if values["apply"] is not None and values["apply"].name == _OUT:
        values["apply"] = out
        if out is None:
            raise click.UsageError("give --apply OUT, or --apply and --out OUT")
    elif out is not None:
        if values["apply"] is not None:
            raise click.UsageError("--apply OUT and --out say the same thing: give one")
        raise click.UsageError("--out belongs to --apply")


@lpw_command(CleanCommandOptions, one_of=[f"--{name}" for name in ACTIONS], arrange=_arrange)
@dataset_argument
@option("--suggest", is_flag=True, help="Score every tracklet, and find possible same persons.")
@option(
    "--auto",
    type=click.Choice(["short", "duplicate", "odd-frame"]),
    help="Let a rule decide what it can.",
)
@option(
    "--review",
    is_flag=True,
    help="Open the page on which a person decides; Ctrl-C ends it and prints the status.",
)
@option("--status", is_flag=True, help="How far the review is, and what is still open.")
@option(
    "--merge",
    type=FOLDER,
    metavar="OTHER/cleanup",
    help="Add the logs of other reviewers, or of another version of the dataset.",
)
@option("--replay", is_flag=True, help="Verify every line of every log; compute the state again.")
@option("--agreement", is_flag=True, help="How far reviewers agree, and where they differ.")
@option(
    "--apply",
    type=FOLDER,
    metavar="OUT",
    is_flag=False,
    flag_value=_OUT,
    help="Make the cleaned, identified dataset OUT.",
)
@option(
    "--state",
    type=FOLDER,
    metavar="DIR",
    help="Folder of decisions on a dataset that cannot be written to.",
)
@option(
    "--frames",
    "n_frames",
    type=int,
    default=32,
    show_default=True,
    needs="--suggest",
    help="How many frames of each tracklet are compared.",
)
@renamed_option("--looks", "--frames")
@option(
    "--embeddings",
    type=FOLDER,
    needs="--suggest",
    help="Vectors of `lpw embed --per-frame`, or a re-id network of `lpw weights list`, in place "
    "of colours.",
)
@option("--undo", is_flag=True, needs="--auto", help="Take back all that the rule has decided.")
@option(
    "--reviewer",
    metavar="NAME",
    needs="--review",
    help="Whose decisions they are.  [default: your user name]",
)
@option(
    "--team",
    metavar="A,B,…",
    needs="--review",
    help="People who share the work; each sees a part.",
)
@option(
    "--both",
    type=float,
    default=0.1,
    show_default=True,
    needs=("--review", "--team"),
    help="With --team: share of the tracklets that everybody reviews.",
)
@option(
    "--checks",
    type=float,
    default=0.0,
    show_default=True,
    needs="--review",
    help="Attention checks per tracklet.",
)
@option(
    "--port",
    type=click.IntRange(1, 65535),
    needs="--review",
    help="Port of 127.0.0.1.  [default: the same each time]",
)
@option("--no-open", is_flag=True, needs="--review", help="Print the address; start no browser.")
@option("--out", type=FOLDER, heading="With --apply", help="The dataset, in place of OUT.")
@option(
    "--unreviewed",
    type=click.Choice(["leave-out", "keep", "refuse"]),
    default="leave-out",
    show_default=True,
    needs="--apply",
    help="What happens to tracklets without a decision.",
)
@option(
    "--conflicts",
    type=click.Choice(["refuse", "leave-out"]),
    default="refuse",
    show_default=True,
    needs="--apply",
    help="With open conflicts: make nothing, or leave their tracklets out.",
)
@renamed_option("--clashes", "--conflicts")
@option(
    "--min-cameras",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    needs="--apply",
    help="Leave out persons seen by fewer cameras; LPW has persons of two or more only.",
)
@option("--no-splits", is_flag=True, needs="--apply",
        help="Do not divide the persons into training and test.")  # fmt: skip
@split_options(share_needs=_SPLITTING, draw_needs=_SPLITTING)
@offline_option
def command(options: CleanCommandOptions) -> None:
    """Works with the decisions of reviewers on DATASET, which are in
    DATASET/cleanup/<reviewer>.jsonl.

    Give one of --suggest, --auto, --review, --status, --merge, --replay, --agreement, --apply. The
    dataset itself never changes.
    """
    from lpw_cli.clean_apply import write_clean
    from lpw_toolkit.cleaning.at_hand import refuse_read_only

    actions = (_suggest, _auto, _review, _status, _merge, _replay, _agreement, write_clean)
    act = next(act for name, act in zip(ACTIONS, actions, strict=True) if getattr(options, name))
    dataset = open_named(options.dataset, *_list_needs(options))
    if options.suggest or options.auto or options.review or options.merge:
        refuse_read_only(dataset, options.state)
    elif options.state is not None and not is_folder(options.state):
        do = "name the folder that --review or --merge wrote with --state"
        raise LpwError(f"option --state {options.state}", "no such folder", "decisions", do)
    lines, fields = act(dataset, options)
    say_result(fields, *lines)


def _list_needs(options: CleanCommandOptions) -> "list[Need]":
    """What the dataset at hand is chosen by: decisions where they are read, or lie elsewhere."""
    from lpw_toolkit.cleaning.at_hand import UNDER_REVIEW, need_decisions
    from lpw_toolkit.dataset.at_hand import ANYTHING

    makes = options.suggest or options.auto or options.review
    decided = [] if makes and options.state is None else [need_decisions(options.state)]
    return [*decided, UNDER_REVIEW, ANYTHING]


Shown = tuple[list[str], dict[str, Any]]


def _suggest(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    from lpw_toolkit.cleaning.suggest.candidates import N_CANDIDATES
    from lpw_toolkit.cleaning.suggest.network_vectors import take_vectors
    from lpw_toolkit.cleaning.suggest.suggest import SuggestOptions, suggest, suggestions_folder

    out = suggestions_folder(dataset, options.state)
    with take_vectors(dataset.root, options.embeddings, options.n_frames, say_note) as vectors:
        made = suggest(dataset.root, out, SuggestOptions(options.n_frames, vectors))
    lines = [f"note: {note}" for note in made.notes]
    lines.append(
        f"{out}: {count_of(made.n_tracklets, 'tracklet')} scored from "
        f"{count_of(made.n_looked, 'image')}; to look at, at most {N_CANDIDATES} a tracklet: "
        f"{made.n_merges:,} ways in which a track may go on, {made.n_across:,} similar ones in "
        f"other cameras, {made.n_returns:,} in the same camera at another time"
    )
    fields = {"out": str(out), "n_tracklets": made.n_tracklets, "n_looked": made.n_looked}
    return lines, {
        **fields,
        "n_merges": made.n_merges,
        "n_across": made.n_across,
        "n_returns": made.n_returns,
        "notes": made.notes,
    }


def _auto(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    from lpw_toolkit.cleaning.rules import RULES, run_rule, undo_rule

    name = str(options.auto)  # given: this is --auto
    act = undo_rule if options.undo else run_rule
    n = act(dataset, name, options.state)
    words = "taken back" if options.undo else f"made: {RULES[name].title}"
    return [f"auto-{name}: {count_of(n, 'decision')} {words}"], {
        "rule": name,
        "n": n,
        "undone": options.undo,
    }


def _review(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    import shlex
    import webbrowser

    from lpw_toolkit.cleaning.team import Team
    from lpw_toolkit.review_page.server import ServeOptions, name_reviewer, serve_review

    def announce(address: str, once: str, repairs: list[str]) -> None:
        lines = [f"note: {line}" for line in repairs]
        say_note(*lines)
        say(
            f"review by {serving.reviewer}: {address}",
            "Every decision is saved at once. Ctrl-C ends the review and prints its status.",
            err=True,
        )
        if not options.no_open:
            webbrowser.open(once)

    _suggest_missing(dataset, options)
    cameras = dataset.tracklets["camera_id"].unique().to_pylist()
    if len(cameras) == 1:
        say(
            f"one camera ({cameras[0]}): nobody can be looked for in another one. Link the "
            "tracklets of a person who comes back (view “to link”, keys 1-9, then Enter), merge "
            "what goes on within seconds (m), and apply with --min-cameras 1: the test is then "
            "within the camera.",
            err=True,
        )
    team = Team(tuple(options.team.split(",")) if options.team else (), options.both)
    serving = ServeOptions(
        options.reviewer or name_reviewer(),
        options.port,
        options.state,
        team=team,
        checks_frac=options.checks,
    )
    serve_review(dataset, serving, announce)
    lines, fields = _status(dataset, options)
    state = [] if options.state is None else ["--state", str(options.state)]
    one = ["--min-cameras", "1"] if len(cameras) == 1 else []
    name = str(options.dataset or dataset.root)
    then = shlex.join(["lpw", "clean", name, *state, "--apply", "cleaned", *one])
    return [*lines, f"next: {then}"], fields | {"next": then}


def _suggest_missing(dataset: "Dataset", options: CleanCommandOptions) -> None:
    """Makes suggestions where there are none, and says so."""
    from lpw_toolkit.cleaning.suggest.suggest import has_suggestions

    if has_suggestions(dataset, options.state):
        return
    say_note(
        "no suggestions yet: they are made first, so that likely mistakes come first on the page"
    )
    try:
        lines, _ = _suggest(dataset, options)
    except CorruptCropError as error:  # the page shows which images are damaged
        lines = [f"note: no suggestions: {error}"]
    say_note(*lines)


def _status(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    from lpw_toolkit.cleaning.agreement import count_checks
    from lpw_toolkit.cleaning.apply import apply
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.conflicts import KINDS
    from lpw_toolkit.cleaning.state.review import read_union

    union = read_union(dataset, options.state)
    state = apply(read_base(dataset), union)
    counts = state.count_statuses()
    reviewers: dict[str, list[int]] = {}
    checks = count_checks(union.decisions)
    for decision in union.decisions:
        reviewers.setdefault(decision.reviewer, []).append(decision.spent_ms)
    done = sum(counts.values()) - state.n_open
    lines = [f"{done:,} of {sum(counts.values()):,} pieces reviewed: " + ", ".join(_count(counts))]
    merged, linked = len(state.members), len(state.groups)
    lines.append(f"{count_of(merged, 'merged tracklet')}, {count_of(linked, 'person')} linked")
    for name, spent in sorted(reviewers.items()):
        told = (
            f", {checks[name][0]:,} of {checks[name][1]:,} attention checks found"
            if name in checks
            else ""
        )
        made = count_of(len(spent), "decision")
        lines.append(f"{name}: {made}, {sum(spent) / 1000:,.0f} s{told}")
    lines += [f"note: {line}" for line in union.repairs]
    lines += [f"{len(state.conflicts):,} to be resolved"] if state.conflicts else []
    for conflict in state.conflicts:
        about = join_names(conflict.pieces) or "no tracklet"
        lines.append(
            f"  {conflict.key} {about}: {KINDS[conflict.kind]} (decisions "
            f"{join_names(conflict.decisions)})"
        )
    fields = {
        "digest": state.digest,
        "counts": counts,
        "n_merged": len(state.members),
        "n_persons": len(state.groups),
        "reviewers": {
            name: {"n": len(ms), "spent_s": sum(ms) / 1000}
            for name, ms in sorted(reviewers.items())
        },
        "checks": {name: {"n_found": found, "n": n} for name, (found, n) in checks.items()},
        "conflicts": [conflict.as_fields() for conflict in state.conflicts],
        "repairs": list(union.repairs),
    }
    return lines, fields


def _count(counts: dict[str, int]) -> list[str]:
    labels = {"unaccepted": "edited and not accepted"}
    return [f"{n:,} {labels.get(what, what)}" for what, n in counts.items()]


def _merge(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    from lpw_toolkit.cleaning.adoption import merge_logs

    lines = merge_logs(dataset, options.merge or Path(), options.state)
    return lines, {"merged": lines}


def _replay(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.replay import replay
    from lpw_toolkit.cleaning.state.review import log_folder

    found = replay(read_base(dataset), log_folder(dataset, options.state))
    lines = [
        f"{log.name}: {count_of(log.n_decisions, 'decision')}, "
        "every line and its chain as written, "
        f"{log.n_alone:,} made alone"
        + (f", clock set back {log.n_clock_back:,} times" if log.n_clock_back else "")
        + (f", ends in {log.last_sha256[:12]}…" if log.last_sha256 else "")
        for log in found.logs
    ]
    lines += [f"note: {line}" for log in found.logs for line in log.repairs]
    lines.append(
        f"state {found.state.content_digest}: {', '.join(_count(found.state.count_statuses()))}"
    )
    return lines, found.as_fields()


def _agreement(dataset: "Dataset", options: CleanCommandOptions) -> Shown:
    from lpw_toolkit.cleaning.agreement import compare_reviewers
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.review import read_union

    found = compare_reviewers(read_base(dataset), read_union(dataset, options.state).decisions)
    lines = []
    for pair in found:
        one, other = pair.reviewers
        kappa = "not defined" if pair.kappa is None else f"{pair.kappa:.3f}"
        f1 = "not defined" if pair.link_f1 is None else f"{pair.link_f1:.3f}"
        lines.append(
            f"{one} and {other}: {pair.n_both:,} tracklets in common, kappa {kappa}, F1 of links "
            f"{f1}"
        )
        lines += [f"  {t}: {one} {a}, {other} {b}" for t, a, b in pair.different]
        lines += [f"  {a} = {b}: only {who} says so" for a, b, who in pair.different_pairs]
    return lines or ["fewer than two people have decided anything"], {
        "agreement": [p.as_fields() for p in found]
    }
