"""Tracks and ground truth in one numbering of frames, or a refusal with both ranges."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lpw_cli.main import main
from make_dataset import make_dataset

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.mot_text import BoxRows, MotForm, read_boxes
from lpw_toolkit.dataset.video_boxes import iter_sequences
from lpw_toolkit.errors import LpwError
from lpw_toolkit.truth.cleanup_cost import CleanupCosts
from lpw_toolkit.truth.score import score_against

PRICES = CleanupCosts()


def write(
    path: Path, first: int, n: int = 40, ids: tuple[int, ...] = (1, 2), **columns: str
) -> Path:
    """Two walkers in `n` frames that count from `first`; `columns` by id in place of the last
    ones."""
    path.write_text(
        "".join(
            f"{first + t},{i},{20 + 4 * t},{200 * i},48,120,{columns.get(f'_{i}', '1,-1,-1,-1')}\n"
            for t in range(n)
            for i in ids
        )
    )
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["score-tracklets", *map(str, arguments)])


def idf1(tracks: Path, truth: Path, **settings: object) -> float:
    return float(score_against(tracks, truth, prices=PRICES, **settings)["all"]["IDF1"])


def test_texts_that_count_alike(tmp_path: Path) -> None:
    for first in (0, 1, 1000):
        tracks = write(tmp_path / "t.txt", first)
        assert idf1(tracks, write(tmp_path / "gt.txt", first)) == 1.0


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1000), (1000, 1), (0, 1), (1, 0)])
def test_texts_that_count_otherwise_are_refused_with_both_ranges(
    tmp_path: Path, ours: int, theirs: int
) -> None:
    tracks, truth = write(tmp_path / "t.txt", ours), write(tmp_path / "gt.txt", theirs)
    with pytest.raises(
        LpwError,
        match=rf"t\.txt: got frames {ours} to {ours + 39}; expected the numbering of "
        rf".*gt\.txt, frames {theirs} to {theirs + 39}; say with --first-frame and --tracks-first",
    ):
        idf1(tracks, truth)
    form = MotForm(first_frame=theirs)
    assert idf1(tracks, truth, form=form, tracks_first_frame=ours) == 1.0


def test_the_command_takes_both_numbers(tmp_path: Path) -> None:
    tracks, truth = write(tmp_path / "t.txt", 0), write(tmp_path / "gt.txt", 1)
    assert run(tracks, "--truth", truth).exit_code != 0
    done = run(tracks, "--truth", truth, "--first-frame", 1, "--tracks-first-frame", 0, "--json")
    assert json.loads(done.stdout)["all"]["IDF1"] == 1.0


def test_a_bad_row_of_truth_is_named(tmp_path: Path) -> None:
    tracks, truth = write(tmp_path / "t.txt", 1), write(tmp_path / "gt.txt", 1)
    truth.write_text(truth.read_text() + "41,1,nan,1,10,20,1,-1,-1,-1\n")
    done = run(tracks, "--truth", truth)
    assert done.exit_code == 0
    assert "gt.txt: 1 of 81 rows left out (line 81 (frame 41): left 'nan'" in done.stderr
    strict = run(tracks, "--truth", truth, "--strict")
    assert isinstance(strict.exception, LpwError)


def test_cars_are_no_persons(tmp_path: Path) -> None:
    """As TrackEval scores the same files as MOT17: MOTA 0, IDF1 66.7, HOTA 70.7."""
    tracks = write(tmp_path / "t.txt", 1)
    truth = write(tmp_path / "gt.txt", 1, _1="1,1,0.8", _2="1,3,0.8")
    found = score_against(tracks, truth, prices=PRICES)["all"]
    assert round(100 * found["MOTA"], 1) == 0.0
    assert round(100 * found["IDF1"], 1) == 66.7
    assert round(100 * found["HOTA"], 1) == 70.7
    assert idf1(tracks, truth, form=MotForm(classes=())) == 1.0
    assert idf1(tracks, truth, form=MotForm(classes=(1, 3))) == 1.0


@pytest.mark.parametrize("empty", ["tracks", "truth", "both"])
def test_empty_texts(tmp_path: Path, empty: str) -> None:
    tracks, truth = write(tmp_path / "t.txt", 1), write(tmp_path / "gt.txt", 1)
    for path in {"tracks": [tracks], "truth": [truth], "both": [tracks, truth]}[empty]:
        path.write_text("")
    found = score_against(tracks, truth, prices=PRICES)["all"]
    assert (found["n_kept"], found["IDF1"]) == (0, 0.0)


class TestDataset:
    """Truth beside a dataset: the timeline says which frames the video has."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return make_dataset(tmp_path / "set", n_tracklets=4).root

    def write_truth(self, folder: Path, truth: Path, shift: int) -> Path:
        truth.mkdir()
        for found in iter_sequences(open_dataset(folder)):
            rows = zip(found.frame_index, found.tracklet, found.boxes.tolist(), strict=True)
            path = truth / f"{found.video_id}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                "".join(
                    f"{f + shift},{t},{x1},{y1},{x2 - x1},{y2 - y1},1\n"
                    for f, t, (x1, y1, x2, y2) in rows
                )
            )
        return truth

    def test_truth_in_the_videos_numbering(self, folder: Path, tmp_path: Path) -> None:
        for shift in (1, 1000):
            truth = self.write_truth(folder, tmp_path / f"truth{shift}", shift)
            assert idf1(folder, truth, form=MotForm(first_frame=shift)) == 1.0

    def test_truth_of_other_frames(self, folder: Path, tmp_path: Path) -> None:
        truth = self.write_truth(folder, tmp_path / "truth", 1000)
        with pytest.raises(
            LpwError, match=r"got frames 1000 to 1\d+; expected frames 1 to \d+, wh"
        ):
            idf1(folder, truth)

    def test_truth_that_goes_on_after_the_end(self, folder: Path, tmp_path: Path) -> None:
        truth, said = self.write_truth(folder, tmp_path / "truth", 1), []
        first = sorted(truth.rglob("*.txt"))[0]
        first.write_text(first.read_text() + "5000,77,1,1,10,20,1\n")
        score_against(folder, truth, prices=PRICES, log=said.append)
        assert len(said) == 1
        assert "boxes lie in frames that the video does not have (frames 5000 to 5000;" in said[0]

    def test_tracks_first_frame_is_for_texts(self, folder: Path, tmp_path: Path) -> None:
        truth = self.write_truth(folder, tmp_path / "truth", 1)
        with pytest.raises(LpwError, match="--tracks-first-frame: got a dataset"):
            idf1(folder, truth, tracks_first_frame=0)


def test_selected_rows_keep_the_numbering(tmp_path: Path) -> None:
    rows: BoxRows = read_boxes(write(tmp_path / "t.txt", 0))
    assert rows.select(rows.track == 2).first_frame == 0
