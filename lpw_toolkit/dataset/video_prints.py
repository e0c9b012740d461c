"""Which videos a dataset was made from, by their bytes: names and ids may be others elsewhere."""

import re
from collections.abc import Mapping
from typing import Any

from lpw_toolkit.dataset.dataset import Dataset


def read_video_prints(dataset: Dataset) -> dict[str, bytes]:
    """SHA-256 (32 bytes) of the videos of which the dataset has tracklets, by video_id; those whose
    SHA-256 it does not know are left out."""
    present = {*dataset.tracklets["video_id"].drop_null().unique().to_pylist()}
    entries: list[Mapping[str, Any]] = dataset.manifest.get("sources", [])
    return {
        entry["video_id"]: bytes.fromhex(entry["sha256"])
        for entry in entries
        if entry["video_id"] in present and re.fullmatch("[0-9a-f]{64}", entry.get("sha256") or "")
    }
