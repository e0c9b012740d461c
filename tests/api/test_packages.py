"""Each package hands out its names lazily, and its three lists of them agree."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import lpw_toolkit

ROOT = Path(lpw_toolkit.__file__).parent
#: Plug-in folders hand out nothing: plug-ins are found by their names.
PLUGINS = {"detectors", "forms", "metric_learning", "operations", "protocols", "readers", "rules"}
PACKAGES = [
    "lpw_toolkit",
    *(
        module.name
        for module in pkgutil.walk_packages([str(ROOT)], "lpw_toolkit.")
        if module.ispkg and module.name.rsplit(".")[-1] not in PLUGINS | {"api"}
    ),
]


def typed_names(package: str) -> dict[str, str]:
    """By name the module that the `TYPE_CHECKING` block imports it from."""
    source = Path(importlib.import_module(package).__file__).read_text("utf-8")
    blocks = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    imports = (node for block in blocks for node in block.body)
    return {alias.name: node.module for node in imports for alias in node.names}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_lists_of_names_agree(package: str) -> None:
    module = importlib.import_module(package)
    typed = typed_names(package)
    assert module.__all__, "no public name"
    assert set(module.__all__) == set(typed) == set(dir(module))
    for name, place in typed.items():
        assert getattr(module, name) is getattr(importlib.import_module(place), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_that_of_a_module(package: str) -> None:
    module = importlib.import_module(package)
    modules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert not modules & set(module.__all__), "importing the module would hide the name"


@pytest.mark.parametrize("package", PACKAGES)
def test_it_says_what_it_is_for_in_three_lines(package: str) -> None:
    assert len((importlib.import_module(package).__doc__ or "").strip().splitlines()) >= 3
