"""Suggestions from end to end on made datasets: what is planted is found, and the same input gives
the same bytes."""

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from fakes import draw_colours, draw_figure
from make_dataset import make_dataset

from lpw_toolkit.cleaning.suggest.appearance import compare_appearance, find_changes
from lpw_toolkit.cleaning.suggest.box_reasons import find_duplicates, measure_tracklets
from lpw_toolkit.cleaning.suggest.box_signals import VideoBoxes, measure_boxes
from lpw_toolkit.cleaning.suggest.candidates import (
    Endpoints,
    Pairs,
    find_across,
    find_merges,
    match_across,
    whiten,
)
from lpw_toolkit.cleaning.suggest.descriptors import (
    N_COLOURS,
    N_NUMBERS,
    describe,
    even_out,
    measure_spread,
)
from lpw_toolkit.cleaning.suggest.meetings import measure_appearance
from lpw_toolkit.cleaning.suggest.missed_persons import find_occluded
from lpw_toolkit.cleaning.suggest.suggest import (
    TABLES,
    SuggestOptions,
    is_outdated,
    read_suggestions,
    suggest,
)
from lpw_toolkit.cleaning.suggest.suggestion_tables import make_candidates
from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files import writing
from lpw_toolkit.linking.motion import to_centres


def make_crops(root: Path, people: list[list[int]], n_frames: int = 6) -> Dataset:
    """Tracklets without boxes: each shows these persons one after the other, n_frames each, in
    cameras by turns."""
    rng = np.random.default_rng(0)
    colours = [draw_colours(rng) for _ in range(1 + max(p for line in people for p in line))]
    writing.make_folder(root)
    rows, tracklets = [], []
    for i, line in enumerate(people):
        name, position = f"s/c{i % 2}/{i:03d}", 0
        folder = writing.make_folder(root / "images" / name)
        for person in line:
            for _ in range(n_frames):
                data = draw_figure(colours[person], rng)
                path = folder / f"{position}.png"
                writing.write_file(path, data)
                image = {"bytes": None, "path": path.relative_to(root).as_posix()}
                rows.append({"tracklet_id": name, "position": position, "image": image, "width": 64,
                "height": 128,
                             "sha256": hashlib.sha256(data).digest()})  # fmt: skip
                position += 1
        tracklets.append({"tracklet_id": name, "scene_id": "s", "camera_id": f"s/c{i % 2}",
        "kind": "person",
                          "n_frames": position})  # fmt: skip
    order = sorted(range(len(tracklets)), key=lambda i: tracklets[i]["tracklet_id"])
    rows.sort(key=lambda row: (row["tracklet_id"], row["position"]))
    for file, found, kind in (
        ("frames", rows, schema.FRAMES),
        ("tracklets", [tracklets[i] for i in order], schema.TRACKLETS),
    ):
        tables.write_table(root / f"{file}.parquet", pa.Table.from_pylist(found, schema=kind), kind)
    return close_dataset(root, {"name": "crops", "parent": None, "sources": [], "settings": {}})


def make_video(lines: list[np.ndarray], **more: object) -> VideoBoxes:
    """Tracklets from (T, 5) arrays of frame and box."""
    rows = np.concatenate(lines)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    video = VideoBoxes(
        rows[:, 0].astype(np.int64), owner, rows[:, 1:], np.full(len(rows), 0.9), None, (640, 360)
    )
    return replace(video, **more)  # type: ignore[arg-type]


def walk(n: int, start: float = 50, speed: float = 4, first: int = 0) -> np.ndarray:
    frame = np.arange(first, first + n)
    left = start + speed * np.arange(n, dtype=np.float64)
    return np.stack([frame, left, np.full(n, 100), left + 40, np.full(n, 200)], axis=1)


class TestWhole:
    def test_a_switch_scores_highest_and_is_cut_at_its_place(self, tmp_path: Path) -> None:
        dataset = make_crops(tmp_path / "d", [[0], [1], [2, 3], [4], [0], [5]])
        suggest(dataset.root)
        table = read_suggestions(dataset).to_pylist()
        switch = {row["tracklet_id"]: row for row in table if row["reason"] == "identity_switch"}
        first = max(switch.values(), key=lambda row: row["score"])
        assert first["tracklet_id"] == "s/c0/002"
        assert (first["first_position"], first["end_position"]) == (6, 6)

    def test_the_same_person_in_the_other_camera_comes_first(self, tmp_path: Path) -> None:
        dataset = make_crops(tmp_path / "d", [[0], [1], [2], [0], [1], [2], [3], [4]])
        suggest(dataset.root)
        table = read_suggestions(dataset, "candidates").to_pylist()
        best = {row["tracklet_id"]: row["other_id"] for row in table if row["rank"] == 0}
        assert best["s/c0/000"] == "s/c1/003"
        assert best["s/c1/005"] == "s/c0/002"
        assert all(row["kind"] == "cross_camera" and "s/c" in row["why"] for row in table)

    def test_same_bytes_twice_and_the_dataset_is_left_alone(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_tracklets=8)
        before = {p: p.read_bytes() for p in sorted((tmp_path / "d").rglob("*.parquet"))}
        suggest(dataset.root)
        suggest(dataset.root, tmp_path / "again")
        for name in TABLES:
            one, other = (
                folder / f"{name}.parquet"
                for folder in (dataset.root / "cleanup/suggestions", tmp_path / "again")
            )
            assert one.read_bytes() == other.read_bytes()
        assert all(path.read_bytes() == data for path, data in before.items())

    def test_tables_with_boxes(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_tracklets=8)
        report = suggest(dataset.root)
        assert report.notes == []
        found, signals = read_suggestions(dataset), read_suggestions(dataset, "signals")
        assert (
            found["tracklet_id"].unique().to_pylist()
            == dataset.tracklets["tracklet_id"].to_pylist()
        )
        assert signals.num_rows == dataset.frames.num_rows
        assert signals["position"].equals(dataset.frames["position"])
        assert signals["jump"].null_count == 0
        assert {"bend", "missing_frames", "short", "identity_switch"} <= set(
            found["reason"].to_pylist()
        )

    def test_embeddings_take_the_place_of_colours(self, tmp_path: Path) -> None:
        dataset = make_crops(tmp_path / "d", [[0], [1], [2], [3]])
        rng = np.random.default_rng(0)
        ids, positions = (dataset.frames[name].to_pylist() for name in ("tracklet_id", "position"))
        vectors = rng.standard_normal((4, 8))[[sorted(set(ids)).index(name) for name in ids]]
        late = np.array(
            [name == "s/c1/001" and p >= 3 for name, p in zip(ids, positions, strict=True)]
        )
        vectors[late] *= -1
        write_vectors(
            tmp_path / "e.parquet",
            ids,
            positions,
            vectors + 0.01 * rng.standard_normal(vectors.shape),
        )
        suggest(dataset.root, tmp_path / "s", SuggestOptions(embeddings=tmp_path / "e.parquet"))
        table = read_suggestions(dataset, folder=tmp_path / "s").to_pylist()
        first = max(
            (row for row in table if row["reason"] == "identity_switch"),
            key=lambda row: row["score"],
        )
        assert (first["tracklet_id"], first["first_position"]) == ("s/c1/001", 3)


def write_vectors(path: Path, ids: list[str], positions: list[int], vectors: np.ndarray) -> None:
    kind = schema.frame_embeddings_schema(vectors.shape[1])
    tables.write_table(
        path, tables.make_table([ids, positions, list(vectors.astype(np.float32))], kind), kind
    )


class TestBadInput:
    def test_no_dataset(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="dataset"):
            suggest(tmp_path)

    @pytest.mark.parametrize("looks", [0, 3, 513, 4.5])
    def test_looks_out_of_range(self, looks: float) -> None:
        with pytest.raises(LpwError, match="--frames"):
            SuggestOptions(looks=looks)  # type: ignore[arg-type]

    def test_an_image_that_is_another_one(self, tmp_path: Path) -> None:
        dataset = make_crops(tmp_path / "d", [[0], [1]])
        next((tmp_path / "d" / "images").rglob("*.png")).write_bytes(
            draw_figure(np.zeros((3, 3), int), np.random.default_rng(5))
        )
        with pytest.raises(MismatchError, match="SHA-256"):
            suggest(dataset.root, None, SuggestOptions(looks=512))
        assert not (dataset.root / "cleanup").exists()

    def test_suggestions_of_another_dataset_and_none(self, tmp_path: Path) -> None:
        one, other = make_crops(tmp_path / "a", [[0], [1]]), make_crops(tmp_path / "b", [[1], [0]])
        with pytest.raises(LpwError, match="--suggest"):
            read_suggestions(one)
        suggest(one.root, tmp_path / "s")
        with pytest.raises(MismatchError, match="another dataset"):
            read_suggestions(other, folder=tmp_path / "s")

    @pytest.mark.parametrize(
        ("ids", "positions", "value", "message"),
        [
            (["s/c0/000", "s/c0/000"], [0, 0], 1.0, "twice"),
            (["s/c0/000", "nobody"], [0, 1], 1.0, "unknown"),
            (["s/c0/000", "s/c1/001"], [0, 99], 1.0, "beyond"),
            (["s/c0/000", "s/c1/001"], [0, 1], np.nan, "NaN"),
        ],
    )
    def test_wrong_embeddings(
        self, tmp_path: Path, ids: list[str], positions: list[int], value: float, message: str
    ) -> None:
        dataset = make_crops(tmp_path / "d", [[0], [1]])
        write_vectors(tmp_path / "e.parquet", ids, positions, np.full((2, 4), value))
        with pytest.raises(LpwError, match=message):
            suggest(dataset.root, None, SuggestOptions(embeddings=tmp_path / "e.parquet"))

    def test_embeddings_that_are_no_table(self, tmp_path: Path) -> None:
        dataset = make_crops(tmp_path / "d", [[0], [1]])
        (tmp_path / "e.parquet").write_bytes(b"no table")
        for name in ("e.parquet", "absent.parquet"):
            with pytest.raises(LpwError, match="parquet"):
                suggest(dataset.root, None, SuggestOptions(embeddings=tmp_path / name))
        assert EmbedOptions(per_frame=True).per_frame  # what the remedy names exists


class TestBoxes:
    def test_each_plant_is_measured(self) -> None:
        jump, gap = walk(30), walk(30, first=0)
        jump[15, 1:] += 60
        gap = np.delete(gap, range(10, 20), axis=0)
        bend = walk(30)
        bend[15:, [1, 3]] -= 8 * np.arange(15)[:, None]
        lines = [walk(30), jump, gap, bend]
        _, found = measure_tracklets(*(lambda v: (v, measure_boxes(v)))(make_video(lines)))
        assert found["box_jump"].argmax() == 1
        assert found["long_gap"].tolist() == [0, 0, 10, 0]
        assert found["bend"].argmax() in (1, 3)
        assert found["bend"][3] > 10 * found["bend"][0]

    def test_what_is_not_known_is_nan(self) -> None:
        video = make_video([walk(20)], frame_px=None)
        _, found = measure_tracklets(video, measure_boxes(video))
        assert np.isnan(
            [found["cut_off"][0], found["unlinked_detection"][0], found["two_people"][0]]
        ).all()
        assert np.isfinite(
            [found[name][0] for name in ("bend", "static", "wander", "odd_size")]
        ).all()

    def test_a_place_where_boxes_keep_coming_recurs(self) -> None:
        still, away = walk(20, speed=0), walk(20, start=400)
        again = walk(60, speed=0, first=20)[
            ::2
        ]  # of the 55 frames that are 5 or more after, 27 have such a box
        found = np.concatenate([still, away, again, walk(60, start=550, speed=0, first=20)])
        columns = [
            ["v"] * len(found),
            found[:, 0].astype(int),
            None,
            *found[:, 1:].T,
            np.full(len(found), 0.9),
        ]
        detections = tables.make_table(
            [[None] * len(found) if c is None else list(c) for c in columns], schema.DETECTIONS
        )
        video = make_video([still, away], detections=detections)
        _, measures = measure_tracklets(video, measure_boxes(video))
        assert measures["recurring_box"].tolist() == pytest.approx([27 / 55, 0], abs=0.02)
        video = replace(video, detections=None)
        assert np.isnan(measure_tracklets(video, measure_boxes(video))[1]["recurring_box"]).all()

    def test_duplicates_name_each_other(self) -> None:
        twin = walk(30) + np.array([0, 2, 1, 2, 1])
        share, other = find_duplicates(make_video([walk(30), walk(30, start=400), twin]))
        assert share.tolist() == [1, 0, 1]
        assert other.tolist() == [2, -1, 0]


class TestMeetings:
    def test_who_is_hidden_is_carried_on(self) -> None:
        """B walks beside A, is not detected for ten frames, and then is again; C is never seen with
        A."""
        a = walk(40)
        b = np.delete(walk(40, start=62), range(15, 25), axis=0)
        video = make_video([a, b, walk(10, start=900, first=60)])
        hidden = find_occluded(video.frame_index, video.tracklet, to_centres(video.boxes))
        assert (hidden[15:25] > 0.4).all()
        assert hidden[:14].max() == hidden[26:40].max() == 0
        assert hidden[40:].max() == 0

    def test_pieces_of_one_way_hide_nobody(self) -> None:
        video = make_video([walk(20), walk(20, start=50 + 4 * 22, first=22)])
        assert find_occluded(video.frame_index, video.tracklet, to_centres(video.boxes)).max() == 0

    def test_past_an_end_a_guess_fades(self) -> None:
        video = make_video([walk(40), walk(12, start=56)])
        hidden = find_occluded(video.frame_index, video.tracklet, to_centres(video.boxes))[:40]
        assert hidden[12] > hidden[20] > hidden[30] > 0
        assert hidden[38:].max() == 0

    def test_what_happens_beside_somebody_counts(self) -> None:
        lone, met = walk(30), walk(30, start=400)
        for line in (lone, met):
            line[15, 1:] += 30
        beside = walk(30, start=415)
        video = make_video([lone, met, beside])
        _, found = measure_tracklets(video, measure_boxes(video))
        assert found["jump_meeting"][1] > 0.5 > found["jump_meeting"][0] == 0
        assert found["jumps"][0] == found["jumps"][1] > 0
        assert found["meeting"][0] == 0 < found["meeting"][1]

    def test_looks_that_change_beside_somebody(self) -> None:
        looks = np.repeat(np.eye(N_NUMBERS)[:2], 6, axis=0)
        changes = find_changes(compare_appearance(looks, by_stripe=False), 0.05)
        assert changes.step.argmax() == 6 and changes.step[0] == 0
        near, missing, jump = np.zeros(12), np.zeros(12), np.zeros(12)
        assert measure_appearance(np.arange(12), changes, near, missing, jump) == (
            [0, 0, 0],
            [-1, -1, -1],
        )
        near[6] = missing[6] = 1
        there, cuts = measure_appearance(np.arange(12), changes, near, missing, jump)
        assert there[0] == pytest.approx(changes.step[6]) and there[1] == pytest.approx(
            changes.step[6] / 4
        )
        assert cuts == [6, 6, -1]
        near[6], near[11] = 0, 1
        assert (
            measure_appearance(np.arange(12), changes, near, missing, jump)[0][0]
            < 0.5 * changes.step[6]
        )


class TestPortraits:
    def test_a_cast_and_a_contrast_are_taken_off(self) -> None:
        """Two cameras that see the same eight people, the second through another lens."""
        rng = np.random.default_rng(0)
        crops = [
            rng.integers(40, 200, (12, 1, 3)).repeat(8, axis=0).repeat(48, axis=1) for _ in range(8)
        ]
        plain = np.array([describe(crop.astype(np.uint8)).portrait for crop in crops])
        shifted = plain.copy()
        colours = shifted[:, :N_COLOURS].reshape(8, -1, 2, 3)
        colours *= np.array([0.8, 1.2, 0.9])
        colours[:, :, 0] += np.array([12.0, -7.0, 5.0])
        evened = []
        for portraits in (plain, shifted):
            mean, square = measure_spread(portraits)
            evened.append(portraits * even_out(np.sqrt(square - mean**2)))
        one, other = (part - part.mean(axis=0) for part in evened)
        assert np.abs(plain - plain.mean(axis=0) - (shifted - shifted.mean(axis=0))).max() > 1
        assert np.abs(one - other).max() < 1e-3

    def test_plain_colours_have_their_mean_and_no_deviation(self) -> None:
        grey = np.full((96, 48, 3), 128, np.uint8)
        colours = describe(grey).portrait[:N_COLOURS].reshape(-1, 2, 3)
        assert np.allclose(colours[:, 0], cv2.cvtColor(grey, cv2.COLOR_RGB2LAB)[0, 0], atol=1e-3)
        assert np.allclose(colours[:, 1], 0, atol=0.1)


class TestLooks:
    def test_any_size_gives_as_many_finite_numbers(self) -> None:
        rng = np.random.default_rng(0)
        for shape in ((1, 1), (3, 200), (96, 48), (256, 128), (37, 11)):
            look = describe(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
            assert look.vector.shape == (N_NUMBERS,)
            assert np.isfinite(look.vector).all()
        assert describe(np.zeros((96, 48, 3), np.uint8)).sharpness == 0

    def test_blur_lowers_sharpness(self) -> None:
        crop = np.random.default_rng(0).integers(0, 256, (96, 48, 3), dtype=np.uint8)
        assert (
            describe(np.asarray(cv2.GaussianBlur(crop, (9, 9), 3), dtype=np.uint8)).sharpness
            < describe(crop).sharpness
        )

    @pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 9])
    def test_short_tracklets_have_no_cut_or_a_possible_one(self, n: int) -> None:
        vectors = np.random.default_rng(n).random((n, N_NUMBERS))
        found = find_changes(compare_appearance(vectors, by_stripe=True), 0.1)
        assert len(found.change) == n
        assert (found.cut == 0) if n < 4 else (2 <= found.cut <= n - 2)

    def test_distances_are_symmetric_and_0_to_oneself(self) -> None:
        vectors = np.random.default_rng(0).random((7, N_NUMBERS))
        apart = compare_appearance(vectors, by_stripe=True)
        assert np.allclose(apart, apart.T)
        assert np.allclose(np.diagonal(apart), 0, atol=1e-9)


def make_places(
    start_s: list[float], end_s: list[float], camera: list[int], x: list[float]
) -> Endpoints:
    n = len(camera)
    at = np.stack([np.array(x), np.full(n, 100.0)], axis=1)
    speed = np.tile([20.0, 0.0], (n, 1))
    last = at + speed * (np.array(end_s) - np.array(start_s))[:, None]
    return Endpoints(
        np.zeros(n, int),
        np.array(camera),
        np.array(start_s),
        np.array(end_s),
        at,
        last,
        speed,
        speed,
        np.full((n, 2), 100.0),
    )


class TestCandidates:
    def test_pieces_of_one_way(self) -> None:
        places = make_places([0, 3, 2, 3], [2, 5, 6, 5], [0, 0, 0, 1], [0, 60, 300, 60])
        looks = np.eye(4)[[0, 0, 1, 0]] + 0.01
        found = find_merges(places, looks)
        best = dict(
            zip(
                found.row[found.rank == 0].tolist(),
                found.other[found.rank == 0].tolist(),
                strict=True,
            )
        )
        assert best[0] == 1
        assert best[1] == 0
        assert 3 not in found.row
        assert (1, 2) not in set(zip(found.row.tolist(), found.other.tolist(), strict=True)), (
            "they overlap in time"
        )

    def test_transit_times_decide_between_equal_looks(self) -> None:
        rng = np.random.default_rng(0)
        n = 40
        looks = rng.standard_normal((n, 16))
        looks[-1] = looks[-2]  # twins in one camera
        start = np.arange(n) * 50.0
        twice = np.concatenate([looks, looks + 0.1 * rng.standard_normal((n, 16))])
        twice /= np.linalg.norm(twice, axis=1, keepdims=True)
        starts = np.concatenate([start, start + 15])
        places = make_places(
            starts.tolist(), (starts + 5).tolist(), [0] * n + [1] * n, [0.0] * (2 * n)
        )
        found = find_across(places, twice)
        best = found.other[found.rank == 0]
        assert (best == np.concatenate([np.arange(n) + n, np.arange(n)])).mean() > 0.97

    def test_sure_matches_teach_what_means_nothing(self) -> None:
        """One number turns over from camera to camera: it is learned to count for little."""
        rng = np.random.default_rng(1)
        n = 150
        looks = rng.standard_normal((n, 12))
        other = looks + 0.35 * rng.standard_normal((n, 12))
        other[:, :4] = 2.0 * rng.standard_normal((n, 4))
        both = np.concatenate([looks, other])
        within = np.diag(np.full(12, 0.1))
        nothing = np.full((2 * n, 2), np.nan)
        places = Endpoints(
            np.zeros(2 * n, int),
            np.repeat([0, 1], n),
            *[np.full(2 * n, np.nan)] * 2,
            *[nothing] * 5,
        )
        right = np.concatenate([np.arange(n) + n, np.arange(n)])

        def count(found: Pairs) -> float:
            return float((found.other[found.rank == 0] == right).mean())

        straight = whiten(both, within, places.camera)
        plain = find_across(places, straight)
        assert count(match_across(places, straight, both, within)) > count(plain) + 0.05

    def test_one_camera_has_no_one_across(self) -> None:
        places = make_places([0, 3], [2, 5], [0, 0], [0, 60])
        assert len(find_across(places, np.eye(2)).row) == 0


def test_another_digest_means_another_dataset(tmp_path: Path) -> None:
    dataset = make_crops(tmp_path / "d", [[0], [1]])
    suggest(dataset.root)
    assert (
        read_suggestions(open_dataset(dataset.root)).schema.metadata[b"lpw_dataset_digest"].decode()
        == dataset.manifest["digest"]
    )


def test_suggestions_of_an_earlier_version_have_the_reasons_of_today(tmp_path: Path) -> None:
    dataset = make_crops(tmp_path / "d", [[0], [1]])
    suggest(dataset.root)
    file = dataset.root / "cleanup" / "suggestions" / "suggestions.parquet"
    table = read_suggestions(dataset)
    old = ["hidden", "haunted", "loose_box", "short"][: table.num_rows]
    old += ["short"] * (table.num_rows - len(old))
    place = table.schema.get_field_index("reason")
    table = table.set_column(place, table.schema.field(place), pa.array(old))
    tables.write_table(file, table, schema.SUGGESTIONS)
    found = read_suggestions(dataset)["reason"].to_pylist()
    assert found[:3] == ["occluded", "recurring_box", "unlinked_detection"][: len(found)]
    assert not {"hidden", "haunted", "loose_box"} & set(found)


@pytest.mark.parametrize(
    ("settings", "old"),
    [(b'{"version": 4}', True), (b"{}", True), (b"[", True), (b"[]", True), (None, False)],
)
def test_suggestions_of_earlier_rules_are_known(
    tmp_path: Path, settings: bytes | None, old: bool
) -> None:
    dataset = make_crops(tmp_path / "d", [[0], [1]])
    suggest(dataset.root)
    file = dataset.root / "cleanup" / "suggestions" / "candidates.parquet"
    if settings is not None:
        table = read_suggestions(dataset, "candidates")
        facts = table.schema.metadata | {b"lpw_settings": settings}
        tables.write_table(file, table.replace_schema_metadata(facts), schema.CANDIDATES)
    assert is_outdated(read_suggestions(open_dataset(dataset.root), "candidates")) is old


@pytest.mark.parametrize("is_known", [False, True])
def test_times_between_two_films_need_to_know_when_they_began(
    tmp_path: Path, is_known: bool
) -> None:
    dataset = make_dataset(tmp_path / "d", n_tracklets=8, identified=False)
    starts = {"start_s": 0.0} if is_known else {}
    sources = [{**source, **starts} for source in dataset.manifest["sources"]]
    dataset = replace(dataset, manifest={**dataset.manifest, "sources": sources})
    cameras = dataset.tracklets["camera_id"].to_pylist()
    here, there = 0, next(i for i, camera in enumerate(cameras) if camera != cameras[0])
    one = np.array([here, here])
    numbers = [np.array([0.5, 0.7]), np.array([0.2, 0.2]), np.array([0.0, 3.0])]
    pairs = Pairs(one, np.array([there, there]), np.array([0, 1]), *numbers, np.full(2, np.nan))
    found = make_candidates(dataset, {"cross_camera": pairs})["why"].to_pylist()
    unless = "" if is_known else " if both films began together"
    place = cameras[there]
    assert found == [
        f"{place}, at the same time{unless}, looks very similar",
        f"{place}, 3.0 s apart{unless}, looks very similar",
    ]
