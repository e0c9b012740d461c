"""Splits that hold other rows than their parent's have a digest of their own."""

from lpw_toolkit.dataset.schema import SPLITS
from lpw_toolkit.dataset.tables import make_table
from lpw_toolkit.splits.restated import restate_splits

ROWS = [(0, "query", "a"), (0, "train", "b"), (1, "query", "b"), (1, "train", "a")]
SAID = {"source": "x", "digest": "1" * 64, "digests": ["2" * 64, "3" * 64], "note": "by seed"}


def restate(rows, said=SAID):
    return restate_splits(said, make_table(list(zip(*rows, strict=True)), SPLITS), "1 row left")


def test_the_digest_is_of_the_rows_and_the_former_one_stays_as_the_origin():
    table, facts = restate(ROWS[:3])
    assert facts["origins"] == ["1" * 64]
    assert facts["note"] == "by seed; 1 row left"
    assert len(facts["digests"]) == 2 and facts["digest"] not in ("1" * 64, *facts["digests"])
    metadata = table.schema.metadata
    assert metadata[b"split_digest"].decode() == facts["digest"]
    assert metadata[b"note"].decode() == facts["note"]


def test_the_same_rows_have_the_same_digest_in_any_order():
    first, second = restate(ROWS)[1], restate(ROWS[::-1])[1]
    assert first["digest"] == second["digest"]
    changed = restate([*ROWS[:3], (1, "train", "c")])[1]
    assert changed["digest"] != first["digest"]
    assert changed["digests"][0] == first["digests"][0]
    assert changed["digests"][1] != first["digests"][1]


def test_what_is_restated_again_knows_all_its_origins():
    once = restate(ROWS[:3])[1]
    twice = restate(ROWS[:2], once)[1]
    assert twice["origins"] == ["1" * 64, once["digest"]]


def test_published_splits_have_no_digest_of_each():
    assert "digests" not in restate(ROWS, {"source": "x", "digest": "1" * 64})[1]
