"""The public names: what they take, give and refuse, and how light their import is."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from make_dataset import make_dataset

import lpw_toolkit
from lpw_toolkit import Dataset, LinkConfig, LpwError, evaluate, evaluate_dataset, link
from lpw_toolkit import open_dataset as open_public
from lpw_toolkit.api.settings import deal_settings
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import judge_labels
from lpw_toolkit.evaluation.summary import summarise

ROOT = Path(__file__).resolve().parents[2]

USER_SCRIPT = """
import numpy as np
from lpw_toolkit import Dataset, LinkConfig, evaluate, link, open_dataset

dataset: Dataset = open_dataset("mini")
reveal_type(dataset[0].person_id)
reveal_type(link(np.zeros((0, 6)), LinkConfig(iou=0.3)))
reveal_type(evaluate([[1.0]], [[1.0]], [1], [1], [1], [2]).map)
dataset[0].imagess()
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("api") / "mini"
    make_dataset(root, n_tracklets=8, name="mini <b>")
    return open_public(str(root))


def walk(n: int = 20) -> np.ndarray:
    frame, one = np.arange(n), np.ones(n)
    return np.stack([frame, 10 + frame, 5 * one, 50 + frame, 95 * one, 0.9 * one], axis=1)


class TestImport:
    def test_it_imports_neither_numpy_nor_torch(self) -> None:
        code = (
            "import sys, lpw_toolkit; heavy = {'numpy', 'torch', 'pandas', 'pyarrow', 'cv2'}; "
            "assert not heavy & set(sys.modules); assert 'link' in dir(lpw_toolkit)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_every_name_is_handed_out(self) -> None:
        assert dir(lpw_toolkit) == sorted(lpw_toolkit.__all__)
        assert all(getattr(lpw_toolkit, name) is not None for name in lpw_toolkit.__all__)
        with pytest.raises(AttributeError, match="no attribute 'linkk'"):
            _ = lpw_toolkit.linkk  # type: ignore[attr-defined]

    def test_mypy_sees_the_types_of_a_users_script(self, tmp_path: Path) -> None:
        script = tmp_path / "user.py"
        script.write_text(USER_SCRIPT)
        command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(script)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        lines = [line for line in done.stdout.splitlines() if "user.py:" in line]
        person, tracks, mean, misspelt = (line.split(": ", 2)[2] for line in lines)
        assert person == 'Revealed type is "str | None"'
        assert tracks.startswith('Revealed type is "numpy.ndarray[')
        assert "_32Bit" in tracks
        assert mean == 'Revealed type is "float"'
        assert misspelt.startswith('"TrackletView" has no attribute "imagess"')


class TestDataset:
    def test_it_is_a_sequence_of_tracklets(self, dataset: Dataset) -> None:
        ids = list(dataset.tracklets["tracklet_id"])
        assert (len(dataset), [t.id for t in dataset]) == (8, ids)
        assert dataset[-1].id == dataset[np.int64(7)].id == dataset[ids[-1]].id == ids[-1]
        assert ids[0] in dataset
        assert "nobody" not in dataset
        with pytest.raises(KeyError, match="nobody"):
            _ = dataset["nobody"]
        with pytest.raises(IndexError):
            _ = dataset[8]

    def test_tables_are_frames_of_pandas(self, dataset: Dataset) -> None:
        assert isinstance(dataset.tracklets, pd.DataFrame)
        assert len(dataset.frames) == dataset.counts["n_images"]
        assert dataset.frames["image"].str.endswith(".jpg").all()
        assert list(dataset[2].frames["tracklet_id"].unique()) == [dataset[2].id]
        assert dataset.splits is None

    def test_images(self, dataset: Dataset) -> None:
        images = dataset[1].images()
        assert isinstance(images, np.ndarray)
        assert images.shape == (len(dataset[1]), 64, 32, 3)
        assert images.dtype == np.uint8

    def test_images_of_different_sizes_are_a_list(self, dataset, monkeypatch) -> None:
        sizes = iter(range(2, 100))
        reader = SimpleNamespace(decode=lambda row: np.zeros((next(sizes), 2, 3), np.uint8))
        monkeypatch.setitem(dataset.__dict__, "reader", reader)
        images = dataset[1].images()
        assert [len(image) for image in images] == list(range(2, 2 + len(dataset[1])))
        assert isinstance(images, list)

    def test_reprs(self, dataset: Dataset) -> None:
        assert repr(dataset).startswith("Dataset 'mini <b>': 8 tracklets, ")
        assert "\n" not in repr(dataset)
        assert repr(dataset[0]).startswith(f"Tracklet '{dataset[0].id}': {len(dataset[0])} images")
        for html in (dataset._repr_html_(), dataset[0]._repr_html_()):
            assert "data:image/jpeg;base64,/9j/" in html
            assert "<b>" not in html


class TestLink:
    def test_all_forms_of_boxes_give_the_same_tracks(self) -> None:
        rows = walk()
        table = pd.DataFrame(rows, columns=["frame", "x1", "y1", "x2", "y2", "score"])
        detections = [SimpleNamespace(xyxy=row[None, 1:5], confidence=row[None, 5]) for row in rows]
        assert (link(rows) == 0).all()
        assert (link(table) == link(rows)).all()
        assert [list(tracks) for tracks in link(detections)] == [[0]] * len(rows)

    def test_rows_may_come_in_any_order(self) -> None:
        rows = np.concatenate([walk(), walk() + np.array([0, 300, 0, 300, 0, 0])])
        order = np.random.default_rng(0).permutation(len(rows))
        tracks, mixed = link(rows), link(rows[order])
        assert set(tracks) == set(mixed) == {0, 1}
        assert len(set(zip(tracks[order].tolist(), mixed.tolist(), strict=True))) == 2

    def test_settings_change_config_or_preset(self) -> None:
        assert (link(walk(), min_length=21) == -1).all()
        assert (link(walk(4), LinkConfig(min_length=4)) == 0).all()
        assert (link(walk(4), preset="paper") == 0).all()
        assert link(np.empty((0, 6))).shape == (0,)
        assert link([]) == []

    @pytest.mark.parametrize(
        ("boxes", "settings", "message"),
        [
            (np.zeros((3, 5)), {}, r"shape \(3, 5\)"),
            (np.full((1, 6), np.nan), {}, "NaN"),
            (walk() + np.array([0.5, 0, 0, 0, 0, 0]), {}, "broken frame number"),
            (["no boxes"], {}, "supervision.Detections"),
            (walk(), {"min_lenght": 3}, "did you mean min_length"),
            (walk(), {"preset": "papers"}, "choose one of them"),
            (walk(), {"iou": 7}, "^iou: got 7"),
        ],
    )
    def test_refusals(self, boxes, settings, message) -> None:
        with pytest.raises(LpwError, match=message):
            link(boxes, **settings)

    def test_the_first_of_two_with_a_field_takes_it(self) -> None:
        one, other = deal_settings({"jpeg_quality": 70}, CropConfig(), CropConfig())
        assert (one.jpeg_quality, other.jpeg_quality) == (70, 95)


class TestEvaluate:
    def test_it_is_the_ranking_of_the_toolkit(self) -> None:
        rng = np.random.default_rng(3)
        query, gallery = rng.normal(size=(9, 4)), rng.normal(size=(40, 4))
        persons, cameras = rng.integers(-1, 5, 40), rng.integers(0, 3, 40)
        asked, seen = rng.integers(0, 5, 9), rng.integers(0, 3, 9)
        found = evaluate(query, gallery, asked, persons, seen, cameras, protocol="mars",
                         metric="euclidean")  # fmt: skip
        kinds = np.where(persons < 0, 2, 0)
        relevance = judge_labels(Labels(asked, seen, 0 * asked), Labels(persons, cameras, kinds))
        distances = np.linalg.norm(query[:, None] - gallery[None], axis=2)
        expected = summarise(rank_queries(distances, relevance), ap_form="trapezoid",
                             unmatched="zero")  # fmt: skip
        assert found.map == pytest.approx(expected.map)
        assert found.cmc == pytest.approx(expected.cmc)

    def test_names_may_be_strings(self) -> None:
        x = np.eye(3)
        numbers = evaluate(x, x, [1, 2, 3], [1, 2, 3], [1, 1, 1], [2, 2, 2])
        names = evaluate(x, x, list("abc"), list("abc"), ["l"] * 3, ["r"] * 3)
        assert numbers.map == names.map == 1.0

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"query_persons": [1, 2]}, "one row and one label"),
            ({"gallery_features": np.eye(4)[:3]}, "3 and 4 dimensions"),
            ({"query_features": np.full((3, 3), np.nan)}, "NaN"),
            ({"protocol": "marss"}, "choose one of them"),
            ({"metric": "cosin"}, "choose one of them"),
            ({"gallery_persons": [-1, -1, -1]}, "at least one"),
        ],
    )
    def test_refusals(self, change, message) -> None:
        x, three = np.eye(3), [1, 2, 3]
        given = {"query_features": x, "gallery_features": x, "query_persons": three,
                 "gallery_persons": three, "query_cameras": three, "gallery_cameras": [0, 0, 0],
                 "protocol": "market", **change}  # fmt: skip
        with pytest.raises(LpwError, match=message):
            evaluate(**given)

    def test_a_dataset(self, dataset: Dataset) -> None:
        vectors = np.random.default_rng(0).normal(size=(len(dataset), 5))
        found = evaluate_dataset(dataset, vectors, metric="euclidean")
        again = evaluate_dataset(dataset.root, vectors, metric="euclidean")
        assert again.results[0].summary.map == found.results[0].summary.map
        assert found.metrics["dataset_digest"][0].as_py() == dataset.digest
        with pytest.raises(LpwError, match=r"\(8, D\)"):
            evaluate_dataset(dataset, vectors[:7])
