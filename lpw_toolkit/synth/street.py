"""A synthetic street with exact ground truth: textured walkers in several cameras and scenes, as
real video files.

`write_street` makes a folder of videos, ground truth and simulated detections; `simulate_street`
makes the truth alone. The world is drawn by `synth.world`, the people by `synth.people`,
`synth.figure` and `synth.clothes`, the place by `synth.scenery` and `synth.furniture`, the frames
and the truth by `synth.render`, the detector by `synth.noise`.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import writing
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import read_json
from lpw_toolkit.synth.config import STREETS, NoiseConfig, StreetConfig
from lpw_toolkit.synth.noise import Boxes, Truth, detect_truth
from lpw_toolkit.synth.people import Person, draw_people
from lpw_toolkit.synth.render import Film, TruthRow, stack_truth
from lpw_toolkit.synth.routes import build_world
from lpw_toolkit.synth.world import View

__all__ = [
    "STREETS", "Boxes", "NoiseConfig", "Street", "StreetConfig", "StreetVideo", "Truth",
    "detect_truth",
    "open_street", "simulate_street", "write_street",
]  # fmt: skip


_OWN_NAMES = ("video", "truth", "detections", "persons.json")


@dataclass(frozen=True)
class StreetVideo:
    """One video of a street: its id (`scen1/view2`, also the camera's) and its files."""

    video_id: str
    video: Path
    truth: Path
    detections: Path


@dataclass(frozen=True)
class Street:
    """A written street: its folder, its settings and its videos in order of scene and view."""

    folder: Path
    config: StreetConfig
    noise: NoiseConfig
    videos: tuple[StreetVideo, ...]


def write_street(
    out: Path,
    config: StreetConfig,
    rng: np.random.Generator,
    noise: NoiseConfig | None = None,
    *,
    first_frame: int = 1,
) -> Street:
    """Writes a street to `out`: the same generator state gives the same bytes.

    * `video/scen1/view1.mp4`: H.264, constant rate;
    * `truth/scen1/view1.txt`: MOT ground truth
      `frame,id,left,top,width,height,counts,class,visibility`: frames from 1, the box around the
      whole person cut at the frame, pixels from 0; a row counts (1) when at least a tenth of the
      person is visible;
    * `detections/scen1/view1.txt`: MOT detections `frame,-1,left,top,width,height,score,-1,-1,-1`;
    * `persons.json`: what each person wears; `street.json`: settings and seed, written last.

    Args:
        out: a folder that does not exist or is empty of these names.
        noise: the simulated detector; None for the calibrated default.
        first_frame: the number that truth and detections give the first frame.

    Errors: LpwError where `out` holds a street already or cannot be made; OSError where a file
    cannot be written.
    """
    noise = noise if noise is not None else NoiseConfig()
    if (out / "street.json").exists():
        raise LpwError(
            out, "a finished street", "a new folder", "choose another place or remove it"
        )
    foreign = [p.name for p in list_folder(out) if p.name not in _OWN_NAMES] if out.is_dir() else []
    if foreign:
        raise LpwError(
            out,
            f"a folder with other things ({foreign[0]})",
            "a new folder",
            "choose another place",
        )
    seed = _describe_seed(rng)
    people_rng, world_rng, noise_rng = rng.spawn(3)
    people = draw_people(config, people_rng)
    views = build_world(config, people, world_rng)
    videos = [_write_view(out, view, config, noise, noise_rng, first_frame) for view in views]
    persons = [person.to_json() for scene in people for person in scene]
    writing.atomic_write_text(out / "persons.json", _dump(persons))
    summary = {
        "config": asdict(config),
        "noise": asdict(noise),
        "seed": seed,
        "videos": [v.video_id for v in videos],
    } | ({} if first_frame == 1 else {"first_frame": first_frame})
    writing.atomic_write_text(out / "street.json", _dump(summary))
    return Street(out, config, noise, tuple(videos))


def simulate_street(
    config: StreetConfig, rng: np.random.Generator
) -> tuple[list[list[Person]], dict[str, Truth]]:
    """The persons of each scene and the truth of each video (by id) of `write_street`, without
    painting a frame."""
    people_rng, world_rng, _ = rng.spawn(3)
    people = draw_people(config, people_rng)
    views = build_world(config, people, world_rng)
    return people, {view.camera.video_id: Film(view, config).read_truth() for view in views}


def open_street(folder: Path) -> Street:
    """The street that `write_street` left in `folder`. Errors: LpwError where there is none."""
    path = folder / "street.json"
    try:
        summary = read_json(path)
        config, noise = StreetConfig(**summary["config"]), NoiseConfig(**summary["noise"])
        videos = tuple(_locate(folder, str(video_id)) for video_id in summary["videos"])
    except (OSError, ValueError, KeyError, TypeError, LpwError) as error:
        raise LpwError(
            path, type(error).__name__, "the street.json of a finished street", "write it again"
        ) from error
    return Street(folder, config, noise, videos)


def _locate(out: Path, video_id: str) -> StreetVideo:
    return StreetVideo(
        video_id,
        out / "video" / f"{video_id}.mp4",
        out / "truth" / f"{video_id}.txt",
        out / "detections" / f"{video_id}.txt",
    )


def _describe_seed(rng: np.random.Generator) -> dict[str, object]:
    """What makes the street again: entropy, spawn key and count of the generator's seed
    sequence."""
    sequence = rng.bit_generator.seed_seq
    if not isinstance(sequence, np.random.SeedSequence):
        raise LpwError(
            "street generator",
            type(sequence).__name__,
            "a seeded numpy Generator",
            "use default_rng(seed)",
        )
    return {
        "entropy": sequence.entropy,
        "spawn_key": list(sequence.spawn_key),
        "n_children_spawned": sequence.n_children_spawned,
    }


def _write_view(
    out: Path,
    view: View,
    config: StreetConfig,
    noise: NoiseConfig,
    rng: np.random.Generator,
    first_frame: int,
) -> StreetVideo:
    files = _locate(out, view.camera.video_id)
    for path in (files.video, files.truth, files.detections):
        writing.make_folder(path.parent)
    rows: list[TruthRow] = []
    writing.atomic_write(files.video, _encode(_collect(Film(view, config), rows), config))
    truth = stack_truth(rows, view)
    writing.atomic_write_text(files.truth, format_truth(truth, first_frame))
    found = detect_truth(truth, noise, rng)
    writing.atomic_write_text(files.detections, format_detections(found, first_frame))
    return files


def _collect(film: Film, rows: list[TruthRow]) -> Iterable[NDArray[np.uint8]]:
    """The frames of a film; their truth is appended to `rows` on the way."""
    for picture, found in film.iter_frames():
        rows.extend(found)
        yield picture


def _encode(frames: Iterable[NDArray[np.uint8]], config: StreetConfig) -> bytes:
    """BGR frames as an mp4 file: one thread and no encoder dates, so that the same frames give the
    same bytes."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(config.rate_hz))
        stream.width, stream.height, stream.pix_fmt = config.width, config.height, "yuv420p"
        stream.codec_context.thread_count = 1
        options = {"preset": "veryfast", "crf": str(config.quality_crf), "flags": "+bitexact"}
        stream.codec_context.options = options | {
            "x264-params": "mbtree=0"
        }  # with it, 1 run in 8 gives other bytes
        for picture in frames:
            planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def format_truth(truth: Truth, first_frame: int = 1) -> str:
    """MOT ground truth with class 1 and the visibility in the last column."""
    lines = [
        f"{frame + first_frame},{number},{x1:.0f},{y1:.0f},{x2 - x1:.0f},{y2 - y1:.0f},"
        f"{int(counts)},1,{visibility:.4f}\n"
        for frame, number, (x1, y1, x2, y2), counts, visibility in zip(
            truth.frame_index,
            truth.number,
            truth.boxes,
            truth.counted,
            truth.visibility,
            strict=True,
        )
    ]
    return "".join(lines)


def format_detections(found: Boxes, first_frame: int = 1) -> str:
    """MOT detections."""
    lines = [
        f"{frame + first_frame},-1,{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},"
        "-1,-1,-1\n"
        for frame, (x1, y1, x2, y2), score in zip(
            found.frame_index, found.boxes, found.scores, strict=True
        )
    ]
    return "".join(lines)


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
