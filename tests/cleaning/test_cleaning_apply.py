"""What decisions come to: status, frames, pieces, persons; conflicts are named and never closed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_decisions import ROWS, Asker, ask, chain, decide, make_base, make_uuid

from lpw_toolkit.cleaning.apply import Ledger, apply
from lpw_toolkit.cleaning.log.decision_set import unite
from lpw_toolkit.cleaning.log.decisions import Decision, Request
from lpw_toolkit.cleaning.operations.reject import REASONS
from lpw_toolkit.cleaning.state.state import State

A, B, C, X, Y = (row[0] for row in ROWS)
BASE = make_base()


def one(*requests: Request, base: Any = BASE) -> State:
    return decide(chain("anna", requests), base=base)


def status(state: State, name: str) -> str:
    found = state.find(name)
    assert found is not None
    return found.status


def names(state: State, tracklet: str) -> list[str]:
    return [piece.name for piece in state.pieces_of(tracklet)]


def kinds(state: State) -> list[str]:
    return [conflict.kind for conflict in state.conflicts]


class TestStatus:
    def test_nothing_is_reviewed_before_anybody_says_so(self) -> None:
        state = one()
        assert state.count_statuses() == {
            "unreviewed": 5,
            "accepted": 0,
            "edited": 0,
            "unaccepted": 0,
            "rejected": 0,
        }
        assert one(ask(1, "flag", A, flag="unsure")).count_statuses()["unreviewed"] == 5

    def test_accept_reject_and_a_change_of_mind(self) -> None:
        ask_ = Asker()
        state = one(
            ask_("accept", A, B),
            ask_("reject", C, reason="static"),
            ask_("reject", B),
            ask_("accept", C),
        )
        assert [status(state, name) for name in (A, B, C, X)] == [
            "accepted",
            "rejected",
            "accepted",
            "unreviewed",
        ]
        assert state.conflicts == ()
        assert one(ask(1, "reject", C, reason="static")).pieces_of(C)[0].reasons == ("static",)

    def test_an_edit_stays_an_edit_when_it_is_accepted(self) -> None:
        ask_ = Asker()
        state = one(ask_("drop_frames", A, frames=[[2, 4], [7, 8]]), ask_("accept", A))
        assert status(state, A) == "edited"
        assert state.pieces_of(A)[0].dropped == (2, 3, 7)
        assert state.pieces_of(A)[0].kept.tolist() == [0, 1, 4, 5, 6, 8, 9]

    def test_an_edit_alone_is_no_verdict(self) -> None:
        """Nobody has accepted what is left: neither of frames nor of the halves of a split."""
        ask_ = Asker()
        state = one(
            ask_("drop_frames", A, frames=[[2, 4]]), ask_("split", B, at=4), ask_("accept", C),
            ask_("restore_frames", C, frames=[[2, 4]])
        )  # fmt: skip
        found = [status(state, name) for name in (A, *names(state, B), C)]
        assert found == ["unaccepted"] * 4
        assert state.n_open == 6  # and X and Y, which nobody has touched

    def test_a_rejected_piece_that_is_edited_is_to_be_judged_again(self) -> None:
        ask_ = Asker()
        edited = [ask_("reject", A), ask_("restore_frames", A, frames=[[2, 4]])]
        assert status(one(*edited), A) == "unaccepted"
        assert status(one(*edited, ask_("accept", A)), A) == "edited"

    def test_lines_of_version_1_keep_their_meaning(self) -> None:
        """There an edit or a merge was a verdict too, also on the partner of the merge."""
        ask_ = Asker()
        log = chain("anna", [ask_("split", A, at=4), ask_("merge", B, X)])
        state = decide([replace(decision, version=1) for decision in log])
        found = [status(state, name) for name in (*names(state, A), B, X)]
        assert found == ["edited"] * 4

    def test_dropped_frames_come_back(self) -> None:
        ask_ = Asker()
        state = one(
            ask_("drop_frames", A, frames=[[0, 6]]), ask_("restore_frames", A, frames=[[2, 4]])
        )
        assert state.pieces_of(A)[0].dropped == (0, 1, 4, 5)

    def test_comments_are_kept_as_text(self) -> None:
        text = "<script>alert('../../etc')</script>\n"
        assert one(ask(1, "comment", A, text=text)).pieces_of(A)[0].comments == (("anna", text),)


class TestPieces:
    def test_cuts_name_their_parts_by_frames(self) -> None:
        ask_ = Asker()
        state = one(
            ask_("split", A, at=4), ask_("split", f"{A}@4-10", at=7), ask_("accept", f"{A}@0-4")
        )
        assert names(state, A) == [f"{A}@0-4", f"{A}@4-7", f"{A}@7-10"]
        found = [status(state, name) for name in names(state, A)]
        assert found == ["edited", "unaccepted", "unaccepted"]

    def test_other_pieces_keep_their_name_under_further_cuts(self) -> None:
        ask_ = Asker()
        first = [ask_("split", A, at=4), ask_("link", f"{A}@4-10", X)]
        before = one(*first)
        after = one(*first, ask_("split", f"{A}@0-4", at=2))
        assert before.groups == after.groups == ((f"{A}@4-10", X),)

    def test_undoing_a_cut_leaves_what_was_said_of_its_parts_to_be_settled(self) -> None:
        ask_ = Asker()
        requests = [
            ask_("split", A, at=4),
            ask_("accept", f"{A}@0-4"),
            ask_("undo", of=make_uuid(1)),
        ]
        state = one(*requests)
        assert (names(state, A), status(state, A), kinds(state)) == ([A], "unreviewed", ["gone"])
        assert one(*requests, ask_("undo", of=make_uuid(2))).conflicts == ()

    def test_a_cut_at_a_dropped_frame(self) -> None:
        ask_ = Asker()
        state = one(ask_("drop_frames", A, frames=[[4, 6]]), ask_("split", A, at=4))
        assert kinds(state) == ["cut-dropped"]
        assert state.conflicts[0].decisions == (make_uuid(1), make_uuid(2))
        ask_ = Asker()
        assert one(ask_("drop_frames", A, frames=[[4, 6]]), ask_("split", A, at=6)).conflicts == ()

    def test_merge_of_fragments_in_temporal_order(self) -> None:
        state = one(ask(1, "merge", B, A))
        assert state.members == {A: (A, B)}
        assert (status(state, A), status(state, B)) == ("unreviewed", "unreviewed")
        assert [part.name for part in state.parts_of(A)] == [A, B]

    def test_merge_of_frames_that_overlap(self) -> None:
        ask_ = Asker()
        state = one(ask_("merge", A, B), ask_("merge", B, C))
        assert kinds(state) == ["merge-overlap"]
        assert state.conflicts[0].pieces == (A, B, C)
        assert state.members == {}
        ask_ = Asker()
        freed = one(ask_("merge", A, C), ask_("drop_frames", C, frames=[[0, 5]]))
        assert (freed.conflicts, freed.members) == ((), {A: (A, C)})

    def test_merge_across_cameras(self) -> None:
        assert kinds(one(ask(1, "merge", A, X))) == ["merge-cameras"]

    def test_a_cut_after_a_merge_keeps_the_part_that_adjoins(self) -> None:
        ask_ = Asker()
        state = one(ask_("merge", A, B), ask_("split", A, at=4))
        assert state.members == {f"{A}@4-10": (f"{A}@4-10", B)}
        assert state.conflicts == ()

    def test_without_frame_numbers_a_merge_is_taken_at_its_word(self) -> None:
        state = one(ask(1, "merge", B, C), base=make_base(numbered=False))
        assert (state.members, state.conflicts) == ({B: (B, C)}, ())


class TestPersons:
    def test_links_add_up(self) -> None:
        ask_ = Asker()
        state = one(ask_("link", A, X), ask_("link", X, B))
        assert (state.groups, state.conflicts) == (((A, B, X),), ())
        assert state.person_of[B] == 0

    def test_unlink_takes_a_link_back(self) -> None:
        ask_ = Asker()
        assert one(ask_("link", A, X), ask_("unlink", A, X)).groups == ()
        ask_ = Asker()
        assert one(ask_("unlink", A, X), ask_("link", A, X)).groups == ((A, X),)

    def test_a_is_b_and_b_is_c_but_a_is_not_c(self) -> None:
        ask_ = Asker()
        state = one(
            ask_("link", A, X), ask_("link", X, B), ask_("unlink", A, B), ask_("link", C, Y)
        )
        assert kinds(state) == ["not-same"]
        assert state.conflicts[0].decisions == tuple(make_uuid(i) for i in (1, 2, 3))
        assert state.conflicts[0].as_fields()["pieces"] == [A, B]

    def test_unlink_says_only_that_the_first_is_none_of_the_others(self) -> None:
        ask_ = Asker()
        state = one(ask_("unlink", A, X, Y), ask_("link", X, Y))
        assert (state.groups, state.conflicts) == (((X, Y),), ())

    def test_nobody_is_at_two_places_of_one_camera(self) -> None:
        ask_ = Asker()
        state = one(ask_("link", A, X), ask_("link", X, C))
        assert kinds(state) == ["two-places"]
        assert state.conflicts[0].pieces == (A, C)

    def test_a_link_from_before_a_cut_asks_which_part(self) -> None:
        ask_ = Asker()
        requests = [ask_("link", A, X), ask_("split", A, at=4)]
        assert (kinds(one(*requests)), one(*requests).groups) == (["parts"], ())
        resolved = one(*requests, ask_("undo", of=make_uuid(1)), ask_("link", f"{A}@4-10", X))
        assert (resolved.conflicts, resolved.groups) == ((), ((f"{A}@4-10", X),))

    def test_a_link_of_what_was_rejected_before(self) -> None:
        ask_ = Asker()
        assert kinds(one(ask_("reject", A), ask_("link", A, X))) == ["rejected"]
        ask_ = Asker()
        assert kinds(one(ask_("link", A, X), ask_("reject", A))) == []

    def test_numbers(self) -> None:
        ask_ = Asker()
        state = one(
            ask_("assign_person", A, person=7),
            ask_("assign_person", X, person=7),
            ask_("link", X, Y),
        )
        assert (state.groups, state.numbers) == (((A, X, Y),), {A: 7, X: 7})
        two = one(
            *[ask(i, "assign_person", name, person=i) for i, name in enumerate((A, X), 1)],
            ask(3, "link", A, X),
        )
        assert kinds(two) == ["two-numbers"]

    def test_links_name_merged_tracklets(self) -> None:
        ask_ = Asker()
        state = one(ask_("merge", A, B), ask_("link", B, X))
        assert state.groups == ((A, X),)
        ask_ = Asker()
        assert kinds(one(ask_("merge", A, B), ask_("unlink", A, B))) == ["not-same"]

    def test_who_is_who_in_the_dataset_counts_until_somebody_says_otherwise(self) -> None:
        rows = [
            (*row[:4], person) for row, person in zip(ROWS, ("p", "p", None, "p", "q"), strict=True)
        ]
        base = make_base(rows)
        assert one(base=base).groups == ((A, B, X),)
        assert one(ask(1, "unlink", X, A, B), base=base).groups == ((A, B),)
        assert kinds(one(ask(1, "unlink", X, A), base=base)) == ["not-same"]
        cut = [ask(1, "split", X, at=5)]
        assert kinds(one(*cut, base=base)) == ["parts"]
        assert one(*cut, ask(2, "link", f"{X}@0-5", A), base=base).conflicts == ()


class TestReviewers:
    def test_two_who_differ_are_named(self) -> None:
        anna, bob = chain("anna", [ask(1, "accept", A)]), chain("bob", [ask(2, "reject", A)])
        state = decide(anna, bob)
        assert (kinds(state), status(state, A)) == (["verdict"], "rejected")
        assert state.conflicts[0].decisions == (make_uuid(1), make_uuid(2))
        resolved = decide(
            anna, chain("bob", [ask(2, "reject", A), ask(3, "undo", of=make_uuid(1))])
        )
        assert (resolved.conflicts, status(resolved, A)) == ((), "rejected")

    def test_two_who_agree(self) -> None:
        state = decide(
            chain("anna", [ask(1, "reject", A, reason="static")]),
            chain("bob", [ask(2, "reject", A, reason="blurred")]),
        )
        assert (state.conflicts, state.pieces_of(A)[0].reasons) == ((), ("blurred", "static"))

    def test_frames_that_one_drops_and_another_restores(self) -> None:
        anna = chain("anna", [ask(1, "drop_frames", A, frames=[[0, 4]])])
        bob = chain("bob", [ask(2, "restore_frames", A, frames=[[2, 3]])])
        state = decide(anna, bob)
        assert kinds(state) == ["frames"]
        assert state.pieces_of(A)[0].dropped == (0, 1, 2, 3)

    def test_links_that_another_denies(self) -> None:
        state = decide(
            chain("anna", [ask(1, "link", A, X)]), chain("bob", [ask(2, "unlink", X, A)])
        )
        assert (kinds(state), state.groups) == (["pair"], ())

    def test_one_accepts_what_another_cuts(self) -> None:
        state = decide(
            chain("anna", [ask(1, "accept", A)]), chain("bob", [ask(2, "split", A, at=5)])
        )
        assert set(kinds(state)) == {"verdict"}
        assert names(state, A) == [f"{A}@0-5", f"{A}@5-10"]

    def test_people_count_before_rules(self) -> None:
        rule = chain(
            "auto-static",
            [ask(1, "reject", A, reason="static"), ask(2, "reject", B, reason="static")],
        )
        state = decide(rule, chain("anna", [ask(3, "accept", A), ask(4, "undo", of=make_uuid(2))]))
        assert (state.conflicts, status(state, A), status(state, B)) == (
            (),
            "accepted",
            "unreviewed",
        )
        assert status(decide(rule), B) == "rejected"

    def test_a_rule_that_cuts_what_a_person_accepts_is_named(self) -> None:
        state = decide(
            chain("auto-cut", [ask(1, "split", A, at=5)]), chain("anna", [ask(2, "accept", A)])
        )
        assert kinds(state) == ["verdict"]


class TestUndo:
    def test_undo_of_an_undo(self) -> None:
        requests = [
            ask(1, "accept", A),
            ask(2, "undo", of=make_uuid(1)),
            ask(3, "undo", of=make_uuid(2)),
        ]
        assert status(one(*requests[:2]), A) == "unreviewed"
        assert status(one(*requests), A) == "accepted"

    def test_undo_of_what_no_log_has(self) -> None:
        assert kinds(one(ask(1, "undo", of=make_uuid(9)))) == ["undo-unknown"]

    def test_undos_in_a_circle(self) -> None:
        state = one(
            ask(1, "undo", of=make_uuid(2)), ask(2, "undo", of=make_uuid(1)), ask(3, "accept", A)
        )
        assert (kinds(state), status(state, A)) == (["undo-circle"], "accepted")
        resolved = one(
            *(ask(n, "undo", of=make_uuid(3 - n)) for n in (1, 2)), ask(3, "undo", of=make_uuid(1))
        )
        assert (resolved.conflicts, resolved.undone) == ((), {make_uuid(1)})


class TestStrangeLogs:
    def test_tracklets_and_frames_that_are_not_there(self) -> None:
        unknown = (
            "../../etc/passwd",
            f"{A}@0-10",
            f"{A}@5-11",
            f"{A}@3-3",
            f"{A}@-1-2",
            f"{A}@00-2",
            "",
        )
        for number, name in enumerate(unknown[:-1], 1):
            assert kinds(one(ask(number, "accept", name))) == ["unknown-tracklet"], name

    def test_frames_outside_the_piece(self) -> None:
        assert kinds(one(ask(1, "drop_frames", A, frames=[[8, 12]]))) == ["outside"]
        assert kinds(one(ask(1, "split", A, at=10))) == ["outside"]

    def test_one_uuid_for_two_decisions(self) -> None:
        state = decide(chain("anna", [ask(1, "accept", A)]), chain("bob", [ask(1, "reject", A)]))
        assert kinds(state) == ["uuid"]
        resolved = decide(
            chain("anna", [ask(1, "accept", A), ask(2, "undo", of=make_uuid(1))]),
            chain("bob", [ask(1, "reject", A)]),
        )
        assert (resolved.conflicts, status(resolved, A)) == ((), "unreviewed")


PLACES = [*(row[0] for row in ROWS), f"{A}@0-4", f"{A}@4-10", f"{A}@4-7", f"{B}@0-5", f"{B}@5-10"]


@st.composite
def requests(draw: st.DrawFn, first: int) -> list[Request]:
    """Up to nine decisions of one reviewer; some about pieces that are not there, some that
    undo."""
    made = []
    for number in range(first, first + draw(st.integers(0, 9))):
        kind = draw(st.sampled_from(["accept", "reject", "drop", "restore", "split", "merge",
        "link", "unlink",
                                     "assign", "flag", "undo", "undo"]))  # fmt: skip
        place = draw(st.sampled_from(PLACES))
        pair = draw(st.lists(st.sampled_from(PLACES), min_size=2, max_size=3, unique=True))
        start = draw(st.integers(0, 8))
        frames = [[start, start + draw(st.integers(1, 3))]]
        why = REASONS[start % 3]
        other = make_uuid(draw(st.integers(1, 30)))
        made.append(
            {
                "accept": lambda n: ask(n, "accept", place),  # noqa: B023
                "reject": lambda n: ask(n, "reject", place, reason=why),  # noqa: B023
                "drop": lambda n: ask(n, "drop_frames", place, frames=frames),  # noqa: B023
                "restore": lambda n: ask(n, "restore_frames", place, frames=frames),  # noqa: B023
                "split": lambda n: ask(n, "split", place, at=max(1, start)),  # noqa: B023
                "merge": lambda n: ask(n, "merge", *pair),  # noqa: B023
                "link": lambda n: ask(n, "link", *pair),  # noqa: B023
                "unlink": lambda n: ask(n, "unlink", *pair),  # noqa: B023
                "assign": lambda n: ask(n, "assign_person", place, person=start % 3),  # noqa: B023
                "flag": lambda n: ask(n, "flag", place, flag="unsure"),  # noqa: B023
                "undo": lambda n: ask(n, "undo", of=other),  # noqa: B023
            }[kind](number)
        )
    return made


def histories() -> st.SearchStrategy[list[list[Decision]]]:
    """Logs of two people and a rule, uuids 1 to 30."""
    logs = [
        requests(first).map(lambda made, name=name: chain(name, made))
        for name, first in (("anna", 1), ("bob", 11), ("auto-rule", 21))
    ]
    return st.tuples(*logs).map(list)


quick = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


class TestProperties:
    @quick
    @given(histories(), st.data())
    def test_undo_of_the_last_decision_is_as_if_it_had_not_been_made(
        self, logs: list[list[Decision]], data: st.DataObject
    ) -> None:
        done = [
            d
            for d in logs[0]
            if not any(d.uuid == u.arguments.get("of") for log in logs for u in log)
        ]
        if not done:
            return
        chosen = data.draw(st.sampled_from(done))
        ask_ = [Request(d.uuid, d.operation, d.tracklets, d.arguments, 0) for d in logs[0]]
        undone = chain("anna", [*ask_, ask(99, "undo", of=chosen.uuid)])
        # what is left keeps its number in the log, as it does when the decision is undone
        without = [d for d in logs[0] if d.uuid != chosen.uuid]
        assert decide(undone, *logs[1:]).as_fields() == decide(without, *logs[1:]).as_fields()
        redone = chain(
            "anna", [*ask_, ask(99, "undo", of=chosen.uuid), ask(98, "undo", of=make_uuid(99))]
        )
        assert decide(redone, *logs[1:]).as_fields() == decide(*logs).as_fields()

    @quick
    @given(histories(), st.randoms(use_true_random=False))
    def test_any_order_and_any_number_of_times_comes_to_one_state(
        self, logs: list[list[Decision]], random: Any
    ) -> None:
        wanted = decide(*logs)
        mixed = [decision for log in logs for decision in log] * 2
        random.shuffle(mixed)
        parts = [mixed[::3], mixed[1::3], mixed[2::3], mixed[:2]]
        found = decide(*parts)
        assert found.as_fields() == wanted.as_fields()
        assert (found.digest, found.content_digest) == (wanted.digest, wanted.content_digest)

    @quick
    @given(histories(), st.randoms(use_true_random=False))
    def test_a_growing_ledger_is_the_pure_function(
        self, logs: list[list[Decision]], random: Any
    ) -> None:
        decisions = [decision for log in logs for decision in log]
        random.shuffle(decisions)
        ledger = Ledger(BASE)
        for i, decision in enumerate(decisions, 1):
            ledger.add(decision)
            ledger.add(decision)
            if random.random() < 0.5:
                wanted = apply(BASE, unite([decisions[:i]]))
                assert ledger.state().as_fields() == wanted.as_fields()
                assert ledger.digest == wanted.digest

    @quick
    @given(histories())
    def test_what_holds_in_every_state(self, logs: list[list[Decision]]) -> None:
        state = decide(*logs)
        for tracklet, n_frames in BASE.n_frames.items():
            pieces = state.pieces_of(tracklet)
            assert [pieces[0].piece.start, *(p.piece.stop for p in pieces)] == [
                *(p.piece.start for p in pieces),
                n_frames,
            ]
            assert all(state.find(piece.name) == piece for piece in pieces)
        members = [name for names in state.members.values() for name in names]
        assert len(members) == len(set(members))
        grouped = [name for group in state.groups for name in group]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) <= {p.name for p in state.iter_pieces()} - set(state.merged_into) | set(
            state.members
        )
        assert sum(state.count_statuses().values()) == len(list(state.iter_pieces()))


def test_a_state_for_machines() -> None:
    fields = one(
        ask(1, "drop_frames", A, frames=[[2, 4], [7, 8]]), ask(2, "flag", A, flag="unsure")
    ).as_fields()
    assert fields["pieces"][A]["dropped"] == [[2, 4], [7, 8]]
    assert fields["pieces"][A]["flags"] == ["unsure"]
    with pytest.raises(KeyError):
        one().parts_of("nobody")
