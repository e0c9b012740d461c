"""The page's rules and the server's come to the same pieces: a table of cases, histories made at
random.

The table is `resolve_cases.json`: decisions about a tracklet `t` of ten frames, and its pieces;
`version` is that of the lines, where it is not the one of today.
"""

import json
import subprocess
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from javascript_tools import find_tool
from moments import PATIENCE_S

import lpw_toolkit
from lpw_toolkit.cleaning.log.decisions import VERSION, Decision
from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.log.undo import find_undone
from lpw_toolkit.cleaning.operation import load_operations
from lpw_toolkit.cleaning.state.resolve import UNREVIEWED, AppliedDecision, resolve_tracklet
from lpw_toolkit.cleaning.state.state import describe_piece
from lpw_toolkit.review_page.status_codes import find_status_code

HERE = Path(__file__).parent
RULES = Path(lpw_toolkit.__file__).parent / "review_page" / "static" / "resolve.js"
N_FRAMES = 10
CASES = json.loads((HERE / "resolve_cases.json").read_text("utf-8"))
#: A decision: reviewer, operation, tracklets, arguments; an undo names its decision by place.
Row = tuple[str, str, list[str], dict[str, Any]]


def make_decisions(rows: list[Row], version: int = VERSION) -> list[dict[str, Any]]:
    """The rows as decisions; their place is their uuid, and each reviewer's are numbered."""
    seqs: Counter[str] = Counter()
    made = []
    for place, (reviewer, operation, tracklets, arguments) in enumerate(rows):
        values = {"of": make_uuid(arguments["of"])} if operation == "undo" else arguments
        request = {
            "uuid": make_uuid(place),
            "operation": operation,
            "tracklets": tracklets,
            "arguments": values,
        }
        made.append(request | {"reviewer": reviewer, "seq": seqs[reviewer], "version": version})
        seqs[reviewer] += 1
    return made


def make_case(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The decisions of a case of the table."""
    return make_decisions(case["decisions"], case.get("version", VERSION))


def make_uuid(place: int) -> str:
    return str(uuid.UUID(int=place))


def resolve_on_server(decisions: list[dict[str, Any]]) -> dict[str, Any]:
    """Pieces and status code of the tracklet as the server has them."""
    rest = {"spent_ms": 0, "time": "", "seen": "", "previous": ""}
    known = [
        Decision(**each | {"tracklets": tuple(each["tracklets"])}, **rest) for each in decisions
    ]
    undone = find_undone({decision.uuid: decision for decision in known}).uuids
    uses = [
        AppliedDecision(decision, piece)
        for decision in known
        if decision.uuid not in undone
        for name in decision.tracklets
        if (piece := find_piece(name, {"t": N_FRAMES}))
    ]
    pieces = resolve_tracklet("t", N_FRAMES, uses).pieces
    described = [{"name": piece.name} | describe_piece(piece) for piece in pieces]
    return {"pieces": described, "code": find_status_code(pieces)}


def resolve_on_page(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same by the page's rules; `known` pieces stand for the decisions before."""
    operations = {name: each.as_fields() for name, each in load_operations().items()}
    sized = [{"n_frames": N_FRAMES, **case} for case in cases]
    text = json.dumps({"operations": operations, "cases": sized})
    command = [find_tool("node"), str(HERE / "resolve_page.mjs"), str(RULES)]
    run = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def draw_row(rng: np.random.Generator, place: int, reviewers: list[str], names: list[str]) -> Row:
    """A decision about one of `names`; an undo only where decisions come before it."""
    a, b = sorted(rng.choice(N_FRAMES + 1, 2, replace=False).tolist())
    name = names[rng.integers(len(names))]
    arguments: dict[str, dict[str, Any]] = {
        "accept": {},
        "reject": {"reason": [None, "blurred", "static"][rng.integers(3)]},
        "drop_frames": {"frames": [[a, b]]},
        "restore_frames": {"frames": [[a, b]]},
        "split": {"at": int(rng.integers(1, N_FRAMES))},
        "merge": {},
        "link": {},
        "flag": {"flag": ["unsure", "look-again"][rng.integers(2)]},
        "comment": {"text": f"note {place}"},
    }
    if place:
        arguments["undo"] = {"of": int(rng.integers(place))}
    operation = list(arguments)[rng.integers(len(arguments))]
    tracklets = {"undo": [], "merge": [name, "other"], "link": [name, "other"]}.get(
        operation, [name]
    )
    return reviewers[rng.integers(len(reviewers))], operation, tracklets, arguments[operation]


def draw_names(rng: np.random.Generator) -> list[str]:
    """The whole tracklet and, as often, a part that a cut may or may not have made."""
    a, b = sorted(rng.choice(N_FRAMES + 1, 2, replace=False).tolist())
    return ["t", f"t@{a}-{b}"]


class TestTable:
    @pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
    def test_the_server_agrees(self, case: dict[str, Any]) -> None:
        assert resolve_on_server(make_case(case)) == {
            "pieces": case["pieces"],
            "code": case["code"],
        }

    def test_the_page_agrees(self) -> None:
        found = resolve_on_page([{"decisions": make_case(case)} for case in CASES])
        assert found == [{"pieces": case["pieces"], "code": case["code"]} for case in CASES]

    def test_every_operation_is_there(self) -> None:
        operations = {operation for case in CASES for _, operation, *_ in case["decisions"]}
        assert operations >= {
            "accept", "reject", "drop_frames", "restore_frames", "split", "merge", "link", "unlink",
            "assign_person",
            "flag", "comment", "undo",
        }  # fmt: skip


class TestHistories:
    @pytest.mark.parametrize(
        "reviewers", [["anna"], ["anna", "ben", "auto-short"]], ids=["alone", "team"]
    )
    @pytest.mark.parametrize("version", [1, VERSION])
    def test_made_at_random(self, reviewers: list[str], version: int) -> None:
        rng = np.random.default_rng(14)
        histories = [
            make_decisions(
                [
                    draw_row(rng, place, reviewers, draw_names(rng))
                    for place in range(rng.integers(1, 13))
                ],
                version,
            )
            for _ in range(1500)
        ]
        found = resolve_on_page([{"decisions": history} for history in histories])
        for history, page in zip(histories, found, strict=True):
            assert page == resolve_on_server(history), json.dumps(history)

    def test_one_decision_on_top_of_what_the_server_sent(self) -> None:
        """What is shown until the server answers: the page has the pieces before it, no decisions.

        Pieces do not tell what an undo brings back, or whether a rejected one was edited before.
        """
        rng = np.random.default_rng(15)
        cases, expected = [], []
        for _ in range(300):
            rows: list[Row] = []
            before = resolve_on_server([])
            for _ in range(8):
                names = [piece["name"] for piece in before["pieces"]]
                row = draw_row(rng, 0, ["anna"], names)
                history = make_decisions([*rows, row])
                after = resolve_on_server(history)
                is_known = row[1] != "accept" or all(
                    piece["status"] != "rejected" for piece in before["pieces"]
                )
                if is_known:
                    cases.append({"decisions": history[-1:], "known": before["pieces"]})
                    expected.append(after)
                rows.append(row)
                before = after
        assert len(cases) > 1500
        assert resolve_on_page(cases) == expected

    def test_nothing_is_reviewed_at_first(self) -> None:
        (found,) = resolve_on_page([{"decisions": []}])
        assert [piece["status"] for piece in found["pieces"]] == [UNREVIEWED]
        assert found == resolve_on_server([])
