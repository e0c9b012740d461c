"""Finds the decisions that are undone. An undo is itself a decision, so it can be undone too."""

from collections.abc import Mapping
from dataclasses import dataclass

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.operation import Role


@dataclass(frozen=True)
class Undone:
    """What came of all undos.

    Attributes:
        uuids: decisions that do not count.
        unknown: undos of decisions that no log has.
        circles: undos that wait for each other (only forged logs have them); they do nothing.
    """

    uuids: frozenset[str]
    unknown: tuple[str, ...]
    circles: tuple[str, ...]


def find_undone(decisions: Mapping[str, Decision]) -> Undone:
    """What the undos among `decisions` (by uuid) leave: a decision is undone by each undo of it
    that is not undone."""
    undos = {uuid: str(d.value) for uuid, d in decisions.items() if d.role is Role.UNDO}
    waiting = dict.fromkeys(undos, 0)  # undos of this undo that are not resolved yet
    for target in undos.values():
        if target in waiting:
            waiting[target] += 1
    ready = [uuid for uuid, n in waiting.items() if n == 0]
    undone: set[str] = set()
    resolved: set[str] = set()
    while ready:
        uuid = ready.pop()
        if uuid in resolved:
            continue
        resolved.add(uuid)
        target = undos[uuid]
        if uuid not in undone:
            undone.add(target)
        if target in waiting:
            waiting[target] -= 1
            if (
                waiting[target] == 0 or target in undone
            ):  # one undo that counts is enough: it breaks a circle too
                ready.append(target)
    return Undone(
        frozenset(undone & set(decisions)),
        tuple(sorted(uuid for uuid, target in undos.items() if target not in decisions)),
        tuple(sorted(set(undos) - resolved)),
    )
