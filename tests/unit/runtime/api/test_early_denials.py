"""Orders that are denied before the writer are journalled once, then counted together, and shown at once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.refusals import COUNT_MS
from controller.core.state import State
from controller.runtime.api.bots import Bots
from controller.runtime.api.early_denials import JUDGED_COUNT_MS, EarlyDenials
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.markets import Markets
from exchange.model import Millis, OrderType, Side, SymbolRules
from exchange.ports import VenueName
from exchange.wire.orders import NewOrder
from policies.limit_types import Deny
from policies.rules import MetricName, Op, Unit
from policies.schema import GateRule
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import BOT_KEYS, Desk, demo_policy
from tests.support.shell import Shell

BOT = "demo-bot"
DENIAL = Deny("signer-budget", "8", "0", "nothing is left", "Wait.")


def an_order(number: int) -> NewOrder:
    return NewOrder("BTCUSDT", Side.BUY, OrderType.LIMIT, f"mine-{number}", Decimal("0.00003"), None, Decimal(60_000))


class Place:
    """Bots over a real writer and journal. ``why`` is why no order may leave now."""

    def __init__(self, path: Path) -> None:
        desk = Desk().walk_to(Stage.LIVE_EUR10)
        desk.tick()
        self.shell = Shell(desk, path)
        self.why = ""
        rules = {name: dict[str, SymbolRules]() for name in VenueName}
        anything: Any = dict.fromkeys(VenueName)
        inbox, clock = self.shell.inbox, self.shell.clock
        markets = Markets(feeds=anything, rules=rules, accelerated={}, symbols=(), clock=clock, inbox=inbox, clocks={})
        self.history = RecentHistory()
        self.shell.writer.add_follower(self.history.on_batch)
        self.bots = Bots(
            writer=self.shell.writer,
            inbox=inbox,
            markets=markets,
            candles=anything,
            history=self.history,
            clock=clock,
            blocked=lambda: self.why,
        )
        self.bots.ask_first(lambda _venue, _intent: DENIAL)

    async def ask(self, times: int, *, bot: str = BOT) -> None:
        for number in range(times):
            assert isinstance(await self.bots.place(bot, an_order(number), key=BOT_KEYS[BOT]), Deny)

    async def write(self) -> None:
        """Let the writer decide what is queued, or a batch with nothing in it."""
        waiting = self.shell.inbox._not_empty.is_set()
        self.shell.writer.step(await self.shell.inbox.take(64) if waiting else [])

    def pass_ms(self, ms: int) -> None:
        self.shell.clock.at, self.shell.clock.ns = Millis(self.shell.clock.at + ms), self.shell.clock.ns + ms * 1_000_000

    @property
    def written(self) -> list[tuple[str, int]]:
        found = [event for _, event in self.history.entries if isinstance(event, e.OrderDenied | e.OrdersDeniedAgain)]
        return [(event.rule, event.count if isinstance(event, e.OrdersDeniedAgain) else 0) for event in found]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "journal.db")
    yield made
    made.shell.journal.close()


async def test_the_first_is_journalled_and_a_thousand_more_are_one_entry(place: Place) -> None:
    await place.ask(1_001)
    await place.write()
    assert place.written == [("signer-budget", 0)]
    place.pass_ms(COUNT_MS - 1)
    await place.write()
    assert len(place.written) == 1
    place.pass_ms(1)
    await place.write()
    await place.write()
    assert place.written == [("signer-budget", 0), ("signer-budget", 1_000)]


async def test_each_is_counted_in_the_status_at_once_and_once(place: Place) -> None:
    def counted() -> int:
        return place.history.counters.denied + place.shell.writer.refusals_held

    await place.ask(5)
    await place.write()
    assert counted() == 5
    place.pass_ms(COUNT_MS)
    await place.write()
    await place.write()
    assert counted() == 5


async def test_a_writer_that_hangs_gets_one_of_a_kind_and_the_count_later(place: Place) -> None:
    place.why = "the writer has made no progress for 2000 ms"
    for _ in range(10):
        await place.ask(20)
        place.pass_ms(COUNT_MS)
    assert len(await place.shell.inbox.take(64)) == 1
    place.shell.writer.step([])
    (late,) = await place.shell.inbox.take(64)
    assert isinstance(late.input, i.DeniedEarly)
    assert (late.input.denial.rule, late.input.again) == ("not-armed", 199)


async def test_each_bot_and_each_reason_has_its_own_count(place: Place) -> None:
    await place.ask(3)
    await place.ask(2, bot="other-bot")
    place.why = "the controller is stopping"
    await place.ask(4)
    await place.write()
    assert place.written == [("signer-budget", 0), ("signer-budget", 0), ("not-armed", 0)]
    assert place.shell.writer.refusals_held == 2 + 1 + 3


async def test_what_is_counted_is_journalled_before_the_process_ends(place: Place) -> None:
    await place.ask(7)
    await place.write()
    place.shell.writer.write_held()
    assert place.written == [("signer-budget", 0), ("signer-budget", 6)]
    assert place.shell.writer.refusals_held == 0


async def test_a_denial_after_a_quiet_minute_is_a_first_one_again(place: Place) -> None:
    await place.ask(1)
    place.pass_ms(COUNT_MS)
    await place.ask(1)
    await place.write()
    assert place.written == [("signer-budget", 0), ("signer-budget", 0)]


async def test_a_gate_that_judges_denials_loses_at_most_a_second(place: Place) -> None:
    rule = GateRule(
        id="denials", metric=MetricName.DENIED_ORDERS, op=Op.AT_MOST, threshold=Decimal(3), unit=Unit.COUNT, min_samples=1
    )
    policy = demo_policy()
    gates = policy.gates.model_copy(update={"validation": (*policy.gates.validation, rule)})
    state: State = replace(place.shell.writer.state, policy=policy.model_copy(update={"gates": gates}))
    inbox = Inbox()
    early = EarlyDenials(lambda: state, inbox, place.shell.clock)
    for number in range(3):
        early.note(BOT, an_order(number).intent(f"mine-{number}"), DENIAL)
    place.pass_ms(JUDGED_COUNT_MS)
    early.queue_due()
    counted = [queued.input.again for queued in await inbox.take(64) if isinstance(queued.input, i.DeniedEarly)]
    assert counted == [0, 2]
