"""Snapshots: a start from one equals the start from the whole journal, and no damaged or foreign one is used."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.authority.keys import generate_key
from controller.core import event_codec, state_codec
from controller.core import events as e
from controller.core.compact_map import CompactMap
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Entry, Head, Record
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.runtime.followers.recent import RecentHistory, SavedHistory
from controller.runtime.recovery import snapshot
from controller.runtime.recovery.recover import recover
from controller.runtime.recovery.snapshot import FILE_NAME, Snapshots
from controller.version import SOURCE_ROOT
from exchange.errors import IntegrityError, UsageError
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.folding import fold
from tests.support.shell import SetClock
from tests.support.tries import tries

KEY = generate_key()
ROOT = Path(__file__).parents[4]


@cache
def _validated() -> Desk:
    return Desk().walk_to(Stage.VALIDATED)


class Folded:
    """A journal of a whole deployment, folded as a start folds it."""

    def __init__(self, path: Path) -> None:
        self.desk = desk = _validated().fork()
        self.journal: SqliteJournal = open_journal(path, "desk")
        self.history, self.tree, self.state = RecentHistory(), MerkleTree(), State()
        for event, at in desk.journal:
            (entry,) = self.journal.append([Record(event.kind, event_codec.encode(event))], at)
            self.take(entry, event)

    def take(self, entry: Entry, event: e.Event) -> None:
        self.state = apply(self.state, event, entry.at)
        self.history.record(entry, event, self.state)
        self.tree.append(entry.hash)

    def save(self, into: Snapshots) -> bool:
        return into.save(self.state, self.journal.head, self.history.saved(), self.tree)


@pytest.fixture
def folded(tmp_path: Path) -> Iterator[Folded]:
    folded = Folded(tmp_path / "journal.db")
    yield folded
    folded.journal.close()


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path, KEY)


def test_a_snapshot_restores_the_state_the_history_and_the_tree(folded: Folded, snapshots: Snapshots) -> None:
    assert folded.save(snapshots)
    found = snapshots.load(folded.journal.hash_at)
    assert found is not None
    assert found.state == folded.state
    assert found.state.fingerprint() == folded.state.fingerprint()
    assert found.history == folded.history.saved()
    assert (found.tree.size, found.tree.root()) == (folded.tree.size, folded.tree.root())


def test_a_fold_continues_from_a_snapshot_as_from_the_first_entry(folded: Folded, snapshots: Snapshots) -> None:
    folded.save(snapshots)
    found = snapshots.load(folded.journal.hash_at)
    assert found is not None
    event, at = e.Disarmed(reason="a venue is not reconciled"), folded.state.at
    (entry,) = folded.journal.append([Record(event.kind, event_codec.encode(event))], at)
    folded.take(entry, event)
    assert apply(found.state, event, at).fingerprint() == folded.state.fingerprint()


def test_a_start_from_a_snapshot_equals_the_start_from_the_first_entry(
    folded: Folded, snapshots: Snapshots, tmp_path: Path
) -> None:
    folded.save(snapshots)
    ended = e.Disarmed(reason="the controller was stopped")
    folded.journal.append([Record(ended.kind, event_codec.encode(ended))], folded.state.at)
    found = snapshots.load(folded.journal.hash_at)
    assert found is not None
    folded.journal.close()
    shutil.copy(tmp_path / "journal.db", tmp_path / "copy.db")
    started = []
    for path, taken in ((tmp_path / "journal.db", None), (tmp_path / "copy.db", found)):
        journal, history, seqs = open_journal(path, "desk"), RecentHistory(), list[int]()
        boot = replace(folded.desk.boot_input(), epoch=journal.epoch)
        recovered = recover(
            journal, history, boot, SetClock(folded.state.at), lambda entry, into=seqs: into.append(entry.seq), taken
        )
        started.append((recovered.state.fingerprint(), recovered.effects, history.saved(), list(history.entries)))
        assert recovered.folded == recovered.state.seq - (0 if taken is None else taken.seq) - (seqs[-1] - journal_end(folded))
        assert seqs[0] == (1 if taken is None else taken.seq + 1)
        journal.close()
    assert started[0] == started[1]


def journal_end(folded: Folded) -> int:
    return folded.state.seq + 1


def test_the_same_state_is_written_as_the_same_bytes(folded: Folded, snapshots: Snapshots, tmp_path: Path) -> None:
    folded.save(snapshots)
    first = (tmp_path / FILE_NAME).read_bytes()
    found = snapshots.load(folded.journal.hash_at)
    assert found is not None
    snapshots.save(found.state, folded.journal.head, found.history, found.tree)
    assert (tmp_path / FILE_NAME).read_bytes() == first


def test_no_snapshot_is_taken_of_a_state_that_is_behind_the_head(folded: Folded, snapshots: Snapshots) -> None:
    behind = replace(folded.state, seq=folded.state.seq - 1)
    assert not snapshots.save(behind, folded.journal.head, folded.history.saved(), folded.tree)
    assert snapshots.load(folded.journal.hash_at) is None


def re_signed(data: bytes, body: bytes, **fields: object) -> bytes:
    """The snapshot with another body or other fields, signed with the right key."""
    header = snapshot.canonical.encode(json.loads(data.split(b"\n")[-2]) | {"body": snapshot.canonical.digest(body)} | fields)
    return body + b"\n" + header + b"\n" + base64.b64encode(KEY.sign(snapshot._CONTEXT + header))


def body_of(data: bytes) -> bytes:
    return data.rsplit(b"\n", 2)[0]


DAMAGED = {
    "it is empty": lambda data: b"",
    "it was cut short": lambda data: data[:-1],
    "it is not text": lambda data: b"\xff\xfe" + data,
    "a byte of the state was changed": lambda data: data.replace(b"VALIDATED", b"RAMPING", 1),
    "its header names another entry": lambda data: data.replace(b'"seq":', b'"seq":1', 1),
    "another key signed it": lambda data: data.replace(data.split(b"\n")[-1], base64.b64encode(generate_key().sign(b"x"))),
    "it is of another version": lambda data: re_signed(data, body_of(data), version="0.0.0"),
    "other code folded it": lambda data: re_signed(data, body_of(data), source="sha256:" + "0" * 64),
    "it has another format": lambda data: re_signed(data, body_of(data), format="gatehouse-snapshot-v0"),
    "its entry is not in the journal": lambda data: re_signed(data, body_of(data), hash="sha256:" + "0" * 64),
    "its state has another fingerprint": lambda data: re_signed(data, body_of(data), state="sha256:" + "0" * 64),
    "its state is not one": lambda data: re_signed(data, b'V0\nJ16\n["seq","nothing"]'),
    "its body is nested too deeply": lambda data: re_signed(data, b"V0\nJ100000\n" + b"[" * 100_000),
    "its body ends within a frame": lambda data: re_signed(data, body_of(data)[:-1]),
    "its body has no frames": lambda data: re_signed(data, b"nothing"),
    "a value is missing": lambda data: re_signed(data, body_of(data)[: body_of(data).rindex(b"V0\n")]),
    "a compact map is missing": lambda data: re_signed(data, b'V0\nJ22\n["settled",{"map": 0}]'),
}


@pytest.mark.parametrize("why", DAMAGED)
def test_a_damaged_or_foreign_snapshot_is_ignored_and_deleted(
    folded: Folded, snapshots: Snapshots, tmp_path: Path, why: str
) -> None:
    folded.save(snapshots)
    path = tmp_path / FILE_NAME
    path.write_bytes(DAMAGED[why](path.read_bytes()))
    assert snapshots.load(folded.journal.hash_at) is None
    assert not path.exists()


def test_a_snapshot_of_a_tail_that_was_cut_off_is_not_used(folded: Folded, snapshots: Snapshots, tmp_path: Path) -> None:
    folded.save(snapshots)
    assert snapshots.load({}.get) is None
    assert not (tmp_path / FILE_NAME).exists()


def test_a_snapshot_that_cannot_be_written_is_not_an_error(folded: Folded, tmp_path: Path) -> None:
    assert not folded.save(Snapshots(tmp_path / "nowhere", KEY))


def test_every_field_of_the_state_keeps_its_exact_value_in_a_snapshot() -> None:
    ledger = replace(
        State().ledger(VenueName.LIVE), equity_eur=Decimal("1.500"), breaks=("BTC",), trades=CompactMap.of(("t1", "t2"))
    )
    state = replace(State(), ledgers=State().ledgers.set(VenueName.LIVE, ledger), outcomes=((State().at, True),) * 450)
    (again,) = state_codec.unpack((State,), memoryview(b"".join(state_codec.pack(state))))
    assert again == state
    assert str(again.ledger(VenueName.LIVE).equity_eur) == "1.500"


@pytest.fixture(scope="module")
def traded() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.trade(2)
    return desk


@settings(max_examples=tries(12))
@given(share=st.floats(0, 1))
def test_a_fold_from_any_saved_point_ends_as_one_from_the_first_entry(traded: Desk, share: float) -> None:
    cut = round(share * len(traded.journal))
    before = fold(State(), traded.journal[:cut])
    (again,) = state_codec.unpack((State,), memoryview(b"".join(state_codec.pack(before))))
    after = fold(again, traded.journal[cut:])
    assert after == traded.state
    assert after.fingerprint() == traded.state.fingerprint()


@pytest.mark.parametrize("values", [None, [], ["x"], {}, [[1, 2], [], [], []]])
def test_values_of_another_shape_are_refused(values: object) -> None:
    with pytest.raises(IntegrityError):
        state_codec.read(SavedHistory, values)


def test_a_type_without_a_form_is_named() -> None:
    with pytest.raises(UsageError, match="cannot be encoded"):
        state_codec.form_of(dict[str, float])
    with pytest.raises(UsageError, match="float"):
        state_codec.form_of(float)


def test_the_head_of_an_empty_journal_is_no_snapshot(snapshots: Snapshots) -> None:
    assert snapshots.save(State(), Head(0, "sha256:" + "0" * 64, 1), RecentHistory().saved(), MerkleTree())
    assert snapshots.load(lambda _: None) is None


def test_the_source_digest_covers_every_file_that_folding_needs() -> None:
    program = "import sys, controller.core.fold.apply; print(*(getattr(m, '__file__', None) for m in list(sys.modules.values())))"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    needed = {Path(name) for name in printed.split() if name.startswith(str(ROOT)) and "site-packages" not in name}
    assert {path for pattern in snapshot._FOLDING for path in SOURCE_ROOT.glob(pattern)} >= needed
    assert ROOT / "exchange" / "orders.py" in needed


@pytest.mark.parametrize("pattern", snapshot._FOLDING)
def test_every_pattern_of_the_source_digest_matches_a_file(pattern: str) -> None:
    assert list(SOURCE_ROOT.glob(pattern))
