"""Sources: scene and camera by path, layout or table; odd names; two videos that claim one
camera."""

import os
import subprocess
import sys
from pathlib import Path

import media
import pytest
from media import Recipe

from lpw_toolkit.errors import LpwError
from lpw_toolkit.video.source_names import IdMaker, printable
from lpw_toolkit.video.sources import SUFFIXES, SourceList, find_sources, locate_videos


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def named(found: SourceList) -> list[tuple[str, str | None, str]]:
    return [(s.relative, s.scene_id, s.camera_id) for s in found.sources]


@pytest.mark.parametrize(
    ("name", "scene", "camera", "part"),
    [
        ("scen1/view2.mp4", "scen1", "scen1/view2", ""),
        ("scen1/view2/part3.mp4", "scen1", "scen1/view2", "part3"),
        ("scen1_view2.avi", "scen1", "scen1/view2", ""),
        ("scene1_view2_b.mov", "scene1", "scene1/view2", "b"),
        ("Scene-01/Cam 3.MKV", "Scene-01", "Scene-01/Cam_3", ""),
        ("monday/scen2/camera10.ts", "scen2", "scen2/camera10", "monday"),
        ("street/north.mp4", "street", "street/north", ""),
        ("a/b/north.mp4", "a_b", "a_b/north", ""),
        ("north.mp4", "videos", "videos/north", ""),
        ("obscene1_view2.mp4", "videos", "videos/obscene1_view2", ""),
    ],
)
def test_names_by_path(tmp_path: Path, name: str, scene: str, camera: str, part: str) -> None:
    found = find_sources(make(tmp_path / "videos", name))
    source = found.sources[0]
    assert (source.scene_id, source.camera_id, source.part) == (scene, camera, part)
    assert source.relative == name
    assert len(found.naming) == 1
    assert ("its own camera" in found.naming[0]) == (source.named_by == "own camera")


def test_root_or_parent_may_be_the_scene(tmp_path: Path) -> None:
    root = make(tmp_path / "scen4", "view1.mp4", "view2.mp4")
    assert named(find_sources(root)) == [
        ("view1.mp4", "scen4", "scen4/view1"),
        ("view2.mp4", "scen4", "scen4/view2"),
    ]
    assert named(find_sources(root / "view2.mp4")) == [("view2.mp4", "scen4", "scen4/view2")]


def test_every_suffix_in_natural_order_and_nothing_else(tmp_path: Path) -> None:
    make(
        tmp_path, *(f"v{i}{s}" for i, s in enumerate(SUFFIXES)), "notes.txt", ".hidden.mp4", "v.jpg"
    )
    found = find_sources(tmp_path)
    assert [s.relative for s in found.sources] == [f"v{i}{s}" for i, s in enumerate(SUFFIXES)]
    assert found.skipped == ()


def test_sequences_and_folders_of_sequences(tmp_path: Path) -> None:
    for name in ("A-2", "A-10"):
        media.write_sequence(tmp_path / "mot" / name, [1])
    found = find_sources(tmp_path / "mot")
    assert named(found) == [("A-2", "mot", "mot/A-2"), ("A-10", "mot", "mot/A-10")]
    alone = find_sources(tmp_path / "mot" / "A-2").sources[0]
    assert (alone.relative, alone.camera_id, alone.video_id) == ("A-2", "mot/A-2", "A-2")


def test_parts_of_a_camera_follow_each_other(tmp_path: Path) -> None:
    make(tmp_path, *(f"scen1/view2/part{i}.mp4" for i in (10, 9, 1)))
    found = find_sources(tmp_path)
    assert [s.part for s in found.sources] == ["part1", "part9", "part10"]
    assert {s.camera_id for s in found.sources} == {"scen1/view2"}
    assert "2 videos continue a camera" in found.naming[1]


@pytest.mark.parametrize(
    "names",
    [
        ("a/view1.mp4", "a/view1.avi"),
        ("scen1/view2.mp4", "scen1_view2.avi"),
        ("scen1/view2.mp4", "scen1/view2/part1.mp4"),
        ("scen1/view2/b.mp4", "scen1/view2_B.mp4"),
    ],
)
def test_two_videos_for_one_camera_at_one_time(tmp_path: Path, names: tuple[str, str]) -> None:
    make(tmp_path, *names)
    with pytest.raises(LpwError) as caught:
        find_sources(tmp_path)
    for words in (*names, "at one time", "scen1/view2.mp4", "--layout", "cameras.csv"):
        assert words in str(caught.value)


def test_layout(tmp_path: Path) -> None:
    make(tmp_path, "market/east_mon.mp4", "market/east_tue.mp4", "port/west_mon.mp4")
    found = find_sources(tmp_path, layout="{scene}/{camera}_{date}.mp4")
    assert [(s.scene_id, s.camera_id, s.part) for s in found.sources] == [
        ("market", "market/east", "mon"),
        ("market", "market/east", "tue"),
        ("port", "port/west", "mon"),
    ]
    without = find_sources(tmp_path, layout="{place}/{camera}_{date}.mp4").sources[0]
    assert (without.scene_id, without.camera_id) == (None, "east")


def test_layout_that_does_not_fit_names_the_first_file(tmp_path: Path) -> None:
    make(tmp_path, "market/east_mon.mp4", "market/odd.mp4", "port/odd.mp4")
    with pytest.raises(LpwError, match=r"market/odd\.mp4"):
        find_sources(tmp_path, layout="{scene}/{camera}_{date}.mp4")


@pytest.mark.parametrize(
    "layout",
    ["{scene}.mp4", "{camera}{camera}.mp4", "{camera.mp4", "{camera}/{}.mp4", "{camera}/{a b}"],
)
def test_layout_that_is_none(tmp_path: Path, layout: str) -> None:
    make(tmp_path, "a.mp4")
    with pytest.raises(LpwError, match=r"\{camera\} among them"):
        find_sources(tmp_path, layout=layout)


def write_table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cameras.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_cameras_table(tmp_path: Path) -> None:
    root = make(tmp_path / "v", "x.mp4", "y.mp4", "d/ü.mp4", "left.mp4")
    table = write_table(
        tmp_path, "\ufeffpath,scene,camera\nd/ü.mp4,plaza,north\n./x.mp4,plaza,south\ny.mp4,,free\n"
    )
    found = find_sources(root, cameras_csv=table)
    assert named(found) == [
        ("d/ü.mp4", "plaza", "plaza/north"),
        ("x.mp4", "plaza", "plaza/south"),
        ("y.mp4", None, "free"),
    ]
    assert found.skipped == ()
    assert found.naming[-1] == "left out, since cameras.csv does not list them: left.mp4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,scene\nx.mp4,a\n", "line 1.*missing: .'camera'."),
        ("path,scene,camera,lens\nx.mp4,a,b,c\n", "line 1.*unknown: .'lens'."),
        ("path,scene,camera\nx.mp4,a,b\nx.mp4,a,c\n", "line 3.*already in line 2"),
        ("path,scene,camera\nx.mp4,a,b\nno.mp4,a,c\n", "line 3.*'no.mp4', which is no video found"),
        ("path,scene,camera\n../v/x.mp4,a,b\n", "line 2.*no video found"),
        ("path,scene,camera\nx.mp4,a\n", "line 2: got 2 cells"),
        ("path,scene,camera\nx.mp4,a,\n", "line 2: got no camera"),
        ("path,scene,camera,start_s\nx.mp4,a,b,soon\n", "line 2: got start_s 'soon'"),
        ('path,scene,camera\n"x.mp4,a,b\n', "line 2.*end of data"),
        ("", "an empty file"),
        ("path,scene,camera\n", "no rows"),
    ],
)
def test_cameras_table_at_fault(tmp_path: Path, text: str, words: str) -> None:
    root = make(tmp_path / "v", "x.mp4", "y.mp4")
    with pytest.raises(LpwError, match=words):
        find_sources(root, cameras_csv=write_table(tmp_path, text))


def test_start_times_decide(tmp_path: Path) -> None:
    root = tmp_path / "v"
    root.mkdir()
    for name in ("x.mp4", "y.mp4"):
        media.write_video(root / name, Recipe(pts=range(50)))
    rows = "path,scene,camera,start_s\nx.mp4,a,b,100\ny.mp4,a,b,{}\n"
    found = find_sources(root, cameras_csv=write_table(tmp_path, rows.format(102)))
    assert [s.start_s for s in found.sources] == [100, 102]
    for start in ("100", "100.5"):
        with pytest.raises(LpwError, match="at one time"):
            find_sources(root, cameras_csv=write_table(tmp_path, rows.format(start)))
    with pytest.raises(LpwError, match="no start_s"):
        find_sources(root, cameras_csv=write_table(tmp_path, rows.format("")))


def test_layout_and_table_together(tmp_path: Path) -> None:
    with pytest.raises(LpwError, match="both"):
        find_sources(tmp_path, layout="{camera}.mp4", cameras_csv=tmp_path / "cameras.csv")


def test_folder_without_video_lists_the_suffixes(tmp_path: Path) -> None:
    make(tmp_path, "readme.txt")
    with pytest.raises(
        LpwError, match=r"no video \(found 1 \.txt: readme\.txt\); expected .*\.mp4 \.mkv .*img1/"
    ):
        find_sources(tmp_path)
    with pytest.raises(LpwError, match="no such file"):
        find_sources(tmp_path / "nowhere")
    with pytest.raises(LpwError, match=r"the suffix \.txt"):
        find_sources(tmp_path / "readme.txt")


def test_loops_pipes_and_broken_links_are_named(tmp_path: Path) -> None:
    make(tmp_path, "good.mp4", "real/inner.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.mp4").symlink_to("self.mp4")
    (tmp_path / "broken.mkv").symlink_to("nothing")
    (tmp_path / "alias.mp4").symlink_to("good.mp4")
    found = find_sources(tmp_path)
    assert [s.relative for s in found.sources] == ["alias.mp4", "good.mp4", "real/inner.mp4"]
    assert dict(found.skipped) == {
        "broken.mkv": "no such file or directory",
        "loop": "a link to a folder, which is not followed",
        "pipe.mp4": "no regular file",
        "self.mp4": "too many levels of symbolic links",
    }


@pytest.mark.parametrize("named", ["link", "link/b", "link/b/c"])
def test_a_root_may_be_named_by_way_of_links(named: str, tmp_path: Path) -> None:
    make(tmp_path / "real", "b/c/one.mp4", "b/c/seq/img1/000001.jpg", "b/two.mp4")
    (tmp_path / "link").symlink_to("real")
    real = find_sources(tmp_path / named.replace("link", "real"))
    found = find_sources(tmp_path / named)
    assert [s.relative for s in found.sources] == [s.relative for s in real.sources]
    assert found.skipped == ()
    places = locate_videos(tmp_path / named)
    assert places == locate_videos(tmp_path / named.replace("link", "real"))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root to be refused")
def test_unreadable_folder_is_named(tmp_path: Path) -> None:
    make(tmp_path, "good.mp4", "secret/hidden.mp4")
    (tmp_path / "secret").chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
        if folder == Path("/tmp"):
            break
    code = (
        "import os, sys; from pathlib import Path; from lpw_toolkit.video.sources import "
        "find_sources; os.setuid(65534); "
        "f = find_sources(Path(sys.argv[1])); print(len(f.sources), f.skipped)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "1 (('secret', 'permission denied'),)", done.stderr


ODD = [
    b"new\nline.mp4",
    b"\xff\xfe.mp4",
    b"-rf.mp4",
    b"a b.mp4",
    "日本 ü.mp4".encode(),
    b"x" * 251 + b".mp4",
    b"%03d.mp4",
]


def test_odd_names_give_safe_unique_ids(tmp_path: Path) -> None:
    for name in ODD:
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    found = find_sources(tmp_path)
    assert len(found.sources) == len(ODD)
    for source in found.sources:
        for text in (source.video_id, source.camera_id.split("/")[1]):
            assert text.encode()
            assert text.isprintable()
            assert not set(text) & set('/\\:*?"<>| \n%')
            assert not text.startswith(("-", "."))
            assert len(text.encode()) <= 89
        assert "\n" not in source.relative
        assert source.path.is_file()
    assert len({s.video_id for s in found.sources}) == len(ODD)


def test_ids_that_differ_only_in_case_or_unicode_form_are_made_distinct(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a/é.mp4",
        "a/e\u0301.mp4",
        "a/North.mp4",
        "a/north.mp4",
        "a_north.mp4",
        "b c.mp4",
        "b_c.mp4",
    )
    found = find_sources(tmp_path)
    ids = [s.video_id.casefold() for s in found.sources]
    assert len(set(ids)) == len(ids) == 7
    assert len({s.camera_id.casefold() for s in found.sources}) == 7


def test_id_maker_is_stable() -> None:
    ids = IdMaker("video")
    assert ids.make("a b") == ids.make("a b") == "a_b"
    assert ids.make("a_b").startswith("a_b-")
    assert ids.make("///") == "___"
    assert ids.make("--") == "video"
    assert ids.make("a_b", within="elsewhere") == "a_b"
    assert printable("a\x1b[0m\udcff") == "a\\x1b[0m\\xff"


def test_reversed_listing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "scen1/view10.mp4", "scen1/view2.mp4", "B/x.mp4", "b/x.mp4", "b/X.mp4", "ü.mp4")
    first = find_sources(tmp_path)
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: sorted(listdir(folder), reverse=True))
    assert find_sources(tmp_path) == first


@pytest.mark.realdata
def test_real_folder(shared_data: Path) -> None:
    found = find_sources(shared_data / "video")
    assert [s.camera_id for s in found.sources] == [
        "adl-rundle-6/ADL-Rundle-6",
        "pets09-s2l1/vtest",
        "street-walk/one-by-one-person-detection",
        "tud-stadtmitte/TUD-Stadtmitte",
    ]
