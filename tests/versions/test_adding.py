"""`lpw build-tracklets --add-to`: a second film; what is there stays, byte for byte."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lpw_cli.build_tracklets import command
from make_decisions import Asker
from street import LINK, OPTIONS, build_config, digest_tree, make_street

import lpw_toolkit
from lpw_toolkit.build.adding import GivenSettings, keep_detector
from lpw_toolkit.build.assembly import Notes
from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.cleaned import CleanOptions, write_cleaned
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.dataset import close_dataset, open_dataset
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.dataset.output_folder import name_next_version
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.appending import Appender
from lpw_toolkit.versions.adding import AddConfig, add_videos
from lpw_toolkit.versions.filtering import FilterConfig, FilterRules, filter_dataset


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with two cameras, and in `first` the videos of the first scene alone."""
    folder = make_street(tmp_path_factory.mktemp("street"))
    for part in ("video", "detections"):
        shutil.copytree(folder / part / "scen1", folder / f"first-{part}" / "scen1")
    return folder


def first_film(street: Path, out: Path) -> Path:
    config = build_config(street, out)
    options = replace(config.options, boxes=street / "first-detections")
    build_tracklets(replace(config, root=street / "first-video", options=options))
    return out


@pytest.fixture(scope="module")
def base(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return first_film(street, tmp_path_factory.mktemp("base") / "street")


def add(street: Path, base: Path, out: Path, root: Path | None = None) -> AddConfig:
    given = GivenSettings(detection={"boxes": street / "detections"}, segment_frames=16)
    return AddConfig(base, BuildConfig(root or street / "video", out), given)


@pytest.fixture(scope="module")
def both(street: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("both") / "street-2"
    add_videos(add(street, base, out))
    return out


def test_what_is_there_stays_and_what_is_new_is_as_in_one_build(
    street: Path, base: Path, both: Path, tmp_path: Path
) -> None:
    assert check_dataset(both).problems == []
    build_tracklets(build_config(street, tmp_path / "whole"))
    whole, made = digest_tree(tmp_path / "whole"), digest_tree(both)
    old = digest_tree(base)
    keyed = {name for name in old if name.startswith(("detections/", "timeline/"))}
    # whose metadata names the boxes that they were read from
    assert {n for n in whole if whole[n] != made.get(n)} == {"dataset.json", *keyed}
    assert made.keys() == whole.keys()
    tables = {"dataset.json", "frames.parquet", "tracklets.parquet"}
    assert all(made[name] == sha256 for name, sha256 in old.items() if name not in tables)


def test_it_names_its_parent_and_what_was_added(base: Path, both: Path) -> None:
    parent, made = open_dataset(base), open_dataset(both)
    assert [one.is_dataset(parent.manifest) for one in parents_of(made.manifest)] == [True]
    assert made.name == "street-2"
    assert made.manifest["settings"]["add"]["videos"] == ["scen2_view1", "scen2_view2"]
    assert [entry["path"] for entry in made.manifest["sources"]] == [
        f"scen{s}/view{v}.mp4" for s in (1, 2) for v in (1, 2)
    ]
    own = {key: value for key, value in made.manifest["settings"].items() if key != "add"}
    assert own == parent.manifest["settings"]


def test_the_new_version_has_a_name_by_itself(street: Path, base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "street")
    config = add(street, tmp_path / "street", name_next_version(tmp_path / "street"))
    result = add_videos(config)
    assert result.dataset.root == tmp_path / "street-2"
    assert name_next_version(Path("a/street-9")) == Path("a/street-10")
    again = add_videos(config)
    n = result.dataset.tracklets.num_rows - open_dataset(base).tracklets.num_rows
    assert any(f"added to street: {n} tracklets" in line for line in result.remarks)
    assert again.remarks == ["complete already: nothing to do", *result.remarks]


def test_numbers_go_on_in_a_camera_and_never_come_back(
    street: Path, base: Path, tmp_path: Path
) -> None:
    """A second recording of scen1/view1, after the longest tracklets were filtered out."""
    tracklets = open_dataset(base).tracklets.to_pylist()
    names = [t["tracklet_id"] for t in tracklets if t["camera_id"] == "scen1/view1"]
    last = max(t["n_frames"] for t in tracklets if t["tracklet_id"] == names[-1])
    few = filter_dataset(
        FilterConfig(base, tmp_path / "few", FilterRules(max_length=last - 1))
    ).dataset
    assert names[-1] not in few.tracklets["tracklet_id"].to_pylist()
    for part, suffix in (("video", ".mp4"), ("detections", ".txt")):
        found = next((street / part / "scen2").glob(f"view1{suffix}"))
        (tmp_path / part / "scen1" / "view1").mkdir(parents=True)
        shutil.copy(found, tmp_path / part / "scen1" / "view1" / f"part2{suffix}")
    given = GivenSettings(detection={"boxes": tmp_path / "detections"})
    lines: list[str] = []
    build = BuildConfig(tmp_path / "video", tmp_path / "more")
    result = add_videos(AddConfig(few.root, build, given), lines.append)
    assert "new: scen1/view1/part2.mp4, goes on with camera scen1/view1" in lines
    assert "not here, and kept as they are in few: scen1/view1.mp4, scen1/view2.mp4" in lines
    new = {*result.dataset.tracklets["tracklet_id"].to_pylist()} - {
        *few.tracklets["tracklet_id"].to_pylist()
    }
    assert min(new) == f"scen1/view1/{len(names) + 1:06d}"
    assert check_dataset(result.dataset.root).problems == []


def test_a_killed_addition_resumes_to_the_same_bytes(
    street: Path, base: Path, both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = add(street, base, tmp_path / "street-2")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpw_toolkit.build.assembly.close_dataset", fail)
        with pytest.raises(KeyboardInterrupt):
            add_videos(config)
    (tmp_path / "street-2/images/left-over.jpg").write_bytes(b"x")
    monkeypatch.setattr("lpw_toolkit.build.crop_stage.CropWriter.write_crop", fail)
    add_videos(config)
    assert digest_tree(tmp_path / "street-2") == digest_tree(both)


def test_decisions_hold_and_the_cleaned_dataset_has_them(
    street: Path, base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "street")
    dataset = open_dataset(tmp_path / "street")
    names = dataset.tracklets["tracklet_id"].to_pylist()
    one = next(name for name in names if name.startswith("scen1/view1"))
    other = next(name for name in names if name.startswith("scen1/view2"))
    ask = Asker()
    with open_review(dataset, "anna") as review:
        review.decide(ask("link", one, other))
        review.decide(ask("accept", one, other))
    result = add_videos(add(street, dataset.root, tmp_path / "street-2"))
    assert "2 of 2 decisions on street carry over" in result.remarks
    made = result.dataset
    state, union = apply(read_base(made), read_union(made)), read_union(made)
    cleaned = write_cleaned(made, state, union, tmp_path / "clean", CleanOptions()).dataset
    assert cleaned.tracklets["tracklet_id"].to_pylist() == [one, other]
    held = Appender(made.root / "cleanup" / "anna.jsonl")  # a reviewer is at work: nothing to add
    assert add_videos(add(street, dataset.root, tmp_path / "street-2")).remarks[0] == (
        "complete already: nothing to do"
    )
    held.close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"link": {"min_length": 5}}, "link.min_length was 4, is 5"),
        ({"crop": {"size_px": None}}, r"crop.size_px was \[256, 128\], is native"),
        ({"preset": "low-cost"}, "link.iou was 0.3, is 0.35"),
        ({"detector": "onnx"}, "detector was boxes, is onnx"),
        ({"detection": {"min_score": 0.5}}, "detect.min_score was -1.0, is 0.5"),
        ({"detection": {"box_scores": "percent"}}, "detect.box_scores was fraction, is percent"),
    ],
)
def test_other_settings_are_refused_by_name(
    street: Path, base: Path, tmp_path: Path, given: dict[str, Any], told: str
) -> None:
    config = add(street, base, tmp_path / "out")
    given = given | {"detection": {**config.given.detection, **given.get("detection", {})}}
    with pytest.raises(LpwError, match=f"other settings than street has .*{told}"):
        add_videos(replace(config, given=replace(config.given, **given)))
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_the_same_settings_may_be_said_again(street: Path, base: Path, tmp_path: Path) -> None:
    config = add(street, base, tmp_path / "out")
    given = replace(
        config.given, link={"min_length": LINK.min_length}, notes=Notes("two", "CC0", None)
    )
    made = add_videos(replace(config, given=given)).dataset
    assert (made.name, made.manifest["licence"]) == ("two", "CC0")


def test_changed_and_renamed_films_and_nothing_new_are_told(
    street: Path, base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    films = tmp_path / "films"
    shutil.copytree(street / "first-video", films)
    with pytest.raises(LpwError, match="no video that street lacks"):
        add_videos(add(street, base, out, root=films))
    shutil.copy(films / "scen1/view1.mp4", films / "scen1/view3.mp4")
    with pytest.raises(LpwError, match=r"scen1/view3.mp4 is scen1/view1.mp4"):
        add_videos(add(street, base, out, root=films))
    shutil.copy(street / "video/scen2/view1.mp4", films / "scen1/view1.mp4")
    with pytest.raises(MismatchError, match=r"scen1/view1.mp4: got a video that has changed"):
        add_videos(add(street, base, out, root=films))


def test_only_a_dataset_that_was_built_can_grow(street: Path, base: Path, tmp_path: Path) -> None:
    dataset = open_dataset(base)
    union = read_union(dataset)
    options = CleanOptions(unreviewed="keep", min_cameras=1)
    state = apply(read_base(dataset), union)
    cleaned = write_cleaned(dataset, state, union, tmp_path / "clean", options).dataset
    with pytest.raises(LpwError, match=r"a cleaned dataset; expected .*was reviewed"):
        add_videos(add(street, cleaned.root, tmp_path / "out"))


def test_the_command_says_what_to_do_and_does_it(street: Path, base: Path, tmp_path: Path) -> None:
    """First `a video was added`, then `--add-to`."""
    out = tmp_path / "street"
    films = tmp_path / "films"
    shutil.copytree(street / "first-video", films)
    boxes = ["--boxes", str(street / "detections")]
    arguments = [str(films), *boxes, "--out", str(out), *OPTIONS]
    run = CliRunner()
    assert run.invoke(command, arguments, catch_exceptions=False).exit_code == 0
    shutil.copytree(street / "video/scen2", films / "scen2")
    with pytest.raises(LpwError) as caught:
        run.invoke(command, arguments, catch_exceptions=False)
    assert caught.value.got == (
        "a finished dataset with other videos (2 videos were added: scen2/view1.mp4, "
        "scen2/view2.mp4)"
    )
    assert f"--add-to {out}" in caught.value.hint
    more = [str(films), *boxes, "--no-cache", "--add-to", str(out), "--json"]
    shown = run.invoke(command, more, catch_exceptions=False)
    assert json.loads(shown.stdout)["dataset"] == str(tmp_path / "street-2")
    assert open_dataset(tmp_path / "street-2").manifest["counts"]["n_cameras"] == 4
    with pytest.raises(LpwError, match=r"crop.size_px was \[256, 128\], is \[64, 32\]"):
        run.invoke(command, [*more, "--size", "64x32"], catch_exceptions=False)


def test_the_function_adds_too(street: Path, base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "street")
    boxes, old = street / "detections", tmp_path / "street"
    made = lpw_toolkit.build_tracklets(
        street / "video", boxes=boxes, add_to=old, min_length=4, licence="CC0"
    )
    assert (made.name, len({*made.tracklets.camera_id})) == ("street-2", 4)
    with pytest.raises(LpwError, match=r"link\.min_length was 4, is 9"):
        lpw_toolkit.build_tracklets(street / "video", boxes=boxes, add_to=old, min_length=9)
    with pytest.raises(LpwError, match=r"detect\.min_score was -1\.0, is 0\.3"):
        lpw_toolkit.build_tracklets(street / "video", boxes=boxes, add_to=old, conf=0.3)


def test_a_recorded_detector_opens_again_but_no_file_of_the_datasets_choice(base: Path) -> None:
    dataset = open_dataset(base)
    detect: dict[str, Any] = {"name": "onnx", "weights": "nano.onnx", "weights_sha256": "0" * 64,
                              "threads": 3, "min_score": 0.4, "nms_iou": 0.6,
                              "runtime": "openvino"}  # fmt: skip
    stored = dataset.manifest["settings"]

    def keep(**given: Any) -> tuple[str, DetectorOptions]:
        manifest = dataset.manifest | {"settings": stored | {"detect": detect}}
        return keep_detector(replace(dataset, manifest=manifest), GivenSettings(**given))

    own = DetectorOptions(
        weights="nano.onnx", threads=3, min_score=0.4, nms_iou=0.6, runtime="openvino"
    )
    assert keep() == ("onnx", own)
    assert keep(detection={"weights": "a/b.onnx"}) == ("onnx", replace(own, weights="a/b.onnx"))
    for place in ("/etc/evil.onnx", "../evil.onnx", "a/evil.onnx", 5, ["a.onnx"]):
        detect["weights"] = place
        assert keep()[1].weights is None
    detect |= {"name": "boxes"}
    with pytest.raises(LpwError, match="no boxes of the new videos"):
        keep()


@pytest.mark.parametrize(
    "odd",
    [
        {"link": {"no_such": 1}},
        {"link": {"iou": "x"}},
        {"crop": {"size_px": "x"}},
        {"crop": {"size_px": [1, 2, 3]}},
        {"crop": {"size_px": ["a", "b"]}},
        {"crop": {"no_such": 1, "size_px": "native"}},
        {"detect": {"name": "no_such"}},
        {"detect": {"name": "boxes", "min_score": "x"}},
        {"detect": {"name": "boxes", "box_scores": ["x"]}},
        {"detect": []},
    ],
)
def test_odd_records_of_settings_are_told(
    street: Path, base: Path, tmp_path: Path, odd: dict[str, Any]
) -> None:
    shutil.copytree(base, tmp_path / "street")
    dataset = open_dataset(tmp_path / "street")
    kept = ("name", "parent", "sources", "licence", "consent")
    facts = {key: dataset.manifest[key] for key in kept}
    close_dataset(dataset.root, facts | {"settings": dataset.manifest["settings"] | odd})
    with pytest.raises(LpwError):
        add_videos(add(street, dataset.root, tmp_path / "out"))
