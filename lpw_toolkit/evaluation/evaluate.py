"""Embeddings of a dataset under a protocol: every stage in order, from vectors to tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import PERSON, Labels, read_labels, read_timed_labels
from lpw_toolkit.embedding.embeddings import Embeddings
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.evaluation.distance_blocks import DistanceBlocks
from lpw_toolkit.evaluation.distance_choice import (
    OWN,
    DistanceSettings,
    MetricTrainingData,
    check_vectors,
    compare,
    compare_tracklets,
    describe_distance,
    resolve_metric,
)
from lpw_toolkit.evaluation.metric_selection import Selection, choose_distance, describe_choice
from lpw_toolkit.evaluation.protocol import (
    ProtocolSpec,
    QueryGallerySplit,
    open_protocol,
)
from lpw_toolkit.evaluation.provenance import ResultTables, describe_splits, tabulate
from lpw_toolkit.evaluation.ranking import APForm, Ranking, rank_queries
from lpw_toolkit.evaluation.relevance import Relevance
from lpw_toolkit.evaluation.summary import Summary, summarise
from lpw_toolkit.progress import show_progress
from lpw_toolkit.splits.draw import warn_of_few


@dataclass(frozen=True)
class SplitResult:
    """The queries of one split, ranked.

    Attributes:
        trial: queries and gallery, as rows of the dataset's table of tracklets.
        relevance: which gallery items are relevant to each query, and which are ignored.
        blocks: the distances (Q, G) that were ranked.
        distance: title of the distance, such as `XQDA (eigh, 12 dims)`.
        ranking: ranks of the relevant gallery items.
        summary: CMC, mAP and mINP.
        selection: how the settings of the distance were chosen; None where they were given.
    """

    trial: QueryGallerySplit
    relevance: Relevance
    blocks: DistanceBlocks
    distance: str
    ranking: Ranking
    summary: Summary
    selection: Selection | None = None


@dataclass(frozen=True)
class Evaluation:
    """The result of one model under one protocol.

    Attributes:
        dataset: the dataset that was tested.
        protocol: name of the protocol.
        spec: its rules, or these with another AP form.
        facts: the text columns of schema.METRICS but gallery, junk_rule and ap_form.
        results: split by split.
        tables: metrics, queries and the description of the gallery.
        notes: what a reader of the figures should know.
        n_seen: by split, how many queries show persons whom the model was trained on; empty where
            that is unknown.
    """

    dataset: Dataset
    protocol: str
    spec: ProtocolSpec
    facts: dict[str, str]
    results: list[SplitResult]
    tables: ResultTables
    notes: list[str]
    n_seen: dict[int, int]

    @property
    def selections(self) -> dict[int, Selection]:
        """By split, how the settings of the distance were chosen; empty where they were given."""
        return {one.trial.split: one.selection for one in self.results if one.selection}

    @property
    def metrics(self) -> pa.Table:
        """Rows of schema.METRICS: each split; with several, also mean and standard deviation."""
        return self.tables.metrics

    @property
    def queries(self) -> pa.Table:
        """Rows of schema.QUERIES: each query of each split."""
        return self.tables.queries

    @property
    def skipped(self) -> list[str]:
        """Tracklet ids of the queries that no mean counts, each once."""
        return _list_skipped(self.queries)

    @property
    def curve(self) -> NDArray[np.float64]:
        """The CMC (R,) as fractions, the mean over the splits."""
        return np.asarray(np.mean([result.summary.cmc for result in self.results], axis=0))


def evaluate(
    dataset: Dataset,
    embeddings: Embeddings,
    protocol: str,
    settings: DistanceSettings,
    *,
    splits: Sequence[int] | None = None,
    source: MetricTrainingData | None = None,
    allow_seen: bool = False,
) -> Evaluation:
    """Ranks the gallery for every query of a protocol.

    Args:
        dataset: the dataset that is tested.
        embeddings: one vector for each of its tracklets.
        protocol: name of the protocol, such as `mars`.
        settings: how vectors are compared.
        splits: numbers of the splits to evaluate; None evaluates all.
        source: another dataset on which a metric is learned, instead of the protocol's training
            part.
        allow_seen: whether persons may be tested that the embeddings say the model was trained on.
            Every row of the metrics then has their number (`n_seen`).

    Errors: LpwError for a dataset that the protocol does not fit, unknown splits, queries that show
    persons whom the model was trained on, tracklets without a vector (named), vectors that cannot
    be compared, no training data for a learned metric, and splits in which no query has a relevant
    gallery item.
    """
    rule = open_protocol(protocol)
    labels = read_timed_labels(dataset.tracklets, dataset.manifest.get("sources", []))
    spec, vectors = rule.SPEC, embeddings.vectors
    settings = resolve_metric(settings, embeddings)
    trials = _choose_trials(rule.trials(dataset), splits)
    trials, left_out = _leave_out(trials, embeddings)
    seen = count_seen(dataset, embeddings.facts.seen_persons, trials)
    if not allow_seen:
        refuse_seen(dataset, trials, seen)
    _check_trials(dataset, embeddings, protocol, spec, trials, settings.metric)
    results = []
    with show_progress("ranking", len(trials), "splits") as progress:
        for trial in trials:
            if embeddings.own is not None and settings.metric == OWN:
                title, selection = embeddings.own.title, None
                blocks = compare_tracklets(embeddings.own, trial, settings)
            else:
                distance, selection = choose_distance(
                    dataset, embeddings, labels, trial, settings, source
                )
                title, blocks = distance.title, compare(vectors, trial, distance, settings)
            relevance = rule.judge(labels.take(trial.query), labels.take(trial.gallery))
            ranking = rank_queries(blocks, relevance)
            summary = summarise(ranking, ap_form=spec.ap_form, unmatched=spec.unmatched)
            found = SplitResult(trial, relevance, blocks, title, ranking, summary, selection)
            results.append(found)
            progress.advance()
    facts = _state_facts(dataset, embeddings, protocol, settings, source, results)
    tables = tabulate(dataset, labels, spec, facts, _parts(results), seen)
    notes = [
        *embeddings.notes,
        *left_out,
        *_describe_seen(trials, seen),
        *dataset.unverified,
        *(one.selection.describe(one.trial.split) for one in results if one.selection),
        *_describe_unmatched(results, tables.queries),
        *_describe_data(dataset, labels, trials, settings),
    ]
    return Evaluation(dataset, facts["protocol"], spec, facts, results, tables, notes, seen)


def restate(evaluation: Evaluation, ap_form: APForm) -> Evaluation:
    """The same ranking with the other form of average precision."""
    spec = replace(evaluation.spec, ap_form=ap_form)
    results = [
        replace(
            result,
            summary=summarise(result.ranking, ap_form=ap_form, unmatched=spec.unmatched),
        )
        for result in evaluation.results
    ]
    labels = read_labels(evaluation.dataset.tracklets)
    tables = tabulate(
        evaluation.dataset, labels, spec, evaluation.facts, _parts(results), evaluation.n_seen
    )
    return replace(evaluation, spec=spec, results=results, tables=tables)


def _state_facts(
    dataset: Dataset,
    embeddings: Embeddings,
    protocol: str,
    settings: DistanceSettings,
    source: MetricTrainingData | None,
    results: Sequence[SplitResult],
) -> dict[str, str]:
    """The text columns of schema.METRICS but gallery, junk_rule and ap_form."""
    sha256 = embeddings.facts.checkpoint_sha256
    n_repeated = _count_queries_in_gallery([result.trial for result in results])
    return {
        "dataset": dataset.name,
        "protocol": protocol.replace("-", "_"),
        "model": embeddings.facts.model + (f" ({sha256[:8]})" if sha256 else ""),
        "dataset_digest": dataset.digest,
        "distance": describe_distance(
            settings,
            results[0].distance,
            source,
            queries_in_gallery=n_repeated > 0,
            chosen=describe_choice([one.selection for one in results if one.selection]),
        ),
        "frames_used": embeddings.facts.frames_used,
        "split_source": describe_splits(dataset),
    }


def count_seen(
    dataset: Dataset, persons: Sequence[str] | None, trials: Sequence[QueryGallerySplit]
) -> dict[int, int]:
    """By split, how many queries show one of `persons`; empty where they are unknown (None)."""
    if persons is None:
        return {}
    is_seen = pc.is_in(dataset.tracklets["person_id"], pa.array(persons, pa.string())).to_numpy()
    return {trial.split: int(np.count_nonzero(is_seen[trial.query])) for trial in trials}


def refuse_seen(
    dataset: Dataset, trials: Sequence[QueryGallerySplit], seen: dict[int, int]
) -> None:
    """Errors: LpwError where queries show persons whom the model was trained on (`count_seen`)."""
    for note in _describe_seen(trials, seen):
        raise LpwError(
            f"{dataset.name}, the persons that are tested",
            note,
            "persons whom it has not seen",
            "test it on others (`lpw split` divides persons before training), or give --allow-seen",
        )


def _describe_seen(trials: Sequence[QueryGallerySplit], seen: dict[int, int]) -> list[str]:
    """A sentence, where there are such queries."""
    if not sum(seen.values()):
        return []
    n_query = sum(len(trial.query) for trial in trials)
    n_seen = f"{sum(seen.values()):,} of {n_query:,} queries"
    return [f"{n_seen} show persons whom the model was trained on: no test of it"]


def _parts(results: Sequence[SplitResult]) -> list[tuple[QueryGallerySplit, Ranking, Summary]]:
    return [(result.trial, result.ranking, result.summary) for result in results]


def _choose_trials(
    trials: list[QueryGallerySplit], splits: Sequence[int] | None
) -> list[QueryGallerySplit]:
    if splits is None:
        return trials
    known = {trial.split: trial for trial in trials}
    missing = [number for number in splits if number not in known]
    if missing:
        expected = f"one of {', '.join(map(str, known))}, or all"
        raise LpwError(
            "option --split", ", ".join(map(str, missing)), expected, "choose a split that is there"
        )
    return [known[number] for number in splits]


def _leave_out(
    trials: list[QueryGallerySplit], embeddings: Embeddings
) -> tuple[list[QueryGallerySplit], list[str]]:
    """The trials without the tracklets that the model cannot describe, and a sentence on them."""
    present = embeddings.present
    if not embeddings.left_out or not trials:
        return trials, []
    tested = np.unique(np.concatenate([rows for t in trials for rows in (t.query, t.gallery)]))
    n_missing = int(np.count_nonzero(~present[tested]))
    if not n_missing:
        return trials, []
    kept = [
        QueryGallerySplit(
            trial.split,
            *(rows[present[rows]] for rows in (trial.train, trial.query, trial.gallery)),
        )
        for trial in trials
    ]
    said = f"{n_missing:,} of {len(tested):,} tracklets are left out of queries and gallery"
    return kept, [f"{said}: {embeddings.left_out}"]


def _check_trials(
    dataset: Dataset,
    embeddings: Embeddings,
    protocol: str,
    spec: ProtocolSpec,
    trials: Sequence[QueryGallerySplit],
    metric: str,
) -> None:
    for trial in trials:
        if not len(trial.gallery):
            raise LpwError(
                f"{dataset.name}, split {trial.split}",
                f"an empty gallery by the rule of {protocol}",
                spec.gallery,
                "choose another protocol, or a dataset that has them",
            )
        check_vectors(dataset, embeddings, np.union1d(trial.query, trial.gallery), metric)


def _count_queries_in_gallery(trials: Sequence[QueryGallerySplit]) -> int:
    """The most queries that a split also has in its gallery."""
    return max(len(np.intersect1d(trial.query, trial.gallery)) for trial in trials)


def _list_skipped(queries: pa.Table) -> list[str]:
    column = queries.filter(queries["skipped"])["tracklet_id"]
    return [str(name) for name in column.unique().to_pylist()]


def _describe_unmatched(results: Sequence[SplitResult], queries: pa.Table) -> list[str]:
    """Notes on queries without a right answer."""
    notes = []
    n_skipped = sum(result.summary.n_skipped for result in results)
    if n_skipped:
        n_query = sum(len(result.trial.query) for result in results)
        names = join_names(_list_skipped(queries), 5)
        notes.append(
            f"{n_skipped:,} of {n_query:,} queries have no right answer in the gallery, skipped: "
            f"{names}"
        )
    missed = queries.filter(
        pc.and_(pc.equal(queries["n_relevant"], 0), pc.invert(queries["skipped"]))
    )
    if missed.num_rows:
        names = join_names(missed["tracklet_id"].unique().to_pylist(), 5)
        notes.append(
            f"{missed.num_rows:,} queries have no right answer in the gallery and count as missed: "
            f"{names}"
        )
    return notes


def _describe_data(
    dataset: Dataset,
    labels: Labels,
    trials: Sequence[QueryGallerySplit],
    settings: DistanceSettings,
) -> list[str]:
    """Notes on tracklets without a person, on queries in the gallery, and on drawn splits."""
    notes = []
    n_unnamed = int(np.count_nonzero((labels.kind == PERSON) & (labels.person < 0)))
    if n_unnamed and dataset.splits is None:
        notes.append(
            f"{n_unnamed:,} tracklets without a person_id are left out: it is unknown whom "
            f"they show"
        )
    n_repeated = _count_queries_in_gallery(trials)
    if settings.rerank is not None and n_repeated:
        kept = "once" if settings.deduplicate_queries else "twice, as in the published numbers"
        notes.append(
            f"re-ranking: {n_repeated:,} queries are in the gallery too; each counts as a "
            f"neighbour {kept}"
        )
    if isinstance(said := dataset.manifest.get("splits"), dict) and said.get("drawn"):
        notes.append("these splits were drawn, not published")
        notes += warn_of_few(min(len(trial.query) for trial in trials))
    return notes
