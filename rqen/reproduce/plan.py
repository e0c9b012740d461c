"""The plan of a table: every row with its training, its test and all settings that determine its
figures.

    table x seeds x splits x rows -> items, each with the run it needs, a file for its result and
    its settings

Names say which training, on which dataset (the first digits of its digest), split and seed; so rows
that need the same training share it, and tables that need the same row share that too.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lpw_toolkit.dataset.dataset import Dataset, open_dataset, refuse_out, sha256_file
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.evaluation.distance_choice import OWN
from lpw_toolkit.evaluation.protocol import list_protocols, open_protocol
from rqen.data.samplers import count_persons
from rqen.model.method import NoSettings, describe_form, open_method
from rqen.recipe import Recipe, read_recipe
from rqen.reproduce.rows import Row, choose_rows

#: The recipes of the paper and of its released code.
PAPER_RECIPES = ("paper", "released_pool2", "released_image")
#: The recipe of the methods of RQEN's family, which take any other one too.
FAMILY_RECIPE = "modern"


@dataclass(frozen=True)
class ReproduceRequest:
    """The request of the user.

    Attributes:
        table: `table2` to `table7`, `fig6`.
        data: dataset that trains; that is tested too, unless there is another.
        out: folder of runs and results.
        test_data: dataset that is tested, of table5 and table6.
        protocol: of the test; None is the dataset's own.
        recipe: by name or file. A method that is not of RQEN's family takes its own: the one for
            small data, or, beside a recipe of the paper, the paper's.
        changes: to it, `section.key=value`. Of a recipe that a method takes for itself they change
            what is named `train.…`, `method.…` or `model.weights`.
        methods: names of rows; empty is the table's own.
        seeds: in this order.
        splits: numbers; None is all.
        onnx: a model whose vectors are a row too.
    """

    table: str
    data: Path
    out: Path
    test_data: Path | None = None
    protocol: str | None = None
    recipe: str = "modern"
    changes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    splits: tuple[int, ...] | None = None
    onnx: Path | None = None


@dataclass(frozen=True)
class PlannedTraining:
    """A run that rows need.

    Attributes:
        name: of its folder.
        method: of `rqen.model.methods`.
        recipe: with the seed in it.
        data: dataset.
        digest: the dataset's.
        split: whose training part is used; None is every named tracklet.
        start: the run whose weights are the start.
    """

    name: str
    method: str
    recipe: Recipe
    data: Path
    digest: str
    split: int | None
    start: "PlannedTraining | None" = None


@dataclass(frozen=True)
class WorkItem:
    """One row, of one seed, on one split.

    Attributes:
        row: what it is.
        seed, split: which; the split is the test's.
        training: the run whose vectors are tested; None with an ONNX model.
        onnx: the model.
        test: dataset.
        protocol: of the test.
        config: all that determines the figures, as plain JSON values.
        name: of its result.
    """

    row: Row
    seed: int
    split: int
    training: PlannedTraining | None
    onnx: Path | None
    test: Path
    protocol: str
    config: dict[str, Any]
    name: str


@dataclass(frozen=True)
class ReproducePlan:
    """What is to be run, in order, and what the report says above the figures.

    Attributes:
        request: what was asked.
        rows: of the table, in its order.
        items: all of it: seed by seed, split by split, row by row.
        data, test: the datasets, which may be one.
        protocol: of the test.
        recipe: of RQEN's family, without the rows' own changes.
        splits: that are tested.
        n_persons: who train, by the digest of a dataset and the number of its split.
    """

    request: ReproduceRequest
    rows: tuple[Row, ...]
    items: tuple[WorkItem, ...]
    data: Dataset
    test: Dataset
    protocol: str
    recipe: Recipe
    splits: tuple[int, ...]
    n_persons: dict[tuple[str, int | None], int]


def make_plan(request: ReproduceRequest) -> ReproducePlan:
    """Checks the request and lists its runs. Errors: LpwError, before anything is run."""
    rows = choose_rows(request.table, request.methods, onnx=request.onnx is not None)
    refuse_out(request.out)
    _check_seeds(request.seeds)
    data = open_dataset(request.data)
    test = _open_test(request, data)
    shared = tuple(change for change in request.changes if not change.startswith("method."))
    recipe = read_recipe(request.recipe, shared)
    for row in rows:
        _fit_recipe(request, row, recipe.train.seed, 0)
    protocol = _choose_protocol(request, test)
    splits = _choose_splits(request, test, protocol)
    parts = [(data, None if data.splits is None else 0), (data, None)]
    parts += [(test, split) for split in splits]
    n_persons = {(part.digest, split): count_persons(part, split) for part, split in parts}
    most = max(n_persons[test.digest, split] for split in splits)
    recipe = read_recipe(request.recipe, shared, n_persons=most)
    blank = ReproducePlan(request, rows, (), data, test, protocol, recipe, splits, n_persons)
    return replace(blank, items=tuple(_list_items(blank)))


def _check_seeds(seeds: tuple[int, ...]) -> None:
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        got = ",".join(map(str, seeds)) or "none"
        raise LpwError(
            "option --seeds", got, "different whole numbers from 0, such as 0,1,2", "correct it"
        )


def _open_test(request: ReproduceRequest, data: Dataset) -> Dataset:
    """The dataset of the test. Errors: LpwError where it is missing, one too many, or the
    training's own."""
    crosses = request.table in ("table5", "table6")
    if not crosses:
        if request.test_data is not None:
            raise LpwError("option --test-data", request.table, "table5 or table6", "leave it out")
        if data.splits is None:
            do = "import a benchmark with `lpw import`, or reproduce table5 with --test-data"
            raise LpwError(
                data.name, "a dataset without splits", "persons that are held out for the test", do
            )
        return data
    if request.test_data is None:
        raise LpwError(
            request.table,
            "one dataset",
            "two: --data to learn on, --test-data to test on",
            "name both",
        )
    test = open_dataset(request.test_data)
    if test.manifest.get("digest") == data.manifest.get("digest"):
        raise LpwError(
            "option --test-data", "the dataset of --data", "another one", "name another dataset"
        )
    return test


def _choose_protocol(request: ReproduceRequest, test: Dataset) -> str:
    """The one asked for, the table's own, or the one of the benchmark that the dataset was imported
    from."""
    if request.protocol is not None:
        open_protocol(request.protocol)
        return request.protocol.replace("-", "_")
    if request.table == "table5":
        return "cross_dataset"
    settings = test.manifest.get("settings", {}).get("import", {})
    own = settings.get("benchmark") if isinstance(settings, dict) else None
    return str(own) if own in list_protocols() else "market"


def _choose_splits(request: ReproduceRequest, test: Dataset, protocol: str) -> tuple[int, ...]:
    known = tuple(trial.split for trial in open_protocol(protocol).trials(test))
    if request.splits is None:
        return known
    missing = [number for number in request.splits if number not in known]
    if missing or not request.splits:
        got = ", ".join(map(str, missing)) or "none"
        raise LpwError(
            "option --splits",
            got,
            f"one of {join_names(known, 12)}, or all",
            "choose splits that are there",
        )
    return tuple(dict.fromkeys(request.splits))


def _list_items(plan: ReproducePlan) -> Iterator[WorkItem]:
    request = plan.request
    onnx_digest = sha256_file(request.onnx) if request.onnx is not None else None
    for place, seed in enumerate(request.seeds):
        for split in plan.splits:
            for row in plan.rows:
                if row.seeded or place == 0:
                    yield _make_item(plan, row, seed, split, onnx_digest)


def _make_item(
    plan: ReproducePlan, row: Row, seed: int, split: int, onnx_digest: str | None
) -> WorkItem:
    request, digest = plan.request, plan.test.digest
    training = _plan_training(plan, row, seed, split) if row.method else None
    made = training.name if training else f"onnx-{onnx_digest and onnx_digest[:8]}"
    made = f"{row.name}{made.removeprefix(row.run)}" if training else made
    if training is None or training.digest != digest:
        made += f"-on-{digest[:8]}"
    if training is None or training.split != split:
        made += f"-split{split}"
    config = {
        "row": row.name,
        "test": digest,
        "test_split": split,
        "protocol": plan.protocol,
        "cut": row.cut,
        "metric": _name_metric(row),
        "rerank": row.rerank,
        "tune": row.tune or None,  # as in results of versions that could not
        "onnx_sha256": None if training else onnx_digest,
        "training": None if training is None else _describe(training),
    }
    onnx = None if training else request.onnx
    plain = json.loads(json.dumps(config))
    return WorkItem(
        row,
        seed,
        split,
        training,
        onnx,
        plan.test.root,
        plan.protocol,
        plain,
        f"{made}-{plan.protocol}",
    )


def _plan_training(plan: ReproducePlan, row: Row, seed: int, split: int) -> PlannedTraining:
    """The run of a row: on the split that is tested, on all of another dataset, or on both one
    after the other."""
    if plan.request.table == "table5":
        return _name_training(plan, row, seed, plan.data, None)
    if not row.starts:
        return _name_training(plan, row, seed, plan.test, split)
    first = None if plan.data.splits is None else 0
    start = _name_training(plan, replace(row, name=row.method), seed, plan.data, first)
    return replace(_name_training(plan, row, seed, plan.test, split), start=start)


def _name_training(
    plan: ReproducePlan, row: Row, seed: int, dataset: Dataset, split: int | None
) -> PlannedTraining:
    digest = dataset.digest
    part = "all" if split is None else f"split{split}"
    recipe = _fit_recipe(plan.request, row, seed, plan.n_persons[digest, split])
    form = describe_form(recipe.specify(row.method))  # beside the run of an older version
    name = "-".join([row.run, *form, digest[:8], part, f"seed{seed}"])
    return PlannedTraining(name, row.method, recipe, dataset.root, digest, split)


def _name_metric(row: Row) -> str:
    """How the row's vectors are compared; `own` only where these are not all."""
    if row.metric != OWN:
        return row.metric
    return str(open_method(row.method).metric)


def name_recipe(asked: str, method: str) -> str:
    """The recipe of a row: the one that is asked for, or the method's own (`ReproduceRequest`).

    >>> name_recipe("paper", "qan"), name_recipe("modern", "rqen")
    ('paper', 'modern')
    """
    spec = open_method(method) if method else None
    if spec is None or spec.recipe == FAMILY_RECIPE:
        return asked
    plain = asked.replace("-", "_")
    if plain in (spec.recipe, spec.small_recipe):
        return asked
    return str(spec.recipe if plain in PAPER_RECIPES else spec.small_recipe)


def _choose_changes(request: ReproduceRequest, row: Row, recipe: str) -> Iterator[str]:
    """Those changes that are meant for the recipe of the row."""
    known = getattr(open_method(row.method), "settings", NoSettings) if row.method else NoSettings
    own = {f"method.{one.name}" for one in fields(known)}
    for change in request.changes:
        key = change.partition("=")[0].strip()
        shared = key.startswith("train.") or key == "model.weights"
        is_asked = recipe == request.recipe and not key.startswith("method.")
        if key in own or shared or is_asked:
            yield change


def _fit_recipe(request: ReproduceRequest, row: Row, seed: int, n_persons: int) -> Recipe:
    name = name_recipe(request.recipe, row.method)
    changes = _choose_changes(request, row, name)
    recipe = read_recipe(
        name,
        (*changes, *row.changes, f"train.seed={seed}"),
        method=row.method or None,
        n_persons=n_persons,
    )
    if row.method:
        recipe.specify(row.method)
    return recipe


def _describe(training: PlannedTraining) -> dict[str, Any]:
    return {
        "method": training.method,
        "recipe": training.recipe.values(),
        "data": training.digest,
        "split": training.split,
        "start": None if training.start is None else _describe(training.start),
        **describe_form(training.recipe.specify(training.method)),
    }
