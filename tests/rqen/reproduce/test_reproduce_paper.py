"""The paper's figures: what can be checked of them without the paper, and which of them are
marked."""

import pytest

from lpw_toolkit.errors import LpwError
from rqen.reproduce.paper import NAMES, PaperRow, Relation, read_doubts, read_paper
from rqen.reproduce.relations import check_relation, describe_relation
from rqen.reproduce.rows import ROWS, TABLES, find_row, list_table_rows

TABLES_WITH_FIGURES = NAMES[1:-1]


def rows_of(table: str, label: str) -> list[PaperRow]:
    return [row for row in read_paper(table).rows if row.label == label]


def fits(percent: float, n: int, digits: int) -> bool:
    """Whether a printed figure is k of n."""
    return round(100 * round(percent * n / 100) / n, digits) == round(percent, digits)


class TestFigures:
    @pytest.mark.parametrize(
        ("table", "n"),
        [
            ("table2", 14),
            ("table3", 7),
            ("table4", 7),
            ("table5", 5),
            ("table6", 4),
            ("table7", 6),
            ("fig6", 7),
        ],
    )
    def test_rows(self, table, n):
        assert len(read_paper(table).rows) == n

    @pytest.mark.parametrize("table", TABLES_WITH_FIGURES)
    def test_a_curve_never_falls(self, table):
        for row in read_paper(table).rows:
            curve = [
                row.values[m] for m in ("cmc@1", "cmc@5", "cmc@10", "cmc@20") if m in row.values
            ]
            assert curve == sorted(curve)
            assert curve[0] > 0
            assert curve[-1] <= 100

    def test_figures_fit_the_number_of_queries(self):
        """A slip of the pen would not: 10 x 150 probes, 89 or 100, one test of 178, 1980
        queries."""
        for row in read_paper("table2").rows:
            for value in row.values.values():
                assert fits(value, 1500 if row.on == "iLIDS-VID" else 1000, 1)
        for label in ("RQEN", "Batch normalization"):
            assert all(fits(value, 178, 1) for value in rows_of("table5", label)[0].values.values())
        for label in ("our", "our+XQDA+Rerank"):
            values = rows_of("table7", label)[0].values
            assert all(fits(value, 1980, 2) for name, value in values.items() if name != "map")

    def test_the_same_row_in_two_tables_is_the_same(self):
        ablation = {row.on: row.values for row in rows_of("table2", "(g) RQEN")}
        assert (
            ablation["PRID2011"]
            == rows_of("table3", "RQEN")[0].values
            == rows_of("table6", "RQEN+ImageNet")[0].values
        )
        assert ablation["iLIDS-VID"] == rows_of("table4", "RQEN")[0].values

    def test_what_is_not_printed_is_not_there(self):
        assert rows_of("table7", "IDE+Reranking")[0].values == {"cmc@1": 73.94, "map": 68.45}
        assert "cmc@10" not in rows_of("table3", "CNN+SRM+TAM")[0].values
        assert all(row.values == {} for row in read_paper("fig6").rows)

    def test_an_unknown_table(self):
        with pytest.raises(LpwError, match="table8"):
            read_paper("table8")


class TestDoubts:
    def test_which_rows_are_marked(self):
        marked = {(t, row.label) for t in NAMES[1:] for row in read_paper(t).rows if row.doubtful}
        assert marked == {
            ("table3", "CNN+RNN"), ("table3", "STA"), ("table5", "QAN"), ("table5", "CD"),
            ("table7", "our"),
            ("table7", "TriNet+Reranking"), ("table7", "CNN+XQDA"),
        }  # fmt: skip
        assert set(read_doubts()) == {"MARS", "iLIDS-VID", "PRID2011"}

    def test_figure_6_has_relations_only(self):
        relations = read_paper("fig6").relations
        assert relations[0].points == 15.6
        assert [r.kind for r in relations] == ["difference", "best", "difference", "order"]
        assert relations[2].points is None
        assert relations[2].doubtful


class TestRows:
    def test_no_printed_row_is_empty_for_want_of_a_method(self):
        for table in NAMES[1:]:
            assert all(row.row for row in read_paper(table).rows)

    def test_every_row_of_a_table_is_one_that_runs(self):
        for table in NAMES[1:]:
            named = {row.row for row in read_paper(table).rows if row.row}
            assert named <= set(TABLES[table])
            for name in TABLES[table]:
                assert any(name == row or name.startswith(f"{row}_") for row in ROWS)
            there = list_table_rows(table)
            assert "rqen" in there and set(there) <= set(TABLES[table])
            assert all(find_row(name).method for name in there)

    def test_cuts_and_metrics_share_the_training_of_rqen(self):
        shared = ("ru", "rm", "rl", "rqen", "rqen_xqda", "rqen_xqda_rerank")
        assert {find_row(name).run for name in shared} == {"rqen"}
        cut = [row for row in ROWS.values() if row.cut is not None]
        assert len({row.run for row in ROWS.values()}) == len(ROWS) - len(cut)


RANK1 = {"rqen": 80.0, "baseline": 70.0, "rm": 75.0, "ru": 71.0, "rl": 75.0}


class TestRelations:
    @pytest.mark.parametrize(
        ("kind", "rows", "points", "holds"),
        [
            ("difference", ("rqen", "baseline"), 10.0, None),
            ("best", ("rm", "ru"), None, True),
            ("best", ("rm", "ru", "rl"), None, False),
            ("order", ("baseline", "ru", "rqen"), None, True),
            ("order", ("ru", "baseline"), None, False),
            ("order", ("baseline", "more_params", "rqen"), None, None),
        ],
    )
    def test_in_our_figures(self, kind, rows, points, holds):
        found = check_relation(Relation("it is so", kind, rows, None, None), RANK1)
        assert (found["points"], found["holds"]) == (points, holds)

    def test_a_row_that_was_not_run_concludes_nothing(self):
        found = check_relation(Relation("t", "difference", ("rqen", "qfix"), 15.6, None), RANK1)
        assert describe_relation(found) == "the paper's text: t; ours: - (not run: qfix)"
