"""Decisions for tests of cleaning: uuids that count up, logs that chain, tables without a dataset."""

import itertools
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.log.decision_set import unite
from lpw_toolkit.cleaning.log.decisions import VERSION, Decision, Request, format_line, parse_line
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.dataset import schema

DIGEST = "d" * 64
#: tracklet_id, camera, first frame number, number of frames, person
Row = tuple[str, str, int, int, str | None]
#: Two fragments of one walk and a third tracklet that meets both in camera 1; the same people in camera 2.
ROWS: list[Row] = [
    ("s/c1/1", "s/c1", 0, 10, None),
    ("s/c1/2", "s/c1", 12, 10, None),
    ("s/c1/3", "s/c1", 5, 10, None),
    ("s/c2/1", "s/c2", 40, 10, None),
    ("s/c2/2", "s/c2", 60, 10, None),
]


def make_base(rows: Sequence[Row] = ROWS, *, numbered: bool = True) -> Base:
    """Tables of `rows`; the scene is what stands before the first slash of the camera."""
    tracklets, frames = [], []
    for name, camera, first, n_frames, person in sorted(rows):
        row = dict.fromkeys(schema.TRACKLETS.names) | {"tracklet_id": name, "camera_id": camera, "n_frames": n_frames}
        tracklets.append(row | {"scene_id": camera.split("/")[0], "kind": "person", "person_id": person})
        for i in range(n_frames):
            image = {"bytes": None, "path": f"images/{name}/{i}.jpg"}
            row = dict.fromkeys(schema.FRAMES.names) | {"tracklet_id": name, "position": i, "image": image}
            row |= {"width": 1, "height": 1, "sha256": bytes(32), "frame_index": first + i if numbered else None}
            frames.append(row)
    return Base(
        pa.Table.from_pylist(tracklets, schema=schema.TRACKLETS),
        pa.Table.from_pylist(frames, schema=schema.FRAMES),
        DIGEST,
    )


def make_uuid(number: int) -> str:
    return str(uuid.UUID(int=number))


def ask(number: int, operation: str, *tracklets: str, **arguments: Any) -> Request:
    """A request with uuid `number`; reject without a reason has none."""
    if operation == "reject":
        arguments.setdefault("reason", None)
    return Request(make_uuid(number), operation, tracklets, arguments, 1500)


def chain(reviewer: str, requests: Sequence[Request], digest: str = DIGEST) -> list[Decision]:
    """The log that `reviewer` would have written."""
    log: list[Decision] = []
    for request in requests:
        place = {"version": VERSION, "seq": len(log), "reviewer": reviewer, "time": "2026-01-02T03:04:05.678Z"}
        previous = log[-1].sha256 if log else digest
        log.append(parse_line(format_line(Decision(**vars(request), **place, seen="0" * 64, previous=previous))))
    return log


def write_lines(log: Sequence[Decision]) -> bytes:
    return b"".join(format_line(decision) + b"\n" for decision in log)


def decide(*logs: Sequence[Decision], base: Base | None = None) -> State:
    return apply(base or make_base(), unite(logs))


class Asker:
    """Requests with uuids that count up."""

    def __init__(self, first: int = 1) -> None:
        self._numbers = itertools.count(first)

    def __call__(self, operation: str, *tracklets: str, **arguments: Any) -> Request:
        return ask(next(self._numbers), operation, *tracklets, **arguments)
