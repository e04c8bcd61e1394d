"""A gauge says what is true at the moment it is read, and nothing stays green because nobody renews it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import inputs as i
from controller.core.inputs import Tick
from controller.telemetry import instruments
from controller.telemetry.instruments import Instrument
from controller.telemetry.observed import LATE_NS, SAMPLE_STALE_MS, Seen, observe
from exchange.model import Millis
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import SYMBOL, Desk

NOW_NS = 60_000_000_000
PERMIT_NS = 5_000_000_000
TESTNET = ("testnet",)


@pytest.fixture
def desk() -> Desk:
    made = Desk().walk_to(Stage.TESTNET_VALIDATING)
    made.tick()
    return made


def seen(desk: Desk) -> Seen:
    tick = Tick(markets={VenueName.TESTNET: desk.market()}, bots=desk.heard(), clock_offset_ms={VenueName.TESTNET: 3})
    return Seen(desk.state, leads=True, decided_ns=NOW_NS, permit_until_ns=NOW_NS + PERMIT_NS, tick=tick)


def facts(seen: Seen | None, desk: Desk, *, later_ms: int = 0) -> dict[tuple[Instrument, tuple[str, ...]], float]:
    now_ns = NOW_NS + later_ms * 1_000_000
    return {(one, labels): value for one, labels, value in observe(seen, now_ns, Millis(desk.now + later_ms))}


def test_an_armed_deployment_shows_its_stage_and_may_place(desk: Desk) -> None:
    found = facts(seen(desk), desk)
    assert found[instruments.ARMED, ()] == 1
    assert found[instruments.HALTED, ()] == 0
    assert {labels: value for (one, labels), value in found.items() if one is instruments.STAGE} == {
        (stage.value,): int(stage is Stage.TESTNET_VALIDATING) for stage in Stage
    }


def test_a_halted_deployment_is_halted_and_not_armed(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    found = facts(seen(desk), desk)
    assert (found[instruments.HALTED, ()], found[instruments.ARMED, ()]) == (1, 0)
    assert found[instruments.STAGE, ("HALTED",)] == 1
    assert found[instruments.HALT_CAUSE, ("halt",)] == 1
    assert found[instruments.EXPOSURE_LIMIT, ()] == 0


def test_a_permit_that_ran_out_is_not_armed(desk: Desk) -> None:
    without = replace(seen(desk), permit_until_ns=0)
    assert facts(without, desk)[instruments.ARMED, ()] == 0
    lapsed = replace(seen(desk), permit_until_ns=NOW_NS + 1_000_000)
    assert facts(lapsed, desk, later_ms=1)[instruments.ARMED, ()] == 0


def test_a_writer_that_decides_nothing_is_not_armed(desk: Desk) -> None:
    late_ms = LATE_NS // 1_000_000
    assert facts(seen(desk), desk, later_ms=late_ms)[instruments.ARMED, ()] == 1
    found = facts(seen(desk), desk, later_ms=late_ms + 1)
    assert found[instruments.ARMED, ()] == 0
    assert found[instruments.DECISION_AGE, ()] == pytest.approx(2.001)


def test_a_standby_is_neither_leading_nor_armed(desk: Desk) -> None:
    found = facts(replace(seen(desk), leads=False), desk)
    assert (found[instruments.LEADING, ()], found[instruments.ARMED, ()]) == (0, 0)
    assert (instruments.DECISION_AGE, ()) not in facts(replace(seen(desk), leads=False, decided_ns=None), desk)


def test_before_anything_is_seen_nothing_is_green(desk: Desk) -> None:
    found = facts(None, desk)
    assert found == {(instruments.ARMED, ()): 0, (instruments.PERMIT_REMAINING, ()): 0, (instruments.LEADING, ()): 0}


def test_an_account_that_is_not_valued_any_more_has_no_equity(desk: Desk) -> None:
    assert (instruments.EQUITY, TESTNET) in facts(seen(desk), desk)
    found = facts(seen(desk), desk, later_ms=SAMPLE_STALE_MS + 10_000)
    assert not {one for one, _ in found} & {instruments.EQUITY, instruments.EXPOSURE, instruments.PNL_DAY, instruments.PNL_RUN}
    assert found[instruments.SAMPLE_AGE, TESTNET] > SAMPLE_STALE_MS / 1000


def test_an_old_reconciliation_turns_red_by_itself(desk: Desk) -> None:
    assert facts(seen(desk), desk)[instruments.RECONCILED, TESTNET] == 1
    allowed = desk.policy.guards.reconciliation.max_age_ms
    assert facts(seen(desk), desk, later_ms=allowed + 60_000)[instruments.RECONCILED, TESTNET] == 0


def test_a_quote_and_a_silent_bot_get_old_without_a_new_tick(desk: Desk) -> None:
    found = facts(seen(desk), desk, later_ms=300_000)
    assert found[instruments.QUOTE_AGE, ("testnet", SYMBOL)] >= 300
    assert found[instruments.BOT_LIVE, ("demo-bot",)] == 0


def test_a_venue_without_an_answer_is_not_reachable(desk: Desk) -> None:
    found = facts(replace(seen(desk), unreached=frozenset({VenueName.LIVE})), desk)
    assert (found[instruments.VENUE_REACHABLE, ("live",)], found[instruments.VENUE_REACHABLE, TESTNET]) == (0, 1)
