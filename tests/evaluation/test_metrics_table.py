"""The table of metrics: its five forms, and the lock that keeps apart what must not be compared."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from metric_rows import FACTS, metrics

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.metrics_table import (
    LOCKED,
    check_lock,
    choose_headlines,
    find_differences,
    format_table,
    read_lines,
    read_metrics,
)


def ten_splits(**facts: Any) -> pa.Table:
    each = [metrics({"cmc@1": 0.5 + i / 100}, split=i, **facts) for i in range(10)]
    return pa.concat_tables(
        [*each, metrics({"cmc@1:mean": 0.545, "cmc@1:std": 0.0303}, split=-1, **facts)]
    )


class TestLines:
    def test_one_line_for_each_run_and_split(self) -> None:
        lines = read_lines([metrics(), metrics(model="other")])
        assert [line.facts["model"] for line in lines] == ["osnet", "other"]
        assert lines[0].values == {"cmc@1": 0.5, "map": 0.25}
        assert lines[0].facts["splits"] == "split 0"

    def test_a_summary_stands_for_its_splits(self) -> None:
        lines = read_lines([ten_splits(), metrics(model="other")])
        assert len(lines) == 12
        heads = choose_headlines(lines)
        assert [line.facts["splits"] for line in heads] == ["mean of 10", "split 0"]
        assert (heads[0].values, heads[0].spread) == ({"cmc@1": 0.545}, {"cmc@1": 0.0303})

    def test_the_same_file_twice_is_one_line(self) -> None:
        assert len(read_lines([metrics(), metrics()])) == 1

    def test_files_and_folders(self, tmp_path: Path) -> None:
        tables.write_table(tmp_path / "metrics.parquet", metrics(), schema.METRICS)
        assert read_metrics([tmp_path, tmp_path / "metrics.parquet"])[0].equals(metrics())
        (tmp_path / "empty").mkdir()
        for name in ("none", "empty"):
            with pytest.raises(
                LpwError,
                match=r"no such file; expected metrics\.parquet, or a folder that holds it",
            ):
                read_metrics([tmp_path / name])
        tables.write_table(tmp_path / "splits.parquet", schema.SPLITS.empty_table(), schema.SPLITS)
        with pytest.raises(MismatchError, match="table splits v1; expected table metrics v1"):
            read_metrics([tmp_path / "splits.parquet"])
        (tmp_path / "other.parquet").write_bytes((tmp_path / "metrics.parquet").read_bytes()[:-9])
        with pytest.raises(MismatchError, match=r"other\.parquet: got a damaged file"):
            read_metrics([tmp_path / "other.parquet"])


class TestSeen:
    """Figures of persons whom a model was trained on say so in every row."""

    def test_files_without_the_column_are_read_as_not_said(self, tmp_path: Path) -> None:
        old = metrics().drop_columns(["n_seen"])
        pq.write_table(old, tmp_path / "metrics.parquet")
        assert read_metrics([tmp_path])[0].equals(metrics())
        assert "trained on" not in format_table(read_lines([metrics()]))

    @pytest.mark.parametrize("form", ["table", "markdown", "latex"])
    def test_a_column_where_any_row_has_them(self, form: str) -> None:
        lines = read_lines(
            [metrics(n_seen=1234), metrics(model="other", n_seen=0), metrics(model="foreign")]
        )
        shown = format_table(lines, form=form)
        assert "trained on" in shown
        for cell in ("1,234 of 1,980", "0 of 1,980", "not said"):
            assert cell in shown

    def test_csv_and_json_have_the_number(self) -> None:
        lines = read_lines([metrics(n_seen=3), metrics(model="foreign")])
        said = json.loads(format_table(lines, form="json"))["lines"]
        assert [line["n_seen"] for line in said] == [3, None]
        head, one, two = format_table(lines, form="csv").splitlines()
        place = head.split(",").index("n_seen")
        assert (one.split(",")[place], two.split(",")[place]) == ("3", "")

    def test_a_column_of_another_type_is_no_table_of_metrics(self, tmp_path: Path) -> None:
        place = metrics().schema.get_field_index("n_seen")
        odd = metrics().set_column(place, "n_seen", pa.array(["a", "b"]))
        pq.write_table(odd, tmp_path / "metrics.parquet")
        with pytest.raises(MismatchError, match="column n_seen: got type string"):
            read_metrics([tmp_path])


class TestLock:
    @pytest.mark.parametrize("column", sorted(set(LOCKED) - {"splits"}))
    def test_refuses_and_names_what_differs(self, column: str) -> None:
        lines = read_lines([metrics(), metrics(model="b", **{column: "another"})])
        with pytest.raises(
            LpwError,
            match=rf"protocol lock: got {LOCKED[column]}: .* / another; expected one .*--mix",
        ):
            format_table(lines)
        assert list(find_differences(lines)) == [column]
        assert "another" in format_table(lines, mix=True)

    @pytest.mark.parametrize("column", ["model", "distance"])
    def test_models_and_distances_are_what_tables_compare(self, column: str) -> None:
        check_lock(read_lines([metrics(), metrics(**{column: "another"})]))

    def test_one_split_is_not_ten(self) -> None:
        with pytest.raises(LpwError, match="splits: split 0 / mean of 10"):
            format_table(read_lines([metrics({"cmc@1": 0.5}), ten_splits(model="b")]))

    def test_five_splits_are_not_ten(self) -> None:
        few = ten_splits(model="b")
        few = few.filter(pa.array([row < 5 for row in few["split"].to_pylist()]))
        with pytest.raises(LpwError, match="splits: mean of 10 / mean of 5"):
            format_table(read_lines([ten_splits(), few]))

    def test_galleries_of_splits_may_differ_within_a_run(self) -> None:
        odd = [metrics({"cmc@1": 0.5}, split=i, gallery=f"{89 + i} tracklets") for i in range(2)]
        total = metrics(
            {"cmc@1:mean": 0.5, "cmc@1:std": 0.0}, split=-1, gallery="89 to 90 tracklets"
        )
        assert "89 to 90" in format_table(read_lines([pa.concat_tables([*odd, total])]))

    def test_several_differences_are_all_named(self) -> None:
        with pytest.raises(
            LpwError,
            match=r"gallery: .*; AP form: trapezoid / step; expected one gallery, one AP form",
        ):
            check_lock(read_lines([metrics(), metrics(gallery="few", ap_form="step")]))

    @pytest.mark.parametrize("form", ["table", "csv", "json", "markdown", "latex"])
    def test_holds_in_every_form(self, form: str) -> None:
        lines = read_lines([metrics(), metrics(ap_form="step")])
        with pytest.raises(LpwError, match="protocol lock"):
            format_table(lines, form=form)
        assert "step" in format_table(lines, form=form, mix=True)


class TestForms:
    def test_terminal(self) -> None:
        assert format_table(
            read_lines([metrics(n_skipped=140), metrics(model="b", distance="XQDA")])
        ).splitlines() == [
            "model  distance   R-1   mAP  queries  gallery  skipped",
            "osnet  cosine    50.0  25.0    1,980   12,180      140",
            "b      XQDA      50.0  25.0    1,980   12,180        0",
            "",
            "dataset: mars (dddddddddddd)",
            "protocol: mars",
            "gallery: all test tracklets",
            "junk rule: junk is not seen",
            "AP form: trapezoid",
            "frames used: all",
            "splits from: manifests/mars; digest 1234",
            "splits: split 0",
        ]

    def test_mean_and_deviation(self) -> None:
        assert "54.5 ±3.0" in format_table(read_lines([ten_splits()]))

    def test_mixed_ones_say_so_and_give_long_texts_a_key(self) -> None:
        lines = read_lines(
            [
                metrics(),
                metrics(gallery="test tracklets that are neither query nor junk", ap_form="step"),
            ]
        )
        shown = format_table(lines, mix=True).splitlines()
        assert re.split("  +", shown[0])[:4] == ["model", "gallery", "AP form", "distance"]
        assert "gallery [a]: test tracklets that are neither query nor junk" in shown
        assert "[a]" in shown[2]
        assert (
            shown[-1]
            == "mixed: these figures differ in gallery, AP form, so they do not rank the models"
        )

    def test_mixed_datasets_are_named(self) -> None:
        shown = format_table(
            read_lines([metrics(), metrics(dataset="prid", dataset_digest="e" * 64)]), mix=True
        )
        assert shown.splitlines()[1].split()[:2] == ["osnet", "mars"]
        assert shown.splitlines()[2].split()[:2] == ["osnet", "prid"]

    def test_csv_has_every_line_and_fact(self) -> None:
        rows = list(
            csv.DictReader(io.StringIO(format_table(read_lines([ten_splits()]), form="csv")))
        )
        assert len(rows) == 11
        assert float(rows[3]["cmc@1"]) == 0.53
        assert float(rows[10]["cmc@1:std"]) == 0.0303
        assert {*FACTS, "splits"} <= set(rows[0])

    def test_json(self) -> None:
        record = json.loads(format_table(read_lines([ten_splits()]), form="json", notes=["beware"]))
        assert len(record["lines"]) == 11
        assert record["lines"][10]["cmc@1"] == 0.545
        assert record["lines"][0]["dataset_digest"] == "d" * 64
        assert (record["differ"], record["notes"]) == ({}, ["beware"])

    def test_markdown_of_odd_names(self) -> None:
        shown = format_table(
            read_lines([metrics(model="a|b")]), form="markdown", notes=["beware"]
        ).splitlines()
        assert shown[1] == "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
        assert shown[2].startswith("| a\\|b | cosine | 50.0 | 25.0 |")
        assert shown[-1] == "* beware"

    def test_latex_of_odd_names(self) -> None:
        shown = format_table(read_lines([metrics(model=r"a_b 5% {x}\y ~^ #$")]), form="latex")
        name = r"a\_b 5\% \{x\}\textbackslash{}y \textasciitilde{}\textasciicircum{} \#\$"
        assert f"{name} & cosine & 50.0 & 25.0 & 1,980 & 12,180 & 0 \\\\" in shown
        assert r"\caption{Percent; dataset: mars (dddddddddddd); protocol: mars;" in shown

    def test_latex_has_the_figures_a_protocol_is_known_by(self) -> None:
        values = {
            "cmc@1": 0.5,
            "cmc@5": 0.6,
            "cmc@10": 0.7,
            "cmc@20": 0.8,
            "map": 0.25,
            "minp": 0.1,
        }
        shown = format_table(read_lines([metrics(values)]), form="latex")
        assert "R-1 & R-5 & R-20 & mAP & queries" in shown
        strange = format_table(read_lines([metrics(values, protocol="duke")]), form="latex")
        assert "R-1 & R-5 & R-10 & R-20 & mAP & mINP & queries" in strange

    def test_nothing(self) -> None:
        with pytest.raises(LpwError, match="no rows of metrics"):
            format_table([])
