"""Ranges of rows, and counting within lists."""

import doctest

import numpy as np
import pytest

from lpw_toolkit.dataset import ranges
from lpw_toolkit.dataset.ranges import ragged_arange, split_rows


def test_examples() -> None:
    assert doctest.testmod(ranges) == doctest.TestResults(failed=0, attempted=2)


def test_ranges_cover() -> None:
    assert split_rows(7, 3) == [(0, 3), (3, 6), (6, 7)]
    assert split_rows(0, 3) == []


@pytest.mark.parametrize("seed", range(3))
def test_counts_as_one_range_after_another(seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(0, 5, 40)
    assert ragged_arange(lengths).tolist() == [i for n in lengths for i in range(n)]
    assert ragged_arange(lengths[:0]).tolist() == []
