"""Suggestions against the truth: how many errors, and how much purity, the first part of the queue
holds.

    python tests/bench/bench_suggest.py --work FOLDER [--run RUN] [--data ../shared/data]

An error is a tracklet in which two people have at least 4 frames each, or less than half of the
frames are one person's. Who a frame shows is matched as CLEAR MOT does: a tracklet keeps its person
while the boxes overlap. Matched frame by frame, two people who walk side by side change hands with
every pixel of noise and make errors that nobody can see; these are measured too, as `frame by
frame`. A scripted reviewer who knows the truth takes the queue from its start; it is learned anew
after every fifth decision. Effort is the share of tracklets seen. `perfect` for errors shows only
errors, for purity the most wrong frames first; `random` is what any order reaches on average.
Streets and datasets are made in FOLDER and kept there. Nothing is judged by a forest that has seen
it: that of the package was fitted on other streets and on the MOT15 sequences, and these are judged
by those that fit_queue.py, run before with the same FOLDER, left without each of them; what the
package's forest finds of them is measured beside, as a bound. RUN is a run of `lpw train rqen` on
scenes 2 and 3 of mini_lpw; it looks for people of scene 1.
"""

import argparse
import configparser
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from bench_linking import Sequence, load
from machine import print_table, write_result
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.box_reasons import find_duplicates, measure_tracklets
from lpw_toolkit.cleaning.suggest.box_signals import VideoBoxes, measure_boxes
from lpw_toolkit.cleaning.suggest.error_prior import Forest, parse_forest
from lpw_toolkit.cleaning.suggest.queue import QueueFeatures, open_stock, order
from lpw_toolkit.cleaning.suggest.reasons import score_measures
from lpw_toolkit.cleaning.suggest.suggest import SuggestOptions, read_suggestions, suggest
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.mot_text import BoxRows, read_boxes, track_rows
from lpw_toolkit.dataset.schema import SUGGESTIONS
from lpw_toolkit.dataset.tables import boxes_of, make_table
from lpw_toolkit.files.writing import atomic_write_text, make_folder
from lpw_toolkit.linking.config import PRESETS
from lpw_toolkit.linking.linker import link
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.synth.street import STREETS as STREET_PRESETS
from lpw_toolkit.synth.street import NoiseConfig, detect_truth, format_detections, simulate_street
from lpw_toolkit.truth.cleanup_cost import CleanupCosts, score_each
from lpw_toolkit.truth.score import read_tracks

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
VIDEOS = {
    "PETS09-S2L1": "pets09-s2l1/vtest.avi",
    "TUD-Stadtmitte": "tud-stadtmitte/TUD-Stadtmitte.mp4",
}
STREETS = (1, 3, 10, 11, 12)
EFFORTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
EFFORT = 0.2
ERROR_FRAC = 0.1
N_THINNED = 5
EVERY = 5
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class Truth:
    """Of tracklets (T,): whether they are in error, their wrong frames, and the person (-1 for
    nobody)."""

    error: Bools
    n_wrong: Floats
    person: Ints

    def select(self, rows: Bools) -> "Truth":
        return Truth(self.error[rows], self.n_wrong[rows], self.person[rows])


@dataclass
class Case:
    """Tracklets with suggestions, the forest's logits, their frames, their truth, and the same
    frame by frame."""

    table: pa.Table
    prior: Floats
    n_frames: Floats
    truth: Truth
    by_frame: Truth

    @property
    def error(self) -> Bools:
        return self.truth.error

    def select(self, rows: Bools) -> "Case":
        names = open_stock(self.table).names
        kept = {name for name, keep in zip(names, rows, strict=True) if keep}
        table = self.table.filter(
            pa.array([name in kept for name in self.table["tracklet_id"].to_pylist()])
        )
        return Case(
            table,
            self.prior[rows],
            self.n_frames[rows],
            self.truth.select(rows),
            self.by_frame.select(rows),
        )

    def judge_by_frame(self) -> "Case":
        return replace(self, truth=self.by_frame)


def run_lpw(*arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", "lpw_cli", *map(str, arguments)], check=True, capture_output=True
    )


def judge(pairs: Iterable[tuple[BoxRows, BoxRows]], n: int, *, hold: bool) -> Truth:
    """`pairs`: the tracks of each video, numbered below `n` in all, and its truth."""
    found = Truth(np.zeros(n, bool), np.zeros(n), np.full(n, -1, dtype=np.int64))
    for tracks, truth in pairs:
        for s in score_each(tracks, truth, keep_previous_match=hold, prices=CleanupCosts(min_frames=1)):
            found.error[s.track] = s.n_people >= 2 or s.purity < 0.5
            found.n_wrong[s.track], found.person[s.track] = (
                round((1 - s.purity) * s.n_frames),
                s.person,
            )
    return found


def read_prior(table: pa.Table, forest: Forest | None) -> Floats:
    stock = open_stock(table)
    return stock.prior if forest is None else forest.predict(stock.reasons, stock.scores)


def read_left_out(work: Path, name: str) -> Forest:
    """The forest that was fitted without the sequence `name`."""
    return parse_forest((work / "forests" / f"{name}.json").read_text())


def judge_dataset(
    dataset: Dataset,
    truth: dict[str, Path],
    folder: Path,
    prefix: str,
    forest: Forest | None = None,
) -> Case:
    tracks = read_tracks(dataset)
    pairs = [(tracks[video], read_boxes(file)) for video, file in truth.items()]
    held, by_frame = (judge(pairs, dataset.tracklets.num_rows, hold=hold) for hold in (True, False))
    table = rename(read_suggestions(dataset, "suggestions", folder), prefix)
    n_frames = np.asarray(dataset.tracklets["n_frames"]).astype(float)
    return Case(table, read_prior(table, forest), n_frames, held, by_frame)


def rename(table: pa.Table, prefix: str) -> pa.Table:
    for name in ("tracklet_id", "camera_id"):
        values = pa.array([f"{prefix}{value}" for value in table[name].to_pylist()])
        table = table.set_column(
            table.schema.get_field_index(name), SUGGESTIONS.field(name), values
        )
    return table


def join(cases: list[Case]) -> Case:
    def join_truths(truths: list[Truth]) -> Truth:
        return Truth(*(np.concatenate([getattr(t, f.name) for t in truths]) for f in fields(Truth)))

    return Case(
        pa.concat_tables([c.table.replace_schema_metadata(SUGGESTIONS.metadata) for c in cases]),
        *(np.concatenate([getattr(c, name) for c in cases]) for name in ("prior", "n_frames")),
        *(join_truths([getattr(c, name) for c in cases]) for name in ("truth", "by_frame")),
    )


def open_street(work: Path, seed: int, preset: str = "default", luck: int = 0) -> Case:
    """A street of the preset `score`; with `luck` its detector has other luck than the one it was
    drawn with."""
    tail = ("" if preset == "default" else f"-{preset}") + (f"-luck{luck}" if luck else "")
    street, root = work / f"street-{seed}", work / f"street-{seed}-data{tail}"
    if not (street / "street.json").exists():
        run_lpw("synth", street, "--preset", "score", "--seed", seed)
    if not (root / "dataset.json").exists():
        found = detect_again(street, seed, luck) if luck else street / "detections"
        options = ("--boxes", found, "--preset", preset, "--out", root, "--no-cache")
        run_lpw("build-tracklets", street / "video", *options)
    dataset, folder = open_dataset(root), work / f"street-{seed}-suggestions{tail}"
    suggest(root, folder)
    sources = dataset.manifest["sources"]
    truth = {e["video_id"]: street / "truth" / Path(e["path"]).with_suffix(".txt") for e in sources}
    return judge_dataset(dataset, truth, folder, f"s{seed}/")


def detect_again(street: Path, seed: int, luck: int) -> Path:
    folder = street.with_name(f"{street.name}-detections{luck}")
    _, truths = simulate_street(STREET_PRESETS["score"], np.random.default_rng(seed))
    rng = np.random.default_rng([seed, luck])
    for video_id, truth in truths.items():
        make_folder((folder / video_id).parent)
        atomic_write_text(
            folder / f"{video_id}.txt", format_detections(detect_truth(truth, NoiseConfig(), rng))
        )
    return folder


def open_video(work: Path, data: Path, name: str) -> Case:
    root = work / f"{name}-data"
    if not (root / "dataset.json").exists():
        weights = data / "weights" / "yolov8n_coco_dequantized.pt"
        run_lpw(
            "build-tracklets",
            data / "video" / VIDEOS[name],
            "--out",
            root,
            "--weights",
            weights,
            "--no-cache",
        )
    dataset = open_dataset(root)
    suggest(root, work / f"{name}-suggestions")
    truth = {dataset.manifest["sources"][0]["video_id"]: data / "mot15" / name / "gt" / "gt.txt"}
    return judge_dataset(
        dataset, truth, work / f"{name}-suggestions", f"{name}/", read_left_out(work, name)
    )


def link_sequence(
    sequence: Sequence, folder: Path, preset: str = "default", forest: Forest | None = None
) -> Case:
    """Our linker on detections of a sequence; without pictures, so that only the reasons of boxes
    speak."""
    found = sequence.detections
    facts = configparser.ConfigParser()
    facts.read(folder / "seqinfo.ini")
    size = int(facts["Sequence"]["imWidth"]), int(facts["Sequence"]["imHeight"])
    tracks = link(found, PRESETS[preset])
    smooth = smooth_tracks(found, tracks)
    frame = found["frame_index"].to_numpy().astype(np.int64)
    rows = np.flatnonzero(tracks >= 0)
    rows = rows[np.lexsort((frame[rows], tracks[rows]))]
    video = VideoBoxes(
        frame[rows],
        tracks[rows].astype(np.int64),
        boxes_of(smooth)[rows],
        found["score"].to_numpy()[rows].astype(np.float64),
        found,
        size,
    )
    ids, measures = measure_tracklets(video, measure_boxes(video))
    n_frames = np.bincount(video.tracklet).astype(np.float64)
    scores = score_measures(
        measures | {"duplicate": find_duplicates(video)[0], "short": 5 / n_frames}
    )
    pair = track_rows(smooth, tracks), sequence.truth
    held, by_frame = (judge([pair], len(ids), hold=hold) for hold in (True, False))
    columns = zip(
        *(
            (
                f"{folder.name}/{i:05d}",
                folder.name,
                int(n_frames[i]),
                reason,
                float(values[i]),
                None,
                None,
                None,
            )
            for i in ids.tolist()
            for reason, values in scores.items()
            if np.isfinite(values[i])
        ),
        strict=True,
    )
    table = make_table([list(column) for column in columns], SUGGESTIONS)
    return Case(table, read_prior(table, forest), n_frames, held, by_frame)


def thin(case: Case, seed: int) -> Case:
    """Leaves errors or clean tracklets out at random until ERROR_FRAC are in error."""
    rng = np.random.default_rng(seed)
    bad, good = (rng.permutation(np.flatnonzero(case.error == flag)) for flag in (True, False))
    n_bad = min(len(bad), round(len(good) * ERROR_FRAC / (1 - ERROR_FRAC)))
    n_good = min(len(good), round(n_bad * (1 - ERROR_FRAC) / ERROR_FRAC))
    kept = np.zeros(len(case.error), bool)
    kept[bad[:n_bad]] = kept[good[:n_good]] = True
    return case.select(kept)


def review(case: Case, stock: QueueFeatures) -> tuple[Ints, str]:
    """The order in which the scripted reviewer sees the tracklets, and the estimate shown at
    EFFORT."""
    number = {name: i for i, name in enumerate(stock.names)}
    seen: list[int] = []
    decided: dict[str, str] = {}
    shown = ""
    while len(seen) < len(number):
        queue = order(stock, decided)
        if not shown and len(seen) >= EFFORT * len(number):
            shown = queue.estimate.tell()
        n_next = EVERY if len(seen) < 0.5 * len(number) else len(number)
        for name in queue.tracklet_ids[:n_next]:
            seen.append(number[name])
            decided[name] = "error" if case.error[number[name]] else "clean"
    return np.array(seen), shown


def measure(case: Case) -> dict[str, Any]:
    stock = replace(open_stock(case.table), prior=case.prior)
    seen, shown = review(case, stock)
    n = len(seen)
    n_wrong = case.truth.n_wrong
    best_error, best_wrong = (
        np.argsort(~case.error, kind="stable"),
        np.argsort(-n_wrong, kind="stable"),
    )

    def errors(rows: Ints) -> float:
        return float(case.error[rows].sum() / max(case.error.sum(), 1))

    def purity(n_removed: float) -> float:
        return float(1 - (n_wrong.sum() - n_removed) / (case.n_frames.sum() - n_removed))

    curves = []
    for effort in EFFORTS:
        k = int(np.ceil(effort * n))
        curves.append(
            {
                "effort": effort,
                "errors": errors(seen[:k]),
                "errors_perfect": errors(best_error[:k]),
                "errors_random": effort,
                "purity": purity(n_wrong[seen[:k]].sum()),
                "purity_perfect": purity(n_wrong[best_wrong[:k]].sum()),
                "purity_random": purity(effort * n_wrong.sum()),
            }
        )
    at, start = curves[EFFORTS.index(EFFORT)], purity(0)
    gain = at["purity_perfect"] - start
    facts = {
        "n_tracklets": n,
        "n_errors": int(case.error.sum()),
        "purity_before": start,
        "errors_found": at["errors"],
        "errors_of_perfect": at["errors"] / at["errors_perfect"] if at["errors_perfect"] else None,
        "purity_after": at["purity"],
        "purity_gain_of_perfect": (at["purity"] - start) / gain if gain > 0 else None,
    }
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
    curves = [{k: round(v, 4) for k, v in row.items()} for row in curves]
    return {**rounded, "shown": shown, "curves": curves}


def measure_thinned(case: Case) -> dict[str, Any]:
    """`measure` with ERROR_FRAC in error, in the mean over N_THINNED draws of what is left out."""
    each = [measure(thin(case, seed)) for seed in range(N_THINNED)]

    def mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            k: round(float(np.mean([row[k] for row in rows])), 4)
            for k in rows[0]
            if isinstance(rows[0][k], float)
        }

    curves = [mean(list(rows)) for rows in zip(*(one["curves"] for one in each), strict=True)]
    return (
        each[0]
        | mean(each)
        | {"curves": curves, "errors_found_each": [one["errors_found"] for one in each]}
    )


def recall_across(
    dataset: Dataset, folder: Path, people: Iterable[object], k: int = 5, scene: str | None = None
) -> dict[str, Any]:
    """Share of tracklets with a true match in another camera of their scene that have one among the
    first k.

    `people`: of each tracklet, by the name that it has in its scene; None for nobody. `scene`:
    where to ask; all.
    """
    ids, scenes = (dataset.tracklets[name].to_pylist() for name in ("tracklet_id", "scene_id"))
    person = ["" if p is None else f"{at}/{p}" for at, p in zip(scenes, people, strict=True)]
    cameras = dataset.tracklets["camera_id"].to_pylist()
    who = dict(zip(ids, person, strict=True))
    seen_by: dict[str, set[str]] = {}
    for name, camera in zip(person, cameras, strict=True):
        seen_by.setdefault(name, set()).add(camera)
    here = {name for name, at in zip(ids, scenes, strict=True) if scene in (None, at)}
    asking = {name for name, p in who.items() if p and len(seen_by[p]) > 1 and name in here}
    table = read_suggestions(dataset, "candidates", folder)
    rows = zip(
        *(table[c].to_pylist() for c in ("tracklet_id", "kind", "rank", "other_id")), strict=True
    )
    hits = {
        a
        for a, kind, rank, b in rows
        if kind == "cross_camera" and rank < k and a in asking and who[a] == who[b]
    }
    return {"n": len(asking), f"recall_{k}": round(len(hits) / max(len(asking), 1), 4)}


def across_street(work: Path, seed: int, case: Case) -> dict[str, Any]:
    people = [None if p < 0 else p for p in case.truth.person.tolist()]
    return recall_across(
        open_dataset(work / f"street-{seed}-data"), work / f"street-{seed}-suggestions", people
    )


def across_mini(work: Path, data: Path, run: Path | None) -> dict[str, Any]:
    root, onnx = work / "mini", data / "weights" / "osnet_x0_25_msmt17.onnx"
    if not (root / "dataset.json").exists():
        run_lpw("import", "lpw", data / "mini_lpw", "--out", root, "--allow-partial")
    dataset = open_dataset(root)
    sources = {"colours and edges": (), "osnet_x0_25_msmt17": ("--onnx", onnx, "--threads", 1)}
    sources |= {f"rqen run {run.name}": (run,)} if run else {}
    found = {}
    for name, source in sources.items():
        file, folder = work / f"mini-{name}.parquet", work / f"mini-{name}"
        if source and not file.exists():
            run_lpw("embed", *source, "--data", root, "--out", file, "--per-frame")
        suggest(root, folder, SuggestOptions(embeddings=file if source else None))
        people = dataset.tracklets["person_id"].to_pylist()
        for scene in (None, "scen1"):
            found[f"{scene or 'mini_lpw'}, {name}"] = recall_across(
                dataset, folder, people, scene=scene
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--run", type=Path)
    args = parser.parse_args()
    args.work.mkdir(exist_ok=True)
    streets = {seed: open_street(args.work, seed) for seed in STREETS}
    videos = {name: open_video(args.work, args.data, name) for name in VIDEOS}
    mot = args.data / "mot15"
    sequences = {
        s.name: link_sequence(s, mot / s.name, forest=read_left_out(args.work, s.name))
        for s in load(mot)
    }
    street, video, mot15 = (join(list(made.values())) for made in (streets, videos, sequences))
    known = replace(mot15, prior=read_prior(mot15.table, None))
    by_frame = {"street": street.judge_by_frame(), "mot15": mot15.judge_by_frame()}
    cases = {
        "street, as linked": street,
        "videos": video,
        "mot15": mot15,
        "mot15, by a forest fitted on it": known,
    }
    cases |= {f"mot15, {name}": case for name, case in sequences.items()}
    cases |= {f"{name}, frame by frame": case for name, case in by_frame.items()}
    results = {
        "street, 10 % in error": measure_thinned(street),
        "street, frame by frame, 10 % in error": measure_thinned(by_frame["street"]),
    } | {name: measure(case) for name, case in cases.items()}
    shown = (
        "n_tracklets",
        "n_errors",
        "errors_found",
        "errors_of_perfect",
        "purity_before",
        "purity_after",
        "purity_gain_of_perfect",
    )
    print_table(
        [["case", *shown], *([name, *(row[key] for key in shown)] for name, row in results.items())]
    )
    across = {
        f"street {seed}": across_street(args.work, seed, case) for seed, case in streets.items()
    }
    across |= across_mini(args.work, args.data, args.run)
    print(across)
    facts = {"effort": EFFORT, "cases": results, "cross_camera": across}
    sys.argv = [sys.argv[0], "--work", "FOLDER", *(("--run", args.run.name) if args.run else ())]
    print(f"written: {write_result('suggest', facts)}")


if __name__ == "__main__":
    main()
