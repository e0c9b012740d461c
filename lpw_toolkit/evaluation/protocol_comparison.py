"""Evaluates the same vectors under every rule with the same queries, and explains why the figures
differ."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import Labels, read_labels
from lpw_toolkit.dataset.schema import KINDS
from lpw_toolkit.embedding.embeddings import Embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings, MetricTrainingData
from lpw_toolkit.evaluation.evaluate import Evaluation, evaluate, restate
from lpw_toolkit.evaluation.protocol import (
    ProtocolSpec,
    QueryGallerySplit,
    list_protocols,
    open_protocol,
)
from lpw_toolkit.evaluation.ranking import APForm

AP_FORMS: tuple[APForm, ...] = ("step", "trapezoid")


@dataclass(frozen=True)
class Comparison:
    """One ranking under several rules.

    Attributes:
        evaluations: the chosen protocol with its own AP form first, then every other rule and form.
        reasons: for each, in what it differs from the first; empty for the first.
        left_out: by name, why a protocol is not among them.
    """

    evaluations: list[Evaluation]
    reasons: list[str]
    left_out: dict[str, str]

    def describe(self) -> list[str]:
        """Why the figures differ, protocol by protocol, and the notes of each evaluation once."""
        names = [f"{one.protocol}, {one.spec.ap_form} AP" for one in self.evaluations]
        lines = [f"{name}: {why}" for name, why in zip(names[1:], self.reasons[1:], strict=True)]
        lines = [f"against {names[0]}:", *lines] if lines else []
        notes = dict.fromkeys(note for one in self.evaluations for note in one.notes)
        return [*lines, *(f"without {name}: {why}" for name, why in self.left_out.items()), *notes]


def compare_protocols(
    dataset: Dataset,
    embeddings: Embeddings,
    protocol: str,
    settings: DistanceSettings,
    *,
    splits: list[int] | None = None,
    source: MetricTrainingData | None = None,
    allow_seen: bool = False,
) -> Comparison:
    """Evaluates under `protocol` and every other one that has the same queries, each with
    both forms of AP.

    Protocols whose galleries and rules are equal stand in it once. Errors: as `evaluate`, for
    `protocol` itself.
    """
    ask = partial(evaluate, splits=splits, source=source, allow_seen=allow_seen)
    chosen = ask(dataset, embeddings, protocol, settings)
    found, left_out = [chosen], {}
    for name in list_protocols():
        if name == chosen.protocol:
            continue
        try:
            reason = _find_reason_against(dataset, name, found)
            if reason is None:
                found.append(ask(dataset, embeddings, name, settings))
            else:
                left_out[name] = reason
        except LpwError as error:
            left_out[name] = f"{error.thing}: {error.got}, not {error.expected}"
    evaluations = []
    for one in found:
        others = [form for form in AP_FORMS if form != one.spec.ap_form]
        evaluations += [one, *(restate(one, form) for form in others)]
    reasons = ["", *(explain_difference(chosen, other) for other in evaluations[1:])]
    return Comparison(evaluations, reasons, left_out)


def _find_reason_against(dataset: Dataset, name: str, found: list[Evaluation]) -> str | None:
    """Why the protocol called `name` adds nothing; None where it does. Errors: LpwError where it
    does not fit."""
    trials = open_protocol(name).trials(dataset)
    chosen = {result.trial.split: result.trial for result in found[0].results}
    here = [trial for trial in trials if trial.split in chosen]
    if len(here) != len(chosen) or any(
        not np.array_equal(t.query, chosen[t.split].query) for t in here
    ):
        return "has other queries"
    if any(len(trial.train) for trial in chosen.values()) and not any(
        len(trial.train) for trial in here
    ):
        return "is for vectors that were learned on another dataset"
    for other in found:
        if _are_equal(here, open_protocol(name).SPEC, other):
            return f"ranks the same gallery by the same rule as {other.protocol}"
    return None


def _are_equal(trials: list[QueryGallerySplit], spec: ProtocolSpec, other: Evaluation) -> bool:
    if spec.unmatched != other.spec.unmatched and any(
        result.summary.n_unmatched for result in other.results
    ):
        return False
    pairs = zip(trials, (result.trial for result in other.results), strict=True)
    return all(np.array_equal(one.gallery, two.gallery) for one, two in pairs)


def explain_difference(first: Evaluation, other: Evaluation) -> str:
    """In what `other` differs from `first`, in words; counts are of the first split."""
    labels = read_labels(first.dataset.tracklets)
    one, two = first.results[0].trial, other.results[0].trial
    reasons = []
    for verb, rows in (
        ("lacks", np.setdiff1d(one.gallery, two.gallery)),
        ("adds", np.setdiff1d(two.gallery, one.gallery)),
    ):
        if len(rows):
            unseen = np.isin(rows, one.gallery[first.results[0].relevance.hidden]).all()
            reasons.append(
                f"its gallery {verb} "
                f"{_count(labels, one, rows)}{', which no query sees anyway' * int(unseen)}"
            )
    n_lost = other.results[0].summary.n_unmatched - first.results[0].summary.n_unmatched
    if n_lost > 0:
        ways = {"skip": "are left out of every mean", "zero": "count as missed"}
        reasons.append(
            f"so {n_lost:,} queries have no right answer left and {ways[other.spec.unmatched]}"
        )
    if other.spec.ap_form != first.spec.ap_form:
        meaning = {
            "step": "AP is the mean precision at the right answers",
            "trapezoid": "AP averages the precision at each right answer with that one rank before",
        }
        reasons.append(meaning[other.spec.ap_form])
    return "; ".join(reasons)


def _count(
    labels: Labels, trial: QueryGallerySplit, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> str:
    queries = np.isin(rows, trial.query)
    kinds = np.bincount(labels.kind[rows[~queries]], minlength=len(KINDS))
    parts = [f"{np.count_nonzero(queries):,} queries"] if queries.any() else []
    parts += [f"{n:,} {name}" for n, name in zip(kinds, KINDS, strict=True) if n]
    return " and ".join(parts)
