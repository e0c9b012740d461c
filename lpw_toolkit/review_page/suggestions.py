"""The results of `lpw clean --suggest` per tracklet, in the form that the page requests."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.candidates import N_CANDIDATES
from lpw_toolkit.cleaning.suggest.reasons import REASONS
from lpw_toolkit.cleaning.suggest.suggest import FOLDER, TABLES, is_outdated, read_suggestions
from lpw_toolkit.cleaning.suggest.suggestion_tables import ACROSS, CANDIDATE_KINDS, MERGE, RETURN
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import run_bounds, to_numpy
from lpw_toolkit.pages.sprites import sample_positions

#: Tiles of a contact sheet: evenly spread ones, and room for the most suspicious frames.
N_TILES, N_EVEN = 32, 22
_MAX_POINTS = 600  # of a strip chart: more than it has pixels
MIN_SCORE = 0.35  # a reason below is not listed
#: Reasons that the page shows are few, and stronger than in most tracklets of the dataset.
_N_SHOWN, _MIN_RANK = 3, 0.8
_DROP_SCORE = 0.5
_N_RETURNS = 3  # of the nine keys, where other cameras have candidates too
_SIGNALS = ("change", "overlap", "size", "score", "sharpness", "jump")
_PEAKS = ("change", "overlap", "jump")


@dataclass(frozen=True)
class Suggestions:
    """The tables of suggestions; empty without `lpw clean --suggest`.

    Attributes:
        tables: by name, as `suggest.TABLES`.
        rows: for each table, first row and end by tracklet.
    """

    tables: dict[str, pa.Table]
    rows: dict[str, dict[str, tuple[int, int]]]

    @property
    def are_outdated(self) -> bool:
        """Whether rules of an earlier version made them."""
        return "candidates" in self.tables and is_outdated(self.tables["candidates"])

    def rows_of(self, table: str, tracklet: str) -> list[dict[str, Any]]:
        """The rows about one tracklet."""
        start, stop = self.rows.get(table, {}).get(tracklet, (0, 0))
        rows: list[dict[str, Any]] = (
            self.tables[table].slice(start, stop - start).to_pylist() if stop else []
        )
        return rows

    def rank(self, reason: str, score: float) -> float:
        """The share of the tracklets, 0 to 1, in which a reason is weaker than `score`."""
        scores = self._scores[reason]
        return float(np.searchsorted(scores, score, side="left") / len(scores))

    @cached_property
    def _scores(self) -> dict[str, NDArray[np.float32]]:
        """The scores of all tracklets by reason, ascending; what could not be judged counts as
        0."""
        table = self.tables["suggestions"]
        n = len(self.rows["suggestions"])
        found = {}
        for reason in table["reason"].unique().to_pylist():
            known = to_numpy(table.filter(pc.equal(table["reason"], reason)), "score")
            scores = np.zeros(n, np.float32)
            scores[: len(known)] = np.nan_to_num(known)
            found[str(reason)] = np.sort(scores)
        return found

    def signals_of(self, tracklet: str) -> dict[str, NDArray[np.float64]]:
        """Each signal (n_frames,) of one tracklet, NaN where it was not measured; none where
        nothing was."""
        start, stop = self.rows.get("signals", {}).get(tracklet, (0, 0))
        if not stop:
            return {}
        part = self.tables["signals"].slice(start, stop - start)
        return {name: part[name].to_numpy().astype(np.float64) for name in _SIGNALS}


def open_suggestions(dataset: Dataset, folder: Path | None = None) -> Suggestions:
    """Reads the suggestions of `dataset`; no tables where there are none.

    Errors: MismatchError for damaged ones, and for those of another dataset.
    """
    folder = folder or dataset.root / FOLDER
    names = [name for name in TABLES if (folder / f"{name}.parquet").is_file()]
    tables = {name: read_suggestions(dataset, name, folder) for name in names}
    return Suggestions(tables, {name: _find_rows(table) for name, table in tables.items()})


def _find_rows(table: pa.Table) -> dict[str, tuple[int, int]]:
    starts, stops = run_bounds(table["tracklet_id"])
    names = table["tracklet_id"].take(pa.array(starts)).to_pylist()
    return dict(zip(names, zip(starts.tolist(), stops.tolist(), strict=True), strict=True))


def list_reasons(suggestions: Suggestions, tracklet: str) -> list[dict[str, Any]]:
    """Why a tracklet may be in error, the strongest reason first.

    Returns:
        For each: `score` 0 to 1, `more_than` the share of the dataset's tracklets where it is
        weaker, 0 to 1, `title` and `look_for` in words, `first` and `end` of its frames.
    """
    rows = [
        row for row in suggestions.rows_of("suggestions", tracklet) if row["score"] >= MIN_SCORE
    ]
    rows.sort(key=lambda row: -row["score"])
    return [
        {
            "name": row["reason"],
            "title": REASONS[row["reason"]].title if row["reason"] in REASONS else row["reason"],
            "look_for": REASONS[row["reason"]].look_for if row["reason"] in REASONS else "",
            "score": round(row["score"], 2),
            "more_than": round(suggestions.rank(row["reason"], row["score"]), 3),
            "first": row["first_position"],
            "end": row["end_position"],
        }
        for row in rows
    ]


def choose_reasons(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that tell a tracklet from most others of the dataset, the rarest first."""
    rare = [reason for reason in reasons if reason["more_than"] >= _MIN_RANK]
    return sorted(rare, key=lambda reason: -reason["more_than"])[:_N_SHOWN]


def suggest_cuts(
    reasons: list[dict[str, Any]], change: NDArray[np.float64] | None, n_frames: int
) -> list[int]:
    """Where to cut, the likeliest first; one at least for a tracklet of two frames or more.

    Args:
        reasons: as `list_reasons` gives them.
        change: (n_frames,) appearance change there; None where it is unknown.
    """
    cuts = [
        r["first"]
        for r in reasons
        if r["first"] is not None and (r["first"] == r["end"] or "jump" in r["name"])
    ]
    if change is not None and np.isfinite(change[1:]).any():
        cuts.append(int(np.nanargmax(change[1:])) + 1)
    inner = [cut for cut in dict.fromkeys(cuts) if 0 < cut < n_frames]
    return inner or ([n_frames // 2] if n_frames > 1 else [])


def suggest_drops(reasons: list[dict[str, Any]], n_frames: int) -> list[list[int]]:
    """Frames to drop, as half-open ranges, ascending and apart: those unlike their neighbours."""
    spans = sorted(
        [max(r["first"], 0), min(r["end"], n_frames)]
        for r in reasons
        if r["name"] == "odd_frame"
        and r["score"] >= _DROP_SCORE
        and r["first"] is not None
        and r["end"] > r["first"]
    )
    return [span for span in spans if span[0] < span[1]][:1]


def choose_tiles(
    n_frames: int, cuts: list[int], drops: list[list[int]], signals: dict[str, NDArray[np.float64]]
) -> tuple[list[int], list[int]]:
    """Positions of the frames that a contact sheet shows, ascending, and those of them that look
    suspicious."""
    odd = dict.fromkeys(
        [p for span in drops for p in range(*span)]
        + [p for cut in cuts[:2] for p in (cut - 1, cut)]
    )
    for name in _PEAKS:
        values = signals.get(name)
        if values is not None and np.isfinite(values).any() and np.nanmax(values) > 0:
            odd[int(np.nanargmax(values))] = None
    if n_frames <= N_TILES:
        return list(range(n_frames)), sorted(p for p in odd if 0 <= p < n_frames)
    marked = sorted([p for p in odd if 0 <= p < n_frames][: N_TILES - N_EVEN])
    return sorted({*sample_positions(n_frames, N_EVEN), *marked}), marked


def thin_signals(signals: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Signals for a strip chart: at most `_MAX_POINTS` points, each the largest of `step` frames;
    null is unknown."""
    n_frames = max((len(values) for values in signals.values()), default=0)
    step = max(1, -(-n_frames // _MAX_POINTS))
    thin: dict[str, Any] = {"step": step}
    for name, values in signals.items():
        if np.isfinite(values).any():
            padded = np.full(-(-n_frames // step) * step, -np.inf)
            padded[:n_frames] = np.where(np.isfinite(values), values, -np.inf)
            most = padded.reshape(-1, step).max(axis=1)
            thin[name] = [
                None if value == -np.inf else float(f"{value:.4g}") for value in most.tolist()
            ]
    return thin


def list_candidates(
    suggestions: Suggestions, tracklet: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Candidates to merge with, and candidates to link with, the likeliest first: name of the
    other, score and why.

    Those to link with are of other cameras first, then of the same camera at another time; nine in
    all, one for each key.
    """
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in CANDIDATE_KINDS}
    for row in suggestions.rows_of("candidates", tracklet):
        entry = {"id": row["other_id"], "score": round(row["score"], 3), "why": row["why"]}
        found[row["kind"]].append(entry)
    returns = found[RETURN][: _N_RETURNS if found[ACROSS] else N_CANDIDATES]
    across = found[ACROSS][: N_CANDIDATES - len(returns)]
    return found[MERGE][:N_CANDIDATES], across + returns
