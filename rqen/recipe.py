"""A training recipe: frozen values from one TOML beside this file, changed by `--set
section.key=value`."""

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.home import expand_home_text
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import follow_links, is_file, parse_toml, read_text
from lpw_toolkit.files.writing import describe_os_error
from rqen.loss import NO_DISTANCE_LOSS, LossRecipe, list_distance_losses
from rqen.model.method import DIVISION, Heads, MethodSpec, PredictorVariant, open_method

#: Larger whole numbers have no exact float; nothing in a recipe comes near.
_MAX_NUMBER = 2**53
_MAX_TEXT_CHARS = 4096  # the longest path
#: Parts of a division are shares: larger ones could overflow their sum or quotient.
_MAX_SHARE = 1e6


@dataclass(frozen=True)
class ModelRecipe:
    """The network.

    Attributes:
        backbone: name of a file in `backbones/`, or `timm:NAME`.
        weights: `imagenet`, `random`, or the path of a file.
        last_stride: 2 as published, 1 for a finer last map.
        predictor: variant of the quality predictor.
        heads: where identities are learned: `frame` (the paper), `neck`, or `necks`, one per
            region.
        auxiliary: whether auxiliary heads are trained where the backbone has middle maps.
        division: parts of the height, from above.
    """

    backbone: str = "bn_inception"
    weights: str = "imagenet"
    last_stride: int = 2
    predictor: PredictorVariant = "paper"
    heads: Heads = "frame"
    auxiliary: bool = True
    division: tuple[float, ...] = DIVISION


@dataclass(frozen=True)
class DataRecipe:
    """What a batch holds.

    Attributes:
        height, width: of the images in pixels; the aspect is ignored, as released.
        batch: `triplets` (anchor, positive, negative sets, cameras drawn independently), `sets` (P
            persons x K sets) or `frames` (single frames, for softmax alone).
        n_triplets: per step, of `triplets`.
        n_persons, n_sets: P and K, of `sets`.
        n_frames: T frames per set; frames in a batch of `frames`.
        sampling: of the frames of a set: `random` without replacement, or `restricted`, one from
            each of T equal parts.
        positive: camera of the positive set: `any` as released, or `cross`; where no person was
            seen by two cameras, `cross` takes another tracklet.
        flip, crop, erase: chance of a mirror image, padding in pixels before a random crop, chance
            of an erased rectangle; one draw for a whole set.
    """

    height: int = 224
    width: int = 224
    batch: Literal["triplets", "sets", "frames"] = "triplets"
    n_triplets: int = 1
    n_persons: int = 16
    n_sets: int = 4
    n_frames: int = 8
    sampling: Literal["random", "restricted"] = "random"
    positive: Literal["any", "cross"] = "any"
    flip: float = 0.0
    crop: int = 0
    erase: float = 0.0


@dataclass(frozen=True)
class OptimRecipe:
    """How weights move.

    Attributes:
        kind: `sgd` or `adam`.
        lr, head_lr: learning rate, and its factor for what is not the backbone.
        predictor_lr: factor for the quality predictor, which with more than 1 has no decay: its
            gradient is small.
        bias_lr: factor for biases of the heads, without decay, as in Caffe.
        momentum, weight_decay: of SGD; weight decay of both.
        schedule: `constant`, `step` or `cosine`.
        steps, gamma: iterations after which `step` multiplies the rate by gamma.
        warmup: iterations over which the rate grows from a hundredth.
        freeze_bn: whether batch normalisation of the backbone keeps its statistics.
    """

    kind: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.001
    head_lr: float = 1.0
    predictor_lr: float = 1.0
    bias_lr: float = 2.0
    momentum: float = 0.9
    weight_decay: float = 0.0002
    schedule: Literal["constant", "step", "cosine"] = "constant"
    steps: tuple[int, ...] = ()
    gamma: float = 0.5
    warmup: int = 0
    freeze_bn: bool = False


@dataclass(frozen=True)
class TrainRecipe:
    """The run.

    Attributes:
        iterations: steps of the optimiser.
        checkpoint_every: steps between two checkpoints, from which a stopped run resumes; 0: only
            after the last step.
        validation: share of the training persons who are held out, drawn by seed; the weights that
            rank them best are kept. With 0 all persons train and the last weights are kept.
        validate_every: steps between two rankings of those who are held out; 0: only after the
            last.
        precision: `float32`, `bfloat16`, or `auto`: whichever a short trial finds faster.
        channels_last: memory layout; `auto` is decided by the same trial.
        cuda_graph: on a GPU, whether steps are recorded once and replayed; `auto` is decided by the
            same trial.
        compile: whether torch.compile is used; then nothing is recorded.
        seed: of weights, batches and augmentation.
    """

    iterations: int = 15_000
    checkpoint_every: int = 500
    validation: float = 0.0
    validate_every: int = 100
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: Literal["auto", "yes", "no"] = "auto"
    cuda_graph: Literal["auto", "yes", "no"] = "auto"
    compile: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Recipe:
    """All of it, by section; `name` is that of the TOML it came from."""

    name: str = "paper"
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)

    def adapt(self, method: str) -> "Recipe":
        """The recipe as `method` is trained: a method without distance loss sees single frames, 16
        as released, where others draw triplets.

        Errors: LpwError for an unknown method.
        """
        if open_method(method).distance_loss:
            return self
        loss = dataclasses.replace(self.loss, triplet=NO_DISTANCE_LOSS, pull=0.0)
        frames = dataclasses.replace(self.data, batch="frames", n_frames=16)
        return dataclasses.replace(
            self, loss=loss, data=frames if self.data.batch == "triplets" else self.data
        )

    def specify(self, method: str) -> MethodSpec:
        """What `method` is made of under this recipe.

        Errors: LpwError for an unknown method, or for a part that the division does not have.
        """
        base = open_method(method)
        if base.region is not None and base.region >= len(self.model.division):
            got = f"{len(self.model.division)} parts"
            raise LpwError(
                "model.division",
                got,
                f"{base.region + 1} or more for {method}",
                "choose another method",
            )
        return dataclasses.replace(
            base,
            division=base.division if len(base.division) == 1 else self.model.division,
            predictor=self.model.predictor,
            heads=self.model.heads,
            auxiliary=self.model.auxiliary,
        )

    def values(self) -> dict[str, Any]:
        """The recipe as plain values, for JSON and TOML."""
        return dataclasses.asdict(self)


def list_recipes() -> list[str]:
    """Names of the TOML files beside this module."""
    from lpw_toolkit.files.listing import list_folder

    return [
        p.stem
        for p in list_folder(follow_links(Path(__file__).parent / "recipes"))
        if p.suffix == ".toml"
    ]


def read_recipe(name: str, changes: tuple[str, ...] = ()) -> Recipe:
    """The recipe called `name` (`-` and `_` are one), or a TOML file by path, with
    `section.key=value` changes.

    Errors: LpwError for an unknown recipe, section or key (with the nearest name), a value of
    another kind, or a file or value beyond `files.limits`.
    """
    name = expand_home_text(name)
    plain = name.replace("-", "_")
    if plain in list_recipes():
        text = resources.files("rqen").joinpath("recipes", f"{plain}.toml").read_text("utf-8")
    elif name.endswith(".toml") and is_file(file := follow_links(Path(name))):
        plain, text = Path(name).stem, _read_file(file)
    else:
        raise LpwError(
            "option --recipe",
            name,
            f"{', '.join(list_recipes())}, or a .toml file",
            "choose one of them",
        )
    values = _parse(text, name)
    for change in changes:
        _apply(values, change)
    return make_recipe(plain, values)


def make_recipe(name: str, values: dict[str, Any]) -> Recipe:
    """A recipe from nested values; what is not named keeps its default. Errors: LpwError."""
    sections = {f.name: f.default_factory for f in dataclasses.fields(Recipe) if f.name != "name"}
    made = {}
    for section, given in values.items():
        if section not in sections or not isinstance(given, dict):
            raise _unknown(section, list(sections))
        made[section] = _fill(section, sections[section], given)
    recipe = Recipe(name=name, **made)
    _check_bounds(recipe)
    return recipe


def _check_bounds(recipe: Recipe) -> None:
    division, data = recipe.model.division, recipe.data
    if not division or min(division) < 1 / _MAX_SHARE or max(division) > _MAX_SHARE:
        got = ", ".join(f"{part:g}" for part in division) or "no part"
        raise LpwError("model.division", got, "one part or more, each above 0", "correct it")
    if recipe.model.last_stride not in (1, 2):
        raise LpwError("model.last_stride", f"{recipe.model.last_stride}", "1 or 2", "correct it")
    losses = list_distance_losses()
    if recipe.loss.triplet not in losses:
        got, expected = _show(recipe.loss.triplet), ", ".join(map(repr, losses))
        raise LpwError("loss.triplet", got, expected, "choose one of them")
    for name in ("height", "width", "n_triplets", "n_persons", "n_sets", "n_frames"):
        if getattr(data, name) < 1:
            raise LpwError(f"data.{name}", "0", "1 or more", "correct it")
    for name in ("height", "width", "crop"):
        _refuse_beyond(f"data.{name}", getattr(data, name), "image_side")
    for name in ("n_triplets", "n_persons", "n_sets", "n_frames"):
        _refuse_beyond(f"data.{name}", getattr(data, name), "recipe_images")
    sets = {"triplets": 3 * data.n_triplets, "sets": data.n_persons * data.n_sets, "frames": 1}
    _refuse_beyond(f"data.batch {data.batch}", sets[data.batch] * data.n_frames, "recipe_images")
    for section, name in (
        ("data", "flip"),
        ("data", "erase"),
        ("loss", "smoothing"),
        ("train", "validation"),
    ):
        value = getattr(getattr(recipe, section), name)
        if value > 1:
            raise LpwError(f"{section}.{name}", f"{value}", "a share from 0 to 1", "correct it")


def _refuse_beyond(thing: str, value: int, bound: str) -> None:
    if value > limit(bound):
        raise LpwError(thing, explain_limit(bound, value), "less", "correct it")


def _fill(section: str, kind: Any, given: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    for key in given:
        if key not in hints:
            raise _unknown(f"{section}.{key}", [f"{section}.{known}" for known in hints])
    return kind(
        **{key: _convert(f"{section}.{key}", value, hints[key]) for key, value in given.items()}
    )


def _convert(key: str, value: Any, kind: Any) -> Any:
    allowed = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if value not in allowed:
            raise LpwError(key, _show(value), ", ".join(map(repr, allowed)), "choose one of them")
        return value
    if typing.get_origin(kind) is tuple:
        parts = value if isinstance(value, list | tuple) else [value]
        _refuse_beyond(f"{key}, number of entries", len(parts), "recipe_parts")
        return tuple(_convert(key, part, allowed[0]) for part in parts)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not 0 <= value <= _MAX_NUMBER:  # nor NaN
        raise LpwError(key, _show(value), "a finite number, 0 or more", "correct it")
    if kind is float and is_number:
        value = float(value)
    if not isinstance(value, kind) or (kind is int and not is_number):
        expected = kind.__name__ if not isinstance(kind, types.UnionType) else str(kind)
        raise LpwError(key, _show(value), f"a value of type {expected}", "correct it")
    if isinstance(value, str) and len(value) > _MAX_TEXT_CHARS:
        raise LpwError(
            key, f"a text of {len(value)} letters", f"at most {_MAX_TEXT_CHARS}", "correct it"
        )
    return value


def _show(value: Any) -> str:
    """`value` in a few words, however large or nested it is."""
    if isinstance(value, dict | list | tuple):
        return f"{'a table' if isinstance(value, dict) else 'a list'} of {len(value)} entries"
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        return "a number of more than 16 digits"
    return repr(value if not isinstance(value, str) else value[:80])


def _apply(values: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise LpwError(
            "option --set", change, "SECTION.KEY=VALUE, for example optim.lr=0.01", "correct it"
        )
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    values.setdefault(section, {})[key] = value


def _read_file(file: Path) -> str:
    try:
        return read_text(file, "recipe_bytes", errors="replace")
    except OSError as error:
        raise LpwError(file, describe_os_error(error), "a TOML file", "check the path") from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise LpwError(name, f"{error}"[:200], "a TOML file", "correct it") from error


def _unknown(name: str, known: list[str]) -> LpwError:
    name = name[:80]
    near = difflib.get_close_matches(name, known, 1)
    do = f"did you mean {near[0]}?" if near else "leave it out"
    return LpwError("recipe", f"the unknown key {name}", ", ".join(known), do)
