"""What a dataset holds, in numbers: as a dictionary for machines and as text for people."""

import hashlib
import json
from collections import Counter
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, count_rows
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.dataset.split_info import describe_splits, format_splits
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.names import show_name

_LENGTH_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_N_NOTES = 5  # of a source, in text; `lpw --json info` has all
UNKNOWN = "—"


def describe(dataset: Dataset) -> dict[str, Any]:
    """Numbers about `dataset`, JSON-serialisable; what is not known is None, never 0.

    Keys: name, format_version, tool, parent, digest (of the rows of tracklets and frames), licence,
    consent, parents (of a merge alone), dataset_digest (of all, splits too: the one that results
    quote), settings_digest, counts, kinds, scenes, cameras, lengths (frames per tracklet),
    image_size_px, score, time_s, splits, sources.

    Errors: MismatchError when a table is damaged.
    """
    manifest, tracklets, frames = dataset.manifest, dataset.tracklets, dataset.frames
    persons = tracklets["person_id"].drop_null().unique()
    kept = ("name", "format_version", "tool", "parent", "digest", "licence", "consent")
    several = {"parents": manifest["parents"]} if "parents" in manifest else {}
    cameras = _describe_cameras(tracklets)
    return {
        **{key: manifest.get(key) for key in kept},
        **several,
        "dataset_digest": dataset.digest,
        "settings_digest": digest_settings(manifest.get("settings")),
        "counts": {**count_rows(tracklets, frames), "n_persons": len(persons) or None},
        "kinds": dict(sorted(Counter(tracklets["kind"].to_pylist()).items())),
        "scenes": _describe_scenes(cameras),
        "cameras": cameras,
        "lengths": _describe_lengths(to_numpy(tracklets, "n_frames")),
        "image_size_px": _describe_sizes(frames),
        "score": summarise(to_numpy(frames, "score")),
        "time_s": _span(
            pc.min(tracklets["first_pts_s"]).as_py(), pc.max(tracklets["last_pts_s"]).as_py()
        ),
        "splits": describe_splits(dataset),
        "sources": _describe_sources(manifest.get("sources") or []),
    }


def digest_settings(settings: object) -> str | None:
    """SHA-256 (hex) of the settings of all stages; None where the dataset records none."""
    if settings is None:
        return None
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def summarise(values: NDArray[Any]) -> dict[str, float] | None:
    """Minimum, quartiles, maximum and mean of the values that are there; None when there is
    none."""
    known = values.astype(np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    marks = dict(
        zip(
            ("min", "p25", "median", "p75", "max"),
            np.quantile(known, (0, 0.25, 0.5, 0.75, 1)),
            strict=True,
        )
    )
    return {key: round(float(value), 4) for key, value in {**marks, "mean": known.mean()}.items()}


def _describe_cameras(tracklets: pa.Table) -> list[dict[str, Any]]:
    first = pc.ScalarAggregateOptions(skip_nulls=False, min_count=0)
    told = tracklets.group_by("camera_id", use_threads=False).aggregate(
        [
            ("scene_id", "first", first),
            ("n_frames", "count"),
            ("n_frames", "sum"),
            ("person_id", "count_distinct"),
            ("first_pts_s", "min"),
            ("last_pts_s", "max"),
        ]
    )
    return [
        {
            "camera_id": row["camera_id"],
            "scene_id": row["scene_id_first"],
            "n_tracklets": row["n_frames_count"],
            "n_images": row["n_frames_sum"],
            "n_persons": row["person_id_count_distinct"] or None,
            "time_s": _span(row["first_pts_s_min"], row["last_pts_s_max"]),
        }
        for row in sorted(told.to_pylist(), key=lambda row: str(row["camera_id"]))
    ]


def _describe_scenes(cameras: list[dict[str, Any]]) -> list[dict[str, Any]]:
    scenes: dict[str | None, dict[str, Any]] = {}
    for camera in cameras:
        empty = {"scene_id": camera["scene_id"], "n_cameras": 0, "n_tracklets": 0, "n_images": 0}
        scene = scenes.setdefault(camera["scene_id"], empty)
        scene["n_cameras"] += 1
        scene["n_tracklets"] += camera["n_tracklets"]
        scene["n_images"] += camera["n_images"]
    return list(scenes.values())


def _span(first: float | None, last: float | None) -> dict[str, float] | None:
    return None if first is None or last is None else {"first": first, "last": last}


def _describe_lengths(n_frames: NDArray[Any]) -> dict[str, Any] | None:
    summary = summarise(n_frames)
    if summary is None:
        return None
    edges = [edge for edge in _LENGTH_EDGES if edge <= summary["max"]]
    slots = np.bincount(np.searchsorted(edges, n_frames, side="right") - 1, minlength=len(edges))
    stops: list[int | None] = [*edges[1:], None]
    histogram = [
        {"from": start, "to": stop, "n_tracklets": int(n)}
        for start, stop, n in zip(edges, stops, slots, strict=True)
    ]
    return {**summary, "histogram": histogram}


def _describe_sizes(frames: pa.Table) -> dict[str, Any] | None:
    if frames.num_rows == 0:
        return None
    sizes = frames.group_by(["width", "height"]).aggregate([([], "count_all")]).to_pylist()
    top = max(sizes, key=lambda row: (row["count_all"], row["width"], row["height"]))
    return {
        "n_sizes": len(sizes),
        "most_frequent": {
            "width": top["width"],
            "height": top["height"],
            "n_images": top["count_all"],
        },
        "width": summarise(to_numpy(frames, "width")),
        "height": summarise(to_numpy(frames, "height")),
    }


def _describe_sources(sources: list[dict[str, Any]]) -> dict[str, Any]:
    troubled = [
        {
            "video_id": str(source.get("video_id")),
            "complete": _is_complete(source),
            "problems": _list_problems(source),
        }
        for source in sources
    ]
    return {
        "n_sources": len(sources),
        "n_complete": sum(map(_is_complete, sources)),
        "troubled": [row for row in troubled if row["problems"] or not row["complete"]],
        "noted": [
            {"video_id": str(source.get("video_id")), "notes": notes}
            for source in sources
            if (notes := list_notes(source))
        ],
    }


def list_notes(source: dict[str, Any]) -> list[str]:
    """What was odd or left out in reading a source, and did no harm.

    >>> list_notes({"report": {"n_duplicates": 5, "n_frames": 48, "notes": []}})
    ['5 of 48 frames repeat the picture before them and are left out']
    """
    report = source.get("report")
    report = report if isinstance(report, dict) else {}
    found = report.get("notes")
    notes = [str(note) for note in found] if isinstance(found, list) else []
    if n_duplicates := report.get("n_duplicates"):
        whole = f"{n_duplicates} of {report.get('n_frames')} frames"
        notes.insert(0, f"{whole} repeat the picture before them and are left out")
    return notes


def _is_complete(source: dict[str, Any]) -> bool:
    return "error" not in source and bool((source.get("report") or {}).get("complete", True))


def _list_problems(source: dict[str, Any]) -> list[str]:
    found = (source.get("report") or {}).get("problems")
    found = found if isinstance(found, list) else []
    return [str(problem) for problem in [*([source["error"]] if "error" in source else []), *found]]


def read_paper_table() -> dict[str, Any]:
    """The paper's Table 1 as data. Source: Song et al., AAAI 2018, Table 1
    (manifests/table1.json)."""
    return dict(
        json.loads(resources.files("lpw_manifests").joinpath("table1.json").read_text("utf-8"))
    )


def table1(dataset: Dataset) -> dict[str, Any]:
    """`dataset` in the terms of the paper's Table 1.

    Returns: `dataset`, a row like those of the paper (identities and identities_by_cameras are None
    while no tracklet has a person_id), n_unidentified tracklets, `paper` (its rows), `source` and
    `notes`. Boxes and tracklets count everything; identities count tracklets of kind `person` only.
    """
    paper = read_paper_table()
    rows = [{**row, "mean_length": mean_length(row)} for row in paper["rows"]]
    tracklets = dataset.tracklets
    by_cameras = count_by_cameras(tracklets)
    mine = {
        "dataset": dataset.name,
        "identities": None if by_cameras is None else sum(by_cameras.values()),
        "boxes": dataset.frames.num_rows,
        "tracklets": tracklets.num_rows,
        "identities_by_cameras": by_cameras,
    }
    return {
        "dataset": {**mine, "mean_length": mean_length(mine)},
        "n_unidentified": tracklets["person_id"].null_count,
        "paper": rows,
        "source": paper["source"],
        "notes": paper["notes"],
    }


def mean_length(row: dict[str, Any]) -> float | None:
    """Boxes per tracklet of a row of the table; None where one of them is not known."""
    return round(row["boxes"] / row["tracklets"], 1) if row["boxes"] and row["tracklets"] else None


def count_by_cameras(tracklets: pa.Table) -> dict[str, int] | None:
    """How many persons are seen by exactly 1, 2, … cameras; None where no person is identified."""
    persons = tracklets.filter(pc.equal(tracklets["kind"], "person")).select(
        ["person_id", "camera_id"]
    )
    persons = persons.filter(pc.is_valid(persons["person_id"]))
    if not persons.num_rows:
        return None
    seen = persons.group_by("person_id").aggregate([("camera_id", "count_distinct")])
    return {
        str(n): count
        for n, count in sorted(Counter(seen["camera_id_count_distinct"].to_pylist()).items())
    }


def format_info(facts: dict[str, Any]) -> str:
    """`describe`'s dictionary as text for a terminal, a screen for a dataset of a few cameras."""
    counts, sources = facts["counts"], facts["sources"]
    parents, no_splits = parents_of(facts), ", without the splits" * bool(facts["splits"])
    lines = [
        ("dataset", f"{facts['name']} (format {facts['format_version']}, {_say(facts['tool'])})"),
        (
            "parent" + "s" * (len(parents) > 1),
            "; ".join(f"{one.name}, digest {one.digest[:16]}" for one in parents) or UNKNOWN,
        ),
        ("digest", f"{_say(facts['dataset_digest'])[:16]} of all, as results quote it"),
        ("", f"{_say(facts['digest'])[:16]} of tracklets and frames alone{no_splits}"),
        ("", f"{_say(facts['settings_digest'])[:16]} of the settings"),
        (
            "tracklets",
            (
                f"{counts['n_tracklets']:,} "
                f"({', '.join(f'{n:,} {kind}' for kind, n in facts['kinds'].items())})"
            ),
        ),
        ("images", f"{counts['n_images']:,}"),
        ("persons", _say(counts["n_persons"])),
        (
            "cameras",
            (
                f"{counts['n_cameras']:,} in {counts['n_scenes']:,} "
                f"scene{'s' * (counts['n_scenes'] != 1)}"
            ),
        ),
        ("frames each", _format_summary(facts["lengths"])),
        ("size, px", _format_sizes(facts["image_size_px"])),
        ("score", _format_summary(facts["score"])),
        *([("splits", format_splits(facts["splits"]))] if facts["splits"] else []),
        ("sources", f"{sources['n_complete']:,} of {sources['n_sources']:,} complete"),
    ]
    text = "\n".join(f"{name:<12}{show_name(value)}" for name, value in lines)
    troubled = [
        f"  {show_name(row['video_id'])}: {show_name(_format_trouble(row))}"
        for row in sources["troubled"]
    ]
    noted = [
        f"  {show_name(row['video_id'])}: {show_name(format_notes(row['notes']))}"
        for row in sources["noted"]
    ]
    return "\n".join([text, *troubled, *noted, "", _format_cameras(facts["cameras"])])


def format_table1(facts: dict[str, Any]) -> str:
    """`table1`'s dictionary as text: the dataset's row above the paper's."""
    header = [
        "",
        "identities",
        "boxes",
        "tracklets",
        "mean length",
        "identities by number of cameras",
    ]
    rows = [
        header,
        _table1_cells(facts["dataset"]),
        ["Table 1:"],
        *(_table1_cells(row) for row in facts["paper"]),
    ]
    notes = [f"Source: {facts['source']}", *facts["notes"]]
    if facts["n_unidentified"]:
        notes.insert(
            0,
            f"{facts['n_unidentified']:,} tracklets have no person yet; identities count the "
            f"others only.",
        )
    return "\n".join([_align(rows), "", *map(show_name, notes)])


def _table1_cells(row: dict[str, Any]) -> list[str]:
    by_cameras = row["identities_by_cameras"]
    cells = [_say(row[key]) for key in ("identities", "boxes", "tracklets", "mean_length")]
    return [
        row["dataset"],
        *cells,
        UNKNOWN
        if by_cameras is None
        else "  ".join(f"{n_cameras}: {count:,}" for n_cameras, count in by_cameras.items()),
    ]


def _format_cameras(cameras: list[dict[str, Any]]) -> str:
    rows = [["camera", "tracklets", "images", "persons", "seconds"]]
    for camera in cameras:
        counts = [_say(camera[key]) for key in ("n_tracklets", "n_images", "n_persons")]
        span = camera["time_s"]
        rows.append(
            [
                camera["camera_id"],
                *counts,
                UNKNOWN if span is None else f"{span['last'] - span['first']:.1f}",
            ]
        )
    return _align(rows)


def _align(rows: list[list[str]]) -> str:
    """Columns padded to their widest cell: the first and the sixth to the left, numbers to the
    right."""
    rows = [[show_name(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return "\n".join("  ".join(map(_pad, row, widths, range(len(row)))).rstrip() for row in rows)


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 5) else cell.rjust(width)


def _format_summary(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return UNKNOWN
    low, median, high, mean = (f"{summary[key]:g}" for key in ("min", "median", "max", "mean"))
    return f"{low} to {high}, median {median}, mean {mean}"


def _format_sizes(sizes: dict[str, Any] | None) -> str:
    if sizes is None:
        return UNKNOWN
    top = sizes["most_frequent"]
    others = "" if sizes["n_sizes"] == 1 else f" most often, {sizes['n_sizes']:,} sizes"
    return f"{top['width']} x {top['height']} (width x height){others}"


def _format_trouble(row: dict[str, Any]) -> str:
    return "; ".join([*([] if row["complete"] else ["incomplete"]), *row["problems"]])


def format_notes(notes: list[str]) -> str:
    """The first of the notes of a source, and how many more there are."""
    more = [f"and {len(notes) - _N_NOTES} more"] if len(notes) > _N_NOTES else []
    return "; ".join([*notes[:_N_NOTES], *more])


def _say(value: object) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int | float) else str(value)
