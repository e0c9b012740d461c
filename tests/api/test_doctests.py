"""Every `>>>` example of the public names runs, on a synthetic street."""

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_prid2011
import numpy as np
import pytest
from make_dataset import make_dataset
from street import make_street

import lpw_toolkit
from lpw_toolkit import build_tracklets
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.truth.scripted_reviewer import review_by_truth

pytestmark = pytest.mark.xdist_group("examples")  # they share one folder
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
#: Classes that other examples show.
EXEMPT = {"LpwError", "LinkConfig"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with what the examples name: street/, mini/, reviewed/, prid_raw/."""
    root = tmp_path_factory.mktemp("examples")
    street = make_street(root / "street")
    build_tracklets(
        street / "video", root / "reviewed", boxes=street / "detections", preset="paper",
        min_length=4,
    )  # fmt: skip
    make_dataset(root / "mini", n_tracklets=12, name="mini")
    suggest(root / "reviewed")
    review_by_truth(open_dataset(root / "reviewed"), street / "truth")
    fake_prid2011.write_fake(root / "prid_raw", np.random.default_rng(0))
    return root


def public() -> Iterator[tuple[str, Any]]:
    for name in lpw_toolkit.__all__:
        yield name, getattr(lpw_toolkit, name)


def find_examples() -> dict[str, doctest.DocTest]:
    """The examples of every public name and of what it stands beside in its module."""
    modules = {inspect.getmodule(thing) for _, thing in public()}
    modules |= {importlib.import_module(f"lpw_toolkit.{name}") for name in ("lazy", "plugins")}
    finder = doctest.DocTestFinder(exclude_empty=True)
    return {
        test.name: test
        for module in modules
        for test in finder.find(module, extraglobs={})
        if test.examples
    }


@pytest.mark.parametrize("name", sorted(find_examples()))
def test_example_runs(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    lines: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(find_examples()[name], out=lines.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(lines)


@pytest.mark.parametrize("name", sorted(set(lpw_toolkit.__all__) - EXEMPT))
def test_every_public_name_has_an_example(name: str) -> None:
    thing = getattr(lpw_toolkit, name)
    assert ">>>" in (thing.__doc__ or ""), f"{name} has no example"
    if inspect.isfunction(thing):
        assert "Raises:" in thing.__doc__
        assert "Args:" in thing.__doc__
