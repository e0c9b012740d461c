"""`lpw eval`: a trained run or embeddings under a protocol, or tables of results."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lpw_cli.options import FOLDER, OUT_FILE, dataset_folder, is_given, refuse_idle
from lpw_cli.say import say, say_text
from lpw_toolkit.dataset.dataset import Dataset, open_dataset, refuse_inside_dataset
from lpw_toolkit.dataset.output_folder import check_free
from lpw_toolkit.embedding.embeddings import Embeddings, read_embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings, MetricTrainingData
from lpw_toolkit.evaluation.evaluate import Evaluation, evaluate
from lpw_toolkit.evaluation.learned_distance import LearningConfig, is_learned, list_metrics
from lpw_toolkit.evaluation.metrics_table import FORMS, format_table, read_lines, read_metrics
from lpw_toolkit.evaluation.protocol import list_protocols
from lpw_toolkit.evaluation.protocol_comparison import compare_protocols
from lpw_toolkit.evaluation.rerank import RerankConfig
from lpw_toolkit.evaluation.results import MARKER, format_results, write_page, write_results
from lpw_toolkit.progress import set_style

_OF_RUN = ("ablate", "workers", "precision")


@click.command()
@click.argument("results", type=FOLDER, nargs=-1, metavar="[RUN | RESULTS...]")
@click.option("--embeddings", type=FOLDER, help="embeddings.parquet, ours or your own.")
@click.option("--data", type=FOLDER, help="Dataset.  [default: the one at hand]")
@click.option("--protocol", help=f"One of {', '.join(list_protocols())}.")
@click.option("--metric", type=click.Choice(list_metrics()), default="cosine", show_default=True)
@click.option(
    "--split",
    default="all",
    help="Number of a split, or all.  [default: all; of RUN on its own data, its]",
)
@click.option(
    "--ablate",
    type=click.Choice(["regions"]),
    help="With RUN: also each region of its vectors alone.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="With RUN: processes that read.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "auto"]),
    default="float32",
    show_default=True,
    help="With RUN: of the network.",
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "max"]),
    help="Of one vector per frame.  [default: mean]",
)
@click.option(
    "--normalize-frames",
    is_flag=True,
    help="Frames' vectors are brought to length 1 before pooling.",
)
@click.option(
    "--pca", type=click.IntRange(1), help="Compare principal components of the training vectors."
)
@click.option(
    "--solver",
    type=click.Choice(["eigh", "svd"]),
    default="eigh",
    show_default=True,
    help="Of XQDA.",
)
@click.option(
    "--dims", type=click.IntRange(1), help="Of XQDA's subspace.  [default: chosen by XQDA]"
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what learning draws."
)
@click.option("--train-data", type=FOLDER, help="Another dataset to learn the metric on.")
@click.option("--train-embeddings", type=FOLDER, help="Its embeddings.")
@click.option("--rerank", is_flag=True, help="k-reciprocal re-ranking.")
@click.option("--k1", type=click.IntRange(1), help="Neighbours that must be mutual.  [default: 20]")
@click.option("--k2", type=click.IntRange(1), help="Neighbours that are averaged.  [default: 6]")
@click.option(
    "--lambda",
    "lambda_",
    type=click.FloatRange(0, 1),
    help="Share of the distance itself.  [default: 0.3]",
)
@click.option(
    "--half",
    type=click.Choice(["round_even", "half_up"]),
    help="Half of an odd k1.  [default: round_even]",
)
@click.option(
    "--deduplicate-queries",
    "--drop-twins",
    is_flag=True,
    help="With --rerank: count a query that is also in the gallery only once.",
)
@click.option(
    "--compare-protocols",
    "comparing",
    is_flag=True,
    help="Every rule in use, and why the figures differ.",
)
@click.option(
    "--table",
    "as_table",
    is_flag=True,
    help="Set RESULTS (folders or metrics.parquet) in one table.",
)
@click.option(
    "--mix", is_flag=True, help="Let lines of different rules stand in one table, which says so."
)
@click.option("--out", type=FOLDER, help="Folder for metrics, queries and tables.")
@click.option("--plot", type=OUT_FILE, help="CMC curves as this .png or .svg.")
@click.option("--page", type=OUT_FILE, help="The worst queries with their crops as this .html.")
@click.option(
    "--format", "form", type=click.Choice(list(FORMS)), default="table", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    results: tuple[Path, ...], *, as_table: bool, form: str, as_json: bool, **values: Any
) -> None:
    """Scores a run of `lpw train`, or embeddings, under a protocol: CMC, mAP, mINP, and what they
    rest on.

    With --table: RESULTS in one table.
    """
    set_style("json" if as_json else "auto")
    form = "json" if as_json else form
    if as_table:
        _refuse_beside_table(values)
        lines = read_lines(read_metrics(_require_results(results)))
        say_text(format_table(lines, mix=values["mix"], form=form))
        return
    run = _take_run(results, values)
    if values["protocol"] is None:
        raise click.UsageError("give --protocol, or --table with folders of results")
    _evaluate(run, form, values)


def _take_run(results: tuple[Path, ...], values: dict[str, Any]) -> Path | None:
    """The run that is to be scored; None where there are embeddings instead."""
    if len(results) > 1 or (results and (results[0].is_file() or (results[0] / MARKER).is_file())):
        raise click.UsageError("RESULTS belong to --table")
    if results and values["embeddings"] is not None:
        raise click.UsageError(
            "RESULTS belong to --table, and a RUN makes its own embeddings: leave one out"
        )
    if not results:
        refuse_idle(_OF_RUN, "RUN", needed=False)
        if values["embeddings"] is None:
            raise click.UsageError(
                "give --embeddings or the folder of a run, or --table with folders of results"
            )
        return None
    refuse_idle(("pooling", "normalize_frames"), "--embeddings", needed=False)
    if values["ablate"] and values["comparing"]:
        raise click.UsageError("--ablate and --compare-protocols make two tables: leave one out")
    return results[0]


def _refuse_beside_table(values: dict[str, Any]) -> None:
    odd = [name for name in values if name != "mix" and is_given(name)]
    if odd:
        raise click.UsageError(
            f"--table takes results, --mix and --format, not --{odd[0].replace('_', '-')}"
        )


def _require_results(results: tuple[Path, ...]) -> tuple[Path, ...]:
    if not results:
        raise click.UsageError("--table needs folders of results, or files metrics.parquet")
    return results


def _evaluate(run: Path | None, form: str, values: dict[str, Any]) -> None:
    settings, splits, mix = (
        _take_settings(values),
        _take_splits(values["split"]),
        values["mix"] or values["comparing"],
    )
    _check_places(values)
    dataset = open_dataset(dataset_folder(values["data"]))
    pooling = {"pooling": values["pooling"], "normalize_frames": values["normalize_frames"]}
    if run is None:
        parts = [read_embeddings(values["embeddings"], dataset, **pooling)]
    else:
        splits, parts = _embed_run(run, dataset, splits, values)
    options: dict[str, Any] = {"splits": splits, "source": _open_source(values, pooling)}
    if values["comparing"]:
        comparison = compare_protocols(dataset, parts[0], values["protocol"], settings, **options)
        evaluations, notes = comparison.evaluations, comparison.describe()
    else:
        evaluations = [
            evaluate(dataset, part, values["protocol"], settings, **options) for part in parts
        ]
        notes = evaluations[0].notes
    text = format_results(evaluations, notes, form=form, mix=mix)
    _publish(evaluations, notes, values, mix=mix)
    say_text(text)


def _embed_run(
    run: Path, dataset: Dataset, splits: list[int] | None, values: dict[str, Any]
) -> tuple[list[int], list[Embeddings]]:
    """The splits that are scored, and the vectors of what they need: all of them first, then region
    by region."""
    from rqen.inference.run_vectors import ScoringOptions, embed_run, list_parts
    from rqen.inference.test_splits import choose_trials, list_rows, note_training

    trials = choose_trials(run, dataset, values["protocol"], splits, asked=is_given("split"))
    learns = is_learned(values["metric"]) or values["pca"] is not None
    rows = None if learns or values["comparing"] else list_rows(trials)
    options = ScoringOptions(n_workers=values["workers"], precision=values["precision"])
    found = embed_run(run, dataset.root, options, rows)
    parts = list_parts(found, regions=values["ablate"] is not None)
    notes = note_training(run, dataset, trials)
    return [trial.split for trial in trials], [
        replace(part, notes=notes) for part in parts.values()
    ]


def _check_places(values: dict[str, Any]) -> None:
    """Refuses early what could not be written after the work."""
    for name, suffixes in (("plot", (".png", ".svg")), ("page", (".html",))):
        place = values[name]
        if place is None:
            continue
        if place.suffix.lower() not in suffixes:
            raise LpwError(
                f"option --{name}",
                str(place),
                f"a name that ends in {' or '.join(suffixes)}",
                "name it so",
            )
        refuse_inside_dataset(place)
    if values["out"] is not None:
        check_free(values["out"], marker=MARKER)


def _take_settings(values: dict[str, Any]) -> DistanceSettings:
    given = {
        name: values[name] for name in ("k1", "k2", "lambda_", "half") if values[name] is not None
    }
    learns = is_learned(values["metric"]) or values["pca"] is not None
    refuse_idle(
        ("k1", "k2", "lambda_", "half", "deduplicate_queries"), "--rerank", needed=values["rerank"]
    )
    refuse_idle(("solver", "dims"), "--metric xqda", needed=values["metric"] == "xqda")
    refuse_idle(
        ("train_data", "train_embeddings", "seed"),
        "--metric xqda or kissme, or --pca",
        needed=learns,
    )
    if (values["train_data"] is None) != (values["train_embeddings"] is None):
        raise click.UsageError("--train-data and --train-embeddings belong together")
    learning = LearningConfig(solver=values["solver"], n_dims=values["dims"])
    rerank = RerankConfig(**given) if values["rerank"] else None
    return DistanceSettings(
        values["metric"],
        values["pca"],
        learning,
        rerank,
        values["deduplicate_queries"],
        values["seed"],
    )


def _take_splits(text: str) -> list[int] | None:
    if text == "all":
        return None
    if not text.isdecimal() or len(text) > 4:
        raise LpwError(
            "option --split", text, "the number of a split, from 0, or all", "correct it"
        )
    return [int(text)]


def _open_source(values: dict[str, Any], pooling: dict[str, Any]) -> MetricTrainingData | None:
    if values["train_data"] is None:
        return None
    dataset = open_dataset(values["train_data"])
    return MetricTrainingData(
        dataset, read_embeddings(values["train_embeddings"], dataset, **pooling)
    )


def _publish(
    evaluations: list[Evaluation], notes: list[str], values: dict[str, Any], *, mix: bool
) -> None:
    if values["plot"] is not None:
        from lpw_toolkit.evaluation.cmc_plot import draw_cmc

        title = f"{evaluations[0].dataset.name}, {evaluations[0].protocol}"
        draw_cmc(
            {_label(one, evaluations): one.curve for one in evaluations},
            values["plot"],
            title=title,
        )
    if values["page"] is not None:
        say(*write_page(evaluations[0], values["page"]), err=True)
    if values["out"] is not None:
        write_results(values["out"], evaluations, notes, mix=mix)
    for name in ("out", "plot", "page"):
        if values[name] is not None:
            say(f"written: {values[name]}", err=True)


def _label(one: Evaluation, among: list[Evaluation]) -> str:
    models = {other.facts["model"] for other in among}
    return one.facts["model"] if len(among) == 1 or len(models) > 1 else one.protocol
