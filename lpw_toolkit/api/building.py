"""Datasets from videos and from published benchmarks, with plain arguments."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.dataset import Dataset
from lpw_toolkit.api.settings import deal_settings, take_path
from lpw_toolkit.benchmarks import importing
from lpw_toolkit.benchmarks.reader import ReadOptions
from lpw_toolkit.build import build
from lpw_toolkit.build.adding import collect_given
from lpw_toolkit.build.assembly import BuildResult, BuildSettings, Notes
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.dataset.output_folder import name_next_version
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.detection.function_detector import BoxFunction, FunctionDetector
from lpw_toolkit.errors import LpwError, PartialError
from lpw_toolkit.linking.rule import make_link_config
from lpw_toolkit.versions.adding import AddConfig, add_videos

AnyPath = str | os.PathLike[str]


@public_call
def build_tracklets(
    video: AnyPath,
    out: AnyPath | None = None,
    *,
    weights: AnyPath | None = None,
    boxes: AnyPath | None = None,
    detector: str | BoxFunction | None = None,
    detector_name: str | None = None,
    detector_version: str | None = None,
    preset: str = "default",
    layout: str | None = None,
    cameras: AnyPath | None = None,
    cache: AnyPath | None = None,
    restart: bool = False,
    allow_damaged: bool = False,
    add_to: AnyPath | None = None,
    log: Callable[[str], None] = lambda line: None,
    **settings: Any,
) -> Dataset:
    """Makes a dataset of tracklets from video, as `lpw build-tracklets` does.

    The same call again resumes an interrupted build.

    Args:
        video: folder of videos, one video, or an image sequence.
        out: dataset to be made; `<name of video>-lpw` in the working folder when not given.
        weights: weights file of the detector, or a name of `lpw weights list`, which is fetched
            where it is missing; the only detector of the working folder, else a known one, when not
            given.
        boxes: saved boxes instead of a network: a MOT text file, a Parquet table of detections, or
            a folder with one of them for each video.
        detector: name of the detector; chosen by `weights` and `boxes` when not given. Or a
            function of your own: it gets each frame (height, width, 3), BGR, uint8, and gives the
            persons in it, (N, 5) `x1 y1 x2 y2 score` in pixels, or `supervision.Detections`.
        detector_name: how a function of your own is recorded; its qualified name when not given.
        detector_version: of a function of your own: what it found is kept in `cache`, and found
            again under the same name and version.
        preset: linker settings to start from, one of `lpw_toolkit.linking.PRESETS`.
        layout: where paths name scene and camera, such as `{scene}/{camera}_{date}.mp4`.
        cameras: CSV file with the columns path, scene, camera and, if known, start_s (seconds).
        cache: folder where raw detections are kept for other builds; None keeps them only in the
            dataset.
        restart: throw away an unfinished build with other settings.
        allow_damaged: no error where videos failed or are not whole; `dataset.json` names them.
        add_to: a dataset that gets what `video` has and it has not, in a new version (`out`, or
            `<dataset>-2` beside it), with its settings; decisions on it carry over.
        log: called with one line for each thing that was chosen for you.
        **settings: fields of `LinkConfig`, of `CropConfig`, of `DetectorOptions` (its `min_score`
            is called `conf` here), and the notes `name`, `licence` and `consent`.

    Raises:
        PartialError: the dataset is complete, but a video failed or is not whole.
        LpwError: nothing can be built, or a setting is unknown or out of range.

    >>> from lpw_toolkit import build_tracklets
    >>> build_tracklets("street/video", "built", boxes="street/detections", min_length=4)
    Dataset 'built': ... tracklets, ... images, 0 persons, 2 cameras, 2 scenes (built)
    """
    source, conf = take_path(video), settings.pop("conf", None)
    if settings.pop("download", None):
        log("download is no longer needed: weights that are missing are fetched")
    link, crop, notes, options = deal_settings(
        settings, make_link_config(preset), CropConfig(), Notes(), DetectorOptions()
    )
    named = None if weights is None else os.fspath(weights)
    options = replace(options, weights=named, boxes=take_path(boxes), min_score=conf)
    config = build.BuildConfig(
        root=source,
        out=take_path(out) or _name_dataset(source, add_to),
        detector=detector if isinstance(detector, str) else None,
        own=_take_own(detector, options, detector_name, detector_version),
        options=options,
        recipe=BuildSettings(link, crop, notes),
        layout=layout,
        cameras_csv=take_path(cameras),
        cache=take_path(cache),
        restart=restart,
    )
    if add_to is None:
        result = build.build_tracklets(config, log)
    else:
        result = _add_to(take_path(add_to), config, settings, preset, log)
    if result.problems and not allow_damaged:
        got = f"{len(result.problems)} videos that failed or are not whole ({result.problems[0]})"
        hint = "replace them, or allow_damaged=True"
        raise PartialError(result.dataset.root, got, "whole videos", hint)
    return Dataset(result.dataset)


def _add_to(
    dataset: Path,
    config: build.BuildConfig,
    settings: dict[str, Any],
    preset: str,
    log: Callable[[str], None],
) -> BuildResult:
    """Adds the videos with the settings of `dataset`, which those that were given must match."""
    given = collect_given(settings, config.options)
    given = replace(given, detector=config.detector, preset=None if preset == "default" else preset)
    return add_videos(AddConfig(dataset, config, given), log)


def _name_dataset(source: Path, add_to: AnyPath | None) -> Path:
    if add_to is not None:
        return name_next_version(take_path(add_to))
    name = source.resolve().stem if source.is_file() else source.resolve().name
    return Path(f"{name}-lpw")


def _take_own(
    detector: str | BoxFunction | None,
    options: DetectorOptions,
    name: str | None,
    version: str | None,
) -> FunctionDetector | None:
    if callable(detector):
        return FunctionDetector(detector, options, name=name, version=version)
    if name is not None or version is not None:
        got = f"detector_name={name}, detector_version={version}"
        raise LpwError("detector", got, "a function of your own", "give it as detector=")
    return None


@public_call
def import_benchmark(
    benchmark: str,
    raw: AnyPath,
    out: AnyPath,
    *,
    in_place: bool = False,
    allow_partial: bool = False,
    variant: str | None = None,
    split_seed: int | None = None,
    restart: bool = False,
    log: Callable[[str], None] = lambda line: None,
    **notes: str,
) -> Dataset:
    """Makes a dataset of a published benchmark, as `lpw import` does.

    Args:
        benchmark: `ilids-vid`, `lpw`, `mars`, `prid2011`, or one that a plug-in adds.
        raw: the downloaded folder or archive (.zip, .tar, .tar.gz, …); it is not unpacked.
        out: dataset to be made.
        in_place: leave the images of a folder where they are.
        allow_partial: accept counts that differ from the published ones and images that cannot be
            used; they are recorded.
        variant: which form of the benchmark, as its reader documents.
        split_seed: draw splits with this seed instead of using the published ones.
        restart: throw away an unfinished import with other settings.
        log: called with one line for each thing that differs or cannot be used.
        **notes: `name`, `licence` and `consent` of the dataset, instead of the benchmark's own.

    Raises:
        LpwError: `raw` is no such benchmark, or `out` cannot be written.
        MismatchError: counts or images are not the published ones, without `allow_partial`.

    >>> from lpw_toolkit import import_benchmark
    >>> import_benchmark("prid2011", "prid_raw", "prid", allow_partial=True)
    Dataset 'prid2011': 18 tracklets, 494 images, 9 persons, 2 cameras, 0 scenes (prid)
    """
    config = importing.ImportConfig(
        benchmark,
        take_path(raw),
        take_path(out),
        in_place=in_place,
        allow_partial=allow_partial,
        options=ReadOptions(variant, split_seed),
        restart=restart,
    )
    (said,) = deal_settings(dict(notes), Notes())
    config = replace(config, name=said.name, licence=said.licence, consent=said.consent)
    return Dataset(importing.import_benchmark(config, log).dataset)
