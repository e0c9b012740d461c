"""The geometry of a street: camera, ground, furniture and walks, without pictures.

Ground coordinates are metres in each camera's own frame: `x` to the right, `z` away from the
camera, feet at height 0. The camera looks level at the horizon row, so a person's height in pixels
is proportional to the distance of the feet below that row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.config import StreetConfig
from lpw_toolkit.synth.people import Person

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Camera:
    """A level pinhole camera over flat ground.

    Attributes:
        video_id: `scen1/view2`, also the camera's id.
        layout: `across` (a road seen from the other side), `along` (down a street) or `plaza`.
        side: 1, or -1 for a mirrored place.
    """

    video_id: str
    layout: str
    width: int
    height: int
    focal_px: float
    height_m: float
    horizon_px: float
    side: int

    def project(self, x_m: Floats, z_m: Floats) -> tuple[Floats, Floats, Floats]:
        """Column and row of points on the ground, and the pixels per metre there."""
        scale = self.focal_px / z_m
        return (
            self.width / 2 + self.side * scale * x_m,
            self.horizon_px + scale * self.height_m,
            scale,
        )


@dataclass(frozen=True)
class FurnitureItem:
    """Something that stands still and hides people: its kind, place and size in metres, and a seed
    for its looks."""

    kind: str
    x_m: float
    z_m: float
    width_m: float
    height_m: float
    seed: int


@dataclass(frozen=True)
class Track:
    """One person's passage through one camera, (K,) frames.

    Attributes:
        frames: frame numbers, within the video.
        x_m, z_m: the feet on the ground.
        phases: moments of the gait for `draw_figure`.
        views: directions of sight for `draw_figure`.
    """

    person: Person
    frames: Ints
    x_m: Floats
    z_m: Floats
    phases: Ints
    views: Ints


@dataclass(frozen=True)
class View:
    """One camera's whole film before it is drawn."""

    camera: Camera
    items: tuple[FurnitureItem, ...]
    tracks: tuple[Track, ...]
    n_frames: int
    seed: int


#: Width and height in metres of everything that stands about.
ITEM_SIZES: dict[str, tuple[float, float]] = {
    "lamp": (0.24, 4.6), "tree": (2.6, 5.2), "car": (4.1, 1.45), "car_rear": (1.8, 1.5),
    "kiosk": (2.0, 2.5),
    "bench": (1.7, 0.85), "column": (1.25, 3.1), "planter": (1.8, 1.05), "sign": (0.9, 2.3),
    "van": (4.6, 2.1),
}  # fmt: skip
#: Per layout the strips where things stand: kinds, range of x, range of z (metres, in an unmirrored
#: place).
_Strip = tuple[tuple[str, ...], tuple[float, float], tuple[float, float]]
_STRIPS: dict[str, tuple[_Strip, ...]] = {
    "across": (
        (("lamp", "tree", "sign", "planter", "column"), (-4.2, 4.2), (6.45, 6.7)),
        (("car", "car", "van"), (-6.5, 6.5), (10.8, 10.9)),
        (("lamp", "tree", "column", "planter", "bench", "kiosk"), (-5.2, 5.2), (9.55, 9.75)),
        (("lamp", "tree", "car", "sign", "column"), (-7.0, 7.0), (12.75, 12.95)),
    ),
    "along": (
        (("lamp", "tree", "sign", "column", "planter"), (-2.3, -2.1), (8.0, 17.0)),
        (("lamp", "tree", "sign", "kiosk", "planter"), (2.9, 3.1), (8.5, 17.0)),
        (("car_rear",), (-1.1, -1.0), (9.0, 18.0)),
        (("column", "bench", "planter", "tree"), (3.0, 3.2), (9.5, 19.0)),
    ),
    "plaza": (
        (("tree", "column", "kiosk", "lamp"), (-5.0, 5.0), (10.5, 14.0)),
        (("tree", "kiosk", "column", "planter", "sign"), (-6.0, 6.0), (13.0, 18.0)),
        (("bench", "planter", "lamp", "column"), (-5.0, 5.0), (10.5, 17.0)),
    ),
}
_HEIGHTS_M = {"across": 3.0, "along": 3.5, "plaza": 4.6}
_HORIZONS = {"across": 0.25, "along": 0.2, "plaza": 0.12}
LAYOUTS = tuple(_STRIPS)
#: The end of the side walls of an `along` street, beyond which a street crosses; both walls'
#: places.
WALL_END_M, WALL_LEFT_M, WALL_RIGHT_M = 21.0, -5.2, 5.8
FACADE_M = {"across": 16.2, "along": 27.0, "plaza": 24.0}
ZEBRA_X_M, ZEBRA_Z_M = (1.2, 4.2), (11.0, 13.6)


def draw_camera(config: StreetConfig, scene: int, number: int, rng: np.random.Generator) -> Camera:
    """The camera of view `number` of a scene; the layouts take turns."""
    layout = LAYOUTS[(scene + number) % len(LAYOUTS)]
    return Camera(
        video_id=f"scen{scene + 1}/view{number + 1}",
        layout=layout,
        width=config.width,
        height=config.height,
        focal_px=config.width * float(rng.uniform(0.92, 1.0)),
        height_m=_HEIGHTS_M[layout] * float(rng.uniform(0.96, 1.06)),
        horizon_px=config.height * _HORIZONS[layout] * float(rng.uniform(0.95, 1.1)),
        side=1 if rng.random() < 0.5 else -1,
    )


def draw_items(camera: Camera, n_items: int, rng: np.random.Generator) -> list[FurnitureItem]:
    """Furniture on the strips of the layout, no two on one spot."""
    strips, items = _STRIPS[camera.layout], list[FurnitureItem]()
    for attempt in range(8 * n_items):
        kinds, x_range, z_range = strips[len(items) % len(strips)]
        kind = kinds[int(rng.integers(len(kinds)))]
        width, height = ITEM_SIZES[kind]
        item = FurnitureItem(
            kind,
            rng.uniform(*x_range),
            rng.uniform(*z_range),
            width,
            height,
            int(rng.integers(2**31)),
        )
        if not any(
            (
                abs(item.z_m - other.z_m) < 0.9
                and abs(item.x_m - other.x_m) < 0.55 * (foot_width(item) + foot_width(other))
            )
            for other in items
        ) and not _blocks_zebra(item, camera.layout):
            items.append(item)
        if len(items) == n_items or attempt == 8 * n_items - 1:
            break
    return sorted(items, key=lambda item: -item.z_m)


def foot_width(item: FurnitureItem) -> float:
    """Width in metres at the ground: a crown does not stop walkers."""
    return 0.5 if item.kind == "tree" else item.width_m


def _blocks_zebra(item: FurnitureItem, layout: str) -> bool:
    low, high = ZEBRA_X_M
    if layout == "across":
        return (
            item.z_m > 7
            and low - 0.3 < item.x_m + foot_width(item) / 2
            and item.x_m - foot_width(item) / 2 < high + 0.3
        )
    return (
        layout == "along"
        and ZEBRA_Z_M[0] - 0.4 < item.z_m < ZEBRA_Z_M[1] + 0.4
        and abs(item.x_m) < 3.4
    )
