"""A file beyond a bound: the hint names the option, and the exit code is 2 whatever error it
became."""

import pickle
from pathlib import Path

import pytest
from make_dataset import make_dataset

from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.errors import (
    CorruptCropError,
    LimitMismatchError,
    LpwError,
    MismatchError,
    OverLimitError,
    exit_code_of,
)
from lpw_toolkit.files.limits import LargeFileError, LimitValueError
from lpw_toolkit.files.opening import Folder, open_file, open_stream, read_bytes


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of 11 bytes where 10 are allowed."""
    (tmp_path / "file").write_bytes(b"x" * 11)
    monkeypatch.setenv("LPW_LIMIT_IMAGE_BYTES", "10")
    return tmp_path / "file"


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_bytes(path, "image_bytes"),
        lambda path: open_file(path, "image_bytes"),
        lambda path: open_stream(path, "image_bytes"),
        lambda path: Folder(path.parent).read(path.name, "image_bytes"),
        lambda path: Folder(path.parent).open_file(path.name, "image_bytes"),
    ],
)
def test_every_door_names_the_option(read, small: Path) -> None:
    with pytest.raises(LargeFileError) as caught:
        read(small)
    assert "11 bytes, more than the 10 bytes allowed (--limit image_bytes=N" in str(caught.value)
    assert caught.value.filename == str(small)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.errno) == (str(caught.value), caught.value.errno)


def test_an_image_of_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = open_images(make_dataset(tmp_path / "d"))
    monkeypatch.setenv("LPW_LIMIT_IMAGE_BYTES", "10")
    with pytest.raises(CorruptCropError, match="--limit image_bytes=N raises it") as caught:
        images.read(0)
    assert exit_code_of(caught.value) == 2


def test_exit_codes() -> None:
    parts = ("thing", "got", "expected", "hint")
    assert exit_code_of(LpwError(*parts)) == 2
    assert exit_code_of(MismatchError(*parts)) == 3
    assert exit_code_of(LimitMismatchError(*parts)) == 2
    assert isinstance(LimitMismatchError(*parts), OverLimitError)
    with pytest.raises(MismatchError) as caught:
        try:
            raise LimitValueError("too much")
        except ValueError as error:
            raise MismatchError(*parts) from error
    assert exit_code_of(caught.value) == 2
    assert MismatchError(*parts).hint == "hint"
