"""Which requests a witness accepts, and the answer to every other request (C2SP tlog-witness)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.journal.checkpoint import Checkpoint
from controller.journal.note import sign_note
from controller.witness.judge import MOST_BYTES, SIZE_TYPE, CheckpointAccepted, CheckpointRefused, judge
from tests.support.logbook import Logbook, body
from tests.support.tries import tries

LOG = Logbook()
STRANGER = Logbook("stranger")
IMPOSTOR = Logbook("desk-1")
LOGS = {LOG.key.name: LOG.key}


def judged(request: bytes, stored: int = 0) -> CheckpointAccepted | CheckpointRefused:
    return judge(request, LOGS, lambda _: LOG.checkpoint(stored) if stored else None)


def status(request: bytes, stored: int = 0) -> int:
    found = judged(request, stored)
    return found.status if isinstance(found, CheckpointRefused) else 200


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (5, 5), (5, 6), (4, 8), (7, 20)])
def test_a_checkpoint_that_extends_the_last_one_is_accepted(old: int, new: int) -> None:
    found = judged(LOG.request(old, new), stored=old)
    assert isinstance(found, CheckpointAccepted)
    assert (found.checkpoint, found.text, found.note) == (LOG.checkpoint(new), LOG.checkpoint(new).text, LOG.note(new))


@pytest.mark.parametrize(("old", "stored"), [(0, 5), (4, 5), (6, 5), (3, 0)])
def test_a_request_with_another_old_size_gets_the_stored_size(old: int, stored: int) -> None:
    found = judged(LOG.request(old, 8), stored)
    assert isinstance(found, CheckpointRefused)
    assert (found.status, found.body, found.content_type) == (409, f"{stored}\n", SIZE_TYPE)
    assert not found.suspicious


def test_the_same_size_with_another_root_is_a_suspicious_conflict() -> None:
    fork = LOG.forked(2)
    found = judged(body(5, (), fork.note(5)), stored=5)
    assert isinstance(found, CheckpointRefused)
    assert (found.status, found.body, found.content_type, found.suspicious) == (
        409,
        "5\n",
        SIZE_TYPE,
        LOG.forked(2).checkpoint(5).text,
    )


@pytest.mark.parametrize("fork_size", [0, 2, 4])
def test_a_fork_with_its_own_valid_proof_is_suspicious(fork_size: int) -> None:
    found = judged(LOG.forked(fork_size).request(5, 9), stored=5)
    assert isinstance(found, CheckpointRefused)
    assert (found.status, found.suspicious) == (422, LOG.forked(fork_size).checkpoint(9).text)


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


@pytest.mark.parametrize(("request_body", "stored", "expected"), WRONG.values(), ids=WRONG)
def test_every_other_request_has_its_own_answer(request_body: bytes, stored: int, expected: int) -> None:
    assert status(request_body, stored) == expected


def test_a_signed_empty_log_must_have_the_empty_root() -> None:
    lying = sign_note(Checkpoint("gatehouse/desk-1", 0, bytes(32)).text, "gatehouse/desk-1", LOG.private)
    assert status(body(0, (), lying)) == 409


def test_signatures_of_others_are_ignored() -> None:
    other = sign_note(LOG.checkpoint(5).text, "example.com/other", STRANGER.private).split("\n\n")[1]
    assert status(body(0, (), LOG.note(5) + other)) == 200


def test_extension_lines_are_cosigned_too() -> None:
    text = LOG.checkpoint(5).text + "an extension\n"
    found = judged(body(0, (), sign_note(text, "gatehouse/desk-1", LOG.private)))
    assert isinstance(found, CheckpointAccepted)
    assert found.text == text


@settings(max_examples=tries(60))
@given(st.lists(st.tuples(st.sampled_from(["main", "fork"]), st.integers(0, 24), st.integers(0, 24)), max_size=12))
def test_no_sequence_of_requests_makes_it_accept_two_histories(requests: list[tuple[str, int, int]]) -> None:
    branches = {"main": LOG, "fork": LOG.forked(6)}
    stored: Checkpoint | None = None
    for branch, low, high in requests:
        old, new = sorted((low, high))
        for claimed in {old, stored.size if stored else 0}:
            proof = branches[branch].proof(claimed, new) if claimed <= new else ()
            found = judge(body(claimed, proof, branches[branch].note(new)), LOGS, {LOG.key.name: stored}.get)
            if not isinstance(found, CheckpointAccepted):
                continue
            accepted = found.checkpoint
            if stored is not None:
                assert accepted.size >= stored.size
                histories = [one for one in branches.values() if one.checkpoint(accepted.size) == accepted]
                assert any(one.checkpoint(stored.size) == stored for one in histories)
            stored = accepted
