"""Merkle roots, signed notes and checkpoints."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.keys import generate_key
from controller.journal.chain import Entry, Fault
from controller.journal.checkpoint import (
    Checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from controller.journal.merkle import MerkleTree
from controller.journal.note import NoteKey, open_note, sign_note
from exchange.errors import IntegrityError
from tests.unit.journal.journal_kit import KEY, NOTE_KEY, check_against, checkpoint_of, write_entries

NEUMANN = NoteKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
ADAGE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
CHECKPOINT = Checkpoint("gatehouse/desk-1", 3, bytes(32))
NOTE = sign_checkpoint(CHECKPOINT, KEY)


def rfc6962(leaves: list[bytes]) -> bytes:
    """The definition in RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + rfc6962(leaves[:k]) + rfc6962(leaves[k:])).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_a_tree_built_leaf_by_leaf_has_the_root_of_the_definition(leaves: list[bytes]) -> None:
    tree = MerkleTree()
    for leaf in leaves:
        tree.append(f"sha256:{leaf.hex()}")
    assert (tree.size, tree.root()) == (len(leaves), rfc6962(leaves))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.integers(0, 40))
def test_a_tree_continues_from_its_frontier(leaves: list[bytes], cut: int) -> None:
    first = MerkleTree()
    for leaf in leaves[:cut]:
        first.append(f"sha256:{leaf.hex()}")
    second = MerkleTree(first.size, first.frontier)
    for leaf in leaves[cut:]:
        second.append(f"sha256:{leaf.hex()}")
    assert second.root() == rfc6962(leaves)


def test_a_frontier_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="complete subtrees"):
        MerkleTree(3, [bytes(32)])


def test_a_published_note_of_another_implementation_verifies() -> None:
    assert open_note(ADAGE, NEUMANN).startswith("If you think cryptography")


def test_a_note_key_reads_back_from_its_text() -> None:
    assert NoteKey.parse(NOTE_KEY.text) == NOTE_KEY


def test_a_witnesss_signature_does_not_change_the_check_of_ours() -> None:
    witness = sign_note(CHECKPOINT.text, "witness.example", generate_key()).split("\n\n")[1]
    assert parse_checkpoint(NOTE + witness, NOTE_KEY) == CHECKPOINT


def resigned(text: str) -> str:
    return sign_note(text, "gatehouse/desk-1", KEY)


ROOT = "A" * 43 + "="
OTHERS = sign_checkpoint(CHECKPOINT, generate_key())

HOSTILE = [
    ("nothing", "", "note-malformed"),
    ("a text without signatures", CHECKPOINT.text, "note-malformed"),
    ("no line break at the end", NOTE[:-1], "note-malformed"),
    ("text behind the signatures", NOTE + "hello\n", "note-malformed"),
    ("a hyphen for the dash", NOTE.replace("— ", "- "), "note-malformed"),
    ("a signature that is not base64", NOTE[:-3] + "A=A\n", "note-malformed"),
    ("a second blank line", "\n\n" + NOTE, "note-malformed"),
    ("more text than a checkpoint has", NOTE + "— x AAAA\n" * 10_000, "note-malformed"),
    ("another key's signature", OTHERS, "note-not-signed"),
    ("another name on the signature", NOTE.replace("— gatehouse/desk-1", "— gatehouse/desk-2"), "note-not-signed"),
    ("a size changed after signing", NOTE.replace("\n3\n", "\n2\n"), "note-forged"),
    ("another controller's origin", NOTE.replace("gatehouse/desk-1\n3", "gatehouse/desk-2\n3"), "note-forged"),
    ("a signed origin that is not the key's", resigned(f"gatehouse/desk-2\n3\n{ROOT}\n"), "checkpoint-malformed"),
    ("a signed size with a leading zero", resigned(f"gatehouse/desk-1\n03\n{ROOT}\n"), "checkpoint-malformed"),
    ("a signed negative size", resigned(f"gatehouse/desk-1\n-3\n{ROOT}\n"), "checkpoint-malformed"),
    ("a signed root that is too short", resigned("gatehouse/desk-1\n3\nAAAA\n"), "checkpoint-malformed"),
    ("a signed root with loose bits", resigned(f"gatehouse/desk-1\n3\n{ROOT[:-2]}B=\n"), "checkpoint-malformed"),
    ("an unknown signed line", resigned(CHECKPOINT.text + "more\n"), "checkpoint-malformed"),
]


@pytest.mark.parametrize(("note", "code"), [pytest.param(note, code, id=name) for name, note, code in HOSTILE])
def test_a_text_that_is_not_exactly_our_checkpoint_is_refused(note: str, code: str) -> None:
    with pytest.raises(IntegrityError) as refused:
        parse_checkpoint(note, NOTE_KEY)
    assert refused.value.code == code


NO_KEYS = {
    "nothing": "",
    "a word": "x",
    "another id": "desk+00000000+AAAA",
    "a longer id": NOTE_KEY.text.replace("+", "+0", 1),
    "a name with a space": "a b+c74f20a3+AQ==",
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_a_text_that_is_no_note_key_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError) as refused:
        NoteKey.parse(text)
    assert refused.value.code == "note-key-malformed"


@pytest.fixture
def entries(tmp_path: Path) -> tuple[Entry, ...]:
    return write_entries(tmp_path / "journal.db", 6)


def test_a_journal_agrees_with_every_checkpoint_taken_of_it(entries: tuple[Entry, ...]) -> None:
    assert [check_against(entries, checkpoint_of(entries[:size])) for size in range(7)] == [None] * 7


@pytest.mark.parametrize(
    ("kept", "fault", "words"),
    [
        pytest.param(5, Fault.TAIL_MISSING, "knows 6 entries and the journal has 5", id="the last entry cut off"),
        pytest.param(0, Fault.TAIL_MISSING, "knows 6 entries and the journal has 0", id="all entries gone"),
    ],
)
def test_a_cut_off_tail_is_named(entries: tuple[Entry, ...], kept: int, fault: Fault, words: str) -> None:
    problem = check_against(entries[:kept], checkpoint_of(entries))
    assert problem is not None
    assert problem.fault is fault
    assert words in problem.message


def test_a_rewritten_history_is_named(entries: tuple[Entry, ...], tmp_path: Path) -> None:
    other = write_entries(tmp_path / "other.db", 3) + write_entries(tmp_path / "other.db", 5)
    problem = check_against(other, checkpoint_of(entries))
    assert problem is not None
    assert problem.fault is Fault.HISTORY_REWRITTEN


def test_another_controllers_checkpoint_is_named(entries: tuple[Entry, ...]) -> None:
    problem = check_against(entries, checkpoint_of(entries, "desk-2"))
    assert problem is not None
    assert problem.fault is Fault.OTHER_CONTROLLER
