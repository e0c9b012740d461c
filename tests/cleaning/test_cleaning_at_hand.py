"""Which version at hand `lpw clean` means."""

from pathlib import Path

import pytest
from make_dataset import make_dataset
from make_decisions import ask

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.at_hand import UNDER_REVIEW, need_decisions, refuse_read_only
from lpw_toolkit.cleaning.cleaned import CleanOptions, write_cleaned
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.at_hand import ANYTHING, PERSONS, find_at_hand
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import OutputError

PIECES = ("scen1/view1/000001", "scen1/view2/000001")


def accept(dataset: Dataset, *pieces: str, elsewhere: Path | None = None) -> None:
    with open_review(dataset, "anna", elsewhere) as review:
        review.decide(ask(1, "accept", *pieces))


def clean(dataset: Dataset, out: Path) -> Dataset:
    union = read_union(dataset)
    state = apply(read_base(dataset), union)
    return write_cleaned(dataset, state, union, out, CleanOptions(min_cameras=1)).dataset


@pytest.fixture
def film(tmp_path: Path) -> Dataset:
    """`film`, with decisions, and `cleaned`, made of it."""
    film = make_dataset(tmp_path / "film", n_tracklets=8, identified=False, name="film")
    accept(film, *PIECES)
    clean(film, tmp_path / "cleaned")
    return film


def find(folder: Path, *, elsewhere: Path | None = None, writes: bool = False) -> str:
    needs = [] if writes else [need_decisions(elsewhere)]
    return find_at_hand(folder, *needs, UNDER_REVIEW, ANYTHING).root.name


def test_what_was_cleaned_is_under_review_only_when_somebody_reviews_it(
    film: Dataset, tmp_path: Path
) -> None:
    assert find(tmp_path) == find(tmp_path, writes=True) == "film"
    assert find_at_hand(tmp_path, PERSONS).root.name == "cleaned"
    accept(open_dataset(tmp_path / "cleaned"), PIECES[0])
    assert find(tmp_path) == find(tmp_path, writes=True) == "cleaned"


def test_the_only_dataset_is_taken_whatever_it_is(film: Dataset, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "cleaned").rename(tmp_path / "alone" / "cleaned")
    assert find(tmp_path / "alone") == find(tmp_path / "alone", writes=True) == "cleaned"


def test_decisions_elsewhere_say_which_dataset_they_are_of(film: Dataset, tmp_path: Path) -> None:
    (film.root / "cleanup" / "anna.jsonl").unlink()
    state = tmp_path / "state"
    accept(open_dataset(tmp_path / "cleaned"), PIECES[0], elsewhere=state)
    assert find(tmp_path) == "film"
    assert find(tmp_path, elsewhere=state) == "cleaned"


def test_a_dataset_that_cannot_be_written_to(
    film: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_read_only(film)
    monkeypatch.setattr("os.access", lambda place, _: "film" not in str(place))
    with pytest.raises(OutputError, match=r"permission denied; .* give --state DIR"):
        refuse_read_only(film)
    refuse_read_only(film, tmp_path / "state")
