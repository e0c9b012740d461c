"""A new operation is one file: the log, the state and the server know it at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from make_decisions import ask, chain, make_base
from star_operation import plug_in_star

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.field import BadLineError
from lpw_toolkit.cleaning.log.decision_schema import make_schema
from lpw_toolkit.cleaning.log.decision_set import unite
from lpw_toolkit.cleaning.log.decisions import check_request, format_line, parse_line
from lpw_toolkit.cleaning.operation import PageKey, Role, load_operations


@pytest.fixture(params=[False, True], ids=["file", "entry point"])
def star(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    with plug_in_star(tmp_path, as_entry_point=request.param):
        yield


def as_sent(**more: Any) -> dict[str, Any]:
    return vars(ask(1, "star", "t1")) | more


@pytest.mark.usefixtures("star")
class TestStar:
    def test_the_log_takes_it(self) -> None:
        (line,) = (format_line(d) for d in chain("anna", [ask(1, "star", "t1")]))
        assert parse_line(line).role is Role.FLAG
        assert check_request(as_sent()).value == "star"

    @pytest.mark.parametrize("more", [{"arguments": {"flag": "x"}}, {"tracklets": []}])
    def test_other_forms_are_refused(self, more: dict[str, Any]) -> None:
        with pytest.raises(BadLineError, match="star"):
            check_request(as_sent(**more))

    def test_it_marks_the_piece(self) -> None:
        base = make_base()
        name = next(iter(base.tracklets))
        state = apply(base, unite([chain("anna", [ask(1, "star", name)])]))
        assert [piece.flags for piece in state.pieces_of(name)] == [("star",)]
        assert state.pieces_of(name)[0].status == "unreviewed"

    def test_the_schema_has_it(self) -> None:
        assert "star" in make_schema()["properties"]["operation"]["enum"]

    def test_the_page_gets_its_key(self) -> None:
        found = load_operations()["star"].as_fields()
        assert (found["title"], found["arguments"]) == ("starred", [])
        assert found["page"] == vars(PageKey("*", "star"))


def test_without_the_file_it_is_unknown() -> None:
    with pytest.raises(BadLineError, match="unknown operation 'star'"):
        check_request(as_sent())


def test_every_operation_has_another_key() -> None:
    keys = [each.page.key for each in load_operations().values() if each.page]
    assert len(set(keys)) == len(keys)
