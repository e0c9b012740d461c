"""Plans a corruption: which frames, which region and how. A pure function of labels, sizes and a
seed.

Each tracklet draws from a generator of its own, (seed, draw, its row): leaving some out changes
nothing for others.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError, check_range, option_name, unknown_name
from rqen.model.method import DIVISION

Ints = NDArray[np.int64]
KINDS = ("cover", "blur", "darken")
REGIONS = ("upper", "middle", "lower")
COVER, BLUR, DARKEN = range(3)
Position = Literal["regions", "random"]
POSITIONS: tuple[Position, ...] = get_args(Position)


@dataclass(frozen=True)
class CorruptionConfig:
    """The settings of a corruption.

    Attributes:
        seed: of everything drawn.
        division: parts of the height, from above, of which one is corrupted.
        position: where the corrupted rows lie: `regions` is a part as it is, `random` are as many
            rows anywhere in the image, so that a method gains nothing from regions that lie just
            where the corruption does.
        cover_height_frac, cover_width_frac: size of the patch of `cover`, as shares of the region's
            height and of the image's width; it lies anywhere in the region, and comes from anywhere
            in another person's image.
        blur_sigma_frac: standard deviation of the Gaussian of `blur`, as a share of the image's
            height.
        darken_factor: what `darken` multiplies the values 0-255 by.
        jpeg_quality: of all images, clean ones too, so that the codec gives nothing away.
        n_draws: how often each tracklet is written, each time corrupted anew. From 2 on `draw0/`,
            `draw1/`, … stands before tracklet ids and paths; persons and cameras stay.
    """

    seed: int = 0
    division: tuple[float, ...] = DIVISION
    cover_height_frac: float = 1.0
    cover_width_frac: float = 0.8
    blur_sigma_frac: float = 0.05
    darken_factor: float = 0.15
    jpeg_quality: int = 95
    n_draws: int = 1
    position: Position = "regions"

    def __post_init__(self) -> None:
        check_range(option_name("seed"), self.seed, 0, 2**31, whole=True)
        check_range("parts of the body", len(self.division), len(REGIONS), len(REGIONS), whole=True)
        if self.position not in POSITIONS:
            raise unknown_name(option_name("position"), self.position, POSITIONS)
        for part in self.division:
            check_range("part of the body", part, 0, 1000, above=True)
        for name in ("cover_height_frac", "cover_width_frac", "blur_sigma_frac"):
            check_range(option_name(name), getattr(self, name), 0, 1, above=True)
        check_range(option_name("darken_factor"), self.darken_factor, 0, 1, below=True)
        check_range(option_name("jpeg_quality"), self.jpeg_quality, 1, 100, whole=True)
        check_range(option_name("n_draws"), self.n_draws, 1, 10, whole=True)

    def settings(self) -> dict[str, Any]:
        """The configuration as plain values, for the record; `position` where it is not that of
        older versions, whose records have none."""
        values = asdict(self) | {"division": list(self.division)}
        if self.position == "regions":
            del values["position"]
        return values

    def describe(self) -> str:
        """Position and strength in words.

        >>> CorruptionConfig().describe()
        'on the borders 3:2:2, cover 1 x 0.8, blur 0.05, darken 0.15'
        """
        where = (
            f"on the borders {':'.join(f'{part:g}' for part in self.division)}"
            if self.position == "regions"
            else "at random heights"
        )
        return (
            f"{where}, cover {self.cover_height_frac:g} x {self.cover_width_frac:g}, "
            f"blur {self.blur_sigma_frac:g}, darken {self.darken_factor:g}"
        )


@dataclass(frozen=True)
class DonorPool:
    """The persons that patches may come from.

    Attributes:
        person: (N,) code of the person of each tracklet, -1 for tracklets without a person.
        subset: (N,) number of the subset that each tracklet is in: patches never leave it.
        starts: (N + 1,) tracklet i has the frames [starts[i], starts[i + 1]).
    """

    person: Ints
    subset: Ints
    starts: Ints


@dataclass(frozen=True)
class Corruption:
    """The corruption of M frames.

    Attributes:
        frame: (M,) rows of the table of frames, ascending.
        region, kind: (M,) places in REGIONS and KINDS.
        donor: (M,) row of the frame that a patch is taken from; drawn for every kind.
        place: (M, 4) in [0, 1): how far down and right the patch lies, and lay in the donor's
            image, as shares of the room that there is.
        height: (M,) in [0, 1): how far down the corrupted rows lie where their position is random,
            as a share of the room that there is.
    """

    frame: Ints
    region: Ints
    kind: Ints
    donor: Ints
    place: NDArray[np.float64]
    height: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)


def draw_corruption(pool: DonorPool, tracklets: Ints, seed: int, draw: int = 0) -> Corruption:
    """Corrupts floor(n / 2) of the n frames of each tracklet: one region each, regions and kinds
    drawn evenly.

    Args:
        tracklets: rows of the table of tracklets, ascending.
        seed, draw: what is drawn is a function of both.

    Errors: LpwError where a tracklet finds no other named person in its subset.
    """
    # Tracklets of named persons, by subset.
    named = pool.person >= 0
    donors = {
        int(subset): np.flatnonzero(named & (pool.subset == subset))
        for subset in np.unique(pool.subset)
    }
    drawn = [
        _draw(pool, donors, int(row), np.random.default_rng([seed, draw, int(row)]))
        for row in tracklets
    ]
    if not drawn:
        raise LpwError("tracklets to be corrupted", "none", "at least one", "name some")
    frame, region, kind, donor, place, height = (
        np.concatenate(column) for column in zip(*drawn, strict=True)
    )
    return Corruption(frame, region, kind, donor, place.reshape(-1, 4), height)


def _draw(
    pool: DonorPool, donors: dict[int, Ints], row: int, rng: np.random.Generator
) -> tuple[NDArray[Any], ...]:
    first, end = pool.starts[row : row + 2].tolist()
    n = (end - first) // 2
    frame = first + np.sort(rng.choice(end - first, n, replace=False))
    region, kind = rng.integers(len(REGIONS), size=n), rng.integers(len(KINDS), size=n)
    known = donors.get(int(pool.subset[row]), np.zeros(0, dtype=np.int64))
    others = known[pool.person[known] != pool.person[row]]
    if not len(others) and n:
        got = f"no other person beside that of tracklet {row}"
        raise LpwError(
            "patches", got, "two named persons in each subset", "choose a dataset with more persons"
        )
    giver = others[rng.integers(len(others), size=n)] if n else others[:0]
    lengths = pool.starts[giver + 1] - pool.starts[giver]
    donor = pool.starts[giver] + np.floor(rng.random(n) * lengths).astype(np.int64)
    # The height is drawn last: all else is what versions drew that knew no random position.
    return frame, region, kind, donor, rng.random((n, 4)), rng.random(n)
