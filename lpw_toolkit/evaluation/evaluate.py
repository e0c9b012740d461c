"""Embeddings of a dataset under a protocol: trials ranked one by one, and figures that say what
they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import PERSON, Labels, read_labels
from lpw_toolkit.embedding.embeddings import Embeddings
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.evaluation.distance_blocks import DistanceBlocks
from lpw_toolkit.evaluation.distance_choice import (
    DistanceSettings,
    MetricTrainingData,
    check_vectors,
    choose_distance,
    compare,
    describe_distance,
)
from lpw_toolkit.evaluation.distances import Distance
from lpw_toolkit.evaluation.protocol import (
    APForm,
    EvaluationProtocol,
    ProtocolSpec,
    QueryGallerySplit,
    open_protocol,
)
from lpw_toolkit.evaluation.provenance import (
    describe_gallery,
    describe_junk,
    describe_splits,
    make_metrics,
    make_queries,
    make_summary,
)
from lpw_toolkit.evaluation.ranking import Ranking, rank_queries
from lpw_toolkit.evaluation.relevance import Relevance
from lpw_toolkit.evaluation.summary import Summary, summarise
from lpw_toolkit.progress import show_progress


@dataclass(frozen=True)
class SplitResult:
    """One trial, ranked.

    Attributes:
        trial: rows of the dataset's table of tracklets.
        relevance: right answers, and what is not seen.
        ranking: ranks of the right answers.
        blocks: the distances (Q, G) that were ranked.
        distance: how they were computed, as this trial's distance says it.
    """

    trial: QueryGallerySplit
    relevance: Relevance
    ranking: Ranking
    blocks: DistanceBlocks
    distance: str


@dataclass(frozen=True)
class Evaluation:
    """What a protocol makes of a model's vectors.

    Attributes:
        dataset: what was tested.
        protocol: its name.
        spec: its rules, or these with another AP form.
        facts: the text columns of schema.METRICS but gallery, junk_rule and ap_form.
        results: split by split.
        notes: what a reader of the figures should know.
    """

    dataset: Dataset
    protocol: str
    spec: ProtocolSpec
    facts: dict[str, str]
    results: list[SplitResult]
    notes: list[str]

    @cached_property
    def summaries(self) -> list[Summary]:
        """The figures of each split. Errors: LpwError where no query has a right answer."""
        spec = self.spec
        return [
            summarise(r.ranking, ap_form=spec.ap_form, unmatched=spec.unmatched)
            for r in self.results
        ]

    @cached_property
    def gallery(self) -> str:
        """What the gallery holds, over all splits."""
        return describe_gallery(
            self.spec, read_labels(self.dataset.tracklets), [r.trial for r in self.results]
        )

    @cached_property
    def metrics(self) -> pa.Table:
        """Rows of schema.METRICS: each split, then mean and standard deviation where there are
        several."""
        labels, trials = (
            read_labels(self.dataset.tracklets),
            [result.trial for result in self.results],
        )
        facts = {
            **self.facts,
            "junk_rule": describe_junk(self.spec),
            "ap_form": self.spec.ap_form,
        }
        galleries = [describe_gallery(self.spec, labels, [trial]) for trial in trials]
        table = make_metrics(facts, list(zip(trials, galleries, self.summaries, strict=True)))
        if len(trials) > 1:
            total = make_summary(
                facts, self.gallery, list(zip(trials, self.summaries, strict=True))
            )
            table = pa.concat_tables([table, total])
        return table

    @cached_property
    def queries(self) -> pa.Table:
        """Rows of schema.QUERIES: each query of each split."""
        return pa.concat_tables(
            make_queries(self.dataset, r.trial, r.ranking, self.spec) for r in self.results
        )

    @property
    def skipped(self) -> list[str]:
        """Queries that no mean counts, each once."""
        column = self.queries.filter(self.queries["skipped"])["tracklet_id"]
        return [str(name) for name in column.unique().to_pylist()]

    @property
    def curve(self) -> NDArray[np.float64]:
        """The CMC (R,) as fractions, the mean over the splits."""
        return np.asarray(np.mean([summary.cmc for summary in self.summaries], axis=0))

    def restate(self, ap_form: APForm) -> "Evaluation":
        """The same ranking with the other form of average precision."""
        return replace(self, spec=replace(self.spec, ap_form=ap_form))


def evaluate(
    dataset: Dataset,
    embeddings: Embeddings,
    protocol: str,
    settings: DistanceSettings,
    *,
    splits: Sequence[int] | None = None,
    source: MetricTrainingData | None = None,
) -> Evaluation:
    """Ranks the gallery for every query of a protocol.

    Args:
        splits: numbers of the splits to run; None runs all.
        source: where a learned metric learns, instead of the protocol's training part.

    Errors: LpwError for a dataset that the protocol does not fit, splits that are not there,
    tracklets without a vector (named), vectors that cannot be compared, nothing to learn from, and
    where no query has a right answer.
    """
    ranker = open_protocol(protocol)
    trials = _choose_trials(ranker.trials(dataset), splits)
    labels = read_labels(dataset.tracklets)
    for trial in trials:
        if not len(trial.gallery):
            thing, got = (
                f"{dataset.name}, split {trial.split}",
                f"an empty gallery by the rule of {protocol}",
            )
            raise LpwError(
                thing,
                got,
                ranker.SPEC.gallery,
                "choose another protocol, or a dataset that has them",
            )
        check_vectors(dataset, embeddings, np.union1d(trial.query, trial.gallery), settings.metric)
    results = []
    with show_progress("ranking", len(trials), "splits") as progress:
        for trial in trials:
            distance = choose_distance(dataset, embeddings, labels, trial, settings, source)
            results.append(_rank(ranker, labels, embeddings, trial, distance, settings))
            progress.advance()
    facts = {
        "dataset": dataset.name,
        "protocol": protocol.replace("-", "_"),
        "model": _describe_model(embeddings),
        "dataset_digest": dataset.digest,
        "distance": describe_distance(
            settings, results[0].distance, source, twins=_count_twins(results) > 0
        ),
        "frames_used": embeddings.facts.frames_used,
        "split_source": describe_splits(dataset),
    }
    found = Evaluation(dataset, facts["protocol"], ranker.SPEC, facts, results, [])
    return replace(found, notes=[*embeddings.notes, *_write_notes(found, labels, settings)])


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


def _rank(
    ranker: EvaluationProtocol,
    labels: Labels,
    embeddings: Embeddings,
    trial: QueryGallerySplit,
    distance: Distance,
    settings: DistanceSettings,
) -> SplitResult:
    relevance = ranker.judge(labels.take(trial.query), labels.take(trial.gallery))
    blocks = compare(embeddings.vectors, trial, distance, settings)
    return SplitResult(trial, relevance, rank_queries(blocks, relevance), blocks, distance.title)


def _describe_model(embeddings: Embeddings) -> str:
    sha256 = embeddings.facts.checkpoint_sha256
    return embeddings.facts.model + (f" ({sha256[:8]})" if sha256 else "")


def _count_twins(results: Sequence[SplitResult]) -> int:
    """Most queries in a gallery."""
    return max(len(np.intersect1d(result.trial.query, result.trial.gallery)) for result in results)


def _write_notes(found: Evaluation, labels: Labels, settings: DistanceSettings) -> list[str]:
    notes = [*found.dataset.unverified]
    n_lost = sum(summary.n_skipped for summary in found.summaries)
    if n_lost:
        n_asked = sum(len(result.trial.query) for result in found.results)
        names = join_names(found.skipped, 5)
        notes.append(
            f"{n_lost:,} of {n_asked:,} queries have no right answer in the gallery, skipped: "
            f"{names}"
        )
    missed = found.queries.filter(
        pc.and_(pc.equal(found.queries["n_relevant"], 0), pc.invert(found.queries["skipped"]))
    )
    if missed.num_rows:
        names = join_names(missed["tracklet_id"].unique().to_pylist(), 5)
        notes.append(
            f"{missed.num_rows:,} queries have no right answer in the gallery and count as missed: "
            f"{names}"
        )
    n_unnamed = int(np.count_nonzero((labels.kind == PERSON) & (labels.person < 0)))
    if n_unnamed and found.dataset.splits is None:
        notes.append(
            f"{n_unnamed:,} tracklets without a person_id stay out: nobody knows whether they "
            f"would be right"
        )
    n_twins = _count_twins(found.results)
    if settings.rerank is not None and n_twins:
        kept = "once" if settings.drop_twins else "twice, as in the published numbers"
        notes.append(
            f"re-ranking: {n_twins:,} queries are in the gallery too; each counts as a neighbour "
            f"{kept}"
        )
    if isinstance(said := found.dataset.manifest.get("splits"), dict) and said.get("drawn"):
        notes.append(f"these splits were drawn, not published: {found.facts['split_source']}")
    return notes
