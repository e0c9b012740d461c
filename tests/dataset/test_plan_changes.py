"""What changed between two plans is named: videos that came or went, settings by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from lpw_toolkit.dataset.plan_changes import compare_plans
from lpw_toolkit.dataset.workspace import Workspace
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.writing import atomic_write_text

PLAN = {
    "settings": {"link": {"iou": 0.3, "min_length": 10}, "crop": {"size_px": [256, 128]}},
    "sources": [["a", "a.mp4", "a"], ["b", "b.mp4", "b"]],
    "parent": None,
    "notes": {"name": None, "licence": "CC0"},
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sources": [*PLAN["sources"], ["c", "c.mp4", "c"]]}, "a video was added: c.mp4"),
        ({"sources": []}, "2 videos are missing: a.mp4, b.mp4"),
        (
            {"sources": [["a", "a.mp4", "x"], ["c", "c.mp4", "c"]]},
            "a video was added: c.mp4; a video is missing: b.mp4; the camera of a.mp4 was a, is x",
        ),
        (
            {"settings": {"link": {"iou": 0.5, "min_length": 10}, "crop": {"size_px": "native"}}},
            "crop.size_px was [256, 128], is native, link.iou was 0.3, is 0.5",
        ),
        ({"notes": {"name": "x" * 40, "licence": None}},
         f"notes.licence was CC0, is not set, notes.name was not set, is {'x' * 23}…"),
    ],
)  # fmt: skip
def test_changes_are_told_by_name(changes: dict[str, Any], told: str) -> None:
    assert str(compare_plans(PLAN, PLAN | changes)) == told


def finished(out: Path) -> None:
    with Workspace(out) as work:
        work.hold_plan(PLAN)
    atomic_write_text(out / "dataset.json", "{}")


def test_an_added_video_is_told_as_such(tmp_path: Path) -> None:
    finished(tmp_path / "out")
    more = PLAN | {"sources": [*PLAN["sources"], ["c", "c.mp4", "c"]]}
    with Workspace(tmp_path / "out") as work, pytest.raises(LpwError) as caught:
        work.hold_plan(more)
    assert caught.value.got == ("a finished dataset with other videos (a video was added: c.mp4)")
    assert "--add-to" in caught.value.hint


def test_a_plan_of_older_names_differs_only_where_it_does(tmp_path: Path) -> None:
    old = PLAN | {"settings": {"link": {"old_name": 0.3, "min_length": 10}}}
    new = PLAN | {"settings": {"link": {"iou": 0.3, "min_length": 5}}}
    former = PLAN | {"settings": {"link": {"old_name": 0.3, "min_length": 5}}}
    with Workspace(tmp_path / "out") as work:
        work.hold_plan(old)
    with Workspace(tmp_path / "out") as work, pytest.raises(LpwError) as caught:
        work.hold_plan(new, former)
    assert caught.value.got == (
        "an unfinished build with other settings (link.min_length was 10, is 5)"
    )


def test_a_dataset_from_elsewhere_has_no_plan(tmp_path: Path) -> None:
    finished(tmp_path / "out")
    (tmp_path / "out/.lpw/plan.json").unlink()
    with Workspace(tmp_path / "out") as work, pytest.raises(LpwError, match="without a record"):
        work.hold_plan(PLAN)


@pytest.mark.parametrize("text", ["[]", "{", '{"sources": 3, "settings": []}'])
def test_a_damaged_plan_is_told(tmp_path: Path, text: str) -> None:
    finished(tmp_path / "out")
    (tmp_path / "out/.lpw/plan.json").write_text(text)
    with Workspace(tmp_path / "out") as work, pytest.raises(LpwError) as caught:
        work.hold_plan(json.loads(json.dumps(PLAN)))
    damaged = text != '{"sources": 3, "settings": []}'
    assert caught.value.got.startswith("a damaged" if damaged else "a finished dataset with other")
