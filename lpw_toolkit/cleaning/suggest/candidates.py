"""Candidates for the same person: tracklets of one path in one camera, tracklets of other cameras,
and tracklets of the same camera at another time.

Within a camera two tracklets can be one person only if they do not overlap in time; motion carries
the end of one to the start of the other. Across cameras appearance decide, with each camera's own
colours taken off, and with what differs between the surest matches counted less: they show how one
person changes from camera to camera. Two more facts help: somebody who goes from one camera to
another needs about as long as others do (learned from the pairs whose appearance agree best), and a
tracklet that fits another one better is less likely to be the match: one person is at one place at
a time. Who comes back to the same camera is found by appearance alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.labels import Ints, Times

Floats = NDArray[np.float64]

N_CANDIDATES = 9  # one for each key
_MAX_GAP_S = 10.0
_PATH_AT_ONCE, _PATH_PER_S = (
    0.4,
    0.5,
)  # heights by which a course may be missed: at once, and for each second of the gap
_SIZE_SPREAD = 0.25  # of the logarithm of the ratio of heights
_APPEARANCE_WEIGHT, _COST_SPREAD = 9.0, 6.0
_SHRINK = (
    0.03  # share of the identity in the covariance within tracklets: a few frames tell it badly
)
_SHARPNESS = 20.0  # of appearance in units of their spread over all pairs
_SURE, _MIN_SURE = 0.5, 20  # chance from which a match teaches, and how many it takes
_N_TRANSIT_ROUNDS = 4
_TRANSIT_SPREAD_S = 1.0
_TRANSIT_SPAN_S = 60.0
_TRANSIT_FLOOR = 0.02
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Endpoints:
    """Where and when tracklets begin and end; N rows, NaN where not known.

    Attributes:
        scene, camera: (N,) numbers.
        start_s, end_s: (N,) on the clock of the scene.
        first, last: (N, 2) centre of the box at either end, pixels.
        first_speed, last_speed: (N, 2) pixels per second there.
        height: (N, 2) of the box at either end, pixels.
    """

    scene: Ints
    camera: Ints
    start_s: Floats
    end_s: Floats
    first: Floats
    last: Floats
    first_speed: Floats
    last_speed: Floats
    height: Floats


@dataclass(frozen=True)
class Pairs:
    """Candidates, sorted by (row, rank).

    Attributes:
        row, other: (M,) tracklets.
        rank: (M,) 0 is the likeliest.
        score: (M,) 0 to 1.
        appearance: (M,) distance of the appearance: 1 is usual for two tracklets taken at random.
        gap_s: (M,) seconds from the end of the earlier one to the start of the later; NaN where not
            known.
        path: (M,) by how much the course misses, in heights; NaN across cameras.
    """

    row: Ints
    other: Ints
    rank: Ints
    score: Floats
    appearance: Floats
    gap_s: Floats
    path: Floats


def find_merges(endpoints: Endpoints, appearance: Floats) -> Pairs:
    """Pieces that may belong together: both directions of every pair.

    Args:
        appearance: (N, D) as `whiten` gives them.
    """
    found: list[tuple[int, int, float, float, float, float]] = []
    # Mean squared distance of two tracklets of one camera: twice the variance there.
    centred = np.concatenate(
        [
            appearance[endpoints.camera == g] - appearance[endpoints.camera == g].mean(axis=0)
            for g in np.unique(endpoints.camera)
        ]
    )
    usual = max(2 * float((centred**2).sum(axis=1).mean()), 1e-9)
    for camera in np.unique(endpoints.camera[np.isfinite(endpoints.start_s)]):
        rows = np.flatnonzero((endpoints.camera == camera) & np.isfinite(endpoints.start_s))
        order = rows[np.argsort(endpoints.start_s[rows], kind="stable")]
        starts = endpoints.start_s[order]
        for i in rows.tolist():
            a, b = np.searchsorted(
                starts, [endpoints.end_s[i], endpoints.end_s[i] + _MAX_GAP_S], side="right"
            )
            later = order[a:b]
            if len(later):
                found += _compare_ends(endpoints, appearance, i, later, usual)
    return _rank(found, len(endpoints.camera))


def _compare_ends(
    endpoints: Endpoints, appearance: Floats, i: int, later: Ints, usual: float
) -> list[tuple[int, int, float, float, float, float]]:
    gap_s = endpoints.start_s[later] - endpoints.end_s[i]
    there = endpoints.last[i] + gap_s[:, None] * endpoints.last_speed[i]
    back = endpoints.first[later] - gap_s[:, None] * endpoints.first_speed[later]
    height = np.maximum((endpoints.height[i, 1] + endpoints.height[later, 0]) / 2, 1)
    stays = np.hypot(*(endpoints.first[later] - endpoints.last[i]).T)  # who stops walks no further
    misses = np.hypot(*(there - endpoints.first[later]).T) + np.hypot(*(back - endpoints.last[i]).T)
    path = np.minimum(misses / 2, stays) / height
    size = np.log(endpoints.height[later, 0] / endpoints.height[i, 1]) / _SIZE_SPREAD
    appearance = ((appearance[later] - appearance[i]) ** 2).sum(axis=1) / usual
    cost = (
        (path / (_PATH_AT_ONCE + _PATH_PER_S * gap_s)) ** 2
        + size**2
        + _APPEARANCE_WEIGHT * appearance
    )
    score = np.exp(-cost / _COST_SPREAD)
    rows = zip(
        later.tolist(),
        score.tolist(),
        appearance.tolist(),
        gap_s.tolist(),
        path.tolist(),
        strict=True,
    )
    return [pair for j, *facts in rows for pair in ((i, j, *facts), (j, i, *facts))]


def whiten(appearance: Floats, within: Floats, camera: Ints) -> Floats:
    """Looks (N, D) without each camera's own mean, and with what changes along tracklets counted
    less.

    Args:
        appearance: mean appearance of each tracklet.
        within: (D, D) covariance of the appearance of a tracklet around its mean.
    """
    out = _centre(appearance, camera)
    level = max(float(np.trace(within)) / len(within), 1e-12)
    values, vectors = np.linalg.eigh((1 - _SHRINK) * within + _SHRINK * level * np.eye(len(within)))
    out = out @ (vectors / np.sqrt(values))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12))


def _centre(appearance: Floats, camera: Ints) -> Floats:
    out = np.array(appearance, dtype=np.float64)
    for number in np.unique(camera):
        out[camera == number] -= out[camera == number].mean(axis=0)
    return out


def match_across(
    endpoints: Endpoints, whitened: Floats, appearance: Floats, within: Floats
) -> Pairs:
    """`find_across` twice: the surest matches of the first time say which differences mean nothing.

    Args:
        whitened: what `whiten` makes of the others.
        appearance, within: as it takes them.
    """
    first = find_across(endpoints, whitened)
    best = dict(
        zip(first.row[first.rank == 0].tolist(), first.other[first.rank == 0].tolist(), strict=True)
    )
    sure = (first.rank == 0) & (first.score > _SURE) & (first.row < first.other)
    pairs = [
        (a, b)
        for a, b in zip(first.row[sure].tolist(), first.other[sure].tolist(), strict=True)
        if best[b] == a
    ]
    if len(pairs) < _MIN_SURE:
        return first
    centred = _centre(appearance, endpoints.camera)
    apart = centred[[a for a, _ in pairs]] - centred[[b for _, b in pairs]]
    across = apart.T @ apart
    both = within / max(float(np.trace(within)), 1e-12) + across / max(
        float(np.trace(across)), 1e-12
    )
    return find_across(endpoints, whiten(appearance, both, endpoints.camera))


def find_across(endpoints: Endpoints, appearance: Floats) -> Pairs:
    """For every tracklet the likeliest ones in the other cameras of its scene.

    Args:
        appearance: (N, D) as `whiten` gives them, of length 1.
    """
    found: list[tuple[int, int, float, float, float, float]] = []
    for scene in np.unique(endpoints.scene):
        rows = np.flatnonzero(endpoints.scene == scene)
        if len(np.unique(endpoints.camera[rows])) > 1:
            found += _match_scene(endpoints, appearance, rows)
    return _rank(found, len(endpoints.camera))


def _match_scene(
    endpoints: Endpoints, appearance: Floats, rows: Ints
) -> list[tuple[int, int, float, float, float, float]]:
    here, camera = appearance[rows], endpoints.camera[rows]
    transit = _learn_transit(endpoints, here, rows)
    best = np.full(
        len(rows), -np.inf
    )  # how well each tracklet fits its best partner in each camera: by columns
    bids = {int(c): best.copy() for c in np.unique(camera)}
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = np.arange(start, min(start + _ROWS_AT_ONCE, len(rows)))
        value = _value(endpoints, here, rows, part, transit)
        for c in bids:
            mine = value[camera[part] == c]
            if len(mine):
                bids[c] = np.logaddexp(bids[c], np.logaddexp.reduce(mine, axis=0))
    found: list[tuple[int, int, float, float, float, float]] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = np.arange(start, min(start + _ROWS_AT_ONCE, len(rows)))
        value = _value(endpoints, here, rows, part, transit)
        taken = np.stack([bids[int(camera[k])] for k in part.tolist()])
        share = np.full_like(value, -np.inf)
        np.subtract(2 * value, taken, out=share, where=np.isfinite(value))
        total = np.logaddexp.reduce(share, axis=1)
        for line, k, sum_ in zip(share, part.tolist(), total.tolist(), strict=True):
            top = np.argsort(-line, kind="stable")[:N_CANDIDATES]
            top = top[np.isfinite(line[top])]
            gaps = _gap_s(endpoints, np.array([rows[k]]), rows[top])[0]
            apart = 1 - here[top] @ here[k]
            chance = np.exp(line[top] - sum_)
            facts = zip(
                rows[top].tolist(),
                chance.tolist(),
                apart.tolist(),
                np.abs(gaps).tolist(),
                strict=True,
            )
            found += [(int(rows[k]), j, p, d, g, float("nan")) for j, p, d, g in facts]
    return found


def find_returns(camera: Ints, times: Times, appearance: Floats) -> Pairs:
    """For every tracklet the likeliest ones of its own camera that are apart from it in time
    (`Times.are_apart`): a person who left and came back.

    Args:
        camera: (N,) numbers.
        appearance: (N, D) as `whiten` gives them, of length 1.
    """
    found: list[tuple[int, int, float, float, float, float]] = []
    for number in np.unique(camera):
        rows = np.flatnonzero(camera == number)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            apart = times.are_apart(part[:, None], times, rows[None])
            likeness = appearance[part] @ appearance[rows].T
            value = np.where(apart, _SHARPNESS * likeness, -np.inf)
            total = np.logaddexp.reduce(value, axis=1)
            for i, line, like, sum_ in zip(part, value, likeness, total, strict=True):
                top = np.argsort(-line, kind="stable")[:N_CANDIDATES]
                top = top[np.isfinite(line[top])]
                others = rows[top]
                facts = (np.exp(line[top] - sum_), 1 - like[top], times.gap_s(i, times, others))
                found += [
                    (int(i), j, *known, float("nan"))
                    for j, *known in zip(others.tolist(), *(f.tolist() for f in facts), strict=True)
                ]
    return _rank(found, len(camera))


def _value(
    endpoints: Endpoints, here: Floats, rows: Ints, part: Ints, transit: "Transit | None"
) -> Floats:
    """Log odds (P, R) of every pair; minus infinity within a camera."""
    value = _SHARPNESS * (here[part] @ here.T)
    if transit is not None:
        value = value + transit.weigh(_gap_s(endpoints, rows[part], rows))
    return np.where(
        endpoints.camera[rows[part], None] == endpoints.camera[rows][None], -np.inf, value
    )


def _gap_s(endpoints: Endpoints, a: Ints, b: Ints) -> Floats:
    """Seconds (A, B) from the end of the earlier to the start of the later, negative where b comes
    first."""
    after = endpoints.start_s[b][None] - endpoints.end_s[a][:, None]
    before = endpoints.start_s[a][:, None] - endpoints.end_s[b][None]
    return np.asarray(np.where(after >= before, np.maximum(after, 0), -np.maximum(before, 0)))


@dataclass(frozen=True)
class Transit:
    """How much more often a gap is seen between tracklets of one person than between any two.

    Attributes:
        gains: log ratio of each second from -_TRANSIT_SPAN_S to _TRANSIT_SPAN_S.
    """

    gains: Floats

    def weigh(self, gap_s: Floats) -> Floats:
        """The log ratio of every gap; 0 where it is not known."""
        place = np.clip(np.nan_to_num(gap_s) + _TRANSIT_SPAN_S, 0, 2 * _TRANSIT_SPAN_S)
        return np.asarray(
            np.where(np.isfinite(gap_s), self.gains[np.rint(place).astype(np.int64)], 0.0)
        )


def _learn_transit(endpoints: Endpoints, here: Floats, rows: Ints) -> Transit | None:
    """Gaps of the pairs that fit best, against those of all pairs; the pairs are chosen anew in
    each round."""
    if not np.isfinite(endpoints.start_s[rows]).all():
        return None
    transit: Transit | None = None
    for _ in range(_N_TRANSIT_ROUNDS):
        matched, every = (
            np.zeros(2 * int(_TRANSIT_SPAN_S) + 1),
            np.zeros(2 * int(_TRANSIT_SPAN_S) + 1),
        )
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = np.arange(start, min(start + _ROWS_AT_ONCE, len(rows)))
            value = _value(endpoints, here, rows, part, transit)
            gaps = np.rint(
                np.clip(
                    _gap_s(endpoints, rows[part], rows) + _TRANSIT_SPAN_S, 0, 2 * _TRANSIT_SPAN_S
                )
            )
            usable = np.isfinite(value)
            chance = np.exp(value - np.logaddexp.reduce(value, axis=1, keepdims=True))
            matched += np.bincount(gaps[usable].astype(np.int64), chance[usable] ** 2, len(matched))
            every += np.bincount(gaps[usable].astype(np.int64), minlength=len(every))
        transit = Transit(_compare_shares(matched, every))
    return transit


def _compare_shares(matched: Floats, every: Floats) -> Floats:
    reach = np.arange(-4, 5) / _TRANSIT_SPREAD_S
    kernel = np.exp(-0.5 * reach**2)
    smooth = [
        np.convolve(counts + counts[::-1], kernel / kernel.sum(), mode="same")
        for counts in (matched, every)
    ]
    shares = [counts / max(counts.sum(), 1e-12) for counts in smooth]
    floor = _TRANSIT_FLOOR / len(matched)
    return np.asarray(np.log((shares[0] + floor) / (shares[1] + floor)))


def _rank(found: list[tuple[int, int, float, float, float, float]], n: int) -> Pairs:
    """The N_CANDIDATES best of each row; equal ones by number."""
    table = np.array(found, dtype=np.float64).reshape(-1, 6)
    table = table[np.lexsort((table[:, 1], -table[:, 2], table[:, 0]))]
    row = table[:, 0].astype(np.int64)
    starts = np.searchsorted(row, np.arange(n + 1))
    rank = np.arange(len(row)) - starts[row]
    kept = rank < N_CANDIDATES
    table, row, rank = table[kept], row[kept], rank[kept]
    return Pairs(
        row,
        table[:, 1].astype(np.int64),
        rank,
        *(np.ascontiguousarray(table[:, k]) for k in (2, 3, 4, 5)),
    )
