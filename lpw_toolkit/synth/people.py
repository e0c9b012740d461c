"""Draws the persons of a synthetic street: body, clothes and carried things; colour alone
identifies no one."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from lpw_toolkit.synth.config import StreetConfig

Colour = tuple[int, int, int]

#: Garment colours (R, G, B). Several lie close together, as they do in a street.
COLOURS: dict[str, Colour] = {
    "black": (34, 34, 38),
    "blue": (52, 84, 148),
    "white": (222, 220, 214),
    "red": (168, 44, 46),
    "grey": (122, 124, 128),
    "olive": (98, 100, 62),
    "navy": (36, 44, 78),
    "beige": (194, 172, 138),
    "green": (46, 104, 78),
    "burgundy": (104, 36, 52),
    "mustard": (198, 150, 54),
    "sky": (126, 164, 196),
}
SKINS: tuple[Colour, ...] = (
    (236, 198, 172),
    (214, 166, 132),
    (172, 122, 88),
    (122, 82, 58),
    (84, 56, 42),
)
HAIRS: dict[str, Colour] = {
    "black": (30, 26, 26),
    "brown": (82, 54, 36),
    "blond": (196, 160, 98),
    "red": (140, 70, 38),
    "grey": (158, 156, 152),
}
PATTERNS = ("plain", "stripes", "pinstripes", "plaid", "dots", "logo", "block", "open")
UPPERS = ("tee", "jacket", "hoodie", "coat")
LOWERS = ("trousers", "shorts", "skirt")
HEADS = ("short", "long", "bun", "bald", "cap", "beanie")
BAGS = ("none", "backpack", "shoulder", "tote")

_UPPER_ODDS = (0.28, 0.3, 0.24, 0.18)
_LOWER_ODDS = (0.68, 0.17, 0.15)
_HEAD_ODDS = (0.34, 0.24, 0.1, 0.08, 0.13, 0.11)
_BAG_ODDS = (0.3, 0.28, 0.22, 0.2)
#: What tells two persons in the same colours apart, and how many of these must differ.
_TELLING = ("pattern", "upper", "lower", "head", "bag", "hair_colour", "accent_colour")
_N_TELLING = 3


@dataclass(frozen=True)
class Person:
    """One identity: everything about a person that the picture shows, the same in every camera.

    Attributes:
        number: the id in truth files, 1-based within the scene.
        stature_m: body height in metres.
        build: width of the body relative to an average one.
        upper_colour, lower_colour, accent_colour, bag_colour, shoe_colour, cap_colour: names in
        `COLOURS`. pattern: of the upper garment, in the accent colour.
        speed_mps: walking speed in metres per second.
    """

    scene_id: str
    number: int
    stature_m: float
    build: float
    skin: Colour
    hair_colour: str
    head: str
    upper: str
    upper_colour: str
    pattern: str
    accent_colour: str
    lower: str
    lower_colour: str
    shoe_colour: str
    bag: str
    bag_colour: str
    cap_colour: str
    speed_mps: float

    @property
    def person_id(self) -> str:
        """The id of the person in a dataset: `scen1/12`."""
        return f"{self.scene_id}/{self.number}"

    def to_json(self) -> dict[str, object]:
        """The row of persons.json."""
        return {"person_id": self.person_id, **asdict(self)}


def draw_people(config: StreetConfig, rng: np.random.Generator) -> list[list[Person]]:
    """The persons of each scene. Any two of a scene in the same colours differ in at least three
    further traits."""
    sizes = np.diff(np.linspace(0, config.n_persons, config.n_scenes + 1).astype(int))
    return [_draw_scene(f"scen{s + 1}", int(n), config, rng) for s, n in enumerate(sizes)]


def _draw_scene(
    scene_id: str, n_persons: int, config: StreetConfig, rng: np.random.Generator
) -> list[Person]:
    outfits = list(_iter_outfits(n_persons, config, rng))
    people: list[Person] = []
    for number, outfit in enumerate(outfits, start=1):
        rivals = [p for p in people if (p.upper_colour, p.lower_colour) == outfit]
        people.append(_draw_distinct(scene_id, number, outfit, rivals, rng))
    return people


def _iter_outfits(
    n_persons: int, config: StreetConfig, rng: np.random.Generator
) -> Iterator[tuple[str, str]]:
    names = list(COLOURS)[: config.n_colours]
    pairs = [(u, w) for u in names for w in names if u != w]
    n_pairs = min(len(pairs), max(1, n_persons // config.n_wearers))
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:n_pairs]]
    borders = np.linspace(0, n_persons, n_pairs + 1).astype(int)
    dealt = [
        pair for pair, (a, b) in zip(chosen, pairwise(borders), strict=True) for _ in range(b - a)
    ]
    yield from (dealt[i] for i in rng.permutation(n_persons))


def _draw_distinct(
    scene_id: str,
    number: int,
    outfit: tuple[str, str],
    rivals: list[Person],
    rng: np.random.Generator,
) -> Person:
    """A person who differs from every rival; of many tries the best where the wardrobe is
    exhausted."""
    best, best_gap = _draw_person(scene_id, number, outfit, rng), -1
    for _ in range(200):
        person = _draw_person(scene_id, number, outfit, rng)
        gap = min((count_differences(person, rival) for rival in rivals), default=_N_TELLING)
        if gap > best_gap:
            best, best_gap = person, gap
        if gap >= _N_TELLING:
            break
    return best


def count_differences(a: Person, b: Person) -> int:
    """How many of the telling traits (pattern, cut, head, bag, hair and accent colour) differ."""
    return sum(getattr(a, trait) != getattr(b, trait) for trait in _TELLING)


def _draw_person(
    scene_id: str, number: int, outfit: tuple[str, str], rng: np.random.Generator
) -> Person:
    names = list(COLOURS)
    accents = [c for c in ("white", "black", "beige", "red", "navy", "mustard") if c != outfit[0]]

    def pick(options: tuple[str, ...] | list[str], odds: tuple[float, ...] | None = None) -> str:
        return options[int(rng.choice(len(options), p=odds))]

    return Person(
        scene_id=scene_id,
        number=number,
        stature_m=float(np.clip(rng.normal(1.73, 0.08), 1.52, 1.95)),
        build=float(np.clip(rng.normal(1.0, 0.1), 0.82, 1.25)),
        skin=SKINS[int(rng.integers(len(SKINS)))],
        hair_colour=pick(list(HAIRS)),
        head=pick(HEADS, _HEAD_ODDS),
        upper=pick(UPPERS, _UPPER_ODDS),
        upper_colour=outfit[0],
        pattern=pick(PATTERNS),
        accent_colour=pick(accents),
        lower=pick(LOWERS, _LOWER_ODDS),
        lower_colour=outfit[1],
        shoe_colour=pick(["black", "white", "grey", "red", "beige"]),
        bag=pick(BAGS, _BAG_ODDS),
        bag_colour=pick(names),
        cap_colour=pick(names),
        speed_mps=float(np.clip(rng.normal(1.3, 0.18), 0.85, 1.8)),
    )
