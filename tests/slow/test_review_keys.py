"""The long form of tests/review_page/test_review_rules.py: 200 sequences of keys, 20 minutes."""

import pytest
from chromium import find_chromium
from make_dataset import make_dataset
from review_tools import Hand, press_at_random

from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import open_dataset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine"),
]


def test_page_and_log_after_keys_at_random(tmp_path):
    made = make_dataset(tmp_path / "d", n_tracklets=40, n_frames=34, identified=False)
    suggest(made.root)
    with Hand(tmp_path / "profile") as hand:
        for seed in range(12, 212):
            press_at_random(hand, open_dataset(made.root), tmp_path / str(seed), seed)
