"""``gatehouse drill ratelimit`` and ``gatehouse drill ambiguous``: the testnet itself misbehaves, by its control endpoint."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from controller.core.state import Drill
from controller.runtime.drills.control import ControlRefused, TestnetControl
from controller.runtime.drills.practice import POLL_S, Bench, Measured, NotExercised, Unproven
from exchange.errors import ConfigError, GatehouseError, VenueError
from exchange.model import Millis, OrderStatus
from exchange.ports import CancelFailed, Venue
from exchange.wire.errors import ErrorCode

RETRY_AFTER_S = 2
"""How long the testnet asks to wait."""
NO_ORDER = "gh-drill-no-such-order"
"""A cancel of this order reaches the venue, which answers that it does not exist."""

ORDER_WITHIN_S = 60.0
"""How long the bot has to send the order whose answer is lost."""
PROVEN_WITHIN_S = 45.0
HIDDEN_MS = 1_000
"""How long the testnet's queries do not find the order."""
FROZEN_MS = 1_500
"""How long the private stream says nothing at a time; it is renewed until the answer is lost."""


async def limit_rate(bench: Bench, drill: Drill) -> Measured:
    """Let the testnet answer 429 to one query: other queries wait, a cancel still leaves, and no order is sent twice."""
    venue, symbol = bench.venues[drill.venue], bench.policy.symbols[0]
    orders_before, began = frozenset(bench.state().open), bench.clock.now()
    control, fault = await _armed(bench, "rate-limited", {"operation": "query", "retry_after_s": RETRY_AFTER_S})
    try:
        await _limited(bench, drill, control, fault)
        limited_at, limited_ns = bench.clock.now(), bench.clock.monotonic_ns()
        held_back = await _is_held_back(venue, symbol)
        cancel_ms = await _cancel_leaves(bench, venue, symbol)
    finally:
        await _lift(control, "rate-limited")
    if not held_back:
        raise Unproven(f"a query left although the venue had asked to wait for {RETRY_AFTER_S} s")
    await bench.until(
        lambda: (bench.state().ledger(drill.venue).reconciled_at or Millis(0)) > limited_at, "no query was answered again", 20
    )
    again_ms = bench.ms_since(limited_ns)
    twice = [one for one in _orders_since(bench, drill, began, orders_before) if await control.received(one) > 1]
    if twice:
        raise Unproven(f"order {twice[0]} reached the venue twice")
    return {
        "retry_after_ms": RETRY_AFTER_S * 1000,
        "cancel_answered_ms": cancel_ms,
        "answered_again_ms": again_ms,
        "orders_sent_twice": len(twice),
    }


async def _limited(bench: Bench, drill: Drill, control: TestnetControl, fault: int) -> None:
    end_ns = bench.clock.monotonic_ns() + 20 * 1_000_000_000
    while not await control.struck(fault):
        if bench.clock.monotonic_ns() > end_ns:
            raise NotExercised("the testnet was asked nothing that it could answer with 429", "Run the drill again.")
        bench.sweep(drill.venue)
        await asyncio.sleep(POLL_S)


async def _is_held_back(venue: Venue, symbol: str) -> bool:
    """Whether our own client lets no query leave now. The testnet counts its 429 before we have read it, so it is asked again."""
    for _ in range(10):
        try:
            await venue.open_orders(symbol)
        except VenueError as error:
            if error.code == "venue-held-back":
                return True
        await asyncio.sleep(POLL_S)
    return False


async def _cancel_leaves(bench: Bench, venue: Venue, symbol: str) -> int:
    """Cancel an order that does not exist until the venue itself says so; return after how many milliseconds it did."""
    began_ns = bench.clock.monotonic_ns()
    while bench.ms_since(began_ns) < 10_000:
        outcome = await venue.cancel(symbol, NO_ORDER)
        if isinstance(outcome, CancelFailed) and outcome.code == ErrorCode.UNKNOWN_ORDER:
            return bench.ms_since(began_ns)
        await asyncio.sleep(0.1)
    raise Unproven("no cancel was answered while the venue limited queries")


def _orders_since(bench: Bench, drill: Drill, began: Millis, before: frozenset[str]) -> list[str]:
    """The orders that were on their way during the drill."""
    opened = (order for order in bench.state().open_on(drill.venue) if order.admitted_at >= began)
    return [order.client_id for order in opened if order.client_id not in before]


async def lose_an_answer(bench: Bench, drill: Drill) -> Measured:
    """Let the testnet take the bot's next order and lose its answer: it is UNKNOWN, stays reserved, is found, and was sent once."""
    control, _ = await _armed(bench, "lost-ack", {"operation": "place"})
    try:
        await control.arm(
            {"kind": "not-found-lag", "count": 1, "params": {"ms": HIDDEN_MS}},
            {"kind": "stream-freeze", "count": None, "params": {"ms": FROZEN_MS, "channel": "private"}},
        )
        order_id = await _lost(bench, drill)
        _stays_reserved(bench, order_id)
    finally:
        await _lift(control, "lost-ack", "stream-freeze")
        if not bench.drill(drill).order:
            await _lift(control, "not-found-lag")
    await bench.until(
        lambda: bench.state().orders[order_id].status is not OrderStatus.UNKNOWN, f"order {order_id} was not found", PROVEN_WITHIN_S
    )
    found_ms = bench.clock.now() - (bench.drill(drill).seen_at or drill.since)
    received = await control.received(order_id)
    if received != 1:
        raise Unproven(f"order {order_id} reached the venue {received} times")
    return {"unknown_for_ms": found_ms, "received": received}


def _stays_reserved(bench: Bench, order_id: str) -> None:
    order = bench.state().orders[order_id]
    if order.status is OrderStatus.UNKNOWN and order_id not in bench.state().open:
        raise Unproven(f"order {order_id} has no outcome and is not reserved")


async def _lost(bench: Bench, drill: Drill) -> str:
    try:
        await bench.until(lambda: bool(bench.drill(drill).order), "the bot sent no order", ORDER_WITHIN_S)
    except Unproven as error:
        raise NotExercised(error.message, "Run the drill again while the bot trades.") from None
    return bench.drill(drill).order


async def _armed(bench: Bench, kind: str, params: dict[str, object]) -> tuple[TestnetControl, int]:
    try:
        (number,) = await bench.control.arm({"kind": kind, "count": 1, "params": params})
    except (ControlRefused, ConfigError) as error:
        raise NotExercised(error.message, error.remedy) from None
    return bench.control, number


async def _lift(control: TestnetControl, *kinds: str) -> None:
    for kind in kinds:
        # A testnet that is gone has no faults any more.
        with suppress(GatehouseError):
            await control.lift(kind)
