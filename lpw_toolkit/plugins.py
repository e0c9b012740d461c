"""Finds plug-ins: one file each in a folder, or an entry point of another package.

    lpw_toolkit/detection/detectors/onnx.py    one of our own: its file registers it
    [project.entry-points."lpw_toolkit.detection.detectors"]   one of another package,
    mine = "my_package.my_detector"                            in its pyproject.toml

The contract that a plug-in fulfils stands in the module beside the folder.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lpw_toolkit.errors import unknown_name


@dataclass(frozen=True)
class PluginFolder:
    """One folder of plug-ins.

    Attributes:
        package: dotted name of the folder, and the group of entry points that add to it.
        thing: what messages call the choice, such as `option --protocol`.
        dashes: whether names are shown with `-` where their files have `_`.

    >>> PluginFolder("lpw_toolkit.evaluation.protocols", "option --protocol").names()[:2]
    ['cross_camera', 'cross_dataset']
    """

    package: str
    thing: str
    dashes: bool = False

    def names(self) -> list[str]:
        """The names of all plug-ins, sorted; modules that begin with `_` are none."""
        return sorted({*self._own, *self._foreign})

    def load(self, name: str) -> Any:
        """The module of the plug-in `name`; `-` and `_` mean the same. Errors: LpwError that lists
        the names."""
        key = name.replace("-", "_")
        if key in self._own:
            return importlib.import_module(f"{self.package}.{key}")
        if key in self._foreign:
            return self._foreign[key].load()
        known = [n.replace("_", "-") if self.dashes else n for n in self.names()]
        raise unknown_name(self.thing, name, known)

    @cached_property
    def _own(self) -> frozenset[str]:
        path = importlib.import_module(self.package).__path__
        names = (module.name for module in pkgutil.iter_modules(path))
        return frozenset(name for name in names if not name.startswith("_"))

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name.replace("-", "_"): point for point in entry_points(group=self.package)}
