"""Writes the log of a run for TensorBoard: one event file per checkpoint, without host names or
clock times."""

import importlib
import io
from pathlib import Path
from typing import Any

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.writing import atomic_write, make_folder, remove_file

FOLDER = "tensorboard"
_WRITER = "tensorboard.summary.writer.record_writer"
_PREFIX = "events.out.tfevents."


def require_tensorboard() -> None:
    """Errors: LpwError where the package `tensorboard` is not installed."""
    try:
        importlib.import_module(_WRITER)
    except ImportError as error:
        do = "install it with `pip install tensorboard`, or leave the option out"
        raise LpwError(
            "option --tensorboard", "no package tensorboard", "it installed", do
        ) from error


def publish_events(run: Path, rows: list[dict[str, Any]], iteration: int) -> None:
    """Publishes the rows of the log that no earlier file has, in a file named by `iteration`.

    Files of later iterations, which a run that resumes from an earlier checkpoint makes again, are
    removed.

    Errors: OSError.
    """
    folder = make_folder(run / FOLDER)
    written = 0
    for entry in list_folder(folder):
        number = entry.name.removeprefix(_PREFIX)
        if not entry.name.startswith(_PREFIX) or not number.isdecimal():
            continue
        if int(number) >= iteration:
            remove_file(entry)
        else:
            written = max(written, int(number))
    fresh = [row for row in rows if row["iteration"] > written]
    atomic_write(folder / f"{_PREFIX}{iteration:010d}", _encode(fresh))


def _encode(rows: list[dict[str, Any]]) -> bytes:
    event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
    summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
    stream = io.BytesIO()
    writer = importlib.import_module(_WRITER).RecordWriter(stream)
    writer.write(event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())
    for row in rows:
        values = [
            summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "iteration"
        ]
        step = row["iteration"]
        writer.write(
            event(
                wall_time=float(step), step=step, summary=summary(value=values)
            ).SerializeToString()
        )
    return stream.getvalue()
