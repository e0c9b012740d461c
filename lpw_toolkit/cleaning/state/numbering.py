"""Person ids of a cleaned dataset: `scen1/12`, a number within the scene that later decisions do
not change.

A person's number is the place of its first tracklet among those of the scene: whatever is decided
about others does not move it. LPW's own numbers have gaps too. A part that was cut off gets its
place plus the number of tracklets times the position of the cut, which no other part has.
"""

from lpw_toolkit.cleaning.log.pieces import Piece
from lpw_toolkit.cleaning.state.base_tables import Base, Tracklet
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.files.listing import natural_key

#: The scene of tracklets that name none.
SCENE = "scen1"


def number_persons(state: State) -> dict[str, str]:
    """The person id of every merged tracklet of kind person.

    A person keeps the id that the dataset gives it (the first in natural order of several), then
    the number that a reviewer assigned, then its place. The scene is that of its first tracklet.
    """
    persons = _list_persons(state)
    ids: dict[str, str] = {}
    taken = {t.person_id for t in state.base.tracklets.values() if t.person_id is not None}
    waiting = []
    for names in persons:
        given = _given_id(state, names)
        if given is None:
            waiting.append(names)
        ids |= dict.fromkeys(names, given) if given else {}
    later = []
    for names in waiting:
        numbers = [state.numbers[name] for name in names if name in state.numbers]
        if numbers:
            person = f"{_scene_of(_first_piece(state, names)[1])}/{min(numbers)}"
            taken.add(person)
            ids |= dict.fromkeys(names, person)
        else:
            later.append(names)
    for names in later:
        person = _free_id(state.base, *_first_piece(state, names), taken)
        taken.add(person)
        ids |= dict.fromkeys(names, person)
    return ids


def _list_persons(state: State) -> list[tuple[str, ...]]:
    """Names of the merged tracklets of every person, in natural order of the first."""
    alone = [
        (piece.name,)
        for piece in state.iter_pieces()
        if state.merged_into.get(piece.name, piece.name) == piece.name
        and piece.name not in state.person_of
    ]
    every = [tuple(sorted(names, key=natural_key)) for names in (*state.groups, *alone)]
    persons = [
        n
        for n in every
        if state.base.tracklets[state.parts_of(n[0])[0].piece.tracklet].kind == "person"
    ]
    return sorted(persons, key=lambda names: natural_key(names[0]))


def _given_id(state: State, names: tuple[str, ...]) -> str | None:
    """What the dataset calls a person: by its tracklets that were not cut."""
    found = set()
    for name in names:
        for part in state.parts_of(name):
            tracklet = state.base.tracklets[part.piece.tracklet]
            whole = part.piece.stop - part.piece.start == tracklet.n_frames
            found |= {tracklet.person_id} if whole and tracklet.person_id is not None else set()
    return min(found, key=natural_key) if found else None


def _first_piece(state: State, names: tuple[str, ...]) -> tuple[Piece, Tracklet]:
    pieces = [part.piece for name in names for part in state.parts_of(name)]
    first = min(pieces, key=lambda piece: (natural_key(piece.tracklet), piece.start))
    return first, state.base.tracklets[first.tracklet]


def _scene_of(tracklet: Tracklet) -> str:
    return tracklet.scene_id or SCENE


def _free_id(base: Base, piece: Piece, tracklet: Tracklet, taken: set[str]) -> str:
    """The id by place; where a reviewer has given that number away, the next one that no place
    leads to."""
    n_tracklets = base.n_in_scene[tracklet.scene_id]
    number = base.places[piece.tracklet] + n_tracklets * piece.start
    while f"{_scene_of(tracklet)}/{number}" in taken:
        number += n_tracklets * (1 + base.longest)
    return f"{_scene_of(tracklet)}/{number}"
