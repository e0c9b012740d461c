"""A training recipe: frozen values from one TOML beside this file, changed by `--set
section.key=value`."""

import copy
import dataclasses
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.files.home import expand_home_text
from lpw_toolkit.files.opening import follow_links, is_file, parse_toml, read_text
from lpw_toolkit.files.writing import describe_os_error
from rqen.loss import NO_DISTANCE_LOSS, LossRecipe, list_distance_losses
from rqen.model.method import DIVISION, Heads, MethodSpec, NoSettings, PredictorVariant, open_method
from rqen.recipe_forms import choose_form, list_forms
from rqen.recipe_values import (
    apply_change,
    fill,
    freeze,
    refuse_beyond,
    unknown_key,
)

#: Parts of a division are shares: larger ones could overflow their sum or quotient.
_MAX_SHARE = 1e6
_COUNTS = ("n_triplets", "n_pairs", "n_persons", "n_sets", "n_frames")


def _added(default: Any) -> Any:
    """A key that older recipes lack. Where it has its default it is not recorded, so that what an
    older version recorded is the same."""
    return field(default=default, metadata={"added": True})


@dataclass(frozen=True)
class ModelRecipe:
    """The network.

    Attributes:
        backbone: name of a file in `backbones/`, or `timm:NAME`.
        weights: `imagenet`, `random`, or the path of a file.
        last_stride: 2 as published, 1 for a finer last map.
        predictor: variant of the quality predictor.
        heads: where identities are learned: `frame` (the paper), `neck`, one classifier for every
            method, or `necks`, one per region, so that methods differ in their number.
        auxiliary: whether auxiliary heads are trained where the backbone has middle maps.
        division: parts of the height, from above.
        dropout: share of the numbers that is left out before the classifiers of `frame`.
        pooling: how the frames of a set become one vector where all weigh alike: `mean`, `max`, or
            as the `method` says.
    """

    backbone: str = "bn_inception"
    weights: str = "imagenet"
    last_stride: int = 2
    predictor: PredictorVariant = "paper"
    heads: Heads = "frame"
    auxiliary: bool = True
    division: tuple[float, ...] = DIVISION
    dropout: float = _added(0.0)
    pooling: Literal["method", "mean", "max"] = _added("method")


@dataclass(frozen=True)
class DataRecipe:
    """What a batch holds.

    Attributes:
        height, width: of the images in pixels; the aspect is ignored, as released.
        batch: `triplets` (anchor, positive, negative sets, cameras drawn independently), `sets` (P
            persons x K sets), `frames` (single frames, for softmax alone) or `pairs` (in turn of
            one person by two cameras, and of two persons).
        n_triplets: per step, of `triplets`.
        n_pairs: per step, of `pairs`.
        n_persons, n_sets: P and K, of `sets`.
        n_frames: T frames per set; frames in a batch of `frames`.
        sampling: of the frames of a set: `random` without replacement, `restricted`, one from each
            of T equal parts, or `consecutive`.
        positive: camera of the positive set: `any` as released, or `cross`; where no person was
            seen by two cameras, `cross` takes another tracklet.
        flip, crop, erase: chance of a mirror image, padding in pixels before a random crop, chance
            of an erased rectangle; one draw for a whole set.
        cut_height, cut_width: size of a random part of the images that the network sees, in pixels;
            0: all of them. A test sees the part in the middle.
        views: of each frame in a test: `one`, or `ten`: the four corners and the middle of
            `cut_height` x `cut_width`, and their mirror images, whose vectors are averaged.
    """

    height: int = 224
    width: int = 224
    batch: Literal["triplets", "sets", "frames", "pairs"] = "triplets"
    n_triplets: int = 1
    n_persons: int = 16
    n_sets: int = 4
    n_frames: int = 8
    sampling: Literal["random", "restricted", "consecutive"] = "random"
    positive: Literal["any", "cross"] = "any"
    flip: float = 0.0
    crop: int = 0
    erase: float = 0.0
    n_pairs: int = _added(1)
    cut_height: int = _added(0)
    cut_width: int = _added(0)
    views: Literal["one", "ten"] = _added("one")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels of what the network sees."""
        return self.cut_height or self.height, self.cut_width or self.width

    @property
    def n_images(self) -> int:
        """Images in a batch of one process."""
        sets = {
            "triplets": 3 * self.n_triplets,
            "sets": self.n_persons * self.n_sets,
            "frames": 1,
            "pairs": 2 * self.n_pairs,
        }
        return sets[self.batch] * self.n_frames


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
        schedule: `constant`, `step`, `cosine` or `exponential`.
        steps, gamma: iterations after which `step` multiplies the rate by gamma; `exponential`
            falls from the first of `steps` on, by gamma until the end.
        warmup: iterations over which the rate grows from a hundredth.
        freeze_bn: whether batch normalisation of the backbone keeps its statistics.
        clamp: bound of each number of the gradient; 0: none.
    """

    kind: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.001
    head_lr: float = 1.0
    predictor_lr: float = 1.0
    bias_lr: float = 2.0
    momentum: float = 0.9
    weight_decay: float = 0.0002
    schedule: Literal["constant", "step", "cosine", "exponential"] = "constant"
    steps: tuple[int, ...] = ()
    gamma: float = 0.5
    warmup: int = 0
    freeze_bn: bool = False
    clamp: float = _added(0.0)


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
        length: form of the recipe that was taken: `standard`, or `large`, the one for large
            datasets (`rqen.recipe_forms`).
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
    length: Literal["standard", "large"] = _added("standard")


@dataclass(frozen=True)
class Recipe:
    """All of it, by section.

    Attributes:
        name: of the TOML that it came from.
        model, data, loss, optim, train: the sections that all methods share.
        method: the settings of one method (`NetworkMethod`, `FittedMethod`), pairs of name and
            value in the order of names.
    """

    name: str = "paper"
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)
    method: tuple[tuple[str, Any], ...] = ()

    def adapt(self, method: str) -> "Recipe":
        """The recipe as `method` is trained: a method without distance loss sees single frames, 16
        as released, where others draw triplets.

        Errors: LpwError for an unknown method.
        """
        if getattr(open_method(method), "distance_loss", True):
            return self
        loss = dataclasses.replace(self.loss, triplet=NO_DISTANCE_LOSS, pull=0.0)
        frames = dataclasses.replace(self.data, batch="frames", n_frames=16)
        return dataclasses.replace(
            self, loss=loss, data=frames if self.data.batch == "triplets" else self.data
        )

    def specify(self, method: str) -> Any:
        """What `method` is made of under this recipe: a `rqen.model.method.Method`.

        Errors: LpwError for an unknown method, settings that it does not have, or a part that the
        division does not have.
        """
        base = open_method(method)
        self.read_settings(method)
        if not isinstance(base, MethodSpec):
            return base
        if base.region is not None and base.region >= len(self.model.division):
            got = f"{len(self.model.division)} parts"
            raise LpwError(
                "model.division",
                got,
                f"{base.region + 1} or more for {method}",
                "choose another method",
            )
        pooling = self.model.pooling
        return dataclasses.replace(
            base,
            division=base.division if len(base.division) == 1 else self.model.division,
            predictor=self.model.predictor,
            heads=base.heads if base.fixed_heads else self.model.heads,
            auxiliary=self.model.auxiliary,
            pooling=base.pooling if pooling == "method" else pooling,
            dropout=self.model.dropout,
        )

    def read_settings(self, method: str) -> Any:
        """The section `[method]` as the settings of `method`: an instance of its `settings`.

        Errors: LpwError for a key or value that it does not have.
        """
        kind = getattr(open_method(method), "settings", NoSettings)
        return fill("method", kind, dict(self.method))

    def values(self) -> dict[str, Any]:
        """The recipe as plain values, for JSON and TOML; keys that older versions lack only where
        they are not at their default."""
        values = dataclasses.asdict(self)
        values |= {"method": dict(self.method)} if self.method else {}
        for section in dataclasses.fields(self):
            part = getattr(self, section.name)
            for one in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
                if one.metadata.get("added") and getattr(part, one.name) == one.default:
                    del values[section.name][one.name]
        return {key: value for key, value in values.items() if key != "method" or self.method}


def list_recipes() -> list[str]:
    """Names of the TOML files beside this module."""
    from lpw_toolkit.files.listing import list_folder

    return [
        p.stem
        for p in list_folder(follow_links(Path(__file__).parent / "recipes"))
        if p.suffix == ".toml"
    ]


def read_recipe(
    name: str, changes: tuple[str, ...] = (), *, method: str | None = None, n_persons: int = 0
) -> Recipe:
    """The recipe called `name` (`-` and `_` are one), or a TOML file by path, with
    `section.key=value` changes.

    Args:
        method: whose form of the recipe is taken, as `Recipe.adapt` leaves it; None: one with a
            distance loss.
        n_persons: persons who train: many take the large form, where the recipe has one.

    Errors: LpwError for an unknown method, recipe, section or key (with the nearest name), a value
    of another kind, a form that is no table, or a file or value beyond `files.limits`.
    """
    name = expand_home_text(name)
    plain = name.replace("-", "_")
    if plain in list_recipes():
        text = resources.files("rqen").joinpath("recipes", f"{plain}.toml").read_text("utf-8")
    elif name.endswith(".toml") and is_file(file := follow_links(Path(name))):
        plain, text = Path(name).stem, _read_file(file)
    else:
        expected = f"{', '.join(list_recipes())}, or a .toml file"
        raise unknown_name("option --recipe", name, list_recipes(), expected=expected)
    values = _parse(text, name)
    for form in list_forms(values):
        make_recipe(plain, form)
    asked = copy.deepcopy(values)
    for change in changes:
        apply_change(asked, change)
    alone = method is not None and not getattr(open_method(method), "distance_loss", True)
    length = asked["train"].get("length") if isinstance(asked.get("train"), dict) else None
    values = choose_form(values, softmax_alone=alone, n_persons=n_persons, length=length)
    for change in changes:
        apply_change(values, change)
    recipe = make_recipe(plain, values)
    return recipe if method is None else recipe.adapt(method)


def make_recipe(name: str, values: dict[str, Any]) -> Recipe:
    """A recipe from nested values; what is not named keeps its default. Errors: LpwError."""
    sections = {f.name: f.default_factory for f in dataclasses.fields(Recipe) if f.name != "name"}
    made: dict[str, Any] = {}
    for section, given in values.items():
        if section not in sections or not isinstance(given, dict):
            raise unknown_key(section, list(sections))
        made[section] = (
            freeze(given) if section == "method" else fill(section, sections[section], given)
        )
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
        raise unknown_name("loss.triplet", recipe.loss.triplet[:80], losses)
    for name in ("height", "width", *_COUNTS):
        if getattr(data, name) < 1:
            raise LpwError(f"data.{name}", "0", "1 or more", "correct it")
    for name in ("height", "width", "crop"):
        refuse_beyond(f"data.{name}", getattr(data, name), "image_side")
    for name in _COUNTS:
        refuse_beyond(f"data.{name}", getattr(data, name), "recipe_images")
    refuse_beyond(f"data.batch {data.batch}", data.n_images, "recipe_images")
    for name, whole in (("cut_height", data.height), ("cut_width", data.width)):
        if getattr(data, name) > whole:
            raise LpwError(
                f"data.{name}", f"{getattr(data, name)}", f"{whole} or less", "correct it"
            )
    for section, name in (
        ("data", "flip"),
        ("data", "erase"),
        ("loss", "smoothing"),
        ("model", "dropout"),
        ("train", "validation"),
    ):
        value = getattr(getattr(recipe, section), name)
        if value > 1:
            raise LpwError(f"{section}.{name}", f"{value}", "a share from 0 to 1", "correct it")


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
