"""Names what differs between two plans of a build: videos that came or went, settings by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lpw_toolkit.errors import join_names

_MAX_CHARS = 24
_BY_DIGEST = {"detect.files_sha256": "the files of boxes are others than before"}


@dataclass(frozen=True)
class PlanChanges:
    """What a new plan has that the old one has not, and the other way round.

    Attributes:
        added, missing: paths of videos.
        settings: a sentence for each setting, note or camera that has another value.
    """

    added: tuple[str, ...]
    missing: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def n_changes(self) -> int:
        """How many things differ."""
        return len(self.added) + len(self.missing) + len(self.settings)

    @property
    def kinds(self) -> str:
        """`videos`, `settings` or both."""
        videos = ["videos"] if self.added or self.missing else []
        return " and ".join(videos + ["settings"] * bool(self.settings or not videos))

    def __str__(self) -> str:
        lines = [
            *_tell_videos(self.added, "was added", "were added"),
            *_tell_videos(self.missing, "is missing", "are missing"),
            *([join_names(self.settings)] if self.settings else []),
        ]
        return "; ".join(lines)


def compare_plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> PlanChanges:
    """What changed from the plan `old` to `new`, both as JSON gives them.

    >>> str(compare_plans({"settings": {"link": {"iou": 0.3}}}, {"settings": {"link": {"iou": 1}}}))
    'link.iou was 0.3, is 1'
    """
    before, after = (_videos(plan) for plan in (old, new))
    cameras = [
        f"the camera of {path} was {before[path]}, is {after[path]}"
        for path in after
        if path in before and before[path] != after[path]
    ]
    said, says = (dict(_flatten(plan)) for plan in (old, new))
    settings = [
        _BY_DIGEST.get(name) or f"{name} was {_show(said.get(name))}, is {_show(says.get(name))}"
        for name in sorted({*said, *says})
        if said.get(name) != says.get(name)
    ]
    return PlanChanges(
        tuple(path for path in after if path not in before),
        tuple(path for path in before if path not in after),
        (*cameras, *settings),
    )


def _videos(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The camera of each video, by its path."""
    entries = plan.get("sources")
    whole = entries if isinstance(entries, list) else []
    return {str(e[1]): e[2] for e in whole if isinstance(e, list) and len(e) == 3}


def _flatten(plan: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in plan.items():
        name = "" if not prefix and key == "settings" else f"{prefix}{key}."
        if isinstance(value, Mapping):
            yield from _flatten(value, name)
        elif prefix or key != "sources":
            yield name[:-1], value


def _tell_videos(paths: tuple[str, ...], one: str, several: str) -> list[str]:
    if len(paths) == 1:
        return [f"a video {one}: {paths[0]}"]
    return [f"{len(paths)} videos {several}: {join_names(paths)}"] if paths else []


def _show(value: object) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…"
