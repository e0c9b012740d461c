"""What is said of the videos of a dataset after a build: problems, and what was left out."""

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.linking.linker import explain_none


def list_problems(dataset: Dataset) -> list[str]:
    """One line for each source that failed or is incomplete."""
    lines = [f"{entry['path']}: {entry['reason']}" for entry in dataset.manifest.get("skipped", [])]
    for entry in dataset.manifest["sources"]:
        if "error" in entry:
            lines.append(f"{entry['path']}: {entry['error']}")
        elif not entry["report"]["complete"]:
            lines.append(f"{entry['path']}: incomplete: {'; '.join(entry['report']['problems'])}")
    return lines


def list_remarks(dataset: Dataset) -> list[str]:
    """What was left out of each video, and why one gave no tracklets."""
    lines = []
    for entry in dataset.manifest["sources"]:
        lines += [f"{entry['path']}: {note}" for note in entry.get("report", {}).get("notes", [])]
        if "left_out" in entry:
            lines.append(f"warning: {entry['path']}: {explain_none(entry['left_out'])}")
    return lines
