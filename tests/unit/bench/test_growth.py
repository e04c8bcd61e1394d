"""How much a journal grows in a day of one order a minute, counted in bytes of a real file in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.recover import refold
from ops.bench.growth import GOAL_BYTES, IDLE_GOAL_BYTES, Day
from policies.stage import Stage

STRETCH_MS = 15 * 60_000
"""The first quarter of an hour of a run, in which new peaks are most frequent."""


@pytest.mark.parametrize("stage", [Stage.TESTNET_VALIDATING, Stage.LIVE_EUR10])
def test_a_day_of_one_order_a_minute_is_at_most_ten_megabytes(stage: Stage, tmp_path: Path) -> None:
    day = Day(tmp_path / "journal.db", stage)
    try:
        day.pass_time(60_000)
        growth = day.pass_time(STRETCH_MS)
    finally:
        day.close()
    print(f"\n{stage}, {growth.orders} orders in {growth.ms // 60_000} minutes\n{growth.table()}")
    assert growth.orders == STRETCH_MS // 60_000
    assert growth.a_day <= GOAL_BYTES


def test_an_hour_without_orders_is_at_most_two_megabytes(tmp_path: Path) -> None:
    day = Day(tmp_path / "journal.db", Stage.TESTNET_VALIDATING, idle=True)
    try:
        day.pass_time(60_000)
        growth = day.pass_time(STRETCH_MS // 3)
    finally:
        day.close()
    print(f"\nidle for {growth.ms // 60_000} minutes\n{growth.table()}")
    assert growth.orders == 0
    assert 0 < growth.an_hour <= IDLE_GOAL_BYTES


def test_a_kill_between_entries_loses_uncovered_time_only(tmp_path: Path) -> None:
    day = Day(tmp_path / "journal.db", Stage.TESTNET_VALIDATING)
    try:
        day.pass_time(72_000)
        seen, state = day.shell.writer.seen, day.shell.writer.state
        found, _ = refold(day.shell.journal, RecentHistory(), lambda _: None)
    finally:
        day.close()
    assert found == state
    assert seen.tally is not None
    assert found.tally is not None
    lost = seen.tally.covered_ms - found.tally.covered_ms
    assert 0 < lost <= 30_000
    # The time that was held is not in the journal at all: the next sample finds it as a gap.
    assert seen.tally.last_at - found.tally.last_at == lost
