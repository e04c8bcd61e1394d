"""Decisions about the real venue: what it says of the testnet's orders, and how far its simulation is from it (ADR 64).

A simulation that is proven to differ revokes the validation that it made: the deployment steps down as after a soft breach, only
further, to TESTNET_VALIDATING. ``controller.core.decide`` calls it.
"""

from __future__ import annotations

from decimal import Decimal

from controller.core import events as e
from controller.core.decisions import alerts, moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, CancelAll
from controller.core.inputs import OrderTestsAnswered, ShadowEnded
from controller.core.order_state import OrderState
from exchange.model import OrderStatus
from exchange.ports import NOT_SENT, VenueName
from gates.bias import outside_the_band
from policies.numbers import WIDE
from policies.stage import LIVE_STAGES, ON_THE_TESTNET

_PRICE_STEP = Decimal("1e-12")
"""Mean prices are rounded to 12 digits after the point."""


def order_tests_answered(draft: Draft, report: OrderTestsAnswered) -> None:
    """Journal the answers. They count for the validation that is under way, and for nothing else."""
    if draft.after.position.stage in ON_THE_TESTNET:
        draft.emit(e.OrdersTested(accepted=report.accepted, refused=dict(report.refused), unjudged=dict(report.unjudged)))


def shadow_ended(draft: Draft, report: ShadowEnded) -> None:
    """Compare a simulated order with the real one as the books have it, and judge the bias of all pairs of the run."""
    state = draft.after
    order = state.orders.get(report.client_id)
    if order is None or order.venue is not VenueName.LIVE or not order.settled or order.reject_code == NOT_SENT:
        return
    draft.emit(
        e.ShadowCompared(
            client_id=report.client_id,
            mid=report.mid,
            filled=order.status is OrderStatus.FILLED,
            simulated_filled=report.filled,
            price=_mean_price(order),
            simulated_price=None if report.price is None else report.price.quantize(_PRICE_STEP, context=WIDE),
            ack_ms=report.real_ack_ms,
            simulated_ack_ms=report.ack_ms,
            fill_ms=report.real_fill_ms,
            simulated_fill_ms=report.fill_ms,
        )
    )
    policy = state.policy
    if policy is None or state.position.stage not in LIVE_STAGES or state.revoked or draft.after.shadow == state.shadow:
        return
    if why := outside_the_band(draft.after.shadow, policy.shadow):
        _revoke(draft, why)


def _revoke(draft: Draft, why: str) -> None:
    here = draft.after.position
    draft.emit(e.ValidationRevoked(reason=why))
    title = f"the validation is revoked: {here} → TESTNET_VALIDATING"
    alerts.raise_once(draft, AlertKind.VALIDATION, title, why)
    draft.do(Alert(AlertKind.VALIDATION, title, why))
    draft.do(CancelAll(VenueName.LIVE, moves.symbols(draft), because=why))


def _mean_price(order: OrderState) -> Decimal | None:
    """The mean price of the order's trades."""
    if not order.booked:
        return None
    return WIDE.divide(order.booked_quote, order.booked).quantize(_PRICE_STEP, context=WIDE)
