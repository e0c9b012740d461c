"""Lazy imports for packages: the modules behind the public names are imported on first use.

The package's `__init__` imports the same names under `TYPE_CHECKING`, for type checkers, and
lists them in `__all__`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of `package`.

    Args:
        package: its `__name__`.
        modules: by module, relative to the package, the names that it hands out, with blanks
            between them. None may be that of a module of the package: importing the module would
            hide it.

    >>> get, names = lazy_names("lpw_toolkit", {"boxes": "iou nms"})
    >>> names(), get("iou").__module__
    (['iou', 'nms'], 'lpw_toolkit.boxes')
    """
    places = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return get, lambda: sorted(places)
