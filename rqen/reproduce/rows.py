"""The rows that can be run: the method, its changes to the recipe, and how its vectors are
compared."""

from dataclasses import dataclass

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.rerank import RerankConfig
from rqen.model.method import METHODS


@dataclass(frozen=True)
class Row:
    """One row of ours.

    Attributes:
        name: in files, and after `--method`.
        label: in tables.
        method: a name of `rqen.model.methods`; empty for an ONNX model.
        changes: to the recipe, after the user's own: they are what the row is.
        cut: number of the region that is cut from the jointly trained network; None is the whole
            vector.
        metric: one of `learned_distance.list_metrics()`.
        rerank: whether distances are re-ranked.
        starts: whether training starts from a run on the other dataset.
        seeded: whether another seed is another network.
    """

    name: str
    label: str
    method: str
    changes: tuple[str, ...] = ()
    cut: int | None = None
    metric: str = "cosine"
    rerank: bool = False
    starts: bool = False
    seeded: bool = True

    @property
    def run(self) -> str:
        """Name of the training that it shares with other rows."""
        shares = self.cut is not None or self.metric != "cosine" or self.rerank
        return self.method if shares else self.name

    @property
    def settings(self) -> DistanceSettings:
        """How vectors are compared."""
        return DistanceSettings(self.metric, rerank=RerankConfig() if self.rerank else None)


ROWS = {
    row.name: row
    for row in (
        Row("untrained", "untrained backbone", "mean", ("train.iterations=0",), seeded=False),
        Row("onnx", "ONNX model", "", seeded=False),
        Row("baseline", "(a) baseline", "baseline"),
        Row("mean", "mean, softmax + triplet", "mean"),
        Row("qan", "QAN", "qan"),
        Row("ru", "(b) +RU", "rqen", cut=0),
        Row("rm", "(c) +RM", "rqen", cut=1),
        Row("rl", "(d) +RL", "rqen", cut=2),
        Row("ru_alone", "(b) +RU, trained alone", "ru"),
        Row("rm_alone", "(c) +RM, trained alone", "rm"),
        Row("rl_alone", "(d) +RL, trained alone", "rl"),
        Row("qfix", "(e) +QFix", "qfix"),
        Row("more_params", "(f) +MP", "more_params"),
        Row("rqen", "(g) RQEN", "rqen"),
        Row("rqen_xqda", "RQEN+XQDA", "rqen", metric="xqda"),
        Row("rqen_xqda_rerank", "RQEN+XQDA+Rerank", "rqen", metric="xqda", rerank=True),
        Row("rqen_pretrained", "RQEN, pre-trained", "rqen", starts=True),
    )
}
#: The methods of a table when the user names none.
TABLES = {
    "table2": ("baseline", "ru", "rm", "rl", "qfix", "more_params", "rqen"),
    "table3": ("rqen", "qan"),
    "table4": ("rqen", "qan"),
    "table5": ("rqen", "qan", "baseline"),
    "table6": ("rqen", "rqen_pretrained"),
    "table7": ("rqen", "rqen_xqda", "rqen_xqda_rerank"),
    "fig6": ("baseline", "ru", "rm", "rl", "qfix", "more_params", "rqen"),
}
#: Rows that no table of the paper needs to have, shown where they were run.
EXTRAS = ("untrained", "onnx", "mean", "qan", "ru_alone", "rm_alone", "rl_alone")


def list_added() -> list[str]:
    """Methods without a row of their own: another package, or a file in the folder, adds them."""
    return sorted(set(METHODS.names()) - {row.method for row in ROWS.values()} - ROWS.keys())


def choose_rows(table: str, names: tuple[str, ...], *, onnx: bool) -> tuple[Row, ...]:
    """The rows that are asked for; `names` empty is the table's own, and the ONNX model where there
    is one.

    Errors: LpwError for unknown names, and for rows that want what was not given.
    """
    plain = tuple(dict.fromkeys(name.replace("-", "_") for name in names))
    added = {name: Row(name, name.replace("_", "-"), name) for name in list_added()}
    known = {**added, **ROWS}
    for name in plain:
        if name not in known:
            raise LpwError("option --method", name, ", ".join(known), "choose one of them")
    if "onnx" in plain and not onnx:
        raise LpwError("option --method", "onnx without a model", "--onnx FILE", "name the model")
    if "rqen_pretrained" in plain and table != "table6":
        raise LpwError(
            "option --method", "rqen_pretrained", "it with table6 only", "reproduce table6"
        )
    chosen = plain or TABLES[table]
    if onnx and "onnx" not in chosen:
        chosen = ("onnx", *chosen)
    return tuple(known[name] for name in chosen)
