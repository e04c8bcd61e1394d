"""The bench of rehearsals: what it does without a peer, and what it plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.bars import BarMarket, read_bars
from ops.bench.rehearsing import VARIABLE, peer_python, write_bars


def test_a_machine_without_the_peer_says_what_to_set() -> None:
    with pytest.raises(LookupError, match=VARIABLE):
        peer_python({}, which=lambda _: None)


def test_a_python_that_is_not_there_is_no_peer() -> None:
    with pytest.raises(LookupError, match="/nowhere/python has no nautilus_trader"):
        peer_python({VARIABLE: "/nowhere/python"})


def test_the_bars_that_are_made_can_be_played(tmp_path: Path) -> None:
    write_bars(tmp_path / "bars.csv", 5)
    lines = (tmp_path / "bars.csv").read_text(encoding="utf-8").splitlines()
    assert len(list(read_bars(lines, BarMarket("BTCUSDT")))) == 5
