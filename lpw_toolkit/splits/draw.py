"""Splits of a dataset of one's own: persons are divided, those who are tested get queries and a
gallery, and what cannot be tested is refused.

tracklets --rule--> cross-camera or within-camera --divide--> halves --roles--> splits.parquet
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.dataset.labels import Ints
from lpw_toolkit.dataset.schema import SPLITS
from lpw_toolkit.dataset.tables import make_table, to_numpy
from lpw_toolkit.errors import LpwError
from lpw_toolkit.names import count_of
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.division import N_FEWEST, Division, divide
from lpw_toolkit.splits.people import People, read_people
from lpw_toolkit.splits.roles import CROSS, NEEDS, WITHIN, Rule, choose_rule, find_queries
from lpw_toolkit.splits.splits import Halves, digest_halves

_FEW_QUERIES = 20  # fewer: one of them is more than 5 points of rank-1


@dataclass(frozen=True)
class SideCounts:
    """What one split holds on its two sides.

    Attributes:
        n_train_persons, n_train_tracklets, n_train_images: of the training side.
        n_test_persons, n_test_tracklets, n_test_images: of the gallery, persons only; queries are
            among it.
        n_query_persons, n_queries: queries, and whom they show.
        n_others: distractors and junk in the gallery.
        digest: SHA-256 (hex) over who trains and who is tested.
    """

    n_train_persons: int
    n_train_tracklets: int
    n_train_images: int
    n_test_persons: int
    n_test_tracklets: int
    n_test_images: int
    n_query_persons: int
    n_queries: int
    n_others: int
    digest: str

    def describe(self) -> str:
        """The counts as one line."""
        others = f", {self.n_others:,} distractors and junk" if self.n_others else ""
        return (
            f"train {count_of(self.n_train_persons, 'person')}, "
            f"{self.n_train_tracklets:,} tracklets, "
            f"{self.n_train_images:,} images; test {count_of(self.n_test_persons, 'person')}, "
            f"{self.n_test_tracklets:,} tracklets, {self.n_test_images:,} images, "
            f"{self.n_queries:,} queries{others}; digest {self.digest[:12]}"
        )


@dataclass(frozen=True)
class DrawnSplits:
    """Splits that were drawn for a dataset.

    Attributes:
        table: schema.SPLITS; its metadata say where it comes from.
        facts: `splits` of dataset.json.
        counts: of each split.
        notes: the rule with its reason, and what a user should know of the division.
        how: the way of dividing, in words.
    """

    table: pa.Table
    facts: dict[str, Any]
    counts: list[SideCounts]
    notes: list[str]
    how: str

    def describe(self) -> list[str]:
        """Rule, notes and counts, line by line."""
        lines = [f"split {i}: {count.describe()}" for i, count in enumerate(self.counts)]
        return [*self.notes, *lines]


def refuse_nameless(tracklets: pa.Table, name: str) -> None:
    """Errors: LpwError that names the way to persons where no tracklet has one."""
    is_named = pc.and_(pc.equal(tracklets["kind"], "person"), pc.is_valid(tracklets["person_id"]))
    if not pc.any(is_named).as_py():
        do = "name them with `lpw clean --review`, then make a dataset with `lpw clean --apply OUT`"
        raise LpwError(f"{name}, column person_id", "no person in any tracklet", "persons", do)


def draw_splits(
    tracklets: pa.Table, sources: Sequence[Mapping[str, Any]], config: SplitConfig, name: str
) -> DrawnSplits:
    """Divides the persons of a dataset, and chooses queries and gallery of those who are tested.

    The gallery holds all tracklets of the test persons, and distractors and junk; queries are
    chosen by `roles.find_queries`, and are in the gallery too.

    Args:
        tracklets: schema.TRACKLETS.
        sources: `sources` of dataset.json, for the clocks of videos.
        config: how persons are divided.
        name: of the dataset, for messages.

    Errors: LpwError that says why nothing can be tested.
    """
    refuse_nameless(tracklets, name)
    people = read_people(tracklets, sources, name)
    rule, why = _choose_rule(people, config.rule)
    division = divide(people, config, rule)
    parts = [
        assign_subsets(people, halves, others, rule)
        for halves, others in zip(division.halves, division.others, strict=True)
    ]
    counts = [
        _count(people, halves, part) for halves, part in zip(division.halves, parts, strict=True)
    ]
    _refuse_untestable(people, rule, division, counts, trains=config.by != "list")
    facts = _describe(config, rule, division)
    table = make_split_table(tracklets, parts, facts)
    few = warn_of_few(min(count.n_queries for count in counts))
    notes = [f"protocol {rule}: {why}", *division.notes, *few]
    return DrawnSplits(table, facts, counts, notes, division.how)


def _choose_rule(people: People, wanted: Rule | None) -> tuple[Rule, str]:
    """The rule and its reason. Errors: LpwError where fewer than two persons can be queries."""
    chosen = (wanted, "as asked") if wanted else choose_rule(people.labels)
    if chosen is not None:
        rule, why = chosen
        n = _count_askable(people, rule)
        if n >= N_FEWEST:
            return rule, why
        do = "link the tracklets of one person in `lpw clean --review`, or film more"
        if rule == CROSS and _count_askable(people, WITHIN) >= N_FEWEST:
            do += ", or test within the cameras: `lpw split --protocol within-camera`"
        raise LpwError(people.name, f"{n} persons {NEEDS[rule]}", f"{N_FEWEST} or more", do)
    rows, times = people.named, people.labels.times
    n = len(np.unique(people.labels.person[rows]))
    if n == len(rows):
        got = f"{count_of(n, 'person')} with one tracklet each, so that no query would have a match"
    elif times is None or not np.isfinite(times.first_s[rows]).all():
        got = f"{n:,} persons, each in one camera, and the times at which it saw them are unknown"
    else:
        got = f"{n:,} persons, none {NEEDS[CROSS]}, or {NEEDS[WITHIN]}"
    do = "link the tracklets of one person in `lpw clean --review`, or film more"
    raise LpwError(people.name, got, f"persons {NEEDS[CROSS]}, or {NEEDS[WITHIN]}", do)


def _count_askable(people: People, rule: Rule) -> int:
    """How many persons can be queries."""
    return len(np.unique(people.labels.person[find_queries(people.labels, people.named, rule)]))


def assign_subsets(people: People, halves: Halves, others: Ints, rule: Rule) -> dict[str, Ints]:
    """Rows of `train`, `query` and `gallery` in one split; the queries are in the gallery too.

    Args:
        others: rows of the distractors and junk in the gallery.
    """
    code = {name: i for i, name in enumerate(people.names)}
    rows = people.named
    train, test = (
        rows[np.isin(people.labels.person[rows], [code[p] for p in side])]
        for side in (halves.train, halves.test)
    )
    query = find_queries(people.labels, test, rule)
    return {"train": train, "query": query, "gallery": np.union1d(test, others)}


def _count(people: People, halves: Halves, part: Mapping[str, Ints]) -> SideCounts:
    n_frames, person = to_numpy(people.tracklets, "n_frames"), people.labels.person
    train, query = part["train"], part["query"]
    tested = np.setdiff1d(part["gallery"], people.others)
    return SideCounts(
        n_train_persons=len(np.unique(person[train])),
        n_train_tracklets=len(train),
        n_train_images=int(n_frames[train].sum()),
        n_test_persons=len(np.unique(person[tested])),
        n_test_tracklets=len(tested),
        n_test_images=int(n_frames[tested].sum()),
        n_query_persons=len(np.unique(person[query])),
        n_queries=len(query),
        n_others=len(part["gallery"]) - len(tested),
        digest=digest_halves([halves]),
    )


def _refuse_untestable(
    people: People, rule: Rule, division: Division, counts: Sequence[SideCounts], *, trains: bool
) -> None:
    """Errors: LpwError for no split, and for one with too few persons on a side."""
    do = "name more persons, or divide them otherwise"
    if not counts:
        why = "; ".join(division.notes)
        raise LpwError(people.name, f"no split that can be tested: {why}", "one at least", do)
    n_askable = _count_askable(people, rule)
    for number, count in enumerate(counts):
        where = f"{people.name}, split {number}"
        if count.n_query_persons < N_FEWEST:
            got = (
                f"{count.n_query_persons} test persons {NEEDS[rule]} (in the whole dataset "
                f"{n_askable:,})"
            )
            raise LpwError(where, got, f"{N_FEWEST} or more", do)
        if trains and count.n_train_persons < N_FEWEST:
            n_train = count_of(count.n_train_persons, "person")
            got = f"{n_train} to train on and {count.n_test_persons} to test"
            raise LpwError(where, got, f"{N_FEWEST} or more who train", do)


def warn_of_few(n: int) -> list[str]:
    """A sentence where a test of `n` queries says little.

    >>> warn_of_few(4), warn_of_few(400)
    (['few queries: with 4 of them each moves rank-1 by 25 points'], [])
    """
    if not 0 < n < _FEW_QUERIES:
        return []
    return [f"few queries: with {n} of them each moves rank-1 by {100 / n:.0f} points"]


def _describe(config: SplitConfig, rule: Rule, division: Division) -> dict[str, Any]:
    """`splits` of dataset.json."""
    by_seed = config.by == "seed"
    return {
        "source": f"drawn from the persons of the dataset {division.how}",
        "digest": digest_halves(division.halves),
        "drawn": True,
        "n_splits": len(division.halves),
        "note": "; ".join(division.notes) or None,
        "by": config.by,
        "seed": config.seed if by_seed else None,
        "test_frac": config.test_frac if config.by in ("seed", "time") else None,
        "protocol": rule,
        "digests": [digest_halves([halves]) for halves in division.halves],
    }


def make_split_table(
    tracklets: pa.Table, parts: Sequence[Mapping[str, Ints]], facts: Mapping[str, Any]
) -> pa.Table:
    """The table of splits (schema.SPLITS), sorted by all its columns; where they come from is its
    metadata.

    Args:
        parts: of each split the rows of its subsets.
        facts: `splits` of dataset.json.
    """
    ids = tracklets["tracklet_id"].to_pylist()
    rows = sorted(
        (number, subset, ids[row])
        for number, part in enumerate(parts)
        for subset, chosen in part.items()
        for row in chosen.tolist()
    )
    table = make_table([list(column) for column in zip(*rows, strict=True)], SPLITS)
    said = {
        "split_source": facts["source"],
        "split_digest": facts["digest"],
        "drawn": "true" if facts["drawn"] else "false",
        "note": facts["note"] or "",
    }
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), **{k.encode(): v.encode() for k, v in said.items()}}
    )
