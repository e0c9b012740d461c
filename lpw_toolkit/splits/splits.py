"""Splits into training and test persons: published splits as data, random ones from a seed."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from lpw_toolkit.errors import LpwError, MismatchError, join_names

N_SPLITS = 10
DEFAULT_SEED = 0
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
    persons: Iterable[str], rng: np.random.Generator, *, n_splits: int = N_SPLITS
) -> list[Halves]:
    """Random splits of `persons` into equal halves; the order in which they are given changes
    nothing.

    Each split draws one uniform number for each person, in order of their names, and tests the
    lower half of them; of an odd number the larger half trains. Uniform numbers, not
    `rng.permutation`: NumPy may change how it shuffles.

    Args:
        rng: the only source of chance: the same state gives the same splits.

    Errors: LpwError with fewer than two persons.
    """
    names = sorted(set(persons))
    if len(names) < 2:
        raise LpwError(
            "persons to split", f"{len(names)}", "two or more", "import the whole dataset"
        )
    splits = []
    for _ in range(n_splits):
        order = np.argsort(rng.random(len(names)), kind="stable")
        test = {names[i] for i in order[: len(names) // 2]}
        splits.append(
            Halves(tuple(n for n in names if n not in test), tuple(n for n in names if n in test))
        )
    return splits


def check_halves(splits: Sequence[Halves], known: Collection[str], thing: object) -> None:
    """Errors: LpwError for unknown persons, for persons named twice, or that both train and are
    tested."""
    do, known = "mend the split", set(known)
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
