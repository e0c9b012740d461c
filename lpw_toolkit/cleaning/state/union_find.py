"""Sets that grow together: union-find over names, whose answers do not depend on the order of the
unions."""

from collections.abc import Iterable


class UnionFind:
    """Names in sets; a name that was never joined is alone."""

    def __init__(self) -> None:
        self._leader: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The smallest name of its set."""
        path = []
        while (leader := self._leader.get(name, name)) != name:
            path.append(name)
            name = leader
        for each in path:
            self._leader[each] = name
        return name

    def join(self, one: str, other: str) -> None:
        """Makes one set of two."""
        low, high = sorted((self.find(one), self.find(other)))
        if low != high:
            self._leader[high] = low

    def groups(self, names: Iterable[str]) -> list[tuple[str, ...]]:
        """The sets among `names`, members and sets sorted."""
        found: dict[str, list[str]] = {}
        for name in sorted(set(names)):
            found.setdefault(self.find(name), []).append(name)
        return sorted(tuple(members) for members in found.values())
