"""Routes of the walkers: paths over the ground of each camera, timetables, gait and view
direction."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.body import N_PHASES, N_VIEWS, STANDING
from lpw_toolkit.synth.config import StreetConfig
from lpw_toolkit.synth.occlusion import thin_items
from lpw_toolkit.synth.people import Person
from lpw_toolkit.synth.world import (
    WALL_END_M,
    WALL_LEFT_M,
    WALL_RIGHT_M,
    ZEBRA_X_M,
    ZEBRA_Z_M,
    Camera,
    FurnitureItem,
    Track,
    View,
    draw_camera,
    draw_items,
    foot_width,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STRIDE_FRAC = 0.84  # two steps, in statures
_SEEN_S = 1.5  # a passage counts as one when the person is in the picture for so long


def build_world(
    config: StreetConfig, people: list[list[Person]], rng: np.random.Generator
) -> list[View]:
    """Every camera of every scene with its furniture and the passages of the scene's persons."""
    views: list[View] = []
    for scene, persons in enumerate(people):
        cameras = [draw_camera(config, scene, k, rng) for k in range(config.n_cameras)]
        items = [draw_items(camera, config.n_furniture, rng) for camera in cameras]
        tracks = _draw_tracks(config, persons, cameras, items, rng)
        for camera, things, passages in zip(cameras, items, tracks, strict=True):
            seed = int(rng.integers(2**31))
            views.append(View(camera, tuple(things), tuple(passages), config.n_frames, seed))
    return thin_items(views, config.occluded_frac)


# --- paths
# --------------------------------------------------------------------------------------------------


def _draw_waypoints(camera: Camera, items: list[FurnitureItem], rng: np.random.Generator) -> Floats:
    """(K, 2) corners of a path through the picture that meets no furniture (the last of many tries
    may)."""
    draw = _PATHS[camera.layout]
    margin = 0.5 * camera.width / camera.focal_px
    points = draw(margin, rng)
    for _ in range(60):
        if not _meets_items(points, items):
            break
        points = draw(margin, rng)
    return points[::-1] if rng.random() < 0.5 else points


def _meets_items(points: Floats, items: list[FurnitureItem]) -> bool:
    path = _resample(points, 0.2)
    return any(
        bool(
            (
                (np.abs(path[:, 0] - it.x_m) < foot_width(it) / 2 + 0.3)
                & (np.abs(path[:, 1] - it.z_m) < 0.45)
            ).any()
        )
        for it in items
    )


def _choose_side(rng: np.random.Generator) -> float:
    """Left (-1) or right (1)."""
    return float(rng.choice([-1.0, 1.0]))


def _edge(margin: float, z_m: float, side: float) -> tuple[float, float]:
    """A point just outside the left (-1) or right (1) edge of the picture at depth `z_m`."""
    return side * (margin * z_m + 0.7), z_m


def _path_across(margin: float, rng: np.random.Generator) -> Floats:
    near, far, kind = rng.uniform(7.3, 9.2), rng.uniform(13.4, 15.4), rng.random()
    if kind < 0.5:
        end = np.clip(near + rng.normal(0, 0.4), 7.2, 9.2)
        return np.array([_edge(margin, near, -1), (0.0, (near + end) / 2), _edge(margin, end, 1)])
    if kind < 0.75:
        return np.array(
            [
                _edge(margin, far, -1),
                _edge(margin, np.clip(far + rng.normal(0, 0.3), 13.4, 15.4), 1),
            ]
        )
    x, side = rng.uniform(ZEBRA_X_M[0] + 0.4, ZEBRA_X_M[1] - 0.4), _choose_side(rng)
    return np.array(
        [
            _edge(margin, near, side),
            (x, near),
            (x, far),
            _edge(margin, far, _choose_side(rng)),
        ]
    )


def _path_along(margin: float, rng: np.random.Generator) -> Floats:
    left, right = rng.uniform(-4.5, -2.8), rng.uniform(3.5, 5.1)
    corner, kind = rng.uniform(21.8, 24.5), rng.random()
    if kind < 0.68:
        lane, x_far = (left, -7.0) if kind < 0.34 else (right, 7.6)
        if rng.random() < 0.5:
            return np.array(
                [(lane, 4.5), (lane + rng.normal(0, 0.15), 14.0), (lane, corner), (x_far, corner)]
            )
        return np.array(
            [(lane, 4.5), (lane + rng.normal(0, 0.15), 14.0), (lane, corner), (-x_far, corner)]
        )
    if kind < 0.9:
        cross = rng.uniform(ZEBRA_Z_M[0] + 0.3, ZEBRA_Z_M[1] - 0.3)
        return np.array(
            [(left, 4.5), (left, cross), (right, cross), (right, corner), (7.6, corner)]
        )
    return np.array([(-7.5, corner), (8.0, corner + rng.normal(0, 0.3))])


def _path_plaza(margin: float, rng: np.random.Generator) -> Floats:
    def gate() -> tuple[float, float]:
        if rng.random() < 0.25:
            return rng.uniform(-3.5, 3.5), 5.6
        return _edge(margin, rng.uniform(10.0, 20.5), _choose_side(rng))

    start, end = gate(), gate()
    while np.hypot(start[0] - end[0], start[1] - end[1]) < 8.0:
        start, end = gate(), gate()
    middle = (np.array(start) + np.array(end)) / 2 + rng.normal(0, 1.1, 2)
    middle[1] = max(middle[1], 10.0)
    return np.array([start, middle, end])


_PATHS: dict[str, Callable[[float, np.random.Generator], Floats]] = {
    "across": _path_across,
    "along": _path_along,
    "plaza": _path_plaza,
}


def _resample(points: Floats, step_m: float) -> Floats:
    """(M, 2) points every `step_m` metres along the polyline, its corners rounded over about a
    metre."""
    legs = np.hypot(*np.diff(points, axis=0).T)
    at = np.concatenate([[0.0], np.cumsum(legs)])
    along = np.arange(0.0, at[-1], step_m)
    path = np.stack([np.interp(along, at, points[:, k]) for k in (0, 1)], axis=1)
    return _smooth(path, max(1, round(0.6 / step_m)))


def _smooth(path: Floats, reach: int) -> Floats:
    """(M, 2) means over `reach` rows to either side."""
    padded = np.concatenate([np.repeat(path[:1], reach, 0), path, np.repeat(path[-1:], reach, 0)])
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in (0, 1)], axis=1)


# --- passages
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Walk:
    """A path with its timetable: place (K, 2) in metres and metres walked (K,), one row per
    frame."""

    path: Floats
    walked_m: Floats


def _draw_walk(
    camera: Camera,
    items: list[FurnitureItem],
    person: Person,
    config: StreetConfig,
    rng: np.random.Generator,
) -> _Walk:
    fine = _resample(_draw_waypoints(camera, items, rng), 0.05)
    length = 0.05 * (len(fine) - 1)
    pace = np.full(
        int(np.ceil(length / person.speed_mps * config.rate_hz)) + 1,
        person.speed_mps / config.rate_hz,
    )
    if rng.random() < config.stop_frac:
        where, pause = (
            int(len(pace) * rng.uniform(0.3, 0.7)),
            int(rng.uniform(1.0, 3.0) * config.rate_hz),
        )
        pace = np.insert(pace, where, np.zeros(pause))
    walked = np.minimum(np.cumsum(pace) - pace[0], length)
    at = walked / 0.05
    path = np.stack([np.interp(at, np.arange(len(fine)), fine[:, k]) for k in (0, 1)], axis=1)
    return _Walk(path, walked)


def _draw_tracks(
    config: StreetConfig,
    persons: list[Person],
    cameras: list[Camera],
    items: list[list[FurnitureItem]],
    rng: np.random.Generator,
) -> list[list[Track]]:
    """The passages of all persons through the cameras of one scene; some walk two by two."""
    tracks: list[list[Track]] = [[] for _ in cameras]
    leader: list[tuple[int, int, _Walk]] = []
    for person in persons:
        beside = bool(leader) and rng.random() < config.pair_frac / 2
        route = (
            _shift_route(leader, rng)
            if beside
            else _draw_route(config, person, cameras, items, rng)
        )
        leader = [] if beside else route
        for camera, start, walk in route:
            track = _make_track(cameras[camera], person, start, walk, config.n_frames, rng)
            if len(track.frames):
                tracks[camera].append(track)
    return tracks


def _draw_route(
    config: StreetConfig,
    person: Person,
    cameras: list[Camera],
    items: list[list[FurnitureItem]],
    rng: np.random.Generator,
) -> list[tuple[int, int, _Walk]]:
    """(camera, first frame, walk) of each visit; of many tries one of which two visits are seen
    within the film."""
    best: list[tuple[int, int, _Walk]] = []
    most, enough = -1, round(min(_SEEN_S, config.duration_s / 6) * config.rate_hz)
    for _ in range(100):
        n_visits = min(len(cameras), 2 + int(rng.random() < 0.6))
        order = rng.permutation(len(cameras))[:n_visits]
        walks = [_draw_walk(cameras[k], items[k], person, config, rng) for k in order]
        starts = _draw_starts([len(w.walked_m) for w in walks], config, rng)
        route = [(int(k), int(s), w) for k, s, w in zip(order, starts, walks, strict=True)]
        seen = sorted(_count_seen(cameras[k], s, w, config.n_frames) for k, s, w in route)[-2]
        if seen > most:
            best, most = route, seen
        if most >= enough:
            break
    return best


def _draw_starts(lengths: list[int], config: StreetConfig, rng: np.random.Generator) -> Ints:
    """First frame of each visit: one after the other with up to 7 s on the way, two of them within
    the film."""
    least = min(3.0, config.duration_s / 4) * config.rate_hz
    longest = min(7.0, config.duration_s / 5)
    gaps = rng.uniform(min(1.5, longest), longest, len(lengths)) * config.rate_hz
    begins = np.concatenate([[0.0], np.cumsum(np.array(lengths) + gaps)[:-1]])
    first = int(rng.integers(len(lengths) - 1))
    earliest, latest = (
        least - begins[first] - lengths[first],
        config.n_frames - least - begins[first + 1],
    )
    starts: Ints = np.rint(begins + rng.uniform(min(earliest, latest), latest)).astype(np.int64)
    return starts


def _count_seen(camera: Camera, start: int, walk: _Walk, n_frames: int) -> int:
    frames = np.arange(len(walk.walked_m)) + start
    column, row, scale = camera.project(walk.path[:, 0], walk.path[:, 1])
    beside = (column > 0) & (column < camera.width) & (row - 1.2 * scale < camera.height)
    hidden = _is_behind_wall(camera, walk.path[:, 0], walk.path[:, 1])
    return int((beside & ~hidden & (frames >= 0) & (frames < n_frames)).sum())


def _shift_route(
    leader: list[tuple[int, int, _Walk]], rng: np.random.Generator
) -> list[tuple[int, int, _Walk]]:
    """The same walks half a metre to the side and a little behind."""
    offset, lag = _choose_side(rng) * rng.uniform(0.5, 0.7), rng.uniform(-0.25, 0.25)
    shifted = []
    for camera, start, walk in leader:
        ahead = _heading(walk.path)
        aside = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        shifted.append(
            (camera, start, _Walk(walk.path + offset * aside + lag * ahead, walk.walked_m))
        )
    return shifted


def _heading(path: Floats) -> Floats:
    """(M, 2) unit vectors along a path, turning over about two seconds; who halts keeps his
    heading."""
    steps = np.gradient(path, axis=0)
    moving = np.flatnonzero(np.hypot(steps[:, 0], steps[:, 1]) > 1e-3)
    filled = np.stack(
        [np.interp(np.arange(len(path)), moving, steps[moving, k]) for k in (0, 1)], axis=1
    )
    ahead = _smooth(filled, 12)
    return ahead / np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-6)[:, None]


def _make_track(
    camera: Camera, person: Person, start: int, walk: _Walk, n_frames: int, rng: np.random.Generator
) -> Track:
    frames = np.arange(len(walk.walked_m)) + start
    moving = np.gradient(walk.walked_m) > 1e-6 if len(frames) > 1 else np.ones(1, dtype=bool)
    cycle = walk.walked_m / (_STRIDE_FRAC * person.stature_m) + rng.random()
    phases = np.where(moving, np.floor(cycle * N_PHASES).astype(np.int64) % N_PHASES, STANDING)
    sway = 0.06 * np.sin(2 * np.pi * cycle / 3 + rng.uniform(0, 6.3))
    x, z = walk.path[:, 0] + sway, walk.path[:, 1]
    views = _view_numbers(camera.side * walk.path[:, 0], z)
    kept = (frames >= 0) & (frames < n_frames) & ~_is_behind_wall(camera, x, z)
    return Track(person, frames[kept], x[kept], z[kept], phases[kept], views[kept])


def _is_behind_wall(camera: Camera, x: Floats, z: Floats) -> NDArray[np.bool_]:
    """(K,) where a side wall of an `along` street hides the whole person: he is out of the picture,
    not occluded."""
    left, right = (
        (x + 0.5) / z < WALL_LEFT_M / WALL_END_M,
        (x - 0.5) / z > WALL_RIGHT_M / WALL_END_M,
    )
    hidden: NDArray[np.bool_] = (z > WALL_END_M) & (left | right) & (camera.layout == "along")
    return hidden


def _view_numbers(x: Floats, z: Floats) -> Ints:
    """From which side a walker along (x, z) is seen: his heading against the line of sight."""
    reach = min(5, len(x) - 1)
    last = np.arange(len(x))
    dx = x[np.minimum(last + reach, len(x) - 1)] - x[np.maximum(last - reach, 0)]
    dz = z[np.minimum(last + reach, len(x) - 1)] - z[np.maximum(last - reach, 0)]
    sight = np.arctan2(x, z)
    across, away = dx * np.cos(sight) - dz * np.sin(sight), dx * np.sin(sight) + dz * np.cos(sight)
    numbers: Ints = (
        np.rint(np.arctan2(across, -away) / (2 * np.pi) * N_VIEWS).astype(np.int64) % N_VIEWS
    )
    return numbers
