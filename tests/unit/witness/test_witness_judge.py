"""What a witness cosigns, and which answer everything else gets (C2SP tlog-witness)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.journal.checkpoint import Checkpoint
from controller.journal.note import sign_note
from controller.witness.judge import MOST_BYTES, SIZE_TYPE, CheckpointAccepted, CheckpointRefused, judge
from tests.support.logbook import Logbook, body

LOG = Logbook()
STRANGER = Logbook("stranger")
IMPOSTOR = Logbook("desk-1")
LOGS = {LOG.key.name: LOG.key}


def judged(request: bytes, known: int = 0) -> CheckpointAccepted | CheckpointRefused:
    return judge(request, LOGS, lambda _: LOG.checkpoint(known) if known else None)


def status(request: bytes, known: int = 0) -> int:
    found = judged(request, known)
    return found.status if isinstance(found, CheckpointRefused) else 200


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (5, 5), (5, 6), (4, 8), (7, 20)])
def test_what_follows_from_the_last_checkpoint_is_accepted(old: int, new: int) -> None:
    found = judged(LOG.request(old, new), known=old)
    assert isinstance(found, CheckpointAccepted)
    assert (found.checkpoint, found.text, found.note) == (LOG.checkpoint(new), LOG.checkpoint(new).text, LOG.note(new))


@pytest.mark.parametrize(("old", "known"), [(0, 5), (4, 5), (6, 5), (3, 0)])
def test_another_old_size_is_told_the_size_that_is_known(old: int, known: int) -> None:
    found = judged(LOG.request(old, 8), known)
    assert isinstance(found, CheckpointRefused)
    assert (found.status, found.body, found.content_type) == (409, f"{known}\n", SIZE_TYPE)
    assert not found.suspicious


def test_the_same_size_with_another_root_is_a_conflict_and_kept_as_evidence() -> None:
    fork = LOG.forked(2)
    found = judged(body(5, (), fork.note(5)), known=5)
    assert isinstance(found, CheckpointRefused)
    assert (found.status, found.body, found.content_type, found.suspicious) == (
        409,
        "5\n",
        SIZE_TYPE,
        LOG.forked(2).checkpoint(5).text,
    )


@pytest.mark.parametrize("turned", [0, 2, 4])
def test_a_fork_with_its_own_good_proof_is_unprocessable_and_kept_as_evidence(turned: int) -> None:
    found = judged(LOG.forked(turned).request(5, 9), known=5)
    assert isinstance(found, CheckpointRefused)
    assert (found.status, found.suspicious) == (422, LOG.forked(turned).checkpoint(9).text)


WRONG = {
    "no proof where one is needed": (body(5, (), LOG.note(9)), 5, 422),
    "a proof where none is needed": (body(0, LOG.proof(5, 9), LOG.note(9)), 0, 422),
    "a proof for the same size": (body(5, LOG.proof(5, 9), LOG.note(5)), 5, 422),
    "a proof of other sizes": (body(5, LOG.proof(4, 9), LOG.note(9)), 5, 422),
    "an empty log with a root": (body(0, (), LOG.note(5).replace("\n5\n", "\n0\n")), 0, 403),
    "a smaller size": (body(5, (), LOG.note(4)), 5, 400),
    "an unknown log": (STRANGER.request(0, 5), 0, 404),
    "another key of the same name": (IMPOSTOR.request(0, 5), 0, 403),
    "a size changed after signing": (LOG.request(0, 5).replace(b"\n5\n", b"\n6\n"), 0, 403),
    "nothing": (b"", 0, 400),
    "no checkpoint": (b"old 0\n\n", 0, 400),
    "no old size": (LOG.note(5).encode(), 0, 400),
    "an old size with a leading zero": (body("05", (), LOG.note(5)), 5, 400),
    "a negative old size": (body("-1", (), LOG.note(5)), 0, 400),
    "a word before it": (b"x" + LOG.request(0, 5), 0, 400),
    "a node that is not base64": (LOG.request(5, 9).replace(b"\n", b"\n!!!\n", 1), 5, 400),
    "a node of another length": (LOG.request(5, 9).replace(b"\n", b"\nAAAA\n", 1), 5, 400),
    "bytes that are no text": (b"\xff" + LOG.request(0, 5), 0, 400),
    "64 nodes": (body(5, (b"n" * 32,) * 64, LOG.note(9)), 5, 400),
    "too many bytes": (LOG.request(0, 5) + b"x" * MOST_BYTES, 0, 400),
}


@pytest.mark.parametrize(("request_body", "known", "expected"), WRONG.values(), ids=WRONG)
def test_anything_else_has_its_own_answer(request_body: bytes, known: int, expected: int) -> None:
    assert status(request_body, known) == expected


def test_a_signed_empty_log_must_have_the_root_of_nothing() -> None:
    lying = sign_note(Checkpoint("gatehouse/desk-1", 0, bytes(32)).text, "gatehouse/desk-1", LOG.private)
    assert status(body(0, (), lying)) == 409


def test_signatures_of_others_are_passed_over() -> None:
    other = sign_note(LOG.checkpoint(5).text, "example.com/other", STRANGER.private).split("\n\n")[1]
    assert status(body(0, (), LOG.note(5) + other)) == 200


def test_extension_lines_are_part_of_what_is_cosigned() -> None:
    text = LOG.checkpoint(5).text + "an extension\n"
    found = judged(body(0, (), sign_note(text, "gatehouse/desk-1", LOG.private)))
    assert isinstance(found, CheckpointAccepted)
    assert found.text == text


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["main", "fork"]), st.integers(0, 24), st.integers(0, 24)), max_size=12))
def test_no_sequence_of_requests_makes_it_accept_two_histories(asked: list[tuple[str, int, int]]) -> None:
    branches = {"main": LOG, "fork": LOG.forked(6)}
    known: Checkpoint | None = None
    for branch, low, high in asked:
        old, new = sorted((low, high))
        for claimed in {old, known.size if known else 0}:
            proof = branches[branch].proof(claimed, new) if claimed <= new else ()
            found = judge(body(claimed, proof, branches[branch].note(new)), LOGS, {LOG.key.name: known}.get)
            if not isinstance(found, CheckpointAccepted):
                continue
            accepted = found.checkpoint
            if known is not None:
                assert accepted.size >= known.size
                histories = [one for one in branches.values() if one.checkpoint(accepted.size) == accepted]
                assert any(one.checkpoint(known.size) == known for one in histories)
            known = accepted
