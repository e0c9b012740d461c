"""Results of rows, one file each, written atomically, so that a second start reuses finished
rows."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.opening import exists, read_json
from lpw_toolkit.files.writing import atomic_write_text, describe_os_error, make_folder
from rqen.reproduce.plan import WorkItem
from rqen.run.run_folder import compare_settings

Record = dict[str, Any]
_QUERIES = ("tracklet", "person", "rank", "ap")  # results of older versions have none


def record_file(out: Path, item: WorkItem) -> Path:
    """Where the result of an item is kept."""
    return out / "rows" / f"{item.name}.json"


def write_record(out: Path, item: WorkItem, record: Record) -> None:
    """Publishes a result. Errors: LpwError, OSError."""
    file = record_file(out, item)
    make_folder(file.parent)
    atomic_write_text(file, json.dumps(record, indent=1, sort_keys=True) + "\n")


def read_record(out: Path, item: WorkItem) -> Record | None:
    """The result of an item; None where it was not run.

    Errors: LpwError that lists in which settings a result that is there differs, MismatchError for
    a damaged file.
    """
    file = record_file(out, item)
    if not exists(file):
        return None
    do = "remove it to run this row again"
    try:
        record = read_json(file)
        metrics = record["metrics"]
        if not isinstance(record["config"], dict) or not all(
            isinstance(metrics[m], float) for m in ("cmc@1", "map")
        ):
            raise TypeError("no figures")
        if len({len(record["queries"][key]) for key in _QUERIES if "queries" in record}) > 1:
            raise TypeError("lists of queries of different lengths")
    except OSError as error:
        raise MismatchError(file, describe_os_error(error), "a readable file", do) from error
    except (ValueError, TypeError, KeyError) as error:
        raise MismatchError(
            file, f"a damaged result ({f'{error}'[:200]})", "JSON as lpw wrote it", do
        ) from error
    differences = compare_settings(record["config"], item.config)
    if differences:
        do = "ask for the same, or choose another --out"
        raise LpwError(
            file, f"other settings: {'; '.join(differences)}", "the settings of the result", do
        )
    return dict(record)


def read_records(out: Path, items: Iterable[WorkItem]) -> dict[str, Record]:
    """The results that are there, by the items' names. Errors: as `read_record`."""
    found = {item.name: read_record(out, item) for item in items}
    return {name: record for name, record in found.items() if record is not None}
