"""The long form: three covered days on bars of one's own (REHEARSAL_BARS names the file)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.rehearsing import rehearsed

BARS = os.environ.get("REHEARSAL_BARS", "")


@pytest.mark.soak
@pytest.mark.skipif(not Path(BARS).is_file(), reason="REHEARSAL_BARS names no file of one-minute bars (CSV, gzip or not)")
def test_three_covered_days_on_bars_end_at_real_money(tmp_path: Path) -> None:
    result = rehearsed(tmp_path / "d", hours=72, tapes=(Path(BARS),))
    assert result.verdict == "LIVE_€10"
    assert result.counts["orders-sent"] >= 5_000
    assert result.peak_mib <= 500
