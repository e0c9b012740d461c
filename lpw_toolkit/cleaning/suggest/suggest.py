"""`lpw clean --suggest`: possible errors of each tracklet and candidates for the same person, as
three tables.

A pure function of the dataset, the settings and, where they are given, the embeddings: the same
bytes every time. No network is needed. Images are read tracklet by tracklet, a few of each, so
memory does not grow with the images.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.box_reasons import NAMES, find_duplicates, measure_tracklets
from lpw_toolkit.cleaning.suggest.box_signals import VideoBoxes, measure_boxes
from lpw_toolkit.cleaning.suggest.candidates import (
    find_merges,
    find_returns,
    match_across,
    whiten,
)
from lpw_toolkit.cleaning.suggest.endpoints import find_endpoints
from lpw_toolkit.cleaning.suggest.frame_vectors import open_vectors
from lpw_toolkit.cleaning.suggest.meetings import APPEARANCE_NAMES, measure_appearance
from lpw_toolkit.cleaning.suggest.reasons import OLD_NAMES, score_measures
from lpw_toolkit.cleaning.suggest.sample_appearance import Appearance, sample_appearance
from lpw_toolkit.cleaning.suggest.suggestion_tables import (
    ACROSS,
    CANDIDATE_KINDS,
    MERGE,
    RETURN,
    Found,
    box_signals,
    make_candidates,
    make_signals,
    make_suggestions,
)
from lpw_toolkit.dataset.clip_index import TrackletIndex, open_index
from lpw_toolkit.dataset.dataset import Dataset, sha256_file
from lpw_toolkit.dataset.labels import read_times
from lpw_toolkit.dataset.schema import CANDIDATES, DETECTIONS, SIGNALS, SUGGESTIONS
from lpw_toolkit.dataset.tables import read_table, to_integers, write_table
from lpw_toolkit.dataset.video_boxes import iter_sequences
from lpw_toolkit.errors import LpwError, MismatchError, check_range
from lpw_toolkit.files.opening import is_file
from lpw_toolkit.files.writing import describe_os_error, make_folder, refuse_unwritable

#: Where the tables lie unless measured otherwise, below the dataset: beside its tables, which never
#: change.
FOLDER = "cleanup/suggestions"
TABLES = {"suggestions": SUGGESTIONS, "signals": SIGNALS, "candidates": CANDIDATES}
_VERSION = 5  # of the rules: another one may give other numbers
_DO = "run `lpw clean --suggest` again"


@dataclass(frozen=True)
class SuggestOptions:
    """How suggestions are made.

    Attributes:
        looks: sampled frames of each tracklet, evenly spaced.
        embeddings: Parquet of `lpw embed --per-frame` that takes the place of colours and edges.
    """

    looks: int = 32
    embeddings: Path | None = None

    def __post_init__(self) -> None:
        check_range("option --frames", self.looks, 4, 512, whole=True)


@dataclass(frozen=True)
class SuggestReport:
    """What was made: where, how many tracklets, images looked at, and candidates of each kind;
    what is missing."""

    out: Path
    n_tracklets: int
    n_looked: int
    n_merges: int
    n_across: int
    n_returns: int
    notes: list[str]


def suggest(
    root: Path, out: Path | None = None, options: SuggestOptions | None = None
) -> SuggestReport:
    """Scores every tracklet of the dataset at `root` and writes the three tables to `out` (FOLDER
    in the dataset).

    Errors: LpwError for no dataset, wrong embeddings, or a folder that cannot be written;
    CorruptCropError for an image that is not the index's.
    """
    options, out = options or SuggestOptions(), out or root / FOLDER
    refuse_unwritable(out)
    index = open_index(root)
    if not len(index):
        raise LpwError(root, "no tracklets", "a dataset with tracklets", "build one first")
    vectors = open_vectors(options.embeddings, index) if options.embeddings else None
    appearance = sample_appearance(index, options.looks, vectors)
    dataset = replace(index.dataset)  # whose table of frames has the boxes too
    found = Found(signals={})
    notes = _add_boxes(dataset, index, found)
    _add_appearance(
        appearance, found, to_integers(dataset.tracklets, "n_frames").astype(np.float64)
    )
    _add_appearance_at_boxes(appearance, found, index.starts)
    endpoints = find_endpoints(dataset)
    whitened = whiten(appearance.means, appearance.within, endpoints.camera)
    times = read_times(dataset.tracklets, dataset.manifest.get("sources", []))
    pairs = {
        MERGE: find_merges(endpoints, whitened),
        ACROSS: match_across(endpoints, whitened, appearance.means, appearance.within),
        RETURN: find_returns(endpoints.camera, times, whitened),
    }
    tables = {
        "suggestions": make_suggestions(dataset, found),
        "signals": make_signals(dataset, appearance, index.starts, found.signals),
        "candidates": make_candidates(dataset, pairs),
    }
    _publish(out, dataset, options, tables)
    n_looked = sum(map(len, appearance.positions))
    n_merges, n_across, n_returns = (len(pairs[kind].row) for kind in CANDIDATE_KINDS)
    return SuggestReport(out, len(index), n_looked, n_merges, n_across, n_returns, notes)


def _publish(
    out: Path, dataset: Dataset, options: SuggestOptions, tables: dict[str, pa.Table]
) -> None:
    model = sha256_file(options.embeddings) if options.embeddings else "colours and edges"
    settings = {"looks": options.looks, "vectors": model, "version": _VERSION}
    facts = {
        b"lpw_dataset_digest": str(dataset.manifest.get("digest")).encode(),
        b"lpw_settings": json.dumps(settings).encode(),
    }
    make_folder(out)
    try:
        for name, schema in TABLES.items():
            table = tables[name]
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **facts})
            write_table(out / f"{name}.parquet", table, schema)
    except OSError as error:
        raise LpwError(
            out,
            describe_os_error(error),
            "a folder that can be written",
            "free space or name another",
        ) from error


def suggestions_folder(dataset: Dataset, elsewhere: Path | None = None) -> Path:
    """Where the suggestions of a dataset lie: in it, or in the folder `elsewhere` of decisions."""
    return dataset.root / FOLDER if elsewhere is None else elsewhere / "suggestions"


def has_suggestions(dataset: Dataset, elsewhere: Path | None = None) -> bool:
    """Whether all tables are there."""
    folder = suggestions_folder(dataset, elsewhere)
    return all(is_file(folder / f"{name}.parquet") for name in TABLES)


def is_outdated(table: pa.Table) -> bool:
    """Whether one of TABLES, as `read_suggestions` gives it, was made by rules of an earlier
    version."""
    try:
        made = json.loads((table.schema.metadata or {}).get(b"lpw_settings", b"{}"))
    except ValueError:
        return True
    version = made.get("version") if isinstance(made, dict) else None
    return not isinstance(version, int) or version < _VERSION


def read_suggestions(
    dataset: Dataset, name: str = "suggestions", folder: Path | None = None
) -> pa.Table:
    """One of TABLES of `dataset`. Errors: MismatchError where it is missing, damaged, or of another
    dataset."""
    file = (folder or dataset.root / FOLDER) / f"{name}.parquet"
    if not file.is_file():
        raise LpwError(file, "nothing", "suggestions", "run `lpw clean --suggest` first")
    table = read_table(file, TABLES[name])
    digest = str(dataset.manifest.get("digest"))
    if (table.schema.metadata or {}).get(b"lpw_dataset_digest") != digest.encode():
        raise MismatchError(
            file, "suggestions for another dataset", f"{dataset.name} ({digest[:12]})", _DO
        )
    _refuse_odd_rows(dataset, table, file)
    return rename_old_reasons(table) if name == "suggestions" else table


def rename_old_reasons(suggestions: pa.Table) -> pa.Table:
    """schema.SUGGESTIONS with the reasons' names of today."""
    reasons = suggestions["reason"]
    names = pa.chunked_array([[OLD_NAMES.get(name, name) for name in reasons.to_pylist()]])
    place = suggestions.schema.get_field_index("reason")
    return suggestions.set_column(place, suggestions.schema.field(place), names)


def _refuse_odd_rows(dataset: Dataset, table: pa.Table, file: Path) -> None:
    """Errors: MismatchError for a row on a tracklet that the dataset lacks, or on frames that it
    lacks."""
    ids = dataset.tracklets["tracklet_id"].combine_chunks()
    known = pc.index_in(table["tracklet_id"], ids)
    fault = "tracklets that are not there" if known.null_count else None
    if "other_id" in table.column_names:
        others = table["other_id"].drop_null()
        fault = (
            "other tracklets that are not there" if pc.index_in(others, ids).null_count else fault
        )
    for name in ("position", "first_position", "end_position"):
        if fault is None and name in table.column_names:
            most = pc.subtract(dataset.tracklets["n_frames"].take(known), int(name == "position"))
            inside = pc.and_(pc.greater_equal(table[name], 0), pc.less_equal(table[name], most))
            fault = f"a {name} outside of its tracklet" if pc.all(inside).as_py() is False else None
    if fault:
        raise MismatchError(file, f"suggestions with {fault}", f"those of {dataset.name}", _DO)


def _add_appearance(appearance: Appearance, found: Found, n_frames: NDArray[np.float64]) -> None:
    changes = appearance.changes
    few = np.array([len(p) < 4 for p in appearance.positions])
    measures = {
        "identity_switch": np.array([c.contrast for c in changes]),
        "look_change": np.array([c.apart for c in changes]) / appearance.usual,
        "sharp_change": np.array([c.sharp for c in changes]) / appearance.usual,
        "odd_frame": np.array([c.odd for c in changes]),
    }
    measures = {name: np.where(few, np.nan, values) for name, values in measures.items()} | {
        "short": 5 / n_frames
    }
    found.scores |= score_measures(measures)
    cuts = [
        int(p[c.cut]) if c.cut else -1 for p, c in zip(appearance.positions, changes, strict=True)
    ]
    odd = [
        int(p[c.odd_at]) if len(p) else -1
        for p, c in zip(appearance.positions, changes, strict=True)
    ]
    for name in ("identity_switch", "look_change", "sharp_change"):
        found.spans[name] = np.stack([cuts, cuts], axis=1)
    found.spans["odd_frame"] = np.stack([odd, [p + (p >= 0) for p in odd]], axis=1)


def _add_appearance_at_boxes(
    appearance: Appearance, found: Found, starts: NDArray[np.int64]
) -> None:
    """Reasons that need both appearance and boxes."""
    if "near" not in found.signals:
        return
    measured = np.full((len(appearance.positions), len(APPEARANCE_NAMES)), np.nan)
    cuts = np.full((len(appearance.positions), len(APPEARANCE_NAMES)), -1, dtype=np.int64)
    for i, (positions, changes) in enumerate(
        zip(appearance.positions, appearance.changes, strict=True)
    ):
        rows = slice(int(starts[i]), int(starts[i + 1]))
        near, missing, jump = (
            found.signals[name][rows].astype(np.float64) for name in ("near", "missing", "jump")
        )
        if len(positions) >= 2 and np.isfinite(near).all():
            measured[i], cuts[i] = measure_appearance(positions, changes, near, missing, jump)
    for name, column in zip(APPEARANCE_NAMES, cuts.T, strict=True):
        found.spans[name] = np.stack([column, column], axis=1)
    found.scores |= score_measures(dict(zip(APPEARANCE_NAMES, measured.T, strict=True)))


def _add_boxes(dataset: Dataset, index: TrackletIndex, found: Found) -> list[str]:
    """Reasons and signals of boxes, where the dataset has any; returns what cannot be measured."""
    if dataset.frames["x1"].null_count or dataset.frames["frame_index"].null_count:
        return [
            "no boxes in the dataset: reasons from appearance and length only, no merge candidates"
        ]
    n, n_frames = len(index), len(index.images)
    measures = {name: np.full(n, np.nan) for name in (*NAMES, "duplicate")}
    found.others["duplicate"] = np.full(n, -1, dtype=np.int64)
    found.spans["long_gap"] = found.spans["gap_jump"] = np.full((n, 2), -1, dtype=np.int64)
    found.spans["box_jump"] = np.full((n, 2), -1, dtype=np.int64)
    names = ("overlap", "jump", "size", "missing", "near")
    found.signals = {name: np.full(n_frames, np.nan, dtype=np.float32) for name in names}
    detections = {
        str(table["video_id"][0]): table
        for name in dataset.list_tables(DETECTIONS)
        if (table := dataset.read_table(name, DETECTIONS)).num_rows
    }
    for sequence in iter_sequences(dataset):
        order = np.lexsort((sequence.frame_index, sequence.tracklet))
        line = sequence.timeline
        size = (
            None
            if line is None
            else (int(line["width"][0].as_py()), int(line["height"][0].as_py()))
        )
        video = VideoBoxes(
            sequence.frame_index[order].astype(np.int64), sequence.tracklet[order],
            sequence.boxes[order],
            sequence.score[order], detections.get(sequence.video_id), size,
        )  # fmt: skip
        _add_video(video, index.starts, measures, found)
    found.scores |= score_measures(measures)
    return (
        []
        if detections
        else ["no raw detections in the dataset: reasons that need them are left out"]
    )


def _add_video(
    video: VideoBoxes,
    starts: NDArray[np.int64],
    measures: dict[str, NDArray[np.float64]],
    found: Found,
) -> None:
    signals = measure_boxes(video)
    ids, measured = measure_tracklets(video, signals)
    for name, values in measured.items():
        measures[name][ids] = values
    measures["duplicate"][ids], found.others["duplicate"][ids] = find_duplicates(video)
    first = np.flatnonzero(np.diff(video.tracklet, prepend=-1))
    rows = (
        starts[video.tracklet]
        + np.arange(len(video.tracklet))
        - np.repeat(first, np.diff(first, append=len(video.tracklet)))
    )
    for name, values in (
        box_signals(signals) | {"missing": signals.missing, "near": signals.near}
    ).items():
        found.signals[name][rows] = values
    for number, (a, b) in zip(
        ids.tolist(), zip(first, [*first[1:], len(video.tracklet)], strict=True), strict=True
    ):
        gap, jump = int(signals.missing[a:b].argmax()), int(signals.jump[a:b].argmax())
        if signals.missing[a + gap] > 0:
            found.spans["long_gap"][number] = gap, gap
        found.spans["box_jump"][number] = jump, jump + 1
