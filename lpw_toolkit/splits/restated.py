"""Splits of a parent in a version where they hold other tracklets: with a digest of their own."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.splits.splits import digest_facts

_COLUMNS = ("subset", "tracklet_id")


def restate_splits(
    said: Mapping[str, Any], table: pa.Table, note: str
) -> tuple[pa.Table, dict[str, Any]]:
    """The table of splits, and `splits` of `dataset.json`, as they are now.

    The digests are over the rows that the splits hold now. `origins` are those of the splits that
    they were made from, the first ones first: they say where these come from, but no longer who
    trains and who is tested.

    Args:
        said: `splits` of the parent's `dataset.json`.
        table: schema.SPLITS, rows that differ from the parent's.
        note: what became of them.
    """
    digests = _digest_rows(table)
    former = said.get("digest")
    facts = {
        **said,
        "digest": digest_facts(digests),
        "note": "; ".join([*filter(None, [said.get("note")]), note]),
        "origins": [*said.get("origins", []), *([former] if former else [])],
    }
    if "digests" in said:
        facts["digests"] = digests
    changed = {"split_digest": facts["digest"], "note": facts["note"]}
    metadata = {key.encode(): value.encode() for key, value in changed.items()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata}), facts


def _digest_rows(table: pa.Table) -> list[str]:
    """SHA-256 (hex) over the rows of each split; their order does not count."""
    digests = []
    for number in sorted(table["split"].unique().to_pylist()):
        rows = table.filter(pc.equal(table["split"], number)).select(_COLUMNS).to_pylist()
        digests.append(digest_facts(sorted([row[name] for name in _COLUMNS] for row in rows)))
    return digests
