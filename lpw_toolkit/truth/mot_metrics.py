"""IDF1, HOTA, MOTA and ID switches through `trackeval`, from arrays instead of its folder layout.

Source: JonathonLuiten/TrackEval, `datasets/_base_dataset.py` and `datasets/mot_challenge_2d_box.py`
(the dictionary that its metric classes take; ground truth that does not count is left out and ids
are dense from 0, as it does itself).
"""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.dataset.mot_text import BoxRows
from lpw_toolkit.errors import LpwError, install_hint


def evaluate(sequences: Mapping[str, tuple[BoxRows, BoxRows]]) -> dict[str, dict[str, float]]:
    """IDF1, HOTA, MOTA (fractions) and IDSW (a count) per sequence, and of all together under
    "all".

    Args:
        sequences: per name the tracks and the ground truth, whose rows with flag 0 do not count.

    Errors: LpwError when `trackeval` is not installed.
    """
    metrics = _load_metrics()
    results: dict[str, dict[str, Any]] = {name: {} for name in metrics}
    for sequence, (tracks, truth) in sequences.items():
        data = make_data(tracks, truth.select(truth.flag != 0))
        for name, metric in metrics.items():
            with contextlib.redirect_stdout(io.StringIO()):  # its timing decorator prints
                results[name][sequence] = metric.eval_sequence(data)
    pooled = {name: metric.combine_sequences(results[name]) for name, metric in metrics.items()}
    out = {seq: _pick({name: results[name][seq] for name in metrics}) for seq in sequences}
    return {**out, "all": _pick(pooled)}


def make_data(tracks: BoxRows, truth: BoxRows) -> dict[str, Any]:
    """The dictionary of one sequence that the metric classes of `trackeval` take."""
    # Frames without any box count nothing, so only the others are walked through.
    _, step = np.unique(
        np.concatenate([tracks.frame_index, truth.frame_index]), return_inverse=True
    )
    n_steps = int(step.max(initial=-1)) + 1
    track_ids, track_number = np.unique(tracks.track, return_inverse=True)
    truth_ids, truth_number = np.unique(truth.track, return_inverse=True)
    track_rows, truth_rows = (
        _split(step[: len(tracks)], n_steps),
        _split(step[len(tracks) :], n_steps),
    )
    similarity = [
        geometry.iou(truth.boxes[g], tracks.boxes[t])
        for g, t in zip(truth_rows, track_rows, strict=True)
    ]
    return {
        "num_timesteps": n_steps,
        "num_tracker_dets": len(tracks),
        "num_gt_dets": len(truth),
        "num_tracker_ids": len(track_ids),
        "num_gt_ids": len(truth_ids),
        "tracker_ids": [track_number[rows] for rows in track_rows],
        "gt_ids": [truth_number[rows] for rows in truth_rows],
        "similarity_scores": similarity,
    }


def _split(frame_index: NDArray[np.intp], n_steps: int) -> list[NDArray[np.intp]]:
    """The rows of every frame."""
    order = np.argsort(frame_index, kind="stable")
    return np.split(order, np.searchsorted(frame_index[order], np.arange(1, n_steps)))


def _load_metrics() -> dict[str, Any]:
    try:
        from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError as error:
        do = install_hint("score")
        raise LpwError("trackeval", "no such package", "it for IDF1, HOTA and MOTA", do) from error
    quiet = {"PRINT_CONFIG": False}
    return {"HOTA": HOTA(quiet), "CLEAR": CLEAR(quiet), "Identity": Identity(quiet)}


def _pick(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {
        "IDF1": float(results["Identity"]["IDF1"]),
        "HOTA": float(np.mean(results["HOTA"]["HOTA"])),
        "MOTA": float(results["CLEAR"]["MOTA"]),
        "IDSW": int(results["CLEAR"]["IDSW"]),
    }
