"""Decisions about a bot's order and a bot's cancellation. ``controller.core.decide`` calls it."""

from __future__ import annotations

from dataclasses import replace

from controller.core import events as e
from controller.core.decisions import absence, moves, reused_ids
from controller.core.decisions.account import account_view
from controller.core.decisions.bot_keys import usable
from controller.core.decisions.draft import Admitted, Draft, Repeated, Reply
from controller.core.decisions.whose import our_prefix
from controller.core.effects import Place
from controller.core.fold.drills import DRILL_RULE
from controller.core.fold.flatten import FLATTEN_RULE
from controller.core.inputs import CancelAsked, DeniedEarly, OrderRequested
from controller.core.state import State
from exchange.model import OrderIntent
from policies.limits import Admit, Deny, LimitContext, check
from policies.stage import Stage

NOT_ARMED = "not-armed"
"""The rule that denies orders until the venues are reconciled. The other rules are ``policies.limits.LimitRule``."""

MOVED = "moved"
"""The rule that denies an order with the market data of another venue, because the stage changed while the order was queued."""

BOT_KEY = "bot-key"
"""The rule that denies an order signed with a key that is revoked, or that was never issued to this bot."""

_REASON_MOST = 300
"""So much of a halt's reason is shown to a bot."""

_KEY_NOT_ISSUED = Deny(
    BOT_KEY,
    "not issued",
    "issued",
    "the key was not issued to this bot, or it was revoked",
    "Use a key that was issued to this bot.",
)
_DRILL_RUNNING = Deny(
    DRILL_RULE, "a drill", "no drill", "a halt drill is running", "Send the order again when the drill has finished."
)
_FLATTEN_RUNNING = Deny(
    FLATTEN_RULE,
    "a flatten",
    "no flatten",
    "gatehouse is selling what it bought",
    "Send the order again when the flatten has ended.",
)


def order_requested(draft: Draft, request: OrderRequested) -> Reply:
    """Admit an order, deny it, or find the same order that was admitted before under the same client id."""
    state = draft.after
    if not usable(state, request.bot, request.key):
        return _deny(draft, request, _KEY_NOT_ISSUED)
    bot_client_id = request.intent.client_id
    first = state.first_of(request.bot, bot_client_id) if bot_client_id else None
    if first is not None:
        reused = reused_ids.refusal(state.orders[first], request, state.position.stage)
        return Repeated(first) if reused is None else _deny(draft, request, reused)
    policy, venue = state.policy, state.venue
    denial = _denies_every_order(state, request) or absence.makes_wait(state, request.intent.side, draft.now)
    if denial is not None or policy is None:
        return _deny(draft, request, denial or _not_armed("no policy is in force"))
    intent = replace(request.intent, client_id=next_client_id(state))
    context = LimitContext(
        account=account_view(state, policy, venue) if venue else None,
        rules=request.rules,
        quotes=request.quotes,
        admitted_at=state.admissions,
        restriction=state.restriction,
        rates=state.rates,
    )
    verdict = check(intent, context, policy, stage=state.position.stage, step=state.position.step, now=draft.now)
    if isinstance(verdict, Deny):
        why = f": {state.halt_reason[:_REASON_MOST]}" if state.position.stage is Stage.HALTED else ""
        return _deny(draft, request, replace(verdict, message=f"{verdict.message} (at {state.position}{why})"))
    assert venue is not None, "the limits admit no order at a stage without a venue"
    draft.emit(_admitted_event(state, request, verdict, intent.client_id))
    draft.do(Place(venue, intent))
    return Admitted(intent.client_id)


def _denies_every_order(state: State, request: OrderRequested) -> Deny | None:
    """The denial that applies to every order now, if there is one."""
    if state.drill is not None and state.drill.latched:
        return _DRILL_RUNNING
    if state.flatten is not None:
        return _FLATTEN_RUNNING
    # At HALTED the halt is the reason, also while its books are not reconciled: ``limits.check`` denies every order there.
    if state.policy is None or not (state.armed or state.position.stage is Stage.HALTED):
        return _not_armed(state.not_armed_because or "no policy is in force")
    if state.venue is not None and state.venue is not request.venue:
        return Deny(
            MOVED,
            f"judged on {request.venue}",
            f"orders go to {state.venue}",
            f"the deployment moved to {state.position} while the order was queued",
            "Read the market again, then send the order again.",
        )
    return None


def _not_armed(because: str) -> Deny:
    return Deny(
        NOT_ARMED,
        "not armed",
        "armed",
        f"gatehouse is not armed: {because}",
        "Wait until the controller is armed; `gatehouse status` says what is missing.",
    )


def denied_early(draft: Draft, noted: DeniedEarly) -> None:
    """Journal a denial that was given before the writer, or how many like it followed. Nothing else depends on it."""
    if not noted.again:
        draft.emit(_denied_event(noted.bot, noted.intent, noted.denial))
        return
    draft.emit(
        e.OrdersDeniedAgain(
            bot=noted.bot,
            rule=str(noted.denial.rule),
            symbol=noted.intent.symbol[:32],
            threshold=noted.denial.threshold,
            measured=noted.denial.measured,
            message=noted.denial.message,
            bot_client_id=noted.intent.client_id,
            since=noted.since,
            count=noted.again,
        )
    )


def cancel_asked(draft: Draft, request: CancelAsked) -> None:
    """Cancel one of the bot's orders. If its outcome is not known, it is cancelled as soon as the venue reports it."""
    order = draft.after.orders.get(request.client_id)
    if order is not None and order.bot == request.bot:
        moves.cancel(draft, order, by=request.bot)


def next_client_id(state: State) -> str:
    """The client order id of the next admitted order: 30 characters of ``[a-z0-9-]``, deterministic, never used twice."""
    return f"{our_prefix(state)}{state.order_number + 1:010d}"


def _admitted_event(state: State, request: OrderRequested, verdict: Admit, client_id: str) -> e.OrderAdmitted:
    intent = request.intent
    assert state.venue is not None
    return e.OrderAdmitted(
        client_id=client_id,
        bot=request.bot,
        bot_client_id=intent.client_id,
        venue=state.venue,
        stage=state.position.stage,
        step=state.position.step,
        symbol=intent.symbol,
        side=intent.side,
        type=intent.type,
        quantity=intent.quantity,
        quote_quantity=intent.quote_quantity,
        price=intent.price,
        exposure_eur=verdict.exposure.eur,
        cap_eur=verdict.cap_eur,
        bid=verdict.quote.bid,
        ask=verdict.quote.ask,
        conditions=request.conditions,
        trace_id=request.trace_id,
    )


def _deny(draft: Draft, request: OrderRequested, denial: Deny) -> Deny:
    draft.emit(_denied_event(request.bot, request.intent, denial, request.trace_id))
    return denial


def _denied_event(bot: str, intent: OrderIntent, denial: Deny, trace_id: str = "") -> e.OrderDenied:
    return e.OrderDenied(
        bot=bot,
        bot_client_id=intent.client_id,
        symbol=intent.symbol[:32],
        side=intent.side,
        type=intent.type,
        quantity=intent.quantity,
        quote_quantity=intent.quote_quantity,
        price=intent.price,
        rule=str(denial.rule),
        measured=denial.measured,
        threshold=denial.threshold,
        message=denial.message,
        trace_id=trace_id,
    )
