"""The rows that can be run: the method, its changes to the recipe, and how its vectors are
compared.

A row's name is a method, and what follows it: `rqen+xqda+rerank` is RQEN, then XQDA, then
re-ranking; `rqen+xqda+tuned` is XQDA whose settings are chosen on validation persons of the
training part. In names of files `_` stands for `+`.
"""

from dataclasses import dataclass, replace

from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.learned_distance import is_learned, list_metrics
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
        metric: one of `learned_distance.list_metrics()`, or `own`: as the method compares.
        rerank: whether distances are re-ranked.
        tune: whether the metric's settings are chosen on validation persons.
        starts: whether training starts from a run on the other dataset.
        seeded: whether another seed is another network.
        base: name of the row without what follows it (metric, re-ranking); empty where nothing
            does.
    """

    name: str
    label: str
    method: str
    changes: tuple[str, ...] = ()
    cut: int | None = None
    metric: str = "cosine"
    rerank: bool = False
    tune: bool = False
    starts: bool = False
    seeded: bool = True
    base: str = ""

    @property
    def run(self) -> str:
        """Name of the training that it shares with other rows."""
        return self.method if self.cut is not None else self.base or self.name

    @property
    def settings(self) -> DistanceSettings:
        """How vectors are compared."""
        rerank = RerankConfig() if self.rerank else None
        return DistanceSettings(self.metric, rerank=rerank, tune=self.tune)


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
        Row("qfix_neck", "QFix, one classifier", "qfix", ("model.heads=neck",)),
        Row("rqen_neck", "RQEN, one classifier", "rqen", ("model.heads=neck",)),
        Row("rqen_pretrained", "RQEN, pre-trained", "rqen", starts=True),
        Row("ide", "IDE (ResNet-50)", "ide", metric="own"),
        Row("ide_caffenet", "IDE (CaffeNet)", "ide_caffenet", metric="own"),
        Row("trinet", "TriNet", "trinet", metric="own"),
        Row("cnn_rnn", "CNN+RNN", "cnn_rnn", metric="own"),
        Row("srm_tam", "CNN+SRM+TAM", "srm_tam", metric="own"),
        Row("sta", "STA", "sta", metric="own"),
        Row("tdl", "TDL", "tdl", metric="own"),
        Row("cd", "CD", "cd", metric="own"),
    )
}
_LABELS = {"xqda": "XQDA", "kissme": "KISSME", "tdl": "TDL"}
_RERANK, _TUNED = "_rerank", "_tuned"
#: The methods of a table when the user names none.
TABLES = {
    "table2": ("baseline", "ru", "rm", "rl", "qfix", "more_params", "rqen"),
    "table3": ("rqen", "qan", "srm_tam", "ide_caffenet_xqda", "cnn_rnn", "sta", "tdl"),
    "table4": ("rqen", "qan", "srm_tam", "ide_caffenet_xqda", "cnn_rnn", "sta", "tdl"),
    "table5": ("rqen", "qan", "baseline", "cnn_rnn", "cd"),
    "table6": ("rqen", "rqen_pretrained"),
    "table7": (
        "rqen",
        "rqen_xqda",
        "rqen_xqda_tuned",
        "rqen_xqda_rerank",
        "trinet_rerank",
        "ide_xqda_rerank",
        "srm_tam",
        "ide_caffenet_xqda",
    ),
    "fig6": ("baseline", "ru", "rm", "rl", "qfix", "more_params", "rqen"),
}
#: Rows that no table of the paper needs to have, shown where they were run.
EXTRAS = (
    *("untrained", "onnx", "mean", "qan", "ru_alone", "rm_alone", "rl_alone"),
    *("qfix_neck", "rqen_neck"),
)


def list_added() -> list[str]:
    """Methods without a row of their own: another package, or a file in the folder, adds them."""
    return sorted(set(METHODS.names()) - {row.method for row in ROWS.values()} - ROWS.keys())


def choose_rows(table: str, names: tuple[str, ...], *, onnx: bool) -> tuple[Row, ...]:
    """The rows that are asked for; `names` empty is the table's own, and the ONNX model where there
    is one.

    Errors: LpwError for unknown names, and for rows that want what was not given.
    """
    plain = tuple(dict.fromkeys(_plain(name) for name in names))
    for name in plain:
        find_row(name)
    if "onnx" in plain and not onnx:
        raise LpwError("option --method", "onnx without a model", "--onnx FILE", "name the model")
    if "rqen_pretrained" in plain and table != "table6":
        raise LpwError(
            "option --method", "rqen_pretrained", "it with table6 only", "reproduce table6"
        )
    chosen = plain or list_table_rows(table)
    if onnx and "onnx" not in chosen:
        chosen = ("onnx", *chosen)
    return tuple(find_row(name) for name in chosen)


def list_table_rows(table: str) -> tuple[str, ...]:
    """The rows of a table whose methods there are."""
    there = {"", *METHODS.names()}
    return tuple(name for name in TABLES[table] if _find(name, there) is not None)


def find_row(name: str) -> Row:
    """The row called `name`: a row of ours, a method, and what may follow it: a metric, `tuned`
    after one that is learned, and re-ranking.

    Errors: LpwError that lists the names.

    >>> row = find_row("qan+kissme+rerank")
    >>> row.name, row.label, row.metric, row.rerank, row.run
    ('qan_kissme_rerank', 'QAN+KISSME+Rerank', 'kissme', True, 'qan')
    """
    row = _find(_plain(name), {"", *METHODS.names()})
    if row is None:
        known = [*(n for n in ROWS if _is_there(n)), *list_added()]
        after = [*list_metrics(), *(f"{n}+tuned" for n in list_metrics() if is_learned(n))]
        expected = f"{', '.join(known)}; each also with +{', +'.join(after)} or +rerank"
        raise unknown_name("option --method", name, known, expected=expected)
    return row


def _plain(name: str) -> str:
    return name.replace("-", "_").replace("+", "_")


def _is_there(name: str) -> bool:
    return ROWS[name].method in ("", *METHODS.names())


def _find(name: str, methods: set[str]) -> Row | None:
    """The row called `name`, made of one of these methods."""
    if name in ROWS:
        return ROWS[name] if ROWS[name].method in methods else None
    if name in methods and name:
        return Row(name, name.replace("_", "-"), name, metric="own")
    base = _find(name.removesuffix(_RERANK), methods) if name.endswith(_RERANK) else None
    if base is not None and not base.rerank:
        label = f"{_name(base)}+Rerank"
        return replace(base, name=name, label=label, rerank=True, base=base.base or base.name)
    base = _find(name.removesuffix(_TUNED), methods) if name.endswith(_TUNED) else None
    if base is not None and is_learned(base.metric) and not (base.tune or base.rerank):
        return replace(base, name=name, label=f"{base.label}, tuned", tune=True)
    for metric in list_metrics():
        end = f"_{metric}"
        base = _find(name.removesuffix(end), methods) if name.endswith(end) else None
        if base is not None and not base.base:
            label = f"{_name(base)}+{_LABELS.get(metric, metric)}"
            return replace(base, name=name, label=label, metric=metric, base=base.name)
    return None


def _name(row: Row) -> str:
    """Its label without the letter of Table 2."""
    return row.label.split(") ", 1)[1] if row.label.startswith("(") else row.label
