"""The numbers that the RQEN paper prints in Tables 2 to 7 and Figure 6, with doubtful ones marked
(paper.toml)."""

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from lpw_toolkit.errors import unknown_name

#: Columns of the tables, as metrics are called everywhere else.
METRICS = {"r1": "cmc@1", "r5": "cmc@5", "r10": "cmc@10", "r20": "cmc@20", "map": "map"}


@dataclass(frozen=True)
class PaperRow:
    """One printed row.

    Attributes:
        label: the paper's name of the method.
        on: the paper's name of the dataset; `A->B` is trained on A and tested on B.
        row: the row of ours that is the same method (rows.py); None where this tool has none.
        values: percent by metric (`cmc@1`, …, `map`); what is not printed is not there.
        doubtful: why the row is no target; None where nothing is known against it.
    """

    label: str
    on: str
    row: str | None
    values: dict[str, float]
    doubtful: str | None


@dataclass(frozen=True)
class Relation:
    """What the paper's text says of its rank-1 figures.

    Attributes:
        text: the sentence, in our words.
        kind: `difference`, the first row less the second; `best`, the first above all others;
            `order`, ascending.
        rows: of ours.
        points: the difference that the paper states, in percent points; None where it states none.
        doubtful: what the text leaves open.
    """

    text: str
    kind: Literal["difference", "best", "order"]
    rows: tuple[str, ...]
    points: float | None
    doubtful: str | None


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, or what is known of Figure 6.

    Attributes:
        name: `table2` to `table7`, `fig6`.
        title: what it shows.
        rows: in the paper's order.
        relations: sentences of the text.
        notes: what holds for the whole table.
    """

    name: str
    title: str
    rows: tuple[PaperRow, ...]
    relations: tuple[Relation, ...]
    notes: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that its rows are of, in their order."""
        return tuple(dict.fromkeys(row.on for row in self.rows))

    def find(self, row: str) -> list[PaperRow]:
        """The printed rows that are the same method as a row of ours."""
        return [printed for printed in self.rows if printed.row == row]


#: What is reproduced as a table.
NAMES = ("table1", "table2", "table3", "table4", "table5", "table6", "table7", "fig6")


def read_doubts() -> dict[str, str]:
    """Why rows of Table 1 (whose figures are in manifests/table1.json) are no counts, by the
    paper's dataset."""
    return dict(_read()["table1"]["doubtful"])


def read_paper(name: str) -> PaperTable:
    """The table called `name`, but Table 1. Errors: LpwError for another name."""
    if name not in NAMES[1:]:
        raise unknown_name("table", name, NAMES[1:])
    said = _read()[name]
    rows = tuple(
        PaperRow(
            row["label"],
            row["on"],
            row.get("row"),
            {metric: row[key] for key, metric in METRICS.items() if key in row},
            row.get("doubtful"),
        )
        for row in said["rows"]
    )
    relations = tuple(
        Relation(r["text"], r["kind"], tuple(r["rows"]), r.get("points"), r.get("doubtful"))
        for r in said.get("relations", ())
    )
    return PaperTable(name, said["title"], rows, relations, tuple(said["notes"]))


def _read() -> dict[str, Any]:
    return tomllib.loads(
        resources.files("rqen.reproduce").joinpath("paper.toml").read_text("utf-8")
    )
