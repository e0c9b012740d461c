"""The persons of a review: one row each, its tracklets by camera, and who may fill the gaps."""

from collections.abc import Callable, Sequence
from typing import Any

from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.resolve import REJECTED, PieceState
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.review_page.details import MAX_THUMBS
from lpw_toolkit.review_page.suggestions import Suggestions, list_candidates

PAGE = 12  # persons at once: their pictures are a few strips
_N_GAP = 2  # candidates shown for a camera in which nobody is
VIEWS = ("all", "alone")

Row = dict[str, Any]


def list_persons(
    base: Base,
    state: State,
    suggestions: Suggestions,
    wanted: Callable[[str], bool],
    offset: int,
    *,
    alone: bool,
) -> dict[str, Any]:
    """One page of the persons.

    Args:
        wanted: whether a tracklet that is of no person yet counts as one: it is accepted, say.
        offset: persons before the page.
        alone: only persons who are seen by one camera: `--apply` leaves them out.

    Returns:
        `n`: how many there are. `persons`: for each its number or null, and its `tiles`, each with
        piece, number of the tracklet and camera; for persons of one camera the `gaps`, candidates
        in other cameras. `thumbs`: for each person the tracklets of its strip.
    """
    groups = _list_groups(base, state, wanted)
    if alone:
        groups = [names for names in groups if len(_cameras_of(base, names)) == 1]
    page = groups[offset : offset + PAGE]
    return {
        "n": len(groups),
        "persons": [_describe(base, state, suggestions, names) for names in page],
    }


def _list_groups(base: Base, state: State, wanted: Callable[[str], bool]) -> list[tuple[str, ...]]:
    """The pieces of every person: those of several tracklets first, then those of one."""
    several = [
        tuple(part.name for leader in group for part in state.parts_of(leader))
        for group in state.groups
    ]
    grouped = {name for names in several for name in names}
    single = []
    names = [name for name in base.tracklets if wanted(name)]
    for piece in (piece for name in names for piece in state.pieces_of(name)):
        leader = state.merged_into.get(piece.name, piece.name)
        if leader != piece.name or piece.name in grouped or piece.status == REJECTED:
            continue
        single.append(tuple(part.name for part in state.parts_of(leader)))
    return sorted(several, key=lambda names: -len(_cameras_of(base, names))) + single


def _cameras_of(base: Base, names: Sequence[str]) -> set[str]:
    pieces = (find_piece(name, base.n_frames) for name in names)
    return {base.tracklets[piece.tracklet].camera_id for piece in pieces if piece}


def _describe(base: Base, state: State, suggestions: Suggestions, names: Sequence[str]) -> Row:
    numbers = {state.numbers[n] for n in names if n in state.numbers}
    tiles = [_describe_tile(base, state.find(name), name) for name in names]
    cameras = _cameras_of(base, names)
    gaps = _find_gaps(base, suggestions, tiles, cameras) if len(cameras) == 1 else []
    thumbs = list(dict.fromkeys(tile["n"] for tile in (*tiles, *gaps)))[:MAX_THUMBS]
    return {
        "number": min(numbers) if numbers else None,
        "tiles": tiles,
        "gaps": gaps,
        "thumbs": thumbs,
    }


def _describe_tile(base: Base, piece: PieceState | None, name: str) -> Row:
    found = piece.piece if piece else find_piece(name, base.n_frames)
    tracklet = base.tracklets[found.tracklet if found else name]
    return {
        "piece": name,
        "n": tracklet.row,
        "camera": tracklet.camera_id,
        "status": piece.status if piece else REJECTED,
    }


def _find_gaps(
    base: Base, suggestions: Suggestions, tiles: Sequence[Row], cameras: set[str]
) -> list[Row]:
    """The likeliest candidates in other cameras, a few each."""
    found: dict[str, list[Row]] = {}
    names = list(base.tracklets)
    for tile in tiles:
        for entry in list_candidates(suggestions, names[tile["n"]])[1]:
            other = base.tracklets[str(entry["id"])]
            if other.camera_id not in cameras:
                row = _describe_tile(base, None, other.tracklet_id)
                row |= {"of": tile["piece"], "why": entry["why"], "score": entry["score"]}
                found.setdefault(other.camera_id, []).append(row)
    return [
        row
        for camera in sorted(found)
        for row in sorted(found[camera], key=lambda each: -float(each["score"]))[:_N_GAP]
    ]
