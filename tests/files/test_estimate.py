"""Estimates before long work: their words, and how many steps are tried."""

import pytest
from clocks import Clock

from lpw_toolkit.files.estimate import Estimate, describe_seconds, time_steps


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (45, "45 s"), (61, "1.0 min"), (600, "10 min"), (5400, "1.5 h"),
     (90_000, "25 h"), (200_000, "2.3 days")],
)  # fmt: skip
def test_times_are_in_the_unit_that_people_use(seconds, text):
    assert describe_seconds(seconds) == text


def test_an_estimate_in_words_and_for_machines():
    estimate = Estimate("embed", 7_260.04, 1, 2_340_000_000, "a trial of 64 images")
    assert estimate.describe() == (
        "embed: about 2.0 h; writes about 1 file, 2.3 GB (from a trial of 64 images)"
    )
    assert estimate.fields() == {
        "work": "embed",
        "seconds": 7260.0,
        "n_files": 1,
        "n_bytes": 2_340_000_000,
        "basis": "a trial of 64 images",
    }


def steps(clock: Clock, *seconds: float) -> "list[float]":
    left = list(seconds)
    done: list[float] = []

    def step() -> None:
        done.append(left.pop(0))
        clock.pass_s(done[-1])

    done.append(time_steps(step, 100, clock))
    return done


def test_short_work_is_tried_once():
    assert steps(Clock(), 0.5, 9, 9) == [0.5, 50.0]


def test_long_work_is_warmed_up_and_tried_three_times():
    assert steps(Clock(), 3, 1, 2, 1.5, 9) == [3, 1, 2, 1.5, 3 + 150]


def test_a_trial_of_slow_steps_ends_early():
    assert steps(Clock(), 30, 20, 9) == [30, 20, 30 + 2000]
