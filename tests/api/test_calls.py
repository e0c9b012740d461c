"""What all public functions have in common: values are checked against their annotations, and
messages are for Python."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from make_dataset import make_dataset

import lpw_toolkit
import rqen
from lpw_toolkit import LpwError
from lpw_toolkit.api.calls import name_arguments, public_call

Fruit = Literal["apple", "pear_tree"]
FEATURES = np.eye(3)
LABELS = ["ann", "bob", "cy"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("calls") / "film"
    make_dataset(root, n_tracklets=12, name="film")
    return root


def refuse(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The message; it names no option of the command."""
    with pytest.raises(LpwError) as caught:
        function(*args, **kwargs)
    assert "--" not in str(caught.value)
    return str(caught.value)


def test_messages_name_arguments_instead_of_options() -> None:
    error = LpwError("option --min-cameras", "--iou 3", "--camera", "`lpw x --iou`, or --restart")
    told = name_arguments(error, ["min_cameras", "cameras"], ["restart"])
    assert (told.thing, told.got, told.expected) == ("min_cameras", "iou 3", "cameras")
    assert told.hint == "`lpw x --iou`, or restart=True"


def test_a_call_without_its_arguments_is_a_type_error() -> None:
    @public_call
    def grow(fruit: Fruit) -> str:
        return fruit

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'fruit'"):
        grow()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", sorted({*lpw_toolkit.__all__}))
def test_every_public_function_is_checked(name: str) -> None:
    function = getattr(lpw_toolkit, name)
    if inspect.isfunction(function):
        assert hasattr(function, "__wrapped__")


#: Function, arguments after the dataset, and what the message says.
DATASET_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("split", ("x",), {"by": "sceen"}, "by: got sceen; .*did you mean scene?"),
    ("split", ("x",), {"protocol": "crosscamera"}, "did you mean cross_camera"),
    ("split", ("x",), {"test": "0.5"}, "test: got '0.5'; expected a number"),
    ("split", ("x",), {"seed": "a"}, "seed: got 'a'; expected a whole number"),
    ("apply_decisions", ("x",), {"unreviewed": "keeep"}, "did you mean keep"),
    ("apply_decisions", ("x",), {"conflicts": "leaveout"}, "did you mean leave-out"),
    ("apply_decisions", ("x",), {"min_cameras": 0}, "^min_cameras: got 0; .*from 1 to"),
    ("apply_decisions", ("x",), {"min_cameras": -3}, "^min_cameras: got -3"),
    ("apply_decisions", ("x",), {"min_cameras": 1.5}, "^min_cameras: got 1.5"),
    ("apply_decisions", ("x",), {"min_cameras": "2"}, "^min_cameras: got '2'"),
    ("apply_decisions", (None,), {}, "^out: got None; expected a path"),
    ("rename_dataset", ("x",), {"cameras": {"a": 3}}, "^cameras: got {'a': 3}; expected a mapping"),
    ("rename_dataset", ("x",), {"cameras": {"scen1/viw1": "a"}}, "did you mean scen1/view1"),
    ("filter_dataset", ("x",), {"cameras": "scen1/viw1"}, "^cameras: .*did you mean scen1/view1"),
    ("filter_dataset", ("x",), {"scenes": ["scn1"]}, "^scenes: .*did you mean scen1"),
    ("filter_dataset", ("x",), {"min_length": "4"}, "^min_length: got '4'"),
    ("filter_dataset", ("x",), {"min_score": 2}, "^min_score: got 2"),
    ("merge_datasets", ("x",), {}, "got 1 dataset; expected|two"),
]


@pytest.mark.parametrize(("name", "args", "settings", "said"), DATASET_CALLS)
def test_calls_on_a_dataset_are_refused_in_one_line(
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    args: tuple[Any, ...],
    settings: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refuse(getattr(lpw_toolkit, name), film, *args, **settings)
    assert re.search(said, message), message
    assert not [*tmp_path.iterdir()]


def test_one_name_is_a_list_of_one(film: Path, tmp_path: Path) -> None:
    one = lpw_toolkit.filter_dataset(film, tmp_path / "one", cameras="scen1/view1")
    assert set(one.tracklets.camera_id) == {"scen1/view1"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"query_persons": [None] * 3}, "^query_persons: got None among them"),
        ({"gallery_cameras": [1.5, 2, 3]}, "^gallery_cameras: got"),
        ({"gallery_persons": [1, 2, 3]}, "^persons: got strings for queries, integers"),
        ({"query_features": FEATURES * 1j}, "^query_features: got complex numbers"),
        ({"gallery_features": [["a"], ["b"], ["c"]]}, "^gallery_features: got no numbers"),
        ({"gallery_features": [[1.0], [1.0, 2.0], [3.0]]}, "^gallery_features: got no array"),
        ({"protocol": None}, "^protocol: got None; expected a text"),
        ({"protocol": "markt"}, "^protocol: .*did you mean market?"),
        ({"metric": "cosin"}, "^metric: .*did you mean cosine?"),
        ({"max_rank": 0}, "^max_rank: got 0"),
    ],
)
def test_evaluate_refuses_in_one_line(change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {
        **dict.fromkeys(("query_features", "gallery_features"), FEATURES),
        **dict.fromkeys(("query_persons", "gallery_persons"), LABELS),
        "query_cameras": [1, 1, 1],
        "gallery_cameras": [2, 2, 2],
    }
    assert lpw_toolkit.evaluate(**given).map == 1
    assert re.search(said, refuse(lpw_toolkit.evaluate, **given | change))


@pytest.mark.parametrize(
    ("boxes", "settings", "said"),
    [
        (pd.DataFrame({"left": [1]}), {}, "^boxes: got no column frame"),
        (None, {}, "^boxes: got NoneType"),
        (np.array([["a"] * 6]), {}, "^boxes: got no numbers"),
        (np.zeros((0, 6)), {"iou": 3}, "^iou: got 3"),
        (np.zeros((0, 6)), {"iou": "0.3"}, "^iou: got '0.3'; expected a number"),
        (np.zeros((0, 6)), {"assignment": "optimum"}, "^assignment: .*did you mean optimal?"),
        (np.zeros((0, 6)), {"preset": "papr"}, "^preset: .*did you mean paper?"),
        (np.zeros((0, 6)), {"ioo": 0.3}, "did you mean iou?"),
    ],
)
def test_link_refuses_in_one_line(boxes: Any, settings: dict[str, Any], said: str) -> None:
    assert re.search(said, refuse(lpw_toolkit.link, boxes, **settings))


@pytest.mark.parametrize(
    ("name", "args", "settings", "said"),
    [
        ("build_tracklets", (None,), {}, "^video: got None; expected a path"),
        ("build_tracklets", (".",), {"size_px": (0, 9)}, "^size_px: got 0"),
        ("build_tracklets", (".",), {"size_px": "64"}, "^size_px: got '64'; expected a list of 2"),
        ("build_tracklets", (".",), {"restart": "no"}, "^restart: .*True or False"),
        ("import_benchmark", ("prid2012", ".", "x"), {}, "did you mean prid2011?"),
        ("import_benchmark", ("prid2011", ".", "x"), {"name": 3}, "^name: got 3"),
        ("open_dataset", (3,), {}, "^root: got 3; expected a path"),
        ("merge_datasets", ([3], "x"), {}, "^datasets: "),
    ],
)
def test_makers_refuse_in_one_line(
    name: str, args: tuple[Any, ...], settings: dict[str, Any], said: str
) -> None:
    message = refuse(getattr(lpw_toolkit, name), *args, **settings)
    assert re.search(said, message), message


class TestRqen:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"n_persons": -1}, "^n_persons: got -1"),
            ({"size": (0, 32)}, "^size: got 0"),
            ({"size": 64}, "^size: got 64; expected a list of 2"),
            ({"recipe": "modrn"}, "^recipe: .*did you mean modern?"),
            ({"backbone": "resnet5O"}, "^backbone: .*did you mean"),
            ({"method": "rqn"}, "did you mean"),
        ],
    )
    def test_it_refuses_in_one_line(self, settings: dict[str, Any], said: str) -> None:
        message = refuse(rqen.RQEN, **{"weights": "random"} | settings)
        assert re.search(said, message), message

    def test_arrays_are_refused(self) -> None:
        model = rqen.RQEN("mean", weights="random", size=(32, 16))
        images = np.zeros((1, 2, 3, 32, 16), np.uint8)
        assert "got numpy.ndarray; expected a torch.Tensor" in refuse(model, images)

    def test_a_run_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        assert "got no such folder" in refuse(rqen.load, tmp_path / "nope")
        assert "got a folder without run.json" in refuse(rqen.load, tmp_path)
        assert "run: got None; expected a path" in refuse(rqen.load, None)
