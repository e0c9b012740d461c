"""`lpw demo`: from video to a table of results on a synthetic street, offline."""

import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER
from lpw_cli.say import say, say_text
from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.cleaned import CleanOptions, write_cleaned
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import read_union
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.info import format_table1, table1
from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.dataset.output_folder import check_free
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.errors import LpwError, MismatchError, install_hint
from lpw_toolkit.evaluation.protocol_choice import choose_protocol
from lpw_toolkit.evaluation.results import format_results, write_results
from lpw_toolkit.files.estimate import Announce
from lpw_toolkit.files.opening import is_file
from lpw_toolkit.pages.dataset_page import write_show
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.synth.street import STREETS, open_street, write_street
from lpw_toolkit.truth.cleanup_cost import CleanupCosts
from lpw_toolkit.truth.score import format_score, score_against
from lpw_toolkit.truth.scripted_reviewer import review_by_truth

if TYPE_CHECKING:
    from lpw_toolkit.evaluation.evaluate import Evaluation
    from rqen.recipe import Recipe

SEED = 0
#: Packages that learning takes, beside those of the toolkit.
LEARNING = ("torch", "torchvision", "safetensors", "efficientnet_lite_pytorch", "matplotlib")


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """The options of `lpw demo`."""

    out: Path
    preset: str
    steps: int | None


@lpw_command(DemoOptions)
@option(
    "--out",
    type=FOLDER,
    default=Path("lpw-demo"),
    show_default=True,
    help="Folder for everything it makes.",
)
@option(
    "--preset",
    type=click.Choice(list(STREETS)),
    default="demo",
    show_default=True,
    help="Size of the street.",
)
@option(
    "--steps",
    type=click.IntRange(0),
    help="Of training; 0 ends with the pictures.  [default: the recipe's]",
)
def command(options: DemoOptions) -> None:
    """Draws a street, builds, verifies, scores, shows and cleans a dataset, trains RQEN and ranks
    persons it never saw.

    It trains on the persons whom its own review has found. A second run resumes. The boxes come
    from the street's ground truth through a noise model (plug-in `boxes`), not from a network, and
    the reviewer is a script that knows the truth: this shows the tool, and proves nothing about a
    detector or about real people.
    """
    start, out = time.monotonic(), options.out
    street, dataset = out / "street", out / "dataset"
    _say("1/8 street", f"drawing synthetic videos to {street} (seed {SEED})")
    _draw(street, options.preset)
    _say(
        "2/8 build", "boxes are simulated (noise added to the truth), linking and cropping are real"
    )
    detection = DetectorOptions(boxes=street / "detections")
    config = BuildConfig(root=street / "video", out=dataset, detector="boxes", options=detection)
    counts = build_tracklets(config).dataset.manifest["counts"]
    _say(
        "",
        f"{counts['n_tracklets']} tracklets, {counts['n_images']} crops, {counts['n_cameras']} "
        f"cameras",
    )
    _say("3/8 check", "verifying tables and images")
    if not check_dataset(dataset).ok:
        raise MismatchError(dataset, "problems", "the dataset just built", "run `lpw check` on it")
    _say("4/8 score", "tracklets against the street's exact truth")
    say_text(format_score(score_against(dataset, street / "truth", prices=CleanupCosts())))
    _say("", "its counts, beside those that the paper's Table 1 gives for published datasets:")
    say_text(format_table1(table1(open_dataset(dataset))))
    page = write_show(open_dataset(dataset), out / "show").page
    _say("5/8 show", f"after {time.monotonic() - start:.0f} s: open {page}")
    _clean(dataset, street / "truth", out / "cleaned")
    if options.steps != 0:
        _learn(out, options.steps)
    _say("done", f"in {time.monotonic() - start:.0f} s")


def _clean(dataset: Path, truth: Path, cleaned: Path) -> None:
    """Suggestions, a scripted review of the whole queue, and the cleaned dataset with a split."""
    _say("6/8 review", "a script that knows the truth reviews; a person would: lpw clean --review")
    suggest(dataset)
    opened = open_dataset(dataset)
    found = review_by_truth(opened, truth)
    _say("", f"{found.n_found} errors in {found.n_seen} tracklets, {found.n_persons} persons "
             f"linked, "
             f"{found.n_decisions} decisions in {dataset / 'cleanup'}")  # fmt: skip
    if is_file(cleaned / MANIFEST):
        _say("", f"{cleaned} is there already")
        return
    union = read_union(opened)
    try:
        made = write_cleaned(
            opened,
            apply(read_base(opened), union),
            union,
            cleaned,
            CleanOptions(conflicts="leave-out"),
            SplitConfig(n_splits=1, seed=SEED),
        )
    except LpwError as error:
        _say("", f"not applied: {error}")
        return
    counts = made.dataset.manifest["counts"]
    _say(
        "",
        f"{cleaned}: {counts['n_tracklets']} tracklets of {counts['n_persons']} persons in two "
        f"cameras or more",
    )


def _learn(out: Path, steps: int | None) -> None:
    """Training and table; where the packages for it are missing, or nobody can be tested, a line
    that says so."""
    missing = [name for name in LEARNING if find_spec(name) is None]
    if missing:
        _say(
            "7/8, 8/8",
            f"left out: no package {missing[0]}; {install_hint('all')}, and run it again",
        )
        return
    cleaned = out / "cleaned"
    if not is_file(cleaned / "splits.parquet"):
        _say("7/8, 8/8", "left out: no persons in two cameras to be divided into training and test")
        return
    start = time.monotonic()
    changes = [f"train.seed={SEED}"] + ([f"train.iterations={steps}"] if steps is not None else [])
    evaluations = _train_and_rank(out, cleaned, changes)
    notes = evaluations[0].notes
    say_text(format_results(evaluations, notes, form="table", mix=False))
    write_results(out / "result", evaluations, notes, mix=False)
    _say("", f"trained and ranked in {time.monotonic() - start:.0f} s; tables: {out / 'result'}")


def _train_and_rank(out: Path, cleaned: Path, changes: list[str]) -> "list[Evaluation]":
    """Mean colour, the backbone as it comes, and RQEN, on the persons who did not train."""
    from lpw_toolkit.dataset.clip_index import open_index
    from lpw_toolkit.embedding.mean_colour import describe_colours
    from lpw_toolkit.evaluation.distance_choice import DistanceSettings
    from lpw_toolkit.evaluation.evaluate import evaluate
    from lpw_toolkit.evaluation.protocol import open_protocol
    from rqen.inference.run_vectors import embed_run, make_embeddings
    from rqen.recipe import read_recipe

    recipe = read_recipe("demo", tuple(changes))
    _say("7/8 train", f"RQEN, {recipe.train.iterations} steps, to {out / 'run'}")
    untrained = _train(
        cleaned, out / "untrained", "mean", read_recipe("demo", ("train.iterations=0",))
    )
    run = _train(cleaned, out / "run", "rqen", recipe, lambda cost: _say("", cost.describe()))
    _say(
        "8/8 rank", "each test person is a query in every camera, the other cameras are the gallery"
    )
    index = open_index(cleaned)
    protocol, _ = choose_protocol(index.dataset)
    trial = open_protocol(protocol).trials(index.dataset)[0]
    rows = np.union1d(trial.query, trial.gallery)
    colours = [
        describe_colours(index, rows, division=(1.0,)),
        describe_colours(index, rows, centred=True),
    ]
    runs = [make_embeddings(embed_run(untrained, cleaned, rows=rows), part="untrained")]
    runs += [make_embeddings(embed_run(run, cleaned, rows=rows))]
    found = [
        evaluate(index.dataset, one, protocol, DistanceSettings("euclidean")) for one in colours
    ]
    return found + [evaluate(index.dataset, one, protocol, DistanceSettings()) for one in runs]


def _train(
    cleaned: Path, out: Path, method: str, recipe: "Recipe", announce: Announce | None = None
) -> Path:
    from rqen.training.distributed import open_process_group
    from rqen.training.job import TrainJob
    from rqen.training.train import train

    with open_process_group() as team:
        return train(TrainJob(cleaned, out, method, recipe, resume=True), team, announce)


def _draw(street: Path, preset: str) -> None:
    if (street / "street.json").is_file():
        if open_street(street).config != STREETS[preset]:
            raise LpwError(
                street,
                "another street",
                f"the {preset} street",
                "remove it or choose another --out",
            )
        return
    if street.parent.exists() and not street.exists():
        check_free(street.parent)
    write_street(street, STREETS[preset], np.random.default_rng(SEED))


def _say(step: str, text: str) -> None:
    say(f"{step:<12}{text}" if step else f"{'':<12}{text}")
