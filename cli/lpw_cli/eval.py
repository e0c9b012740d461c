"""`lpw eval`: a trained run or embeddings under a protocol, or tables of results."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import click

from lpw_cli.command import is_given, lpw_command, option, renamed_option
from lpw_cli.options import FOLDER, NEWEST, OUT_FILE, check_suffix, dataset_folder, find_run
from lpw_cli.say import output, say_note, say_table
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.dataset.output_folder import check_free
from lpw_toolkit.embedding.embeddings import Embeddings, read_dataset_digest, read_embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.choices import take_protocol, take_splits
from lpw_toolkit.evaluation.distance_choice import OWN, DistanceSettings, MetricTrainingData
from lpw_toolkit.evaluation.evaluate import Evaluation, count_seen, evaluate, refuse_seen
from lpw_toolkit.evaluation.learned_distance import LearningConfig, is_learned, list_metrics
from lpw_toolkit.evaluation.metrics_table import FORMS, format_table, read_lines, read_metrics
from lpw_toolkit.evaluation.person_interval import describe_interval
from lpw_toolkit.evaluation.protocol import list_protocols
from lpw_toolkit.evaluation.protocol_comparison import compare_protocols
from lpw_toolkit.evaluation.rerank import RerankConfig
from lpw_toolkit.evaluation.results import MARKER, format_results, write_page, write_results
from lpw_toolkit.evaluation.shrinkage import SHRINKAGES, Shrinkage
from lpw_toolkit.files.opening import follow_links

_TESTS = "no --table"  # what belongs to a test, not to a table of results
_LEARNED = " or ".join(f"--metric {name}" for name in list_metrics() if is_learned(name))
_LEARNS = " or ".join([_LEARNED, "--pca", "--tune"])


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """The options of `lpw eval`: of RUN, of --embeddings and of --table."""

    run: Path | None
    embeddings: Path | None
    results: tuple[Path, ...]
    dataset: Path | None
    protocol: str | None
    split: str
    split_given: bool
    workers: int
    precision: Literal["float32", "bfloat16", "auto"]
    ablate: str | None
    allow_seen: bool
    pooling: Literal["mean", "max"] | None
    normalize_frames: bool
    metric: str
    pca: int | None
    solver: Literal["eigh", "svd"]
    dims: int | None
    shrinkage: Shrinkage
    tune: bool
    seed: int
    train_data: Path | None
    train_embeddings: Path | None
    rerank: bool
    k1: int
    k2: int
    lambda_: float
    half: Literal["round_even", "half_up"]
    deduplicate_queries: bool
    comparing: bool
    table: bool
    mix: bool
    out: Path | None
    plot: Path | None
    page: Path | None
    form: str

    @property
    def frames_to_vector(self) -> dict[str, Any]:
        """How vectors of frames become one, as `read_embeddings` takes it."""
        return {"pooling": self.pooling, "normalize_frames": self.normalize_frames}

    @property
    def learns(self) -> bool:
        """Whether distances are learned from training vectors."""
        return is_learned(self.metric) or self.pca is not None or self.tune


def _arrange(values: dict[str, Any]) -> None:
    """`[RUN [DATASET]]`, `--embeddings FILE [DATASET]` or `--table RESULTS...`."""
    paths = list(values.pop("paths"))
    values["split_given"] = is_given("split")
    values["run"], values["results"] = None, ()
    if values["table"]:
        values["results"] = tuple(paths)
        return
    is_dataset = bool(paths) and (paths[-1] / MANIFEST).is_file()
    if is_dataset and (len(paths) == 2 or values["embeddings"] is not None):
        if values["dataset"] is not None:
            raise click.UsageError("DATASET and --data say the same thing: give one")
        values["dataset"] = paths.pop()
    if not paths and values["embeddings"] is None:
        paths = [NEWEST]
    is_results = paths and paths[0].name != NEWEST.name and paths[0].is_file()
    if len(paths) > 1 or is_results or (paths and (paths[0] / MARKER).is_file()):
        raise click.UsageError("RESULTS belong to --table")
    values["run"] = paths[0] if paths else None


@lpw_command(EvalOptions, one_of=("RUN", "--embeddings", "--table"), arrange=_arrange)
@click.argument("paths", type=FOLDER, nargs=-1, metavar="[[RUN [DATASET]] | RESULTS...]")
@option("--embeddings", type=FOLDER, help="embeddings.parquet, ours or your own.")
@option("--data", "dataset", type=FOLDER, needs=_TESTS,
        help="The dataset, in place of DATASET.  [default: RUN's, or that at hand]")  # fmt: skip
@option("--protocol", needs=_TESTS,
        help=f"One of {', '.join(list_protocols())}.  [default: the one that fits]")  # fmt: skip
@option(
    "--split",
    default="all",
    needs=_TESTS,
    help="Number of a split, or all.  [default: all splits; for a RUN on its own dataset, the "
    "split it was trained on]",
)
@option("--out", type=FOLDER, needs=_TESTS, help="Folder for metrics, queries and tables.")
@option("--plot", type=OUT_FILE, needs=_TESTS, help="CMC curves as this .png or .svg.")
@option("--page", type=OUT_FILE, needs=_TESTS,
        help="The worst queries with their crops as this .html.")  # fmt: skip
@option("--format", "form", type=click.Choice(list(FORMS)), default="table", show_default=True,
        help="How results are printed.")  # fmt: skip
@option(
    "--compare-protocols",
    "comparing",
    is_flag=True,
    needs=_TESTS,
    help="Every rule in use, and why the figures differ.",
)
@option("--allow-seen", is_flag=True, needs=_TESTS,
        help="Test persons whom the model was trained on too; every row then says so.")  # fmt: skip
@option("--table", is_flag=True,
        help="Put RESULTS (folders or metrics.parquet) in one table.")  # fmt: skip
@option("--mix", is_flag=True, needs="--table",
        help="Allow lines of different rules in one table, which says so.")  # fmt: skip
@option("--workers", type=click.IntRange(0), default=1, show_default=True,
        needs="RUN", help="Processes that read ahead.")  # fmt: skip
@option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "auto"]),
    default="float32",
    show_default=True,
    needs="RUN",
    help="Inference precision.",
)
@option(
    "--ablate",
    type=click.Choice(["regions"]),
    needs=("RUN", "no --compare-protocols"),
    help="Also each region of its vectors alone.",
)
@option("--pooling", type=click.Choice(["mean", "max"]), needs="--embeddings",
        help="How the vectors of a tracklet's frames become one.  [default: mean]")  # fmt: skip
@option("--normalize-frames", is_flag=True, needs="--embeddings",
        help="Scale the vectors of frames to length 1 before pooling.")  # fmt: skip
@option("--metric", type=click.Choice([OWN, *list_metrics()]), default=OWN, show_default=True,
        needs=_TESTS, heading="Distance",
        help="How vectors are compared; own is as the model says, usually cosine.")  # fmt: skip
@option("--pca", type=click.IntRange(1), needs=_TESTS, heading="Distance",
        help="Compare this many principal components of the training vectors.")  # fmt: skip
@option("--solver", type=click.Choice(["eigh", "svd"]), default="eigh", show_default=True,
        needs="--metric xqda", heading="Distance", help="Solver of XQDA.")  # fmt: skip
@option("--dims", type=click.IntRange(1), needs="--metric xqda", heading="Distance",
        help="Dimensions of XQDA's subspace.  [default: chosen by XQDA]")  # fmt: skip
@option("--shrinkage", type=click.Choice(SHRINKAGES), default="none", show_default=True,
        needs=_LEARNED, heading="Distance",
        help="Shrinks the covariance within persons.")  # fmt: skip
@option("--tune", is_flag=True, needs=_TESTS, heading="Distance",
        help="Choose PCA, dimensions and shrinkage, where they are not given, on validation "
             "persons of the training part.")  # fmt: skip
@option("--seed", type=click.IntRange(0), default=0, show_default=True, needs=_LEARNS,
        heading="Distance", help="Random seed for metric learning.")  # fmt: skip
@option("--train-data", type=FOLDER, needs=(_LEARNS, "--train-embeddings"), heading="Distance",
        help="Another dataset to learn the metric on.")  # fmt: skip
@option("--train-embeddings", type=FOLDER, needs=(_LEARNS, "--train-data"), heading="Distance",
        help="The embeddings of that dataset.")  # fmt: skip
@option("--rerank", is_flag=True, needs=_TESTS, heading="Distance",
        help="k-reciprocal re-ranking.")  # fmt: skip
@option("--k1", type=click.IntRange(1), default=20, show_default=True, needs="--rerank",
        help="Neighbours that must be mutual.")  # fmt: skip
@option("--k2", type=click.IntRange(1), default=6, show_default=True, needs="--rerank",
        help="Neighbours whose vectors are averaged.")  # fmt: skip
@option("--lambda", "lambda_", type=click.FloatRange(0, 1), default=0.3, show_default=True,
        needs="--rerank", help="Share of the original distance.")  # fmt: skip
@option("--half", type=click.Choice(["round_even", "half_up"]), default="round_even",
        show_default=True, needs="--rerank",
        help="How k1/2 is rounded when k1 is odd.")  # fmt: skip
@option("--deduplicate-queries", is_flag=True, needs="--rerank",
        help="Count a query that is in the gallery too only once.")  # fmt: skip
@renamed_option("--drop-twins", "--deduplicate-queries")
def command(options: EvalOptions) -> None:
    """Scores a run of `lpw train`, or embeddings, under a protocol: CMC, mAP, mINP, and what they
    rest on.

    Without RUN it is the newest run, on the test persons of its dataset. With --table: RESULTS in
    one table.
    """
    form = "json" if output().as_json else options.form
    if options.table:
        if not options.results:
            raise click.UsageError("--table needs folders of results, or files metrics.parquet")
        lines = read_lines(read_metrics(options.results))
        say_table(format_table(lines, mix=options.mix, form=form))
        return
    say_table(_evaluate(options, form))


def _evaluate(options: EvalOptions, form: str) -> str:
    settings, splits = _take_settings(options), take_splits(options.split)
    check_suffix("--plot", options.plot, (".png", ".svg"))
    check_suffix("--page", options.page, (".html",))
    if options.out is not None:
        check_free(options.out, marker=MARKER)
    run = find_run(options.run or Path())
    dataset = open_dataset(options.dataset or _find_dataset(options, run))
    protocol, chosen = take_protocol(dataset, options.protocol)
    say_note(*chosen)
    if options.embeddings is not None:
        parts = [read_embeddings(options.embeddings, dataset, **options.frames_to_vector)]
    else:
        splits, parts = _embed_run(options, run, protocol, dataset, splits)
    source = _open_source(options)
    if options.comparing:
        comparison = compare_protocols(
            dataset,
            parts[0],
            protocol,
            settings,
            splits=splits,
            source=source,
            allow_seen=options.allow_seen,
        )
        evaluations, notes = comparison.evaluations, comparison.describe()
    else:
        evaluations = [
            evaluate(
                dataset,
                part,
                protocol,
                settings,
                splits=splits,
                source=source,
                allow_seen=options.allow_seen,
            )
            for part in parts
        ]
        notes = evaluations[0].notes
    if len(evaluations) == 1:
        notes = [*describe_interval(evaluations[0]), *notes]
    text = format_results(evaluations, notes, form=form, mix=options.comparing)
    _publish(evaluations, notes, options)
    return text


def _find_dataset(options: EvalOptions, run: Path) -> Path:
    """The dataset at hand that the run was trained on, or whose embeddings they are; for a run that
    was named also another one (which is printed)."""
    from lpw_toolkit.dataset.at_hand import PERSONS, find_by_digest

    if options.embeddings is not None:
        digest = read_dataset_digest(options.embeddings)
        digests = [digest] if digest else []
    else:
        from rqen.run.run_folder import read_run

        said = read_run(run)
        digests = [said.get("data_digest", ""), said["dataset_digest"]]
    found = find_by_digest(Path.cwd(), digests)
    if found is not None:
        say_note(f"dataset: {found.name}")
        return follow_links(found)
    if options.run == NEWEST:
        raise LpwError(
            f"the dataset of {run.name}",
            "not in or just below this folder",
            f"{said.get('dataset')} ({said['dataset_digest'][:12]})",
            "name the dataset that is to be tested with --data",
        )
    return dataset_folder(None, PERSONS)


def _embed_run(
    options: EvalOptions, run: Path, protocol: str, dataset: Dataset, splits: list[int] | None
) -> tuple[list[int], list[Embeddings]]:
    """The splits that are scored, and the vectors of what they need: all of them first, then region
    by region."""
    from rqen.inference.run_vectors import ScoringOptions, embed_run, list_parts
    from rqen.inference.test_splits import (
        choose_trials,
        find_seen_persons,
        list_rows,
        note_run,
    )

    trials = choose_trials(
        run,
        dataset,
        protocol,
        splits,
        asked=options.split_given,
        allow_seen=options.allow_seen,
    )
    if not options.allow_seen:  # before images are read
        seen = count_seen(dataset, find_seen_persons(run, dataset), trials)
        refuse_seen(dataset, trials, seen)
    rows = None if options.learns or options.comparing else list_rows(trials)
    scoring = ScoringOptions(n_workers=options.workers, precision=options.precision)
    found = embed_run(run, dataset.root, scoring, rows)
    parts = list_parts(found, regions=options.ablate is not None)
    notes = note_run(run, dataset)
    return [trial.split for trial in trials], [
        replace(part, notes=notes) for part in parts.values()
    ]


def _take_settings(options: EvalOptions) -> DistanceSettings:
    rerank = RerankConfig(options.k1, options.k2, options.lambda_, options.half)
    return DistanceSettings(
        options.metric,
        options.pca,
        LearningConfig(solver=options.solver, n_dims=options.dims, shrinkage=options.shrinkage),
        rerank if options.rerank else None,
        options.deduplicate_queries,
        options.seed,
        options.tune,
    )


def _open_source(options: EvalOptions) -> MetricTrainingData | None:
    if options.train_data is None or options.train_embeddings is None:
        return None
    dataset = open_dataset(options.train_data)
    return MetricTrainingData(
        dataset, read_embeddings(options.train_embeddings, dataset, **options.frames_to_vector)
    )


def _publish(evaluations: list[Evaluation], notes: list[str], options: EvalOptions) -> None:
    if options.plot is not None:
        from lpw_toolkit.evaluation.cmc_plot import draw_cmc

        by_model = len(evaluations) == 1 or len({one.facts["model"] for one in evaluations}) > 1
        title = f"{evaluations[0].dataset.name}, {evaluations[0].protocol}"
        draw_cmc(
            {one.facts["model"] if by_model else one.protocol: one.curve for one in evaluations},
            options.plot,
            title=title,
        )
    if options.page is not None:
        say_note(*write_page(evaluations[0], options.page))
    if options.out is not None:
        write_results(options.out, evaluations, notes, mix=options.comparing)
    for place in (options.out, options.plot, options.page):
        if place is not None:
            say_note(f"written: {place}")
