"""Suggestions as tables: reasons, the signals of every frame, and candidates with an
explanation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.box_signals import BoxSignals
from lpw_toolkit.cleaning.suggest.candidates import Pairs
from lpw_toolkit.cleaning.suggest.reasons import REASONS
from lpw_toolkit.cleaning.suggest.sample_appearance import Appearance
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import timed_videos
from lpw_toolkit.dataset.schema import CANDIDATES, SIGNALS, SUGGESTIONS
from lpw_toolkit.dataset.tables import make_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Kinds of candidates: the track goes on in the same camera, another camera, the same camera at
#: another time.
MERGE, ACROSS, RETURN = "merge", "cross_camera", "same_camera"
CANDIDATE_KINDS = (MERGE, ACROSS, RETURN)


@dataclass
class Found:
    """Suggestions for N tracklets and their F frames.

    Attributes:
        scores: of each reason (N,); NaN where it cannot be told.
        spans: of some reasons, first and end frame (N, 2): equal ones are a cut before that frame;
            -1 for none.
        others: of some reasons, the other tracklet (N,), -1 for none.
        signals: of each signal of boxes (F,); NaN where it cannot be told.
    """

    scores: dict[str, Floats] = field(default_factory=dict)
    spans: dict[str, Ints] = field(default_factory=dict)
    others: dict[str, Ints] = field(default_factory=dict)
    signals: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def make_suggestions(dataset: Dataset, found: Found) -> pa.Table:
    """schema.SUGGESTIONS, sorted by tracklet and, within it, by the order of REASONS."""
    tracklets = dataset.tracklets
    names = [name for name in REASONS if name in found.scores]
    scores = np.stack([found.scores[name] for name in names], axis=1)
    row, column = np.nonzero(np.isfinite(scores))
    nothing = np.full((tracklets.num_rows, 2), -1, dtype=np.int64)
    spans = np.stack([found.spans.get(name, nothing) for name in names], axis=1)[row, column]
    others = np.stack([found.others.get(name, nothing[:, 0]) for name in names], axis=1)[
        row, column
    ]
    rows, missing = pa.array(row), spans[:, 0] < 0
    ids = tracklets["tracklet_id"].combine_chunks()
    return pa.Table.from_arrays(
        [
            ids.take(rows),
            tracklets["camera_id"].combine_chunks().take(rows),
            tracklets["n_frames"].combine_chunks().take(rows),
            pa.array(names).take(pa.array(column)),
            pa.array(scores[row, column].astype(np.float32)),
            pa.array(spans[:, 0].astype(np.int32), mask=missing),
            pa.array(spans[:, 1].astype(np.int32), mask=missing),
            ids.take(pa.array(others, mask=others < 0)),
        ],
        schema=SUGGESTIONS,
    )


def make_signals(
    dataset: Dataset, appearance: Appearance, starts: Ints, signals: dict[str, NDArray[np.float32]]
) -> pa.Table:
    """schema.SIGNALS, one row for each row of the table of frames."""
    n = int(starts[-1])
    columns = {
        name: np.full(n, np.nan, dtype=np.float32) for name in ("change", "sharpness")
    } | signals
    for first, positions, change, sharpness in zip(
        starts[:-1], appearance.positions, appearance.changes, appearance.sharpness, strict=True
    ):
        columns["change"][first + positions] = change.change / appearance.usual
        columns["sharpness"][first + positions] = sharpness
    frames = dataset.frames
    arrays = {name: pa.array(values, mask=~np.isfinite(values)) for name, values in columns.items()}
    arrays |= {name: frames[name].combine_chunks() for name in ("tracklet_id", "position", "score")}
    return pa.Table.from_arrays(
        [arrays.get(name, pa.nulls(n, pa.float32())) for name in SIGNALS.names], schema=SIGNALS
    )


def box_signals(signals: BoxSignals) -> dict[str, Floats]:
    """The signals of boxes that a strip chart shows."""
    return {"overlap": signals.overlap, "jump": signals.jump, "size": signals.size}


def make_candidates(dataset: Dataset, found: Mapping[str, Pairs]) -> pa.Table:
    """schema.CANDIDATES, sorted by tracklet, kind and rank.

    Args:
        found: pairs by kind, each one of CANDIDATE_KINDS.
    """
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    cameras = dataset.tracklets["camera_id"].to_pylist()
    videos = dataset.tracklets["video_id"].to_pylist()
    timed = timed_videos(dataset.manifest.get("sources", []))
    rows = [
        (int(i), kind, int(rank), int(j), float(score), float(appearance), float(gap), float(path))
        for kind, pairs in found.items()
        for i, j, rank, score, appearance, gap, path in zip(
            pairs.row,
            pairs.other,
            pairs.rank,
            pairs.score,
            pairs.appearance,
            pairs.gap_s,
            pairs.path,
            strict=True,
        )
    ]
    rows.sort(key=lambda row: (row[0], CANDIDATE_KINDS.index(row[1]), row[2]))
    columns: list[list[object]] = [[] for _ in CANDIDATES.names]
    for i, kind, rank, j, score, appearance, gap, path in rows:
        is_timed = videos[i] == videos[j] or {videos[i], videos[j]} <= timed
        why = explain(kind, appearance, gap, path, cameras[j], is_timed=is_timed)
        known = [value if np.isfinite(value) else None for value in (appearance, gap, path)]
        for column, value in zip(
            columns, (ids[i], kind, rank, ids[j], score, *known, why), strict=True
        ):
            column.append(value)
    return make_table(columns, CANDIDATES)


def explain(
    kind: str,
    appearance: float,
    gap_s: float,
    path: float,
    camera: str,
    *,
    is_timed: bool = True,
) -> str:
    """Why somebody is a candidate, in one line: `0.4 s apart, 0.3 body heights off its path, looks
    very similar`.

    Args:
        is_timed: whether it is known when both videos began.
    """
    parts = [camera] if kind == ACROSS else []
    if np.isfinite(gap_s):
        is_same = kind == ACROSS and gap_s == 0
        when = "at the same time" if is_same else f"{gap_s:.1f} s apart"
        parts.append(when if is_timed else f"{when} if both films began together")
    elif kind == RETURN:
        parts.append("in another video")
    if np.isfinite(path):
        parts.append(f"{path:.1f} body heights off its path")
    looks = ((0.5, "very similar"), (0.9, "similar"))  # 1 is usual for two taken at random
    parts.append("looks " + next((word for most, word in looks if appearance < most), "different"))
    return ", ".join(parts)
