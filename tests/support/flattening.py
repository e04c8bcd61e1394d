"""A desk that holds something, a signed flatten, and a venue that answers its sales. The tests of flatten use it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from controller.core import inputs as i
from controller.core.decisions.draft import CommandReply
from controller.core.decisions.flatten import ALL
from controller.core.effects import PlaceExit
from controller.core.order_state import OrderState
from exchange.model import OrderIntent, OrderStatus, Side
from exchange.ports import Ack
from policies.authority import Verb
from tests.support.desk import Desk

D = Decimal
EVERY_MS = 500
"""``flatten.every_ms`` of the demo policy."""

FilledOf = Callable[[OrderIntent], Decimal]
"""How much of a sale the venue fills."""


def all_of(intent: OrderIntent) -> Decimal:
    assert intent.quantity is not None
    return intent.quantity


def none_of(_: OrderIntent) -> Decimal:
    return D(0)


def hold(desk: Desk, *amounts: str) -> Desk:
    """Let the bot buy, one order for each amount."""
    return _trade(desk, Side.BUY, amounts)


def let_go(desk: Desk, *amounts: str) -> Desk:
    """Let the bot sell, one order for each amount."""
    return _trade(desk, Side.SELL, amounts)


def _trade(desk: Desk, side: Side, amounts: tuple[str, ...]) -> Desk:
    for amount in amounts:
        desk.pass_time(200)
        client_id = desk.placed(desk.order(amount, side=side))
        desk.fill(client_id, amount)
        desk.give(i.VenueReported(desk.state.orders[client_id].venue, desk.report(client_id, OrderStatus.FILLED, amount)))
    return desk


def flatten(desk: Desk, subject: str = ALL, *signers: str) -> CommandReply:
    return desk.ask(Verb.FLATTEN, subject, *(signers or ("alice",)))


def sales(desk: Desk) -> list[OrderIntent]:
    """Every sale that a flatten has sent so far."""
    return [effect.intent for decision in desk.decisions for effect in decision.effects if isinstance(effect, PlaceExit)]


def answer(desk: Desk, intent: OrderIntent, filled: Decimal, *, parts: int = 1) -> None:
    """The venue takes a sale, fills a part of it, and ends it."""
    order: OrderState = desk.state.orders[intent.client_id]
    desk.give(i.PlacementAnswered(intent.client_id, Ack(f"C02__{intent.client_id}", desk.now)))
    for _ in range(parts if filled else 0):
        desk.fill(intent.client_id, str(filled / parts))
    whole = filled == intent.quantity
    status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_CANCELED if filled else OrderStatus.CANCELED
    desk.give(i.VenueReported(order.venue, desk.report(intent.client_id, status, str(filled))))


def play(desk: Desk, filled: FilledOf = all_of, *, ticks: int = 50) -> None:
    """Let time pass until the flatten ends: the venue is empty, reconciles, and answers every sale at once."""
    seen = {intent.client_id for intent in sales(desk)}
    for number in range(ticks):
        if desk.state.flatten is None:
            return
        desk.pass_time(EVERY_MS)
        if number % 4 == 0:
            desk.sweep_all()
        desk.tick()
        for intent in sales(desk):
            if intent.client_id not in seen:
                seen.add(intent.client_id)
                answer(desk, intent, filled(intent))


def held(desk: Desk) -> Decimal:
    """What the account of the watched venue holds of BTC."""
    venue = desk.state.watched
    assert venue is not None
    return (desk.state.ledger(venue).totals or {}).get("BTC", D(0))
