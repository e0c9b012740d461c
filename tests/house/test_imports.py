"""No module needs another that needs it, also where an import stands in a function."""

import grimp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def find_circles(arrows: set[tuple[str, str]]) -> list[list[str]]:
    names = sorted({name for arrow in arrows for name in arrow})
    number = {name: i for i, name in enumerate(names)}
    rows, columns = (np.array([number[arrow[end]] for arrow in arrows]) for end in (0, 1))
    edges = coo_array((np.ones(len(arrows)), (rows, columns)), shape=(len(names),) * 2)
    _, group = connected_components(edges, connection="strong")
    members = [np.flatnonzero(group == each) for each in np.unique(group)]
    return [[names[i] for i in each] for each in members if len(each) > 1]


def test_a_circle_is_found() -> None:
    assert find_circles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == [["a", "b", "c"]]


def test_no_circle_of_imports() -> None:
    packages = ("lpw_cli", "rqen", "lpw_toolkit", "lpw_manifests")
    graph = grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)
    arrows = {
        (module, other)
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
    }
    assert len(arrows) > len(graph.modules)
    assert find_circles(arrows) == []
