"""News of the journal for the streams: made beside the writer, in order, for the right bot, or the streams end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from controller.core import inputs as i
from controller.gateway.stream_port import MarketReplaced
from controller.runtime.api import bot_streams as module
from exchange.model import OrderStatus
from exchange.wire.push import BalanceReason, BalanceUpdate
from exchange.wire.push_decode import decode_push
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.streamed_desk import BOT, OTHER, Controller


@pytest.fixture
def desk() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def controller(desk: Desk) -> Iterator[Controller]:
    loop = asyncio.new_event_loop()
    yield Controller(desk, loop)
    loop.close()


def commit(controller: Controller, desk: Desk, since: int) -> None:
    """What the desk decided from its decision number ``since`` on has become durable."""
    for decision in desk.decisions[since:]:
        controller.run(controller.commit(decision))


def bodies(controller: Controller, bot: str = BOT) -> list[object]:
    controller.run(controller.settle())
    return [decode_push(frame).body for frame in controller.sockets[bot].binary()]


def test_orders_fills_and_balances_are_pushed_in_the_journals_order(controller: Controller, desk: Desk) -> None:
    since = len(desk.decisions)
    client_id = desk.placed(desk.order("0.00003", bot_id="mine"))
    desk.fill(client_id, "0.00003")
    commit(controller, desk, since)
    pushed = bodies(controller)
    kinds = [type(one).__name__ for one in pushed if not isinstance(one, BalanceUpdate)]
    reasons = [one.reason for one in pushed if isinstance(one, BalanceUpdate)]
    assert kinds == ["OrderReport", "OrderReport", "Fill"]
    assert reasons[0] is BalanceReason.FREEZE
    assert BalanceReason.DEAL in reasons
    assert bodies(controller, OTHER) != []
    assert all(isinstance(one, BalanceUpdate) for one in bodies(controller, OTHER))


def test_nothing_is_made_in_the_writers_own_step(controller: Controller, desk: Desk) -> None:
    since = len(desk.decisions)
    desk.placed(desk.order("0.00003"))

    async def follow() -> None:
        for decision in desk.decisions[since:]:
            await controller.commit(decision)
        assert controller.port.streams.behind
        assert not controller.hub.unsent

    controller.run(follow())
    assert bodies(controller)


def test_a_change_of_stage_ends_what_was_of_the_old_account_and_market(controller: Controller, desk: Desk) -> None:
    market: list[object] = []
    controller.port.streams.follow_market(market.append)
    since = len(desk.decisions)
    desk.placed(desk.order("0.00003", bot_id="last"))
    assert not desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",)).code
    commit(controller, desk, since)
    pushed = bodies(controller)
    assert type(pushed[0]).__name__ == "OrderReport"
    assert [type(one) for one in market] == [MarketReplaced]
    assert controller.sockets[BOT].ended == (
        1013,
        "gatehouse: the stage is MOCK now, with another account. Connect again and read REST.",
    )


def test_a_halt_ends_no_stream_and_shows_its_cancels(controller: Controller, desk: Desk) -> None:
    since = len(desk.decisions)
    client_id = desk.placed(desk.order("0.00003", "59900"))
    commit(controller, desk, since)
    controller.run(controller.check())
    assert controller.beliefs[BOT].orders[client_id][0] is OrderStatus.NEW
    since = len(desk.decisions)
    desk.move(Verb.HALT, Stage.HALTED, signers=("alice",))
    desk.sweep_all()
    venue = desk.state.orders[client_id].venue
    desk.give(i.VenueReported(venue, desk.report(client_id, OrderStatus.CANCELED)))
    commit(controller, desk, since)
    controller.run(controller.check())
    assert controller.sockets[BOT].ended is None
    assert controller.beliefs[BOT].orders[client_id][0] is OrderStatus.CANCELED


def test_a_journal_faster_than_its_news_ends_the_private_streams(
    controller: Controller, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BEHIND", 3)
    since = len(desk.decisions)
    desk.trade(2)

    async def at_once() -> None:
        for decision in desk.decisions[since:]:
            await controller.commit(decision)

    controller.run(at_once())
    controller.run(controller.settle())
    code, why = controller.sockets[BOT].ended or (0, "")
    assert (code, why) == (1013, "gatehouse: the journal grew faster than this stream. Connect again and read REST.")
    controller.run(controller.check())
    commit(controller, desk, len(desk.decisions))
    controller.run(controller.check())


def test_news_that_cannot_be_made_end_the_streams_and_not_the_writer(
    controller: Controller, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ArithmeticError("no")

    since = len(desk.decisions)
    desk.placed(desk.order("0.00003"))
    monkeypatch.setattr(module, "apply", broken)
    commit(controller, desk, since)
    controller.run(controller.settle())
    assert (controller.sockets[BOT].ended or (0, ""))[1].startswith("gatehouse: an internal error")
    monkeypatch.undo()
    controller.run(controller.check())
    since = len(desk.decisions)
    desk.placed(desk.order("0.00003"))
    commit(controller, desk, since)
    controller.run(controller.check())
    assert len(controller.beliefs[BOT].orders) == 2


def test_a_moved_price_moves_the_balances_without_an_order(controller: Controller, desk: Desk) -> None:
    since = len(desk.decisions)
    client_id = desk.placed(desk.order("0.00009"))
    desk.fill(client_id, "0.00009")
    commit(controller, desk, since)
    bodies(controller)
    desk.price = Decimal(66_000)
    pushed = bodies(controller)
    assert [type(one) for one in pushed] == [BalanceUpdate]
    assert isinstance(pushed[0], BalanceUpdate)
    assert pushed[0].reason is BalanceReason.UNLISTED
    assert pushed[0].free == controller.port.balances(BOT)["USDT"].free
