"""`lpw clean`: decisions of reviewers on a dataset: their state, merging, verifying, and the
cleaned dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.options import FOLDER, json_option, open_named
from lpw_cli.say import say, say_json
from lpw_toolkit.errors import join_names

if TYPE_CHECKING:
    from lpw_toolkit.dataset.dataset import Dataset

ACTIONS = ("suggest", "auto", "review", "status", "merge", "replay", "agreement", "apply")


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--suggest", is_flag=True, help="Score every tracklet, and find who may be the same person."
)
@click.option(
    "--looks",
    type=int,
    default=32,
    show_default=True,
    help="--suggest: frames of each tracklet to look at.",
)
@click.option(
    "--embeddings", type=FOLDER, help="--suggest: of `lpw embed --per-frame`, in place of colours."
)
@click.option(
    "--auto",
    type=click.Choice(["short", "duplicate", "odd-frame"]),
    help="Let a rule decide what it can.",
)
@click.option("--undo", is_flag=True, help="--auto: take back all that the rule has decided.")
@click.option(
    "--review", is_flag=True, help="Open the page on which a person decides; Ctrl-C ends it."
)
@click.option(
    "--reviewer",
    metavar="NAME",
    help="--review: whose decisions they are.  [default: your user name]",
)
@click.option(
    "--team", metavar="A,B,…", help="--review: people who share the work; each sees a part."
)
@click.option(
    "--both",
    type=float,
    default=0.1,
    show_default=True,
    help="--team: share that everybody looks at.",
)
@click.option(
    "--checks",
    type=float,
    default=0.0,
    show_default=True,
    help="--review: attention checks per tracklet.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="--review: of 127.0.0.1.  [default: the same each time]",
)
@click.option("--no-open", is_flag=True, help="--review: print the address and start no browser.")
@click.option("--status", is_flag=True, help="How far the review is, and what is left open.")
@click.option(
    "--merge", type=FOLDER, metavar="OTHER/cleanup", help="Take in the logs of other reviewers."
)
@click.option(
    "--replay", is_flag=True, help="Verify every line of every log and work out the state again."
)
@click.option("--agreement", is_flag=True, help="How far reviewers agree, and where they do not.")
@click.option(
    "--apply", type=FOLDER, metavar="OUT", help="Make the cleaned, identified dataset OUT."
)
@click.option(
    "--unreviewed",
    type=click.Choice(["leave-out", "keep", "refuse"]),
    default="leave-out",
    show_default=True,
    help="--apply: what becomes of tracklets that nobody has judged.",
)
@click.option(
    "--clashes",
    type=click.Choice(["refuse", "leave-out"]),
    default="refuse",
    show_default=True,
    help="--apply: with anything left open make nothing, or leave out what it is about.",
)
@click.option(
    "--min-cameras",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="--apply: leave out persons seen by fewer cameras; LPW has persons of two or more only.",
)
@click.option(
    "--state",
    type=FOLDER,
    metavar="DIR",
    help="Folder of decisions on a dataset that cannot be written to.",
)
@json_option
def command(dataset: Path | None, *, as_json: bool, **values: Any) -> None:
    """Works with the decisions of reviewers on DATASET, which lie in
    DATASET/cleanup/<reviewer>.jsonl.

    Give one of --suggest, --auto, --review, --status, --merge, --replay, --agreement, --apply. The
    dataset itself never changes.
    """
    from lpw_toolkit.progress import set_style

    set_style("json" if as_json else "auto")
    asked = [name for name in ACTIONS if values[name]]
    if len(asked) != 1:
        raise click.UsageError(f"give one of {', '.join(f'--{name}' for name in ACTIONS)}")
    found = open_named(dataset)
    act = {
        "suggest": _suggest,
        "auto": _auto,
        "review": _review,
        "status": _status,
        "merge": _merge,
        "replay": _replay,
        "agreement": _agreement,
        "apply": _apply,
    }[asked[0]]
    lines, fields = act(found, values)
    if as_json:
        say_json(fields)
    else:
        say(*lines)


Shown = tuple[list[str], dict[str, Any]]


def _suggest(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.suggest.suggest import FOLDER as PLACE
    from lpw_toolkit.cleaning.suggest.suggest import SuggestOptions, suggest

    out = values["state"] / "suggestions" if values["state"] else dataset.root / PLACE
    made = suggest(dataset.root, out, SuggestOptions(values["looks"], values["embeddings"]))
    lines = [f"note: {note}" for note in made.notes]
    lines.append(
        f"{out}: {made.n_tracklets:,} tracklets scored from {made.n_looked:,} images, "
        f"{made.n_merges:,} candidates in the same camera, {made.n_across:,} in others"
    )
    fields = {"out": str(out), "n_tracklets": made.n_tracklets, "n_looked": made.n_looked}
    return lines, {
        **fields,
        "n_merges": made.n_merges,
        "n_across": made.n_across,
        "notes": made.notes,
    }


def _auto(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.rules import RULES, run_rule, undo_rule

    name = values["auto"]
    act = undo_rule if values["undo"] else run_rule
    n = act(dataset, name, values["state"])
    words = "taken back" if values["undo"] else f"made: {RULES[name].title}"
    return [f"auto-{name}: {n:,} decisions {words}"], {
        "rule": name,
        "n": n,
        "undone": values["undo"],
    }


def _review(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    import webbrowser

    from lpw_toolkit.cleaning.team import Team
    from lpw_toolkit.review_page.server import ServeOptions, name_reviewer, serve_review

    def announce(address: str, once: str, repairs: list[str]) -> None:
        lines = [f"note: {line}" for line in repairs]
        say(*lines, f"review by {options.reviewer}: {address}", "Ctrl-C ends it.", err=True)
        if not values["no_open"]:
            webbrowser.open(once)

    team = Team(tuple(values["team"].split(",")) if values["team"] else (), values["both"])
    options = ServeOptions(
        values["reviewer"] or name_reviewer(),
        values["port"],
        values["state"],
        team=team,
        checks_frac=values["checks"],
    )
    serve_review(dataset, options, announce)
    return _status(dataset, values)


def _status(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.agreement import count_checks
    from lpw_toolkit.cleaning.apply import apply
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.conflicts import KINDS
    from lpw_toolkit.cleaning.state.review import read_union

    union = read_union(dataset, values["state"])
    state = apply(read_base(dataset), union)
    counts = state.count_statuses()
    reviewers: dict[str, list[int]] = {}
    checks = count_checks(union.decisions)
    for decision in union.decisions:
        reviewers.setdefault(decision.reviewer, []).append(decision.spent_ms)
    done = sum(counts.values()) - counts["unreviewed"]
    lines = [f"{done:,} of {sum(counts.values()):,} pieces reviewed: " + ", ".join(_count(counts))]
    lines += [f"{len(state.members):,} merged tracklets, {len(state.groups):,} persons linked"]
    for name, spent in sorted(reviewers.items()):
        told = (
            f", {checks[name][0]:,} of {checks[name][1]:,} attention checks found"
            if name in checks
            else ""
        )
        lines.append(f"{name}: {len(spent):,} decisions, {sum(spent) / 1000:,.0f} s{told}")
    lines += [f"note: {line}" for line in union.repairs]
    lines += [f"{len(state.conflicts):,} to be resolved"] if state.conflicts else []
    for clash in state.conflicts:
        about = join_names(clash.pieces) or "no tracklet"
        lines.append(
            f"  {clash.key} {about}: {KINDS[clash.kind]} (decisions {join_names(clash.decisions)})"
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
        "conflicts": [clash.as_fields() for clash in state.conflicts],
        "repairs": list(union.repairs),
    }
    return lines, fields


def _count(counts: dict[str, int]) -> list[str]:
    return [f"{n:,} {what}" for what, n in counts.items()]


def _merge(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.log.decision_set import merge_folder
    from lpw_toolkit.cleaning.state.review import log_folder, read_digest

    lines = merge_folder(
        log_folder(dataset, values["state"]), values["merge"], read_digest(dataset)
    )
    return lines, {"merged": lines}


def _replay(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.replay import replay
    from lpw_toolkit.cleaning.state.review import log_folder

    found = replay(read_base(dataset), log_folder(dataset, values["state"]))
    lines = [
        f"{log.name}: {log.n_decisions:,} decisions, every line and its chain as written, "
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


def _agreement(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.agreement import compare_reviewers
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.review import read_union

    found = compare_reviewers(read_base(dataset), read_union(dataset, values["state"]).decisions)
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


def _apply(dataset: "Dataset", values: dict[str, Any]) -> Shown:
    from lpw_toolkit.cleaning.apply import apply
    from lpw_toolkit.cleaning.cleaned import REPORT, CleanOptions, write_cleaned
    from lpw_toolkit.cleaning.state.base_tables import read_base
    from lpw_toolkit.cleaning.state.review import read_union

    union = read_union(dataset, values["state"])
    options = CleanOptions(values["unreviewed"], values["clashes"], values["min_cameras"])
    made = write_cleaned(dataset, apply(read_base(dataset), union), union, values["apply"], options)
    counts = made.dataset.manifest["counts"]
    lines = [f"note: {line}" for line in union.repairs]
    lines += [
        f"left out: {len(names):,} {reason} ({join_names(names, 3)})"
        for reason, names in made.losses.items()
    ]
    lines += (
        [f"dropped: {made.n_images_dropped:,} images of tracklets that stay"]
        if made.n_images_dropped
        else []
    )
    lines += (
        ["splits of the dataset are not carried over: its tracklets have changed"]
        if dataset.splits
        else []
    )
    figures = ", ".join(
        f"{counts[key]:,} {key[2:]}"
        for key in ("n_tracklets", "n_images", "n_persons", "n_cameras")
    )
    lines.append(f"written: {values['apply']} ({figures}; the losses by name in {REPORT})")
    lost = {reason: len(names) for reason, names in made.losses.items()}
    return lines, {
        "out": str(values["apply"]),
        "counts": counts,
        "lost": lost,
        "n_dropped": made.n_images_dropped,
    }
