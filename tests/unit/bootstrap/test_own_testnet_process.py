"""The testnet beside a controller: another instance is said aloud, and only a process that a controller started is ended."""

from __future__ import annotations

from pathlib import Path

from controller.bootstrap.testnet import _attached, instance_seen
from controller.core.effects import Alert, AlertKind
from exchange.model import Millis
from exchange.testnet.state.store import ATTACHED, open_store


def test_another_testnet_is_said_once(tmp_path: Path) -> None:
    said: list[Alert] = []
    path = tmp_path / "testnet.instance"
    for instance in ("one", "one", "", "two", "two"):
        instance_seen(path, instance, said.append)
    assert [(one.kind, one.title) for one in said] == [(AlertKind.RECONCILIATION, "the testnet is another one")]
    assert "it was one and is two" in said[0].detail
    assert path.read_text() == "two\n"


def test_a_damaged_memory_of_the_testnet_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "testnet.instance"
    path.write_bytes(b"\xff\xfe")
    instance_seen(path, "one", lambda _: None)
    assert path.read_text() == "one\n"


def test_only_a_process_that_a_controller_started_may_be_ended(tmp_path: Path) -> None:
    for mark, ours in (("", False), (ATTACHED, True)):
        store = open_store(tmp_path, Millis(1_700_000_000_000), mark)
        assert bool(_attached(tmp_path)) is ours
        store.close()
        assert not _attached(tmp_path)
