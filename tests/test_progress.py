"""Progress: nothing for short work, plain lines elsewhere than on a terminal, JSON for machines."""

import json
from collections.abc import Iterator

import pytest

from lpw_toolkit import progress
from lpw_toolkit.progress import set_style, show_progress


@pytest.fixture(autouse=True)
def restore_style() -> Iterator[None]:
    yield
    set_style("auto")


class Clock:
    """A monotonic clock that a test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    progress.set_style("auto")  # a command that another test called may have chosen JSON
    return clock


def work(clock: Clock, n_steps: int, step_s: float, total: int | None = 100) -> None:
    with show_progress("detect", total, "frames") as running:
        for _ in range(n_steps):
            clock.now_s += step_s
            running.advance()


def test_short_work_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, 100, 0.009)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_plain_lines_every_ten_seconds_and_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    work(clock, 100, 0.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "detect: 40/100 frames, 4.0/s, 15 s left",
        "detect: 80/100 frames, 4.0/s, 5 s left",
        "detect: 100/100 frames, 4.0/s",
    ]


def test_what_was_done_before_makes_it_no_faster(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_progress("train", 100, "steps", 80) as running:
        for _ in range(20):
            clock.now_s += 1
            running.advance()
    assert capsys.readouterr().err.splitlines() == [
        "train: 90/100 steps, 1.0/s, 10 s left",
        "train: 100/100 steps, 1.0/s",
        "train: 100/100 steps, 1.0/s",
    ]


def test_an_unknown_total(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, 5, 1.0, total=None)
    assert capsys.readouterr().err == "detect: 5 frames, 1.0/s\n"


def test_json_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    set_style("json")
    work(clock, 50, 0.25)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == {
        "progress": "detect", "done": 40, "total": 100, "unit": "frames", "per_s": 4.0,
        "left_s": 15,
    }  # fmt: skip
    assert lines[-1]["done"] == 50


def test_none_is_silent(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    set_style("none")
    work(clock, 100, 1.0)
    assert capsys.readouterr().err == ""


def test_an_error_passes_through(clock: Clock) -> None:
    with pytest.raises(ValueError, match="mine"), show_progress("a", 1, "b") as running:
        running.advance()
        raise ValueError("mine")


def test_on_a_terminal_it_is_a_bar(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tqdm.std.time", clock)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with show_progress("detect", 3, "frames") as running:
        clock.now_s += 1.1
        running.advance(2)
    assert "detect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("style", "shown"), [("auto", "1.0/s, 90 s left, loss 2"), ("json", '"note": "loss 2"}')]
)
def test_a_note_stands_beside_the_numbers(
    clock: Clock, capsys: pytest.CaptureFixture[str], style: progress.Style, shown: str
) -> None:
    set_style(style)
    with show_progress("train", 100, "steps") as running:
        for step in range(10):
            clock.now_s += 1.0
            running.note(f"loss {step - 7}")
            running.advance()
    assert capsys.readouterr().err.splitlines()[0].endswith(shown)


def test_slow_steps_are_told_in_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("train", 10, "steps") as running:
        for _ in range(2):
            clock.now_s += 25
            running.advance()
    assert capsys.readouterr().err.splitlines() == [
        "train: 1/10 steps, 25.0 s per step, 225 s left",
        "train: 2/10 steps, 25.0 s per step, 200 s left",
        "train: 2/10 steps, 25.0 s per step, 200 s left",
    ]
    set_style("json")
    work(clock, 1, 25.0)
    assert json.loads(capsys.readouterr().err.splitlines()[0])["per_s"] == 0.04
