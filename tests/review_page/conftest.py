"""The review page in a browser, with a small dataset: nobody in it is reviewed yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from make_dataset import make_dataset
from review_tools import Hand, Served

from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import Dataset, open_dataset


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with Hand(tmp_path_factory.mktemp("profile")) as hand:
        yield hand


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 tracklets of four cameras, with suggestions."""
    root = tmp_path_factory.mktemp("page") / "d"
    suggest(make_dataset(root, n_tracklets=40, n_frames=34, identified=False).root)
    return open_dataset(root)


@pytest.fixture
def served(dataset: Dataset, tmp_path: Path) -> Iterator[Served]:
    with Served(dataset, tmp_path) as served:
        yield served


@pytest.fixture
def page(hand: Hand, served: Served) -> Iterator[Hand]:
    """The page at its first tracklet; what it keeps in the browser is gone afterwards."""
    hand.review(served.address)
    yield hand
    hand.ask("location.protocol === 'http:' && localStorage.clear()")
