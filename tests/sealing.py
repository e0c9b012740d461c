"""A dataset that somebody changed so that it still fits together: what a stranger may send."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lpw_toolkit.dataset.dataset import digest_manifest


def write_manifest(root: Path, facts: dict[str, Any]) -> None:
    """Writes dataset.json with the digest over its own fields, where it has one."""
    facts = json.loads(json.dumps(facts))
    if "manifest_sha256" in facts:
        facts["manifest_sha256"] = digest_manifest(facts)
    (root / "dataset.json").write_text(json.dumps(facts), "utf-8")


def seal_tables(root: Path, *names: str) -> None:
    """Makes dataset.json name the tables as they are now."""
    facts = json.loads((root / "dataset.json").read_text("utf-8"))
    for name in names:
        data = (root / name).read_bytes()
        facts["tables"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_manifest(root, facts)
