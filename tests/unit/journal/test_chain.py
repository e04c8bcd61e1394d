"""The hash chain: what an entry's hash covers, and that each way of tampering is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.journal.chain import Entry, Fault, Head, Record, entry_hash, genesis_hash, seal, verify_chain
from exchange.errors import UsageError
from exchange.model import Millis

OWNER = "desk-1"
AT = Millis(1_800_000_000_000)


def chain_of(*bodies: bytes, owner: str = OWNER, epochs: tuple[int, ...] = ()) -> list[Entry]:
    head, entries = Head(0, genesis_hash(owner), 0), []
    for number, body in enumerate(bodies):
        entry = seal(Record("Noted", body), head, epoch=epochs[number] if epochs else 1, at=AT)
        head = Head(entry.seq, entry.hash, entry.epoch)
        entries.append(entry)
    return entries


CHAIN = chain_of(*(b"%d" % number for number in range(1, 7)))


def rehashed(entry: Entry, **changes: object) -> Entry:
    """What a careful forger writes: the entry changed, and its own hash made to fit."""
    changed = entry._replace(**changes)  # type: ignore[arg-type]
    fields = {name: value for name, value in changed._asdict().items() if name != "hash"}
    return changed._replace(hash=entry_hash(**fields))


def replaced(position: int, entry: Entry) -> list[Entry]:
    return [*CHAIN[:position], entry, *CHAIN[position + 1 :]]


TAMPERED = [
    ("an edited body", replaced(2, CHAIN[2]._replace(body=b"33")), Fault.EDITED, 3),
    ("an edited time", replaced(2, CHAIN[2]._replace(at=Millis(AT + 1))), Fault.EDITED, 3),
    ("an edited kind", replaced(2, CHAIN[2]._replace(kind="Other")), Fault.EDITED, 3),
    ("an edited epoch", replaced(2, CHAIN[2]._replace(epoch=2)), Fault.EDITED, 3),
    ("an edited hash", replaced(2, CHAIN[2]._replace(hash="sha256:" + "0" * 64)), Fault.EDITED, 3),
    ("an edited link", replaced(2, CHAIN[2]._replace(prev="sha256:" + "0" * 64)), Fault.EDITED, 3),
    ("an edited body with its hash made to fit", replaced(2, rehashed(CHAIN[2], body=b"33")), Fault.WRONG_PREV, 4),
    ("an entry taken out", [*CHAIN[:2], *CHAIN[3:]], Fault.GAP, 3),
    ("several entries taken out", [*CHAIN[:1], *CHAIN[4:]], Fault.GAP, 2),
    ("the first entry taken out", CHAIN[1:], Fault.GAP, 1),
    ("an entry taken out and the next given its number", [*CHAIN[:2], rehashed(CHAIN[3], seq=3)], Fault.WRONG_PREV, 3),
    ("two entries in each other's place", [*CHAIN[:2], CHAIN[3], CHAIN[2], *CHAIN[4:]], Fault.REORDERED, 3),
    ("an entry twice", [*CHAIN[:3], *CHAIN[2:]], Fault.REORDERED, 3),
    ("an entry under its neighbour's number", replaced(2, CHAIN[3]._replace(seq=3)), Fault.REORDERED, 3),
    ("another controller's journal", chain_of(b"1", b"2", owner="desk-2"), Fault.WRONG_GENESIS, 1),
    ("an epoch that goes down", chain_of(b"1", b"2", b"3", epochs=(2, 3, 2)), Fault.EPOCH_WENT_DOWN, 3),
    ("a link that is not a hash", replaced(2, CHAIN[2]._replace(prev="sha256:nothing")), Fault.MALFORMED, 3),
    ("a negative time", replaced(2, CHAIN[2]._replace(at=Millis(-1))), Fault.MALFORMED, 3),
]


@pytest.mark.parametrize(("entries", "fault", "seq"), [pytest.param(*rest, id=name) for name, *rest in TAMPERED])
def test_tampering_is_found_and_named(entries: list[Entry], fault: Fault, seq: int) -> None:
    report = verify_chain(entries, OWNER)
    assert report.problem is not None
    assert (report.problem.fault, report.problem.seq) == (fault, seq)


def test_a_valid_chain_verifies_to_its_end() -> None:
    report = verify_chain(CHAIN, OWNER)
    assert report.ok
    assert report.head == Head(6, CHAIN[-1].hash, 1)


def test_a_problem_is_reported_with_the_entries_verified_before_it() -> None:
    report = verify_chain([*CHAIN[:2], *CHAIN[3:]], OWNER)
    assert (report.entries, report.head.hash) == (2, CHAIN[1].hash)


def test_verification_continues_after_a_verified_prefix() -> None:
    start = Head(3, CHAIN[2].hash, 1)
    assert verify_chain(CHAIN[3:], OWNER, start).ok
    assert not verify_chain(CHAIN[3:], OWNER, Head(3, CHAIN[1].hash, 1)).ok


def test_the_hashed_layout_never_changes() -> None:
    prev = genesis_hash(OWNER)
    fields = (7).to_bytes(8) + (3).to_bytes(8) + AT.to_bytes(8)
    content = hashlib.sha256(b"Noted").digest() + hashlib.sha256(b'{"a":1}').digest()
    expected = hashlib.sha256(b"gatehouse-journal-entry-v1\0" + bytes.fromhex(prev[7:]) + fields + content).hexdigest()
    assert entry_hash(seq=7, epoch=3, at=AT, kind="Noted", body=b'{"a":1}', prev=prev) == f"sha256:{expected}"


@given(st.permutations(range(6)), st.integers(0, 6))
def test_only_a_prefix_in_the_original_order_verifies(order: list[int], length: int) -> None:
    chosen = [CHAIN[number] for number in order[:length]]
    assert verify_chain(chosen, OWNER).ok == (chosen == CHAIN[:length])


EDITS: list[Callable[[Entry], Entry]] = [
    lambda entry: entry._replace(at=Millis(entry.at + 1)),
    lambda entry: entry._replace(epoch=entry.epoch + 1),
    lambda entry: entry._replace(kind=entry.kind + "x"),
    lambda entry: entry._replace(body=entry.body + b" "),
    lambda entry: rehashed(entry, body=entry.body + b" "),
    lambda entry: rehashed(entry, at=entry.at + 1),
]


@given(st.integers(0, 4), st.sampled_from(EDITS))
def test_a_change_of_any_entry_but_the_last_is_detected(position: int, edit: Callable[[Entry], Entry]) -> None:
    assert not verify_chain(replaced(position, edit(CHAIN[position])), OWNER).ok


@pytest.mark.parametrize(("kind", "body"), [("", b"1"), ("two words", b"1"), ("x" * 65, b"1"), ("é", b"1"), ("Noted", b""), ("Noted", bytes(2 << 20))])  # fmt: skip  # noqa: E501
def test_a_record_out_of_bounds_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(UsageError) as refused:
        Record(kind, body)
    assert refused.value.code == "bad-record"
