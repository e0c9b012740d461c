"""`lpw score-tracklets`: scores a dataset or MOT text against ground truth, as a record and as
text."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.mot_text import (
    PLAIN,
    BoxRows,
    Log,
    MotForm,
    no_log,
    read_boxes,
    read_detections,
)
from lpw_toolkit.dataset.schema import TIMELINE
from lpw_toolkit.dataset.video_boxes import iter_sequences
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import exists, is_file, is_folder
from lpw_toolkit.names import show_name
from lpw_toolkit.truth.cleanup_cost import CleanupCosts, Score, pool, score_tracklets

Pair = tuple[str, BoxRows, BoxRows]


def score_against(
    tracklets: Path,
    truth: Path,
    *,
    iou: float = 0.3,
    prices: CleanupCosts,
    detections: Path | None = None,
    form: MotForm = PLAIN,
    tracks_first_frame: int | None = None,
    log: Log = no_log,
) -> dict[str, Any]:
    """Scores every video and all together.

    Args:
        tracklets: a dataset, or tracks as MOT text.
        truth: MOT ground truth: a file for one video; for several, a folder with `<path of the
            video>.txt`.
        detections: MOT text of the one video, if only boxes with a detection behind them shall
            count as kept.
        form: how the ground truth is meant, and but for classes the detections.
        tracks_first_frame: the number of the first frame in tracks that are a text.
        log: gets one line for whatever was chosen or left out.

    Returns:
        `videos` (one record each) and `all`; shares are fractions, times seconds.

    Errors: LpwError for truth that does not fit.
    """
    from lpw_toolkit.truth.mot_metrics import evaluate

    if not exists(truth):
        do = "give the path of a MOT text, or of a folder with one for each video"
        raise LpwError("option --truth", f"{truth}, where nothing is", "ground truth", do)
    pairs = read_pairs(tracklets, truth, form, tracks_first_frame, log)
    if detections is not None and len(pairs) != 1:
        raise LpwError("--detections", f"{len(pairs)} videos", "one video", "score them one by one")
    found = (
        read_detections(detections, replace(form, classes=()), log=log)
        if detections is not None
        else None
    )
    scores = [
        score_tracklets(tracks, gt, iou=iou, prices=prices, detections=found)
        for _, tracks, gt in pairs
    ]
    metrics = evaluate({name: (tracks, gt) for name, tracks, gt in pairs})
    videos = [
        {"video": name, **_record(score), **metrics[name]}
        for (name, _, _), score in zip(pairs, scores, strict=True)
    ]
    settings = {"iou": iou, "prices": asdict(prices)}
    return {
        "settings": settings,
        "videos": videos,
        "all": {**_record(pool(scores)), **metrics["all"]},
    }


def _record(score: Score) -> dict[str, Any]:
    cost = score.cost_per_1000_s
    return {
        "cost_per_1000_s": cost if np.isfinite(cost) else None,
        "yield_frac": score.yield_frac,
        "mixed_frac": score.mixed_frac,
        "purity": score.purity,
        "fragments_per_identity": score.fragments_per_identity,
        "n_tracklets": score.n_tracklets,
        "n_kept": score.n_kept,
        "n_truth": score.n_truth,
    }


def read_pairs(
    tracklets: Path,
    truth: Path,
    form: MotForm = PLAIN,
    tracks_first_frame: int | None = None,
    log: Log = no_log,
) -> list[Pair]:
    """Name, tracks and truth of each video; a track of a dataset is a row of its table of
    tracklets.

    Args:
        form, tracks_first_frame, log: see `score_against`.

    Errors: LpwError for a dataset without videos, videos without truth, and tracks and truth that
    count frames in two ways.
    """
    if not is_folder(tracklets):
        own = replace(form, first_frame=tracks_first_frame, classes=())
        found, known = read_boxes(tracklets, own, log=log), read_boxes(truth, form, log=log)
        _refuse_apart(tracklets, found, truth, known, sure=form.first_frame is not None)
        return [(tracklets.stem, found, known)]
    if tracks_first_frame is not None:
        do = "leave the option out"
        raise LpwError("option --tracks-first-frame", "a dataset", "tracks as MOT text", do)
    dataset = open_dataset(tracklets)
    sources = [entry for entry in dataset.manifest.get("sources", []) if "error" not in entry]
    if not sources:
        raise LpwError(tracklets, "no videos", "a dataset made from video", "name another")
    tracks = read_tracks(dataset)
    none = BoxRows(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    frames = _frames_of(dataset)
    pairs = []
    for entry in sources:
        name, file = str(entry["video_id"]), _truth_file(truth, entry, len(sources))
        first, last = frames.get(name, (0, None))
        known = read_boxes(file, form, start_index=first, log=log)
        if last is not None:
            _compare_frames(file, known, first, last, log)
        pairs.append((name, tracks.get(name, none), known))
    return pairs


def _frames_of(dataset: Dataset) -> dict[str, tuple[int, int | None]]:
    """The first and the last frame_index of each video, as far as the dataset knows them."""
    tables = (dataset.read_table(name, TIMELINE) for name in dataset.list_tables(TIMELINE))
    return {
        str(table["video_id"][0]): (int(index.min()), int(index.max()))
        for table in tables
        if len(index := table["frame_index"].to_numpy())
    }


def _compare_frames(file: Path, truth: BoxRows, first: int, last: int, log: Log) -> None:
    """Says which truth lies in frames that a video does not have. Errors: LpwError for all of
    it."""
    beyond = truth.frame_index[(truth.frame_index < first) | (truth.frame_index > last)]
    shift = truth.first_frame if truth.frame_index.min(initial=first) >= first else 1
    own = f"frames {first + shift} to {last + shift}"
    if len(truth) and len(beyond) == len(truth):
        got = f"frames {beyond.min() + shift} to {beyond.max() + shift}"
        do = "check that it belongs to this video, and say with --first-frame how it counts"
        raise LpwError(file, got, f"{own}, which the video has", do)
    if len(beyond):
        spread = f"frames {beyond.min() + shift} to {beyond.max() + shift}"
        log(
            f"{file.name}: {len(beyond)} of {len(truth)} boxes lie in frames that the video does "
            f"not have ({spread}; it has {own}); they count as missed"
        )


def _refuse_apart(
    file: Path, tracks: BoxRows, truth_file: Path, truth: BoxRows, *, sure: bool
) -> None:
    """Errors: LpwError for two texts that share no frame, or of which only one counts from 0."""
    if not len(tracks) or not len(truth):
        return
    own, other = (
        f"frames {rows.frame_index.min() + rows.first_frame} to "
        f"{rows.frame_index.max() + rows.first_frame}"
        for rows in (tracks, truth)
    )
    apart = (
        tracks.frame_index.min() > truth.frame_index.max()
        or tracks.frame_index.max() < truth.frame_index.min()
    )
    if apart or (not sure and tracks.first_frame != truth.first_frame):
        do = "say with --first-frame and --tracks-first-frame how truth and tracks count"
        raise LpwError(file, own, f"the numbering of {truth_file}, {other}", do)


def _truth_file(truth: Path, entry: dict[str, Any], n_sources: int) -> Path:
    if is_file(truth):
        if n_sources > 1:
            raise LpwError(
                truth,
                f"one file for {n_sources} videos",
                "a folder with a file for each",
                "name the folder",
            )
        return truth
    names = [Path(entry["path"]).with_suffix(".txt").as_posix(), f"{entry['video_id']}.txt"]
    for name in names:
        if is_file(truth / name):
            return truth / name
    got = f"neither {' nor '.join(dict.fromkeys(names))}"
    raise LpwError(truth, got, "ground truth for every video", "add the file")


def read_tracks(dataset: Dataset) -> dict[str, BoxRows]:
    """The refined boxes of each video that has tracklets, sorted by frame; a track is a row of the
    tracklets' table."""
    return {
        found.video_id: BoxRows(
            found.frame_index, found.tracklet, found.boxes, np.ones(len(found.boxes))
        )
        for found in iter_sequences(dataset)
    }


_COLUMNS = (
    ("cost_per_1000_s", "s/1000", "{:.0f}"),
    ("yield_frac", "yield", "{:.1%}"),
    ("mixed_frac", "mixed", "{:.1%}"),
    ("purity", "purity", "{:.1%}"),
    ("fragments_per_identity", "frag/id", "{:.2f}"),
    ("n_tracklets", "tracklets", "{}"),
    ("IDF1", "IDF1", "{:.1%}"),
    ("HOTA", "HOTA", "{:.1%}"),
    ("MOTA", "MOTA", "{:.1%}"),
    ("IDSW", "IDSW", "{}"),
)


def format_score(facts: dict[str, Any]) -> str:
    """`score_against`'s record as a table, one line per video and one for all."""
    rows = (
        [*facts["videos"], {"video": "all", **facts["all"]}]
        if len(facts["videos"]) > 1
        else facts["videos"]
    )
    lines = [["video", *(title for _, title, _ in _COLUMNS)]]
    for row in rows:
        cells = [
            form.format(row[key]) if row.get(key) is not None else "-" for key, _, form in _COLUMNS
        ]
        lines.append([show_name(row["video"]), *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    )
