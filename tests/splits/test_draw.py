"""Splits of one's own data: by seed, scene, time and list; queries, gallery, refusals and facts."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_labelled import ONE_CAMERA, SMALL_MARS, make_labelled, two_cameras

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.draw import DrawnSplits, draw_splits
from lpw_toolkit.splits.splits import Halves, digest_halves, draw_halves, share_out

#: Two scenes of two cameras; four persons of each in both, one in the first only.
STREET: dict[str, Any] = {
    "rows": [
        (f"{scene}/{view}/{p}", f"{scene}/{p}", f"{scene}/{view}", "person")
        for scene in ("s1", "s2", "s10")
        for view in ("v1", "v2")
        for p in range(5)
        if not (view == "v2" and p == 4)
    ],
    "scenes": {f"{s}/{v}": s for s in ("s1", "s2", "s10") for v in ("v1", "v2")},
}


def draw(dataset: Dataset, **settings: Any) -> DrawnSplits:
    sources = dataset.manifest["sources"]
    return draw_splits(dataset.tracklets, sources, SplitConfig(**settings), dataset.name)


def subset(drawn: DrawnSplits, name: str, split: int = 0) -> list[str]:
    rows = drawn.table.to_pylist()
    return [r["tracklet_id"] for r in rows if (r["split"], r["subset"]) == (split, name)]


class TestShares:
    def test_one_group_is_drawn_as_ever(self) -> None:
        names = [f"person{n:03d}" for n in range(300)]
        one = draw_halves(names, np.random.default_rng(0), groups=dict.fromkeys(names, (1,)))
        assert digest_halves(one) == (
            "30158ae31c22eb2ef0ff9e29734368f54e0e55ddef6462f7ba9ed57ebf9587c0"
        )

    @pytest.mark.parametrize(
        ("sizes", "share", "tested"),
        [
            ({1: 5, 2: 4}, 0.5, {1: 2, 2: 2}),
            ({1: 3, 2: 3}, 0.5, {1: 1, 2: 2}),  # of equal remainders the group of more cameras
            ({2: 1, 3: 1, 4: 1, 5: 1}, 0.5, {2: 0, 3: 0, 4: 1, 5: 1}),
            ({1: 100}, 0.29, {1: 29}),  # 0.29 * 100 is 28.999999999999996
            ({1: 2, 2: 8}, 0.1, {1: 0, 2: 1}),
        ],
    )
    def test_each_group_gives_its_share(
        self, sizes: dict[int, int], share: float, tested: dict[int, int]
    ) -> None:
        counts = share_out({(group,): n for group, n in sizes.items()}, share)
        assert counts == {(group,): n for group, n in tested.items()}
        groups = {f"{g}/{i}": (g,) for g, n in sizes.items() for i in range(n)}
        for split in draw_halves(
            groups, np.random.default_rng(1), n_splits=5, groups=groups, n_tested=counts
        ):
            found = Counter(groups[person][0] for person in split.test)
            assert {group: found[group] for group in sizes} == tested


class TestBySeed:
    def test_queries_and_gallery_by_hand(self, tmp_path: Path) -> None:
        """A test person's first tracklet in each camera is a query; all are the gallery, beside
        distractors and junk."""
        rows = [*SMALL_MARS["rows"], ("u1", None, "c1", "person"), ("z1", "p9", "c1", "person")]
        drawn = draw(make_labelled(tmp_path / "d", rows), n_splits=1, seed=2)
        by_person = {name: person for name, person, _, _ in rows}
        tested = {by_person[name] for name in subset(drawn, "query")}
        assert tested == {"p1", "p8"}
        assert subset(drawn, "query") == ["a1", "q3", "t1", "t2"]
        assert subset(drawn, "gallery") == ["a1", "d1", "j1", "j2", "q1", "q3", "t1", "t2"]
        assert subset(drawn, "train") == ["a2", "a3", "q2", "q4", "q5", "z1"]
        assert "u1" not in drawn.table["tracklet_id"].to_pylist()
        (count,) = drawn.counts
        assert (count.n_train_persons, count.n_train_tracklets, count.n_train_images) == (3, 6, 24)
        assert (count.n_test_persons, count.n_test_tracklets, count.n_test_images) == (2, 5, 20)
        assert (count.n_queries, count.n_query_persons, count.n_others) == (4, 2, 3)

    def test_splits_that_repeat_are_told(self, tmp_path: Path) -> None:
        drawn = draw(make_labelled(tmp_path / "d", two_cameras(4, 1)["rows"]), n_splits=20)
        n_different = len({count.digest for count in drawn.counts})
        assert n_different <= 6  # two of four
        assert f"only {n_different} of 20 splits differ" in drawn.facts["note"]

    def test_the_order_of_rows_changes_nothing_and_the_seed_does(self, tmp_path: Path) -> None:
        case = two_cameras(11, 1)["rows"]
        one = draw(make_labelled(tmp_path / "a", case))
        other = draw_splits(
            make_labelled(tmp_path / "b", case).tracklets.take(list(range(21, -1, -1))),
            [],
            SplitConfig(),
            "labels",
        )
        assert one.table.equals(draw(make_labelled(tmp_path / "c", case)).table)
        assert one.facts == other.facts
        assert (
            draw(make_labelled(tmp_path / "d", case), seed=1).facts["digest"]
            != (one.facts["digest"])
        )

    def test_facts(self, tmp_path: Path) -> None:
        drawn = draw(make_labelled(tmp_path / "d", two_cameras(40, 1)["rows"]), test_frac=0.25)
        facts = drawn.facts
        assert (facts["drawn"], facts["by"], facts["seed"], facts["test_frac"]) == (
            True, "seed", 0, 0.25
        )  # fmt: skip
        assert (facts["n_splits"], facts["protocol"], facts["note"]) == (10, "cross_camera", None)
        assert facts["source"].startswith("drawn from the persons of the dataset by seed 0")
        assert [count.n_test_persons for count in drawn.counts] == [10] * 10
        assert facts["digests"] == [count.digest for count in drawn.counts]
        metadata = drawn.table.schema.metadata
        assert (metadata[b"drawn"], metadata[b"split_digest"]) == (
            b"true", facts["digest"].encode()
        )  # fmt: skip
        halves = [
            Halves(*(tuple({n.split("/")[1] for n in subset(drawn, name, i)})
                     for name in ("train", "gallery")))
            for i in range(10)
        ]  # fmt: skip
        assert digest_halves(halves) == facts["digest"]


class TestByScene:
    def test_each_scene_in_turn_in_natural_order(self, tmp_path: Path) -> None:
        drawn = draw(make_labelled(tmp_path / "d", **STREET), by="scene")
        assert [
            {name.split("/")[0] for name in subset(drawn, "gallery", split)} for split in range(3)
        ] == [{"s1"}, {"s2"}, {"s10"}]
        assert {name.split("/")[0] for name in subset(drawn, "train")} == {"s2", "s10"}
        assert "tested are s1, s2, s10" in drawn.facts["source"]
        assert [count.n_queries for count in drawn.counts] == [8] * 3

    def test_a_scene_without_a_test_is_named(self, tmp_path: Path) -> None:
        rows = [row for row in STREET["rows"] if not row[0].startswith("s2/v2")]
        drawn = draw(make_labelled(tmp_path / "d", rows, scenes=STREET["scenes"]), by="scene")
        assert drawn.facts["n_splits"] == 2
        assert "s2 is no test: 0 of its persons can be queries" in drawn.facts["note"]

    def test_one_scene(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="0 scenes with persons"):
            draw(make_labelled(tmp_path / "d", two_cameras(6, 1)["rows"]), by="scene")

    def test_a_person_in_two_scenes(self, tmp_path: Path) -> None:
        rows = [*STREET["rows"], ("s2/v1/x", "s1/0", "s2/v1", "person")]
        with pytest.raises(LpwError, match=r"1 persons seen in two scenes \(s1/0\)"):
            draw(make_labelled(tmp_path / "d", rows, scenes=STREET["scenes"]), by="scene")


def seen_at(starts: dict[str, float], length: float = 2.0) -> dict[str, Any]:
    """Two cameras that see each person at the same time."""
    rows = [(f"{c}/{p}", p, c, "person") for c in ("c1", "c2") for p in starts]
    times = {f"{c}/{p}": (c, t, t + length) for c in ("c1", "c2") for p, t in starts.items()}
    return {"rows": rows, "times": times}


class TestByTime:
    def test_training_is_before_the_test(self, tmp_path: Path) -> None:
        """Half of six came from 30 s on; p2 was still there."""
        starts = {"p0": 0.0, "p1": 10.0, "p2": 29.0, "p3": 30.0, "p4": 40.0, "p5": 50.0}
        drawn = draw(make_labelled(tmp_path / "d", **seen_at(starts)), by="time")
        assert subset(drawn, "train") == ["c1/p0", "c1/p1", "c2/p0", "c2/p1"]
        assert {n[-2:] for n in subset(drawn, "gallery")} == {"p3", "p4", "p5"}
        assert drawn.facts["note"] == "in neither side: 1 persons seen before and after (p2)"
        assert "all at 30.000 s" in drawn.facts["source"]
        assert (drawn.facts["seed"], drawn.facts["test_frac"]) == (None, 0.5)

    def test_the_clock_of_the_scene_counts(self, tmp_path: Path) -> None:
        """c2 started 100 s later: all that it saw is later than all that c1 saw."""
        starts = {f"p{i}": 10.0 * i for i in range(6)}
        case = seen_at(starts)
        dataset = make_labelled(tmp_path / "d", **case, starts={"c1": 0.0, "c2": 100.0})
        with pytest.raises(LpwError, match=r"split 0: got [01] "):
            draw(dataset, by="time")

    def test_a_clock_for_one_camera_only(self, tmp_path: Path) -> None:
        case = seen_at({f"p{i}": 10.0 * i for i in range(6)})
        with pytest.raises(LpwError, match="videos with and without start_s; expected one clock"):
            draw(make_labelled(tmp_path / "d", **case, starts={"c1": 500.0}), by="time")

    def test_the_share_is_exact(self, tmp_path: Path) -> None:
        """(1 - 0.8) * 10 is 1.9999999999999996."""
        case = seen_at({f"p{i}": 10.0 * i for i in range(10)})
        drawn = draw(make_labelled(tmp_path / "d", **case), by="time", test_frac=0.8)
        assert [count.n_test_persons for count in drawn.counts] == [8]

    def test_unknown_times(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="tracklets without times"):
            draw(make_labelled(tmp_path / "d", two_cameras(6, 1)["rows"]), by="time")

    def test_two_videos_of_one_camera(self, tmp_path: Path) -> None:
        case = seen_at({f"p{i}": 10.0 * i for i in range(6)})
        case["times"]["c1/p5"] = ("another", 0.0, 1.0)
        with pytest.raises(
            LpwError, match="camera c1: got 2 videos whose order in time is unknown"
        ):
            draw(make_labelled(tmp_path / "d", **case), by="time")


class TestByList:
    def write(self, folder: Path, text: str) -> Path:
        (folder / "list.txt").write_text(text)
        return folder / "list.txt"

    @pytest.mark.parametrize(
        "text",
        [
            "person_id,subset\n000,test\n001,test\n002,train\n",
            "# mine\n\n000 test\n001\ttest\n  002   train\n",
            '"000", test\r\n001,test\r002 train',
        ],
    )
    def test_forms(self, text: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", two_cameras(4, 1)["rows"])
        drawn = draw(dataset, by="list", persons=self.write(tmp_path, text))
        assert subset(drawn, "query") == ["cam_a/000", "cam_a/001", "cam_b/000", "cam_b/001"]
        assert subset(drawn, "train") == ["cam_a/002", "cam_b/002"]
        assert drawn.facts["note"] == "not in the list, so in neither side: 1 persons (003)"
        assert "by the list list.txt" in drawn.facts["source"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("000 test\n099 train\n", r"list.txt, line 2: got the unknown person '099'"),
            ("000,test\n001,test\n000,train\n", r"line 3: got '000', already in line 1"),
            ("000,tst\n", r"line 1: got the side 'tst'"),
            ("000\n", r"line 1: got 1 cells"),
            ("000,test,x\n", r"line 1: got 3 cells"),
            ("\n", r"list.txt: got no person"),
            ("000 test\n001 train\n", r"split 0: got 1 test persons seen by two cameras"),
        ],
    )
    def test_faults_are_named_by_line(self, text: str, message: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", two_cameras(4, 1)["rows"])
        with pytest.raises(LpwError, match=message):
            draw(dataset, by="list", persons=self.write(tmp_path, text))

    def test_a_missing_file(self, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", two_cameras(4, 1)["rows"])
        with pytest.raises(LpwError, match="a list that can be read"):
            draw(dataset, by="list", persons=tmp_path / "absent")


class TestOneCamera:
    def come_back(self, n: int) -> dict[str, Any]:
        """n persons who come back after 50 s, one who stays."""
        rows = [(f"{p}{i}", p, "c1", "person") for p in map(chr, range(97, 97 + n)) for i in "12"]
        times = {name: ("v", 50.0 * int(name[-1]), 50.0 * int(name[-1]) + 1) for name, *_ in rows}
        return {"rows": [*rows, ("z", "z", "c1", "person")], "times": {**times, "z": ("v", 0, 1)}}

    def test_queries_are_within_the_camera(self, tmp_path: Path) -> None:
        drawn = draw(make_labelled(tmp_path / "d", **self.come_back(5)), n_splits=1)
        assert drawn.facts["protocol"] == "within_camera"
        assert "the dataset has one camera" in drawn.notes[0]
        query = subset(drawn, "query")
        assert query == [f"{name[0]}1" for name in query]
        assert (
            len(query) == drawn.counts[0].n_test_persons == 3
        )  # z is of another group, and trains
        assert len(subset(drawn, "gallery")) == 6

    def test_few_who_come_back_are_tested_in_place_of_others(self, tmp_path: Path) -> None:
        """p3 comes back too early and p4 never: neither can be a query, so both train."""
        case = {key: value for key, value in ONE_CAMERA.items() if key != "splits"}
        drawn = draw(make_labelled(tmp_path / "d", **case))
        assert subset(drawn, "query") == ["a1", "b1"]
        assert subset(drawn, "train") == ["c1", "c2", "d1"]


class TestRefusals:
    def test_no_person(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"no person in any tracklet.*`lpw clean --review`"):
            draw(make_labelled(tmp_path / "d", [("a", None, "c1", "person")]))

    def test_one_tracklet_each(self, tmp_path: Path) -> None:
        rows = [(name, name, "c1", "person") for name in "abcd"]
        with pytest.raises(LpwError, match="4 persons with one tracklet each, so that no query"):
            draw(make_labelled(tmp_path / "d", rows))

    def test_unknown_times_in_one_camera(self, tmp_path: Path) -> None:
        rows = [(f"{p}{i}", p, "c1", "person") for p in "abcd" for i in "12"]
        with pytest.raises(LpwError, match="the times at which it saw them are unknown"):
            draw(make_labelled(tmp_path / "d", rows))

    @pytest.mark.parametrize(("n", "message"), [
        (1, "1 persons seen by two cameras or more; expected 2 or more"),
        (2, r"split 0: got 0 persons to train on and 2 to test"),
        (3, r"split 0: got 1 person to train on and 2 to test"),
    ])  # fmt: skip
    def test_too_few(self, n: int, message: str, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=message):
            draw(make_labelled(tmp_path / "d", two_cameras(n, 1)["rows"]))

    def test_nobody_left_to_train(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="split 0: got 1 person to train on and 3 to test"):
            draw(make_labelled(tmp_path / "d", two_cameras(4, 1)["rows"]), test_frac=0.75)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"test_frac": 1.0}, "share of the test: got 1;"),
            ({"test_frac": float("nan")}, "share of the test: got nan"),
            ({"n_splits": 0}, "number of splits: got 0"),
            ({"seed": -1}, "seed: got -1"),
            ({"by": "list"}, "got no file"),
            ({"persons": Path("x")}, "the file x and by seed"),
        ],
    )
    def test_settings(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(LpwError, match=message):
            SplitConfig(**settings)
