"""Protocols: the contract over all of them, hand-worked cases, and the counts of the real MARS
metadata."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_labelled import ONE_CAMERA, SMALL_MARS, SOURCE, make_labelled, names_of, two_cameras

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import read_labels, read_timed_labels
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.protocol import list_protocols, open_protocol
from lpw_toolkit.evaluation.protocol_choice import choose_protocol

PRID: dict[str, Any] = two_cameras(6, 10)
ILIDS: dict[str, Any] = two_cameras(6, 10, ("cam1", "cam2"))
LPW: dict[str, Any] = {
    "rows": [
        ("scen1/view1/1", "scen1/1", "scen1/view1", "person"),
        ("scen1/view1/2", "scen1/2", "scen1/view1", "person"),
        ("scen1/view2/1", "scen1/1", "scen1/view2", "person"),
        ("scen1/view2/2", "scen1/2", "scen1/view2", "person"),
        ("scen1/view3/1", "scen1/1", "scen1/view3", "person"),
        ("scen2/view1/1", "scen2/1", "scen2/view1", "person"),
        ("scen2/view3/1", "scen2/1", "scen2/view3", "person"),
    ],
    "splits": [(0, "query", f"scen1/view2/{i}") for i in (1, 2)]
    + [(0, "gallery", name) for name in ("scen1/view1/1", "scen1/view1/2", "scen1/view3/1")]
    + [(0, "train", name) for name in ("scen2/view1/1", "scen2/view3/1")],
}  # fmt: skip
FITTING = {
    "prid2011": PRID, "ilids_vid": ILIDS, "lpw": LPW, "market": SMALL_MARS, "mars": SMALL_MARS,
    "mars_queries_back": SMALL_MARS, "mars_torchreid": SMALL_MARS, "cross_dataset": PRID,
    "cross_dataset_half": PRID, "cross_camera": SMALL_MARS, "within_camera": ONE_CAMERA,
}  # fmt: skip
#: Those that need no splits.
UNSPLIT = {"market", "cross_dataset", "cross_camera", "within_camera"}


def parts(
    dataset: Dataset, protocol: str, split: int = 0
) -> tuple[list[str], list[str], list[str]]:
    trial = open_protocol(protocol).trials(dataset)[split]
    train, query, gallery = (
        names_of(dataset, rows) for rows in (trial.train, trial.query, trial.gallery)
    )
    return train, query, gallery


class TestContract:
    def test_every_protocol_has_a_case(self) -> None:
        assert sorted(FITTING) == sorted(list_protocols())

    @pytest.mark.parametrize("name", list_protocols())
    def test_trials_and_rules(self, name: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **FITTING[name])
        protocol = open_protocol(name)
        trials = protocol.trials(dataset)
        assert [t.split for t in trials] == list(range(len(trials)))
        labels = read_timed_labels(dataset.tracklets, [])
        for trial in trials:
            for rows in (trial.train, trial.query, trial.gallery):
                assert rows.dtype == np.int64
                assert np.all(np.diff(rows) > 0)
            assert not set(trial.train) & set(trial.query)
            assert not set(trial.train) & set(trial.gallery)
            query, gallery = labels.take(trial.query), labels.take(trial.gallery)
            relevance = protocol.judge(query, gallery)
            assert (relevance.n_query, relevance.n_gallery) == (
                len(trial.query),
                len(trial.gallery),
            )
            if name == "within_camera":
                continue  # the only one with another rule: TestWithinCamera
            for i in range(len(query)):  # the rule of every other protocol, read without `judge`
                same = gallery.person == query.person[i]
                other = gallery.camera != query.camera[i]
                assert (
                    relevance.good[i].tolist()
                    == np.flatnonzero(same & other & (gallery.kind == 0)).tolist()
                )
                seen_wrong = np.setdiff1d(
                    np.flatnonzero(~same & (gallery.kind != 2)), relevance.ignored[i]
                )
                assert seen_wrong.tolist() == np.flatnonzero(~same & (gallery.kind != 2)).tolist()

    @pytest.mark.parametrize("name", list_protocols())
    def test_rules_can_be_read(self, name: str) -> None:
        spec = open_protocol(name).SPEC
        assert spec.ap_form in ("step", "trapezoid")
        assert spec.unmatched in ("skip", "zero")
        assert set(spec.headline) <= {"cmc@1", "cmc@5", "cmc@10", "cmc@20", "map", "minp"}
        assert all(
            len(text) > 10 and "\n" not in text
            for text in (spec.title, spec.gallery, spec.junk_rule)
        )
        assert spec.source

    def test_an_unknown_name_lists_the_names(self) -> None:
        with pytest.raises(LpwError, match=r"mars_torchreid.*prid2011"):
            open_protocol("duke")

    def test_a_dash_is_an_underscore(self) -> None:
        assert open_protocol("mars-queries-back").SPEC == open_protocol("mars_queries_back").SPEC


class TestTwoCameras:
    @pytest.mark.parametrize(
        ("name", "case", "asks"), [("prid2011", PRID, "cam_a"), ("ilids_vid", ILIDS, "cam1")]
    )
    def test_ten_splits(self, name: str, case: dict[str, Any], asks: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **case)
        assert len(open_protocol(name).trials(dataset)) == 10
        train, query, gallery = parts(dataset, name, 1)
        assert query == [f"{asks}/{p:03d}" for p in (1, 3, 5)]
        assert len(gallery) == 3
        assert len(train) == 6

    def test_lpw_merges_nothing(self, tmp_path: Path) -> None:
        _, query, gallery = parts(make_labelled(tmp_path / "d", **LPW), "lpw")
        assert query == ["scen1/view2/1", "scen1/view2/2"]
        assert gallery == ["scen1/view1/1", "scen1/view1/2", "scen1/view3/1"]

    @pytest.mark.parametrize(
        ("name", "case"), [("prid2011", ILIDS), ("lpw", PRID), ("ilids_vid", SMALL_MARS)]
    )
    def test_another_datasets_protocol_is_refused(
        self, name: str, case: dict[str, Any], tmp_path: Path
    ) -> None:
        with pytest.raises(LpwError, match="cameras of the query"):
            open_protocol(name).trials(make_labelled(tmp_path / "d", **case))


class TestMars:
    def test_three_galleries(self, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **SMALL_MARS)
        queries = ["q1", "q2", "q3", "q4", "q5"]
        answers = ["a1", "a2", "a3", "d1"]
        assert parts(dataset, "mars") == (["t1", "t2"], queries, [*answers, "j1", "j2", *queries])
        assert parts(dataset, "mars_queries_back") == (["t1", "t2"], queries, [*answers, *queries])
        assert parts(dataset, "mars_torchreid") == (["t1", "t2"], queries, answers)

    def test_it_does_not_matter_whether_the_splits_list_queries_in_the_gallery(
        self, tmp_path: Path
    ) -> None:
        splits = [*SMALL_MARS["splits"], *((0, "gallery", f"q{i}") for i in range(1, 6))]
        one = make_labelled(tmp_path / "one", **SMALL_MARS)
        two = make_labelled(tmp_path / "two", SMALL_MARS["rows"], splits)
        for name in ("mars", "mars_queries_back", "mars_torchreid"):
            assert parts(one, name) == parts(two, name)

    def test_cameras_that_only_ask_are_refused(self, tmp_path: Path) -> None:
        for name in ("mars", "mars_queries_back", "mars_torchreid"):
            with pytest.raises(LpwError, match="queries and gallery by different cameras"):
                open_protocol(name).trials(make_labelled(tmp_path / name, **PRID))


class TestOwnDataset:
    ROWS = (
        ("a", "p1", "c1", "person"), ("b", "p1", "c1", "person"), ("c", "p1", "c2", "person"),
        ("d", "p2", "c1", "person"), ("e", None, "c2", "person"), ("f", None, "c1", "distractor"),
        ("g", None, "c1", "junk"),
    )  # fmt: skip

    def test_first_of_each_person_and_camera_asks(self, tmp_path: Path) -> None:
        train, query, gallery = parts(make_labelled(tmp_path / "d", self.ROWS), "market")
        assert (train, query) == ([], ["a", "c"])
        assert gallery == ["a", "b", "c", "d", "f", "g"], "e may be p1: nobody knows"

    def test_splits_are_followed(self, tmp_path: Path) -> None:
        dataset = make_labelled(
            tmp_path / "d", self.ROWS, [(0, "query", "a"), (0, "gallery", "c"), (0, "gallery", "d")]
        )
        assert parts(dataset, "market") == ([], ["a"], ["c", "d"])

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (
                [("a", "p1", "c1", "person"), ("b", "p1", "c1", "person")],
                "camera_id: got one camera",
            ),
            (
                [("a", None, "c1", "person"), ("b", None, "c2", "person")],
                "person_id: got no person in any",
            ),
            (
                [("a", "p1", "c1", "person"), ("b", "p2", "c2", "person")],
                "2 persons, each seen by one camera only",
            ),
        ],
    )
    def test_what_is_missing_is_said(self, rows: list[Any], message: str, tmp_path: Path) -> None:
        for name in ("market", "cross_dataset", "cross_camera"):
            with pytest.raises(LpwError, match=message):
                open_protocol(name).trials(make_labelled(tmp_path / name, rows))

    def test_one_camera_is_said_even_with_splits(self, tmp_path: Path) -> None:
        rows = [("a", "p1", "c1", "person"), ("b", "p1", "c1", "person")]
        dataset = make_labelled(tmp_path / "d", rows, [(0, "query", "a"), (0, "gallery", "b")])
        with pytest.raises(
            LpwError, match=r"camera_id: got one camera .c1.; expected two cameras or more"
        ):
            open_protocol("market").trials(dataset)

    @pytest.mark.parametrize("name", sorted(set(list_protocols()) - UNSPLIT))
    def test_no_splits(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"without splits.*`lpw split d`"):
            open_protocol(name).trials(make_labelled(tmp_path / "d", self.ROWS))


class TestWithinCamera:
    def test_who_is_right(self, tmp_path: Path) -> None:
        """a2 begins 1 s after a1 ends: not seen; a3 begins 7.04 s after it, b2 2 s after b1."""
        dataset = make_labelled(tmp_path / "d", **ONE_CAMERA)
        (trial,) = open_protocol("within_camera").trials(dataset)
        labels = read_timed_labels(dataset.tracklets, [])
        query, gallery = labels.take(trial.query), labels.take(trial.gallery)
        found = open_protocol("within_camera").judge(query, gallery)
        good, ignored = (
            [names_of(dataset, trial.gallery[ragged[i]]) for i in range(2)]
            for ragged in (found.good, found.ignored)
        )
        assert good == [["a3"], ["b2"]]
        assert ignored == [["a1", "a2"], ["b1"]]

    def test_another_camera_is_not_seen(self, tmp_path: Path) -> None:
        rows = [(name, "p", camera, "person") for name, camera in zip("abc", "121", strict=True)]
        times = {name: (f"v{camera}", t, t) for name, camera, t in
                 (("a", 1, 0.0), ("b", 2, 9.0), ("c", 1, 9.0))}  # fmt: skip
        dataset = make_labelled(tmp_path / "d", rows, times=times)
        (trial,) = open_protocol("within_camera").trials(dataset)
        assert names_of(dataset, trial.query) == ["a"]
        labels = read_timed_labels(dataset.tracklets, [])
        found = open_protocol("within_camera").judge(labels.take(trial.query), labels)
        assert (found.good[0].tolist(), found.ignored[0].tolist()) == ([2], [0, 1])

    @pytest.mark.parametrize(
        ("starts", "is_right"),
        [
            ({}, True),  # two videos of one camera are never of one time
            ({"v1": 0.0, "v2": 10.0}, False),  # the second begins as the first ends
            ({"v1": 0.0, "v2": 11.0}, True),
        ],
    )
    def test_clocks_of_two_videos(
        self, starts: dict[str, float], is_right: bool, tmp_path: Path
    ) -> None:
        rows = [("a", "p", "c1", "person"), ("b", "p", "c1", "person")]
        times = {"a": ("v1", 8.0, 9.0), "b": ("v2", 0.0, 2.0)}
        dataset = make_labelled(tmp_path / "d", rows, times=times, starts=starts)
        labels = read_timed_labels(dataset.tracklets, dataset.manifest["sources"])
        found = open_protocol("within_camera").judge(labels, labels)
        assert found.good.counts.tolist() == [int(is_right)] * 2

    def test_one_tracklet_each(self, tmp_path: Path) -> None:
        rows = [("a", "p1", "c1", "person"), ("b", "p2", "c1", "person")]
        times = {"a": ("v", 0.0, 1.0), "b": ("v", 5.0, 6.0)}
        with pytest.raises(
            LpwError, match=r"2 persons, none seen twice by one camera, 2 s or more"
        ):
            open_protocol("within_camera").trials(make_labelled(tmp_path / "d", rows, times=times))

    def test_labels_without_times(self, tmp_path: Path) -> None:
        labels = read_labels(make_labelled(tmp_path / "d", **ONE_CAMERA).tracklets)
        with pytest.raises(LpwError, match="no times"):
            open_protocol("within_camera").judge(labels, labels)


class TestChoice:
    @pytest.mark.parametrize("name", ["prid2011", "ilids_vid", "lpw", "mars"])
    def test_a_benchmark_has_its_own(self, name: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **FITTING[name])
        facts = {"settings": {"import": {"benchmark": name.replace("_", "-")}}}
        imported = Dataset(dataset.root, {**dataset.manifest, **facts})
        assert choose_protocol(imported) == (
            name, f"the dataset was imported from {name.replace('_', '-')}"
        )  # fmt: skip

    def test_splits_say_what_they_are_for(self, tmp_path: Path) -> None:
        dataset = make_labelled(
            tmp_path / "d", **LPW, source={**SOURCE, "protocol": "cross_camera"}
        )
        facts = {"settings": {"import": {"benchmark": "lpw"}}}
        drawn = Dataset(dataset.root, {**dataset.manifest, **facts})
        assert choose_protocol(drawn)[0] == "cross_camera"

    def test_own_data(self, tmp_path: Path) -> None:
        two = make_labelled(tmp_path / "two", PRID["rows"])
        assert choose_protocol(two) == ("cross_camera", "persons seen by two cameras or more: 6")
        one = make_labelled(tmp_path / "one", ONE_CAMERA["rows"], times=ONE_CAMERA["times"])
        assert choose_protocol(one) == (
            "within_camera",
            "the dataset has one camera; persons seen twice by one camera, 2 s or more apart: 2",
        )

    def test_an_imported_part_without_splits(self, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", LPW["rows"])
        facts = {"settings": {"import": {"benchmark": "lpw"}}}
        assert choose_protocol(Dataset(dataset.root, {**dataset.manifest, **facts}))[0] == (
            "cross_camera"
        )

    @pytest.mark.parametrize(
        ("person", "message"),
        [("p", "persons none of whom can be found again"), (None, "no person in any tracklet")],
    )
    def test_nothing_can_be_tested(self, person: str | None, message: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", [("a", person, "c1", "person")])
        with pytest.raises(LpwError, match=message):
            choose_protocol(dataset)


class TestCrossDataset:
    def test_all_asks_once_with_every_person(self, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **PRID)
        train, query, gallery = parts(dataset, "cross_dataset")
        assert train == []
        assert query == [f"cam_a/{p:03d}" for p in range(6)]
        assert gallery == [f"cam_b/{p:03d}" for p in range(6)]

    def test_half_is_the_splits_without_training(self, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **PRID)
        assert len(open_protocol("cross_dataset_half").trials(dataset)) == 10
        assert parts(dataset, "cross_dataset_half", 3)[1:] == parts(dataset, "prid2011", 3)[1:]
        assert parts(dataset, "cross_dataset_half")[0] == []

    @pytest.mark.parametrize("case", [LPW, SMALL_MARS])
    def test_cameras_without_fixed_parts_all_ask(
        self, case: dict[str, Any], tmp_path: Path
    ) -> None:
        dataset = make_labelled(tmp_path / "d", **case)
        _, query, gallery = parts(dataset, "cross_dataset")
        assert len(gallery) == len(case["rows"])
        labels = read_labels(dataset.tracklets)
        pairs = {
            (p, c)
            for p, c in zip(labels.person.tolist(), labels.camera.tolist(), strict=True)
            if p >= 0
        }
        assert len(query) == len(pairs)


class TestBadSplits:
    ROWS = (("a", "p1", "c1", "person"), ("b", "p1", "c2", "person"), ("n", None, "c1", "person"))

    @pytest.mark.parametrize(
        ("splits", "error", "message"),
        [
            ([], MismatchError, "no rows"),
            (
                [(0, "query", "a"), (0, "gallery", "zz")],
                MismatchError,
                "1 tracklets that the dataset does not have .zz",
            ),
            (
                [(0, "query", "a"), (0, "query", "a"), (0, "gallery", "b")],
                MismatchError,
                "1 doubles .split 0, query, a",
            ),
            ([(0, "probe", "a"), (0, "gallery", "b")], MismatchError, "subset 'probe'"),
            ([(0, "query", "a")], LpwError, "empty gallery"),
            ([(0, "gallery", "a")], LpwError, "empty query"),
            ([(0, "query", "n"), (0, "gallery", "b")], LpwError, "1 queries without a person .n"),
        ],
    )
    def test_refused_by_name(
        self, splits: list[Any], error: type[LpwError], message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(error, match=message):
            open_protocol("market").trials(make_labelled(tmp_path / "d", self.ROWS, splits))


@pytest.fixture(scope="module")
def mars(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    loadmat = pytest.importorskip("scipy.io").loadmat
    info = shared_data / "splits" / "mars_info"
    test = loadmat(info / "tracks_test_info.mat")["track_test_info"]
    queries = set((loadmat(info / "query_IDX.mat")["query_IDX"].ravel().astype(int) - 1).tolist())
    rows, splits = [], []
    for i, (_, _, person, camera) in enumerate(test.tolist()):
        kind = "junk" if person == -1 else "distractor" if person == 0 else "person"
        rows.append((f"{i:05d}", f"{person:04d}" if person > 0 else None, str(camera), kind))
        splits.append((0, "query" if i in queries else "gallery", f"{i:05d}"))
    return make_labelled(tmp_path_factory.mktemp("mars") / "d", rows, splits)


@pytest.mark.realdata
class TestRealMars:
    """The official metadata; every count is of protocols.md, section 2.5."""

    @pytest.mark.parametrize(
        ("name", "n_gallery", "n_unmatched"),
        [("mars", 12_180, 0), ("mars_queries_back", 11_310, 0), ("mars_torchreid", 9_330, 140)],
    )
    def test_counts(self, mars: Dataset, name: str, n_gallery: int, n_unmatched: int) -> None:
        (trial,) = open_protocol(name).trials(mars)
        assert (len(trial.query), len(trial.gallery)) == (1_980, n_gallery)
        labels = read_labels(mars.tracklets)
        relevance = open_protocol(name).judge(labels.take(trial.query), labels.take(trial.gallery))
        assert len(relevance.unmatched) == n_unmatched
        assert int(relevance.hidden.sum()) == (870 if name == "mars" else 0)
