"""Raw trees in memory for the tests of readers: names, some of them with bytes."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lpw_toolkit.benchmarks.reader import Reading, ReadOptions, open_benchmark
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import list_names, natural_key


@dataclass
class DictTree:
    """A tree of names, of which some have bytes."""

    files: dict[str, bytes] = field(default_factory=dict)
    name: str = "raw"

    @property
    def names(self) -> list[str]:
        return sorted(self.files, key=natural_key)

    def read(self, name: str) -> bytes:
        return self.files[name]


def read(name: str, files: dict[str, bytes], **options: object) -> Reading:
    return open_benchmark(name).read(DictTree(files), ReadOptions(**options))


def complaint(name: str, files: dict[str, bytes], **options: object) -> str:
    with pytest.raises(LpwError) as caught:
        read(name, files, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def load(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in list_names(root)}
