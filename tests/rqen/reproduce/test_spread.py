"""Intervals of the rows of a table, and what agrees with the paper beside what contradicts it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rqen.reproduce.paper import Relation, read_paper
from rqen.reproduce.relations import check_relation, describe_relation
from rqen.reproduce.spread import Spread, compare_leads, measure_spread
from rqen.reproduce.spread_table import describe_spread, make_spread_grid

N_PERSONS, SPLITS = 30, (0, 1)


def make_records(skill: dict[str, float], *, n_seeds: int = 3) -> tuple[Any, dict[str, Any]]:
    """A plan and its records: each row finds the first `skill` of its persons, and one more for
    each seed."""
    rows = [SimpleNamespace(name=name) for name in skill]
    items, records = [], {}
    for row in rows:
        for seed in range(n_seeds):
            for split in SPLITS:
                name = f"{row.name}-{split}-{seed}"
                items.append(SimpleNamespace(row=row, seed=seed, split=split, name=name))
                found = np.arange(N_PERSONS) < skill[row.name] * N_PERSONS + seed
                records[name] = {
                    "seed": seed,
                    "split": split,
                    "queries": {
                        "tracklet": [f"t{i}" for i in range(N_PERSONS)],
                        "person": [f"p{i}" for i in range(N_PERSONS)],
                        "rank": [1 if hit else None for hit in found],
                        "ap": [float(hit) for hit in found],
                    },
                }
    return SimpleNamespace(rows=rows, items=items, splits=SPLITS), records


def test_intervals_are_over_persons_and_seeds_and_leads_are_paired():
    plan, records = make_records({"rqen": 0.8, "qan": 0.5})
    spread = measure_spread(plan, records)
    own = spread.intervals["rqen"]["cmc@1"]
    assert own.mean == pytest.approx(0.8 + 1 / N_PERSONS)
    assert own.low < own.mean < own.high
    assert (own.n_persons, own.n_seeds) == (N_PERSONS, 3)
    lead = spread.leads["qan"]["cmc@1"]
    assert lead.mean == pytest.approx(0.3)
    assert lead.holds
    assert "rqen" not in spread.leads
    assert describe_spread(spread)["leads_of_rqen"]["qan"]["map"]["n_seeds"] == 3


def test_a_seed_without_all_splits_and_other_queries_do_not_count():
    plan, records = make_records({"rqen": 0.8, "qan": 0.5})
    del records["rqen-1-2"]
    assert measure_spread(plan, records).intervals["rqen"]["map"].n_seeds == 2
    for name in ("qan-0-0", "qan-0-1", "qan-0-2"):
        records[name]["queries"]["tracklet"][0] = "another"
    assert measure_spread(plan, records).leads == {}
    records["qan-0-1"]["queries"]["tracklet"][0] = "a third"
    assert "qan" not in measure_spread(plan, records).intervals


def test_results_of_an_older_version_have_no_interval_and_the_table_says_so():
    plan, records = make_records({"rqen": 0.8, "qan": 0.5})
    for record in records.values():
        del record["queries"]
    spread = measure_spread(plan, records)
    assert spread == Spread({}, {})
    compared = compare_leads(read_paper("table3"), ("PRID2011",), {"rqen": 80, "qan": 50.0}, spread)
    (grid,) = make_spread_grid({"rqen": "RQEN", "qan": "QAN"}, spread, compared)
    assert "unknown: results of an older version" in grid.caption
    assert grid.rows[1] == ["QAN", "-", "-", "+30.0", "-", "+2.1", "as the paper, not shown"]
    assert make_spread_grid({"rqen": "RQEN"}, spread, []) == []


def test_what_contradicts_the_paper_stands_beside_what_agrees():
    """The run on a GPU in tests/bench/results/gpu_run.json: +RU is ahead of RQEN."""
    paper, both = read_paper("table2"), ("iLIDS-VID", "PRID2011")
    rank1 = {"rqen": 92.2, "ru": 93.1, "rl": 40.5, "mean": 90.0}
    plan, records = make_records({"rqen": 0.9, "ru": 0.93, "rl": 0.4})
    spread = measure_spread(plan, records)
    compared = {found["row"]: found for found in compare_leads(paper, both, rank1, spread)}
    assert compared["ru"]["verdict"] == "against the paper, not shown"
    assert compared["ru"]["paper"] == pytest.approx({"iLIDS-VID": 17.9, "PRID2011": 15.5})
    assert compared["rl"]["verdict"] == "as the paper"
    assert compared["mean"]["verdict"] is None
    labels = {"rqen": "(g) RQEN", "ru": "(b) +RU", "rl": "(d) +RL", "mean": "mean"}
    (grid,) = make_spread_grid(labels, spread, list(compared.values()))
    verdicts = {row[0]: row[-1] for row in grid.rows}
    assert verdicts["(b) +RU"] == "against the paper, not shown"
    assert verdicts["(d) +RL"] == "as the paper"
    assert verdicts["mean"] == "-"
    assert "+15.5" in grid.rows[2]


def test_the_papers_own_datasets_may_disagree():
    paper = read_paper("table2")
    rank1 = {"rqen": 92.2, "qfix": 93.1}
    compared = compare_leads(paper, ("iLIDS-VID", "PRID2011"), rank1, Spread({}, {}))
    assert [found["verdict"] for found in compared] == ["against the paper, not shown"]
    level = compare_leads(paper, ("PRID2011",), {"rqen": 90.0, "qfix": 90.0}, Spread({}, {}))
    assert [found["verdict"] for found in level] == ["level"]
    paper = SimpleNamespace(rows=[row for row in paper.rows if row.on == "PRID2011"])
    for on, ours, theirs in (("A", 2.0, 1.0), ("B", 1.0, 2.0)):
        for row, value in (("rqen", ours), ("qfix", theirs)):
            paper.rows.append(SimpleNamespace(row=row, on=on, values={"cmc@1": value}))
    (found,) = compare_leads(paper, ("A", "B"), rank1, Spread({}, {}))
    assert found["verdict"] == "split"


@pytest.mark.parametrize(
    ("points", "rank1", "said"),
    [
        (15.6, {"rqen": 60.0, "baseline": 50.0}, "so too, +10.0"),
        (15.6, {"rqen": 50.0, "baseline": 51.0}, "not so, -1.0"),
        (None, {"rqen": 50.0, "baseline": 51.0}, "ours: -1.0"),
    ],
)
def test_a_difference_that_fails_is_said_as_plainly_as_one_that_holds(points, rank1, said):
    relation = Relation("RQEN leads", "difference", ("rqen", "baseline"), points, None)
    assert said in describe_relation(check_relation(relation, rank1))
