"""Splits into training and test persons: published splits as data, random ones from a seed."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np

from lpw_toolkit.errors import LpwError, MismatchError, join_names

N_SPLITS = 10
DEFAULT_SEED = 0
#: What persons are grouped by before they are drawn.
Group = tuple[int, ...]
#: What a reading notes where it has no splits.
NO_SPLIT = "no split can be followed: one of them would have no query or no gallery"


@dataclass(frozen=True)
class Halves:
    """One split of the persons.

    Attributes:
        train: persons to learn from.
        test: persons to be found; none of them trains.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]


def digest_facts(facts: object) -> str:
    """SHA-256 (hex) over `facts` as JSON with sorted keys: the same for the same facts, wherever
    they were written."""
    return hashlib.sha256(
        json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def digest_halves(splits: Sequence[Halves]) -> str:
    """SHA-256 (hex) over who trains and who is tested; the order of persons within a half does not
    count."""
    return digest_facts([[sorted(split.train), sorted(split.test)] for split in splits])


def read_published(name: str) -> dict[str, Any]:
    """The facts of `manifests/<name>/splits.json`. Errors: MismatchError where they are not those
    of its digest."""
    file = f"manifests/{name}/splits.json"
    published = json.loads(
        resources.files("lpw_manifests").joinpath(name, "splits.json").read_text("utf-8")
    )
    digest = digest_facts(published["facts"])
    if digest != published["digest"]:
        raise MismatchError(
            file, f"facts of digest {digest}", published["digest"], "install lpw-toolkit again"
        )
    return dict(published["facts"])


def draw_halves(
    persons: Iterable[str],
    rng: np.random.Generator,
    *,
    n_splits: int = N_SPLITS,
    groups: Mapping[str, Group] | None = None,
    n_tested: Mapping[Group, int] | None = None,
) -> list[Halves]:
    """Random splits of `persons` into those who train and those who are tested, halves unless told
    otherwise; the order in which they are given changes nothing.

    Each split draws one uniform number for each person, in order of their names, and tests those
    with the lowest; what a share leaves over trains. Uniform numbers, not `rng.permutation`: NumPy
    may change how it shuffles.

    Args:
        rng: the only source of chance: the same state gives the same splits.
        groups: the group of each person; without it all are one group.
        n_tested: how many of each group are tested; without it half of each (`share_out`).

    Errors: LpwError with fewer than two persons.
    """
    names = sorted(set(persons))
    if len(names) < 2:
        raise LpwError(
            "persons to split", f"{len(names)}", "two or more", "import the whole dataset"
        )
    group_of = {name: () if groups is None else groups[name] for name in names}
    if n_tested is None:
        n_tested = share_out(Counter(group_of.values()), 0.5)
    splits = []
    for _ in range(n_splits):
        drawn: dict[Group, list[str]] = {group: [] for group in n_tested}
        for i in np.argsort(rng.random(len(names)), kind="stable"):
            drawn[group_of[names[i]]].append(names[i])
        test = {name for group, n in n_tested.items() for name in drawn[group][:n]}
        splits.append(
            Halves(tuple(n for n in names if n not in test), tuple(n for n in names if n in test))
        )
    return splits


def share_out(sizes: Mapping[Group, int], test_frac: float) -> dict[Group, int]:
    """How many of each group are tested: the whole part of its share, and of what then lacks one
    more where the largest part was cut off (of equals the last group).

    >>> share_out({(1,): 5, (2,): 4}, 0.5)
    {(1,): 2, (2,): 2}
    """
    share = Fraction(str(test_frac))  # 0.29 of 100 are 29, which floating numbers miss
    counts = {group: int(share * n) for group, n in sorted(sizes.items())}
    lacking = int(share * sum(sizes.values())) - sum(counts.values())
    order = sorted(counts, key=lambda group: (share * sizes[group] - counts[group], group))
    for group in order[len(order) - lacking :]:
        counts[group] += 1
    return counts


def check_halves(splits: Sequence[Halves], known: Collection[str], thing: object) -> None:
    """Errors: LpwError for unknown persons, for persons named twice, or that both train and are
    tested."""
    do, known = "fix the split", set(known)
    for number, split in enumerate(splits):
        where = f"{thing}, split {number}"
        both = sorted(set(split.train) & set(split.test))
        if both:
            raise LpwError(
                where, f"{join_names(both)} in train and test", "each person in one half", do
            )
        for half in (split.train, split.test):
            if len(set(half)) != len(half):
                twice = sorted({person for person in half if half.count(person) > 1})
                raise LpwError(where, f"{join_names(twice)} twice", "each person once", do)
        unknown = sorted({*split.train, *split.test} - known)
        if unknown:
            raise LpwError(
                where, f"unknown persons {join_names(unknown)}", f"some of {len(known)} persons", do
            )


def restrict_halves(splits: Sequence[Halves], present: Collection[str]) -> list[Halves]:
    """`splits` without the persons that are not `present`: for a dataset of which a part is
    missing."""
    here = set(present)
    return [
        Halves(
            tuple(p for p in split.train if p in here), tuple(p for p in split.test if p in here)
        )
        for split in splits
    ]


def are_usable(subsets: Sequence[dict[str, list[str]]]) -> bool:
    """Whether every split has queries and a gallery."""
    return bool(subsets) and all(subset["query"] and subset["gallery"] for subset in subsets)
