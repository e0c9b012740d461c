"""Paints the street furniture that occludes people: lamp posts, trees, cars, kiosks, benches."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.world import FurnitureItem

FurnitureSheet = NDArray[np.uint8]
_FINE = 2  # drawn so much larger and then averaged down: soft edges


def paint_item(item: FurnitureItem, px_per_m: float) -> FurnitureSheet:
    """The item as premultiplied RGBA, its feet on the lower edge, `px_per_m` pixels a metre."""
    scale = px_per_m * _FINE
    size = (max(2, round(item.height_m * scale)), max(2, round(item.width_m * scale)))
    sheet = np.zeros((*size, 4), dtype=np.uint8)
    _PAINTERS[item.kind](sheet, np.random.default_rng(item.seed))
    small = (max(1, size[1] // _FINE), max(1, size[0] // _FINE))
    averaged: FurnitureSheet = np.asarray(
        cv2.resize(sheet, small, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    return averaged


def _box(
    sheet: FurnitureSheet, box: tuple[float, float, float, float], colour: tuple[float, ...]
) -> None:
    """A rectangle left, top, right, bottom in fractions of the sheet."""
    rows, columns = sheet.shape[:2]
    left, right = round(box[0] * columns), max(round(box[2] * columns), round(box[0] * columns) + 1)
    top, bottom = round(box[1] * rows), max(round(box[3] * rows), round(box[1] * rows) + 1)
    sheet[top:bottom, left:right] = (*(min(255, int(c)) for c in colour), 255)


def _round_off(sheet: FurnitureSheet, strength: float) -> None:
    """Shades the whole sheet as an upright cylinder."""
    turn = np.linspace(-1, 1, sheet.shape[1])
    light = 1 - strength + strength * 1.25 * np.sqrt(1 - 0.92 * turn**2) - 0.12 * strength * turn
    lit = sheet[..., :3] * light[None, :, None]
    sheet[..., :3] = np.clip(lit, 0, 255).astype(np.uint8)


def _ellipse(
    sheet: FurnitureSheet,
    centre: tuple[float, float],
    radii: tuple[float, float],
    colour: tuple[float, ...],
) -> None:
    rows, columns = sheet.shape[:2]
    middle = (round(centre[0] * columns), round(centre[1] * rows))
    axes = (max(1, round(radii[0] * columns)), max(1, round(radii[1] * rows)))
    cv2.ellipse(
        sheet, middle, axes, 0, 0, 360, (*(float(min(255.0, c)) for c in colour), 255.0), -1
    )


def _polygon(
    sheet: FurnitureSheet, points: list[tuple[float, float]], colour: tuple[float, ...]
) -> None:
    rows, columns = sheet.shape[:2]
    corners = np.array([(round(x * columns), round(y * rows)) for x, y in points], dtype=np.int32)
    cv2.fillPoly(sheet, [corners], (*(float(c) for c in colour), 255.0))


def _paint_lamp(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    _box(sheet, (0.25, 0.04, 0.75, 1.0), (66, 74, 72))
    _box(sheet, (0.05, 0.86, 0.95, 1.0), (56, 62, 60))
    _box(sheet, (0.0, 0.0, 1.0, 0.07), (208, 204, 180))
    _round_off(sheet, 0.5)


def _paint_sign(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    _box(sheet, (0.46, 0.5, 0.54, 1.0), (90, 92, 96))
    _box(sheet, (0.0, 0.0, 1.0, 0.62), (52, 56, 62))
    _box(sheet, (0.05, 0.02, 0.95, 0.6), tuple(rng.uniform(80, 220, 3)))
    _ellipse(sheet, (0.5, 0.26), (0.3, 0.14), tuple(rng.uniform(60, 230, 3)))
    _box(sheet, (0.15, 0.46, 0.85, 0.5), (236, 234, 226))


def _paint_tree(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    _polygon(sheet, [(0.46, 0.3), (0.54, 0.3), (0.57, 1.0), (0.43, 1.0)], (84, 68, 54))
    for _ in range(26):
        x = rng.uniform(0.435, 0.56)
        y = rng.uniform(0.45, 0.97)
        _box(
            sheet,
            (x, y, x + 0.012, y + 0.03),
            tuple(np.array([70, 56, 44]) * rng.uniform(0.7, 1.25)),
        )
    for k in range(420):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        x, y = 0.5 + 0.44 * reach * np.cos(angle), 0.24 + 0.19 * reach * np.sin(angle)
        light = 0.6 + 0.5 * (k / 420) - 0.5 * (y - 0.2) - 0.3 * (x - 0.5)
        _ellipse(
            sheet,
            (x, y),
            (0.05, 0.02),
            tuple(np.array([78, 112, 54]) * light * rng.uniform(0.85, 1.2)),
        )


def _paint_body(sheet: FurnitureSheet, rng: np.random.Generator, roof: float) -> None:
    """A car from the side: body, glass, wheels, lamps and a shine along the shoulder."""
    paint = np.array(
        [(150, 30, 34), (40, 58, 92), (188, 190, 192), (44, 46, 50), (222, 222, 218), (92, 110, 96)]
    )[int(rng.integers(6))]
    cabin = [(0.2, 0.45), (0.3, roof), (0.68, roof), (0.83, 0.45)]
    _polygon(sheet, cabin, tuple(paint * 0.9))
    _polygon(
        sheet,
        [(0.01, 0.52), (0.06, 0.44), (0.94, 0.44), (0.99, 0.54), (0.99, 0.84), (0.01, 0.84)],
        tuple(paint),
    )
    _polygon(
        sheet, [(0.24, 0.43), (0.315, roof + 0.06), (0.48, roof + 0.06), (0.48, 0.43)], (52, 64, 74)
    )
    _polygon(
        sheet,
        [(0.505, 0.43), (0.505, roof + 0.06), (0.66, roof + 0.06), (0.775, 0.43)],
        (60, 72, 84),
    )
    _box(sheet, (0.05, 0.48, 0.95, 0.51), tuple(np.minimum(paint * 1.25 + 12, 255)))
    _box(sheet, (0.01, 0.76, 0.99, 0.84), tuple(paint * 0.55))
    _box(sheet, (0.49, 0.5, 0.494, 0.76), tuple(paint * 0.6))
    _box(sheet, (0.01, 0.55, 0.04, 0.62), (236, 226, 180))
    _box(sheet, (0.965, 0.55, 0.99, 0.63), (170, 40, 36))
    for x in (0.19, 0.81):
        _ellipse(sheet, (x, 0.83), (0.075, 0.17), (28, 28, 30))
        _ellipse(sheet, (x, 0.83), (0.042, 0.1), (150, 152, 156))


def _paint_car(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    _paint_body(sheet, rng, 0.02)


def _paint_van(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    paint = np.array([(214, 214, 208), (64, 84, 120), (176, 160, 60)])[int(rng.integers(3))]
    _polygon(
        sheet,
        [(0.01, 0.55), (0.1, 0.42), (0.2, 0.03), (0.98, 0.03), (0.99, 0.88), (0.01, 0.88)],
        tuple(paint),
    )
    _polygon(sheet, [(0.12, 0.43), (0.2, 0.12), (0.32, 0.12), (0.32, 0.43)], (56, 66, 76))
    _box(sheet, (0.4, 0.2, 0.9, 0.45), tuple(paint * 0.8 + 30))
    _box(sheet, (0.44, 0.27, 0.86, 0.31), tuple(paint * 0.45))
    _box(sheet, (0.01, 0.8, 0.99, 0.88), tuple(paint * 0.5))
    for x in (0.18, 0.82):
        _ellipse(sheet, (x, 0.87), (0.07, 0.13), (28, 28, 30))
        _ellipse(sheet, (x, 0.87), (0.035, 0.07), (140, 142, 146))


def _paint_car_rear(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    paint = np.array([(150, 30, 34), (40, 58, 92), (188, 190, 192), (44, 46, 50), (222, 222, 218)])[
        int(rng.integers(5))
    ]
    _polygon(sheet, [(0.14, 0.4), (0.22, 0.02), (0.78, 0.02), (0.86, 0.4)], tuple(paint * 0.9))
    _polygon(sheet, [(0.2, 0.38), (0.26, 0.08), (0.74, 0.08), (0.8, 0.38)], (56, 66, 76))
    _polygon(
        sheet,
        [(0.02, 0.46), (0.1, 0.38), (0.9, 0.38), (0.98, 0.46), (0.98, 0.86), (0.02, 0.86)],
        tuple(paint),
    )
    for left, right in ((0.04, 0.2), (0.8, 0.96)):
        _box(sheet, (left, 0.5, right, 0.62), (176, 34, 30))
    _box(sheet, (0.36, 0.6, 0.64, 0.7), (232, 230, 220))
    _box(sheet, (0.02, 0.76, 0.98, 0.86), tuple(paint * 0.5))
    for left, right in ((0.06, 0.2), (0.8, 0.94)):
        _box(sheet, (left, 0.84, right, 1.0), (26, 26, 28))


def _paint_kiosk(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    tint = np.array([(44, 92, 72), (126, 40, 42), (50, 72, 118), (168, 132, 60)])[
        int(rng.integers(4))
    ]
    _box(sheet, (0.04, 0.1, 0.96, 1.0), tuple(tint))
    _box(sheet, (0.0, 0.0, 1.0, 0.12), tuple(tint * 0.6))
    for k in range(10):
        _box(sheet, (k / 10, 0.12, (k + 1) / 10, 0.2), (226, 222, 212) if k % 2 else tuple(tint))
    _box(sheet, (0.12, 0.26, 0.88, 0.56), (50, 54, 58))
    for _ in range(16):
        x, y = rng.uniform(0.14, 0.8), rng.uniform(0.3, 0.46)
        _box(sheet, (x, y, x + 0.06, y + 0.09), tuple(rng.uniform(60, 220, 3)))
    _box(sheet, (0.08, 0.56, 0.92, 0.6), (196, 190, 178))
    _box(sheet, (0.04, 0.93, 0.96, 1.0), tuple(tint * 0.5))
    _round_off(sheet, 0.18)


def _paint_bench(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    for top in (0.0, 0.13, 0.26):
        _box(sheet, (0.0, top, 1.0, top + 0.09), (136, 98, 62))
    _box(sheet, (0.0, 0.5, 1.0, 0.62), (150, 110, 70))
    for x in (0.06, 0.88):
        _box(sheet, (x, 0.0, x + 0.06, 1.0), (50, 52, 54))


def _paint_column(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    _box(sheet, (0.04, 0.08, 0.96, 1.0), (188, 182, 168))
    _box(sheet, (0.0, 0.0, 1.0, 0.09), (58, 82, 70))
    _box(sheet, (0.0, 0.93, 1.0, 1.0), (70, 74, 72))
    for x in (0.08, 0.36, 0.64):
        for y in (0.14, 0.42, 0.68):
            colour = rng.uniform(50, 220, 3)
            _box(sheet, (x, y, x + 0.26, y + 0.23), tuple(colour))
            _box(sheet, (x + 0.04, y + 0.05, x + 0.22, y + 0.1), tuple(255 - 0.8 * colour))
            _box(sheet, (x + 0.04, y + 0.15, x + 0.16, y + 0.17), tuple(0.5 * colour))
    _round_off(sheet, 0.5)


def _paint_planter(sheet: FurnitureSheet, rng: np.random.Generator) -> None:
    for _ in range(220):
        x, y = rng.uniform(0.06, 0.94), rng.uniform(0.09, 0.6)
        light = rng.uniform(0.75, 1.25) * (1.15 - 0.6 * y)
        _ellipse(sheet, (x, y), (0.05, 0.08), tuple(np.array([66, 104, 56]) * light))
    for _ in range(14):
        _ellipse(
            sheet, (rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.45)), (0.018, 0.035), (206, 90, 104)
        )
    _box(sheet, (0.02, 0.56, 0.98, 1.0), (146, 138, 126))
    _box(sheet, (0.0, 0.54, 1.0, 0.62), (166, 158, 146))


_PAINTERS: dict[str, Callable[[FurnitureSheet, np.random.Generator], None]] = {
    "lamp": _paint_lamp,
    "sign": _paint_sign,
    "tree": _paint_tree,
    "car": _paint_car,
    "van": _paint_van,
    "car_rear": _paint_car_rear,
    "kiosk": _paint_kiosk,
    "bench": _paint_bench,
    "column": _paint_column,
    "planter": _paint_planter,
}
