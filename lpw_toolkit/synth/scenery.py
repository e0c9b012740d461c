"""Paints the empty street: ground, facades and sky, one ray per pixel, and the light."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.world import (
    FACADE_M,
    WALL_END_M,
    WALL_LEFT_M,
    WALL_RIGHT_M,
    ZEBRA_X_M,
    ZEBRA_Z_M,
    Camera,
)

Picture = NDArray[Any]

_OVERSAMPLING = 2
_FACADE_PX_PER_M = 30
_FACADE_LENGTH_M, _FACADE_HEIGHT_M = 64, 15
_PLASTERS = (
    (176, 164, 142),
    (150, 92, 74),
    (190, 178, 160),
    (138, 140, 146),
    (172, 132, 96),
    (120, 98, 88),
    (196, 190, 184),
)
_AWNINGS = ((138, 44, 40), (44, 84, 62), (50, 66, 108), (182, 150, 78), (96, 60, 90))


def paint_background(camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The empty place as RGB (height, width, 3), without furniture."""
    columns, rows = _ray_grid(camera)
    facade, grain = _draw_facades(rng), _draw_grain(rng)
    z_ground = camera.focal_px * camera.height_m / np.maximum(rows - camera.horizon_px, 1e-3)
    x_ground = camera.side * (columns - camera.width / 2) * z_ground / camera.focal_px
    picture = _paint_ground(camera, x_ground, z_ground, grain)
    nearest = z_ground
    for z_hit, along, height, lit in _iter_walls(camera, columns, rows):
        shown = (z_hit > 0) & (z_hit < nearest) & (height >= 0)
        wall = _sample(facade, along, height, _FACADE_PX_PER_M, _FACADE_HEIGHT_M) * lit
        sky = _paint_sky(rows / camera.height)
        wall = np.where((height < _FACADE_HEIGHT_M - 0.5)[..., None], wall, sky)
        picture = np.where(shown[..., None], wall, picture)
        nearest = np.where(shown, z_hit, nearest)
    haze = np.clip((nearest - 8.0) / 60.0, 0.0, 0.25)[..., None]
    picture = picture * (1 - haze) + np.array([186, 192, 200], dtype=np.float32) * haze
    small = cv2.resize(
        picture.astype(np.float32), (camera.width, camera.height), interpolation=cv2.INTER_AREA
    )
    return np.asarray(np.clip(small, 0, 255), dtype=np.uint8)


def wall_mask(camera: Camera) -> NDArray[np.bool_]:
    """(height, width) pixels of the side walls, which hide what is beyond `WALL_END_M`; all false
    but in `along`."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    mask = np.zeros(columns.shape, dtype=bool)
    if camera.layout != "along":
        return mask
    for z_hit, _, height, _ in list(_iter_walls(camera, columns, rows))[1:]:
        mask |= (z_hit > 0) & (height >= 0)
    return mask


def light_at(camera: Camera, x_m: float, z_m: float) -> float:
    """Brightness of the light at a place on the ground: 1 in the sun, less in the shadow of the
    houses."""
    return float(_sunlight(camera, np.array(x_m), np.array(z_m)))


def _sunlight(
    camera: Camera, x: NDArray[np.float64], z: NDArray[np.float64]
) -> NDArray[np.float64]:
    distance = {
        "across": z - 0.35 * x - 11.8,
        "along": 1.1 - x - 0.06 * z,
        "plaza": 0.5 * x + z - 15.5,
    }[camera.layout]
    shadow: NDArray[np.float64] = 0.42 * np.clip(distance / 0.35 + 0.5, 0.0, 1.0)
    return 1.0 - shadow


def _ray_grid(camera: Camera) -> tuple[Picture, Picture]:
    n = _OVERSAMPLING
    columns = (np.arange(camera.width * n, dtype=np.float32) + 0.5) / n
    rows = (np.arange(camera.height * n, dtype=np.float32) + 0.5) / n
    grid = np.meshgrid(columns, rows)
    return grid[0], grid[1]


def _iter_walls(
    camera: Camera, columns: Picture, rows: Picture
) -> list[tuple[Picture, Picture, Picture, float]]:
    """Depth, place along, height above ground and brightness of each wall where its plane meets the
    rays."""
    sight_x = camera.side * (columns - camera.width / 2) / camera.focal_px
    sight_y = (rows - camera.horizon_px) / camera.focal_px
    far = np.full_like(sight_x, FACADE_M[camera.layout])
    walls = [(far, sight_x * far + 32.0, camera.height_m - sight_y * far, 0.92)]
    if camera.layout == "along":
        for place, lit in ((WALL_LEFT_M, 1.0), (WALL_RIGHT_M, 0.72)):
            depth = place / np.where(sight_x * place > 0, sight_x, np.inf * place)
            depth = np.where((depth > 0) & (depth < WALL_END_M), depth, 0.0)
            walls.append(
                (
                    depth,
                    depth + (5.0 if place < 0 else 31.0),
                    camera.height_m - sight_y * depth,
                    lit,
                )
            )
    return walls


def _sample(
    texture: Picture, along: Picture, up: Picture, px_per_m: float, height_m: float
) -> Picture:
    """`texture` at metres `along` (repeating) and `up` (from the bottom)."""
    map_x = np.mod(along * px_per_m, texture.shape[1] - 1).astype(np.float32)
    map_y = np.clip((height_m - up) * px_per_m, 0, texture.shape[0] - 1).astype(np.float32)
    return np.asarray(cv2.remap(texture, map_x, map_y, cv2.INTER_LINEAR), dtype=np.float32)


def _draw_grain(rng: np.random.Generator) -> Picture:
    """(512, 512) brightness about 1 that tiles: coarse stains and fine grain."""
    total = np.zeros((512, 512))
    for size, weight in ((8, 0.05), (32, 0.04), (128, 0.04), (512, 0.05)):
        noise = np.pad(rng.standard_normal((size, size)), ((0, 1), (0, 1)), mode="wrap").astype(
            np.float32
        )
        total += weight * cv2.resize(noise, (512, 512), interpolation=cv2.INTER_CUBIC)
    return np.asarray(1.0 + total, dtype=np.float32)


def _grain_at(grain: Picture, x: Picture, z: Picture) -> Picture:
    map_x, map_y = np.mod(x * 45, 511).astype(np.float32), np.mod(z * 45, 511).astype(np.float32)
    return np.asarray(cv2.remap(grain, map_x, map_y, cv2.INTER_LINEAR), dtype=np.float32)


def _paint_sky(frac: Picture) -> Picture:
    top, low = (
        np.array([138, 170, 206], dtype=np.float32),
        np.array([206, 216, 224], dtype=np.float32),
    )
    share = np.clip(frac * 3.0, 0, 1)[..., None]
    return np.asarray(top * (1 - share) + low * share, dtype=np.float32)


def _paint_ground(camera: Camera, x: Picture, z: Picture, grain: Picture) -> Picture:
    """Paving, asphalt, kerbs and zebra at ground points (metres), with the shadow of the houses."""
    z = np.clip(z, 0, 400)
    x = np.clip(x, -300, 300)
    base = _paint_paving(x, z)
    if camera.layout != "plaza":
        base = _paint_road(camera.layout, base, x, z)
    light = _sunlight(camera, x.astype(np.float64), z.astype(np.float64)).astype(np.float32)
    return np.asarray(base * (_grain_at(grain, x, z) * light)[..., None], dtype=np.float32)


def _paint_paving(x: Picture, z: Picture) -> Picture:
    row = np.floor(z / 0.6)
    across = x / 0.9 + 0.5 * np.mod(row, 2)
    tone = np.mod(np.sin(np.floor(across) * 12.9898 + row * 78.233) * 43758.5453, 1.0) * 16 - 8
    joint = (np.mod(across, 1.0) < 0.03) | (np.mod(z / 0.6, 1.0) < 0.045)
    grey = 158 + tone - 26 * joint * np.clip(20 / np.maximum(z, 1.0) - 0.8, 0, 1)
    return np.asarray(grey[..., None] * np.array([1.03, 1.0, 0.94]), dtype=np.float32)


def _paint_road(layout: str, base: Picture, x: Picture, z: Picture) -> Picture:
    """Asphalt with kerbs, a zebra crossing and a middle line over the paving."""
    if layout == "across":
        across, along, low, high = z, x, 9.9, 13.0
        zebra = (x > ZEBRA_X_M[0]) & (x < ZEBRA_X_M[1]) & (np.mod(z - 10.0, 0.9) < 0.5)
    else:
        across, along, low, high = x, z, -1.95, 2.75
        zebra = (z > ZEBRA_Z_M[0]) & (z < ZEBRA_Z_M[1]) & (np.mod(x + 1.9, 0.9) < 0.5)
    road = (across > low) & (across < high) | (
        (layout == "along") & (z > WALL_END_M + 0.3) & (z < WALL_END_M + 4.4)
    )
    kerb = ((np.abs(across - low) < 0.1) | (np.abs(across - high) < 0.1)) & ~(
        (layout == "along") & road & (z > 21)
    )
    middle = (np.abs(across - (low + high) / 2) < 0.06) & (np.mod(along, 3.0) < 1.6) & road
    colour = np.where(road[..., None], np.array([92, 93, 98], dtype=np.float32), base)
    painted = (zebra & road) | (middle & (z < WALL_END_M))
    colour = np.where(painted[..., None], np.array([198, 198, 192], dtype=np.float32), colour)
    return np.asarray(
        np.where(kerb[..., None], np.array([182, 178, 170], dtype=np.float32), colour),
        dtype=np.float32,
    )


# --- facades
# --------------------------------------------------------------------------------------------------


def _draw_facades(rng: np.random.Generator) -> Picture:
    """A row of houses as RGB, `_FACADE_PX_PER_M` pixels a metre, the ground at the lower edge."""
    scale = _FACADE_PX_PER_M
    wall = np.zeros((_FACADE_HEIGHT_M * scale, _FACADE_LENGTH_M * scale, 3), dtype=np.float32)
    widths = rng.uniform(5.5, 9.5, 9)
    borders = np.concatenate([[0.0], np.cumsum(widths)]) * _FACADE_LENGTH_M / widths.sum()
    for left, right in pairwise(borders.tolist()):
        _draw_house(wall, left, right, rng)
    grain = np.tile(_draw_grain(rng), (1, 4))[: wall.shape[0], : wall.shape[1]]
    return np.asarray(wall * grain[..., None], dtype=np.float32)


def _fill(
    wall: Picture, box_m: tuple[float, float, float, float], colour: tuple[float, ...]
) -> None:
    """A rectangle left, bottom, right, top in metres."""
    left, bottom, right, top = (round(v * _FACADE_PX_PER_M) for v in box_m)
    height = wall.shape[0]
    wall[max(height - top, 0) : max(height - bottom, 0), max(left, 0) : max(right, 0)] = colour


def _draw_house(wall: Picture, left: float, right: float, rng: np.random.Generator) -> None:
    plaster = _PLASTERS[int(rng.integers(len(_PLASTERS)))]
    _fill(wall, (left, 0, right, _FACADE_HEIGHT_M), plaster)
    if rng.random() < 0.4:
        _draw_bricks(wall, left, right, plaster)
    n_windows = max(2, int((right - left) / 1.9))
    step = (right - left) / n_windows
    for floor in range(1, 5):
        base = 0.4 + 3.1 * floor
        _fill(wall, (left, base - 0.32, right, base - 0.2), tuple(c * 0.82 for c in plaster))
        for k in range(n_windows):
            _draw_window(wall, left + (k + 0.5) * step, base + 0.6, rng)
    _draw_shop(wall, left, right, rng)
    _fill(wall, (right - 0.08, 0, right, _FACADE_HEIGHT_M), tuple(c * 0.6 for c in plaster))


def _draw_bricks(wall: Picture, left: float, right: float, plaster: tuple[int, ...]) -> None:
    dark = tuple(c * 0.84 for c in plaster)
    for k in range(int(_FACADE_HEIGHT_M / 0.2)):
        _fill(wall, (left, 0.2 * k, right, 0.2 * k + 0.035), dark)


def _draw_window(wall: Picture, middle: float, base: float, rng: np.random.Generator) -> None:
    half, tall = 0.5, 1.55
    _fill(wall, (middle - half - 0.1, base - 0.12, middle + half + 0.1, base), (206, 202, 194))
    _fill(
        wall,
        (middle - half - 0.06, base, middle + half + 0.06, base + tall + 0.06),
        (226, 224, 218),
    )
    glass = rng.uniform(44, 92)
    _fill(
        wall,
        (middle - half, base, middle + half, base + tall),
        (glass * 0.86, glass * 0.98, glass * 1.12),
    )
    _fill(
        wall,
        (middle - half, base + 0.8, middle + half, base + tall),
        (glass * 1.1, glass * 1.25, glass * 1.42),
    )
    if rng.random() < 0.35:
        _fill(wall, (middle - half, base, middle - half * 0.3, base + tall), (178, 166, 150))
    _fill(wall, (middle - 0.03, base, middle + 0.03, base + tall), (226, 224, 218))
    _fill(wall, (middle - half, base + 0.77, middle + half, base + 0.83), (226, 224, 218))


def _draw_shop(wall: Picture, left: float, right: float, rng: np.random.Generator) -> None:
    """Ground floor: shop windows, a door, a sign and an awning."""
    tint = _AWNINGS[int(rng.integers(len(_AWNINGS)))]
    _fill(wall, (left, 0, right, 3.1), tuple(60 + 0.35 * c for c in tint))
    _fill(wall, (left + 0.3, 0.5, right - 0.3, 2.35), (54, 60, 68))
    for _ in range(int(3 * (right - left))):
        x, tall = rng.uniform(left + 0.4, right - 0.7), rng.uniform(0.2, 1.1)
        _fill(
            wall, (x, 0.55, x + rng.uniform(0.15, 0.4), 0.55 + tall), tuple(rng.uniform(50, 150, 3))
        )
    for x in np.arange(left + 0.3, right - 0.3, 1.6):
        _fill(wall, (x, 0.5, x + 0.07, 2.35), (206, 202, 196))
    door = rng.uniform(left + 0.6, right - 1.7)
    _fill(wall, (door, 0, door + 1.05, 2.3), tuple(0.55 * c for c in tint))
    _fill(wall, (door + 0.15, 0.6, door + 0.9, 2.1), (70, 80, 88))
    _fill(wall, (left + 0.2, 2.5, right - 0.2, 3.0), tint)
    for x in np.arange(left + 1.0, right - 1.4, 0.42):
        _fill(wall, (x, 2.62, x + rng.uniform(0.15, 0.34), 2.88), (228, 222, 206))
    if rng.random() < 0.6:
        for k, x in enumerate(np.arange(left + 0.2, right - 0.5, 0.4)):
            _fill(wall, (x, 2.1, x + 0.4, 2.5), tint if k % 2 else (224, 220, 210))
