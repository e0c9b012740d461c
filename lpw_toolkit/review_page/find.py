"""The query of the page's search: words of a name, and `field:value`, `len<20`, `sort:risk`."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Tracklet
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.cleaning.suggest.reasons import REASONS
from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.review_page.status_codes import UNSURE
from lpw_toolkit.review_page.suggestions import MIN_SCORE

MAX_CHARS = 300
FIELDS = ("cam", "scene", "reason", "person", "by", "is", "flag", "comment", "sort")
SORTS = ("risk", "time", "length")
#: The status codes that `is:` means.
STATUSES = {
    "open": "up?",
    "unsure": "?",
    "accepted": "ae",
    "edited": "ep",
    "rejected": "r",
}
_LENGTH = re.compile(r"len(<|>|=)(\d{1,7})")


@dataclass(frozen=True)
class Query:
    """A parsed query; a tracklet fits where it fits every part.

    Attributes:
        words: parts of its name.
        fields: by field, what is wanted of it.
        lengths: comparisons of its number of frames.
        sort: one of SORTS, or "".
    """

    words: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: tuple[tuple[str, int], ...] = ()
    sort: str = ""


def parse_query(text: str) -> Query:
    """Errors: LpwError for a field, a status or an order that there is not.

    >>> parse_query("cam:view1 len<20 000012").words
    ('000012',)
    """
    if len(text) > MAX_CHARS:
        raise LpwError("find", f"{len(text)} letters", f"{MAX_CHARS} at most", "ask for less")
    words, fields, lengths = [], dict[str, tuple[str, ...]](), []
    for part in text.split():
        name, colon, value = part.partition(":")
        if match := _LENGTH.fullmatch(part):
            lengths.append((match[1], int(match[2])))
        elif name in ("flag", "comment") and not value:
            fields[name] = (*fields.get(name, ()), "")
        elif not colon or "/" in name:
            words.append(part.casefold())
        elif name not in FIELDS:
            raise unknown_name("find", name, list(FIELDS))
        else:
            fields[name] = (*fields.get(name, ()), value.casefold())
    for known, name in ((STATUSES, "is"), (SORTS, "sort")):
        for value in fields.get(name, ()):
            if value not in known:
                raise unknown_name(f"find {name}:", value, list(known))
    sort = fields.pop("sort", ("",))[-1]
    return Query(tuple(words), fields, tuple(lengths), sort)


@dataclass(frozen=True)
class Searched:
    """What is searched.

    Attributes:
        tracklets: in the order of the table.
        suggestions: schema.SUGGESTIONS; None without any.
        codes: status code of each tracklet.
        decisions: those in force.
        state: persons and their numbers.
        risk: chance of a mistake, by number of the tracklet, where it is known.
        first_s: (N,) when each begins; NaN is unknown.
    """

    tracklets: Iterable[Tracklet]
    suggestions: pa.Table | None
    codes: str
    decisions: Iterable[Decision]
    state: State
    risk: Mapping[int, float]
    first_s: "np.ndarray[tuple[int], np.dtype[np.float64]]"


def find_tracklets(query: Query, searched: Searched) -> list[int]:
    """Numbers of the tracklets that fit, in the order that was asked for, otherwise in that of the
    table."""
    found = list(searched.tracklets)
    for fits in _list_conditions(query, searched):
        found = [tracklet for tracklet in found if fits(tracklet)]
    if query.sort == "risk":
        found.sort(key=lambda tracklet: -searched.risk.get(tracklet.row, -1.0))
    elif query.sort == "length":
        found.sort(key=lambda tracklet: -tracklet.n_frames)
    elif query.sort == "time":
        place = np.argsort(np.argsort(searched.first_s, kind="stable"))
        found.sort(key=lambda tracklet: int(place[tracklet.row]))
    return [tracklet.row for tracklet in found]


def _list_conditions(query: Query, searched: Searched) -> Iterator[Callable[[Tracklet], bool]]:
    """What a tracklet must fulfil, the cheapest first."""
    for sign, bound in query.lengths:
        yield partial(_has_length, sign, bound)
    for word in query.words:
        yield partial(_has_word, word)
    for value in query.fields.get("cam", ()):
        yield partial(_is_of_camera, value)
    for value in query.fields.get("scene", ()):
        yield partial(_is_of_scene, value)
    for value in query.fields.get("is", ()):
        yield partial(_has_status, searched.codes, STATUSES[value])
    for name, find in _FINDERS.items():
        for value in query.fields.get(name, ()):
            yield partial(_is_among, find(searched, value))


def _has_length(sign: str, bound: int, tracklet: Tracklet) -> bool:
    if sign == "=":
        return tracklet.n_frames == bound
    return tracklet.n_frames < bound if sign == "<" else tracklet.n_frames > bound


def _has_word(word: str, tracklet: Tracklet) -> bool:
    return word in tracklet.tracklet_id.casefold()


def _is_of_camera(value: str, tracklet: Tracklet) -> bool:
    return value in tracklet.camera_id.casefold()


def _is_of_scene(value: str, tracklet: Tracklet) -> bool:
    return value in (tracklet.scene_id or "").casefold()


def _has_status(codes: str, wanted: str, tracklet: Tracklet) -> bool:
    return codes[tracklet.row] in wanted


def _is_among(names: set[str], tracklet: Tracklet) -> bool:
    return tracklet.tracklet_id in names


def _find_reason(searched: Searched, value: str) -> set[str]:
    """Tracklets with a sign of a mistake that the page shows; by its name or a part of its text."""
    names = [
        name
        for name, reason in REASONS.items()
        if value in name or value in reason.title.casefold().replace(" ", "_")
    ]
    table = searched.suggestions
    if table is None or not names:
        return set()
    shown = pc.and_(
        pc.is_in(table["reason"], pa.array(names)), pc.greater_equal(table["score"], MIN_SCORE)
    )
    return set(table["tracklet_id"].filter(shown).to_pylist())


def _find_person(searched: Searched, value: str) -> set[str]:
    """Tracklets of the person with a number; all that have one for an empty value."""
    state = searched.state
    leaders = {
        each
        for name, number in state.numbers.items()
        if value in ("", str(number))
        for each in (
            state.groups[state.person_of[name]] if name in state.person_of else (name,)
        )
    }  # fmt: skip
    return {part.piece.tracklet for leader in leaders for part in state.parts_of(leader)}


def _find_named(searched: Searched, is_wanted: Callable[[Decision], bool]) -> set[str]:
    """Tracklets that decisions in force name."""
    n_frames = searched.state.base.n_frames
    names = (name for d in searched.decisions if is_wanted(d) for name in d.tracklets)
    return {piece.tracklet for name in names if (piece := find_piece(name, n_frames))}


def _find_by(searched: Searched, value: str) -> set[str]:
    return _find_named(searched, lambda decision: decision.reviewer == value)


def _find_flag(searched: Searched, value: str) -> set[str]:
    return _find_named(
        searched, lambda d: d.role is Role.FLAG and value in str(d.value) and d.value != UNSURE
    )


def _find_comment(searched: Searched, value: str) -> set[str]:
    return _find_named(
        searched, lambda d: d.role is Role.COMMENT and value in str(d.value).casefold()
    )


_FINDERS: dict[str, Callable[[Searched, str], Any]] = {
    "reason": _find_reason,
    "person": _find_person,
    "by": _find_by,
    "flag": _find_flag,
    "comment": _find_comment,
}
