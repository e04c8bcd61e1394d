"""While only a reading of a still account can prove that an order is absent, a bot's orders wait a few seconds for it."""

from __future__ import annotations

import pytest

from controller.core import inputs as i
from controller.core.decisions.absence import ALL_AFTER_MS, STILL_AFTER_MS, STILL_FOR_MS, UNKNOWN_ORDER
from controller.core.decisions.draft import Reply
from controller.core.effects import Cancel, ReadAccount
from exchange.model import OrderStatus, Side
from exchange.ports import Rejected, Unknown, VenueName
from exchange.wire.signing import DEFAULT_RECV_WINDOW
from policies.limits import Deny
from tests.support.desk import Desk

MOCK = VenueName.MOCK
HORIZON_MS = DEFAULT_RECV_WINDOW + 3_000
MOMENTS = {
    "just before": (STILL_AFTER_MS - 1, False, False),
    "buys wait": (STILL_AFTER_MS, True, False),
    "buys still wait": (STILL_AFTER_MS + STILL_FOR_MS - 1, True, False),
    "a pause": (STILL_AFTER_MS + STILL_FOR_MS, False, False),
    "the end of the pause": (ALL_AFTER_MS - 1, False, False),
    "all wait": (ALL_AFTER_MS, True, True),
    "all wait until the halt": (ALL_AFTER_MS + 6_000, True, True),
}


@pytest.fixture
def desk() -> Desk:
    """A bot that holds something to sell."""
    desk = Desk().arm()
    desk.fill(desk.placed(desk.order("0.00003")), "0.00003")
    return desk


def lost(desk: Desk) -> str:
    """An order whose absence only a reading can prove now, at its horizon."""
    client_id = desk.placed(desk.order("0.00003"), Unknown("time-out"))
    desk.pass_time(HORIZON_MS)
    for _ in range(3):
        desk.give(i.LookupAnswered(client_id, None, absent_everywhere=True, asked_at=desk.now))
    return client_id


def tried(desk: Desk, side: Side) -> Reply:
    return desk.fork().give(desk.requested("0.00002", side=side)).reply


def waits(reply: Reply) -> bool:
    return isinstance(reply, Deny) and reply.rule == UNKNOWN_ORDER


@pytest.mark.parametrize("moment", MOMENTS)
def test_orders_wait_when_the_bot_left_no_still_moment(desk: Desk, moment: str) -> None:
    after_ms, buy, sale = MOMENTS[moment]
    lost(desk)
    desk.placed(desk.order("0.00002"))
    desk.pass_time(after_ms)
    assert (waits(tried(desk, Side.BUY)), waits(tried(desk, Side.SELL))) == (buy, sale)


@pytest.mark.parametrize("after_ms", [STILL_AFTER_MS, ALL_AFTER_MS])
def test_nothing_waits_while_the_venue_has_nothing_younger_to_show(desk: Desk, after_ms: int) -> None:
    lost(desk)
    desk.pass_time(after_ms)
    assert not waits(tried(desk, Side.BUY))


def test_a_younger_order_that_is_lost_too_shows_nothing(desk: Desk) -> None:
    lost(desk)
    desk.placed(desk.order("0.00002"), Unknown("time-out"))
    desk.pass_time(STILL_AFTER_MS)
    assert not waits(tried(desk, Side.BUY))


@pytest.mark.parametrize("after_ms", [STILL_AFTER_MS, ALL_AFTER_MS])
def test_a_younger_order_that_was_rejected_shows_nothing(desk: Desk, after_ms: int) -> None:
    lost(desk)
    desk.placed(desk.order("0.00002"), Rejected(30004, "Insufficient position"))
    desk.pass_time(after_ms)
    assert not waits(tried(desk, Side.BUY))


@pytest.mark.parametrize("after_ms", [STILL_AFTER_MS, ALL_AFTER_MS])
def test_a_younger_order_that_was_cancelled_untraded_shows_nothing(desk: Desk, after_ms: int) -> None:
    lost(desk)
    younger = desk.placed(desk.order("0.00002"))
    desk.give(i.CancelAsked("demo-bot", younger))
    desk.give(i.VenueReported(MOCK, desk.report(younger, OrderStatus.CANCELED)))
    desk.pass_time(after_ms)
    assert not waits(tried(desk, Side.BUY))


def test_a_younger_order_that_traded_is_shown_when_it_is_settled(desk: Desk) -> None:
    lost(desk)
    younger = desk.placed(desk.order("0.00002"))
    desk.fill(younger, "0.00002")
    desk.give(i.VenueReported(MOCK, desk.report(younger, OrderStatus.FILLED, "0.00002")))
    assert younger not in desk.state.open
    desk.pass_time(ALL_AFTER_MS)
    assert waits(tried(desk, Side.BUY))


def test_the_refusal_names_the_order_and_when_to_try_again(desk: Desk) -> None:
    client_id = lost(desk)
    desk.placed(desk.order("0.00002"))
    desk.pass_time(STILL_AFTER_MS)
    reply = tried(desk, Side.BUY)
    assert isinstance(reply, Deny)
    assert reply.message == f"the outcome of {client_id} is not known, and the account is read while no order changes it"
    assert "in 5 s" in reply.remedy


def test_a_cancel_never_waits(desk: Desk) -> None:
    lost(desk)
    later = desk.placed(desk.order("0.00002"))
    desk.pass_time(ALL_AFTER_MS)
    assert [effect.client_id for effect in desk.give(i.CancelAsked("demo-bot", later)).effects if isinstance(effect, Cancel)] == [
        later
    ]


@pytest.mark.parametrize(("after_ms", "reads"), [(STILL_AFTER_MS - 1, []), (STILL_AFTER_MS, [ReadAccount(MOCK)])])
def test_the_account_is_read_while_orders_wait(desk: Desk, after_ms: int, reads: list[ReadAccount]) -> None:
    lost(desk)
    desk.fill(desk.placed(desk.order("0.00002")), "0.00002")
    desk.pass_time(after_ms)
    assert [effect for effect in desk.tick().effects if isinstance(effect, ReadAccount)] == reads


def test_nothing_waits_for_an_order_that_is_found(desk: Desk) -> None:
    client_id = lost(desk)
    desk.placed(desk.order("0.00002"))
    desk.give(i.VenueReported(MOCK, desk.report(client_id, OrderStatus.NEW)))
    desk.pass_time(ALL_AFTER_MS)
    assert not waits(tried(desk, Side.BUY))
