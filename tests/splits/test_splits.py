"""Splits: drawn from a seed, published as data, checked, and turned into lists of tracklets."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpw_toolkit.benchmarks.raw_tree import list_subsets
from lpw_toolkit.benchmarks.reader import RawTracklet
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.splits import splits
from lpw_toolkit.splits.splits import Halves, check_halves, digest_facts, digest_halves, draw_halves

PERSONS = [f"p{n}" for n in range(1, 12)]


def tracklet(person: str, camera: str) -> RawTracklet:
    return RawTracklet(
        f"{camera}/{person}", None, camera, person, "person", (f"{camera}/{person}.png",)
    )


class TestDrawing:
    def test_halves(self):
        drawn = draw_halves(PERSONS, np.random.default_rng(3))
        assert len(drawn) == 10
        for split in drawn:
            assert sorted(split.train + split.test) == sorted(PERSONS)
            assert (len(split.train), len(split.test)) == (6, 5)
        assert len({split.test for split in drawn}) > 1

    def test_the_seed_decides(self):
        drawn = [
            digest_halves(draw_halves(PERSONS, np.random.default_rng(seed))) for seed in (0, 0, 1)
        ]
        assert drawn[0] == drawn[1] != drawn[2]

    def test_the_same_draw_for_ever(self):
        """Published digests of drawn splits would be worth nothing if another NumPy drew others."""
        digest = digest_halves(
            draw_halves([f"person{n:03d}" for n in range(300)], np.random.default_rng(0))
        )
        assert digest == "30158ae31c22eb2ef0ff9e29734368f54e0e55ddef6462f7ba9ed57ebf9587c0"

    @given(st.permutations(PERSONS))
    def test_the_order_of_persons_changes_nothing(self, persons):
        expected = draw_halves(PERSONS, np.random.default_rng(5), n_splits=3)
        assert draw_halves(persons, np.random.default_rng(5), n_splits=3) == expected

    def test_everybody_is_tested_about_half_of_the_time(self):
        drawn = draw_halves(PERSONS[:10], np.random.default_rng(0), n_splits=2000)
        share = np.array(
            [np.mean([person in split.test for split in drawn]) for person in PERSONS[:10]]
        )
        assert np.abs(share - 0.5).max() < 0.05

    def test_one_person_cannot_be_split(self):
        with pytest.raises(LpwError, match="got 1; expected two or more"):
            draw_halves(["a", "a"], np.random.default_rng(0))


class TestChecks:
    def test_sound_splits_pass(self):
        check_halves(draw_halves(PERSONS, np.random.default_rng(0)), PERSONS, "drawn")
        check_halves([Halves((), ("p1",))], PERSONS, "nobody trains")

    @pytest.mark.parametrize(
        ("split", "said"),
        [
            (Halves(("p1", "p99", "p98"), ("p2",)), "unknown persons p98, p99"),
            (Halves(("p1", "p2"), ("p2", "p3")), "p2 in train and test"),
            (Halves(("p1", "p1"), ("p2",)), "p1 twice"),
            (Halves(("p1",), ("p2", "p2")), "p2 twice"),
        ],
    )
    def test_faults_are_named(self, split, said):
        with pytest.raises(LpwError, match=f"^splits.json, split 1: got {said}"):
            check_halves([Halves(("p1",), ("p2",)), split], PERSONS, "splits.json")

    def test_many_names_are_cut(self):
        with pytest.raises(LpwError, match="q0, q1, q2, q3, q4, q5, q6, q7 and 2 more"):
            check_halves([Halves(tuple(f"q{n}" for n in range(10)), ())], PERSONS, "x")


class TestDigests:
    def test_facts_count_and_writing_does_not(self):
        assert digest_facts({"a": [1, 2], "b": "é"}) == digest_facts(
            json.loads('{"b":"\\u00e9",  "a":[1,2]}')
        )
        assert digest_facts([1, 2]) != digest_facts([2, 1])

    def test_order_within_a_half_does_not_count_but_the_half_does(self):
        split = Halves(("a", "b"), ("c",))
        assert digest_halves([split]) == digest_halves([Halves(("b", "a"), ("c",))])
        assert digest_halves([split]) != digest_halves([Halves(split.test, split.train)])

    @pytest.mark.parametrize("name", ["prid2011", "mars", "lpw"])
    def test_published_facts_are_those_of_their_digest(self, name):
        assert splits.read_published(name)

    def test_changed_facts_are_refused(self, tmp_path, monkeypatch):
        (tmp_path / "mine").mkdir()
        changed = {"source": "x", "digest": digest_facts({"a": 1}), "facts": {"a": 2}}
        (tmp_path / "mine" / "splits.json").write_text(json.dumps(changed))
        monkeypatch.setattr(splits.resources, "files", lambda package: tmp_path)
        with pytest.raises(
            MismatchError, match=r"^manifests/mine/splits.json: got facts of digest"
        ):
            splits.read_published("mine")


class TestSubsets:
    def test_by_hand(self):
        tracklets = [
            tracklet(person, camera) for camera in ("a", "b") for person in ("p1", "p2", "p3")
        ]
        found = list_subsets(
            tracklets, [Halves(("p2",), ("p1", "p3")), Halves(("p1", "p3"), ("p2",))], "a", "b"
        )
        assert found == [
            {"train": ["a/p2", "b/p2"], "query": ["a/p1", "a/p3"], "gallery": ["b/p1", "b/p3"]},
            {"train": ["a/p1", "a/p3", "b/p1", "b/p3"], "query": ["a/p2"], "gallery": ["b/p2"]},
        ]
        assert splits.are_usable(found)

    def test_usable_means_that_somebody_asks_and_somebody_answers(self):
        full = {"train": [], "query": ["a"], "gallery": ["b"]}
        assert splits.are_usable([full])
        assert not splits.are_usable([])
        assert not splits.are_usable([full, full | {"gallery": []}])

    def test_restricting_keeps_the_order(self):
        split = Halves(("p3", "p1"), ("p2", "p4"))
        assert splits.restrict_halves([split], {"p1", "p3", "p4"}) == [
            Halves(("p3", "p1"), ("p4",))
        ]
