"""A bot's order and a bot's cancel."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from controller.core import events as e
from controller.core.decisions import moves
from controller.core.decisions.account import account_view
from controller.core.decisions.bot_keys import usable
from controller.core.decisions.draft import Admitted, Draft, Repeated, Reply
from controller.core.effects import Place
from controller.core.fold.drills import DRILL_RULE
from controller.core.inputs import CancelAsked, OrderRequested
from controller.core.state import State
from policies.limits import Admit, Deny, LimitContext, check

NOT_ARMED = "not-armed"
"""The rule that denies before the venues are reconciled. The other rules are ``policies.limits.LimitRule``."""

MOVED = "moved"
"""The rule that denies an order whose market data is another venue's, because the stage changed while it waited."""

BOT_KEY = "bot-key"
"""The rule that denies what was signed with a key that is revoked, or that was never issued to this bot."""

_NO_KEY = Deny(
    BOT_KEY, "not issued", "issued", "the key was not issued to this bot, or it was revoked", "Use a key that was issued."
)
_DRILLED = Deny(DRILL_RULE, "a drill", "no drill", "a halt is being practised", "Send the order anew when the drill has finished.")


def requested(draft: Draft, given: OrderRequested) -> Reply:
    """Admit an order, deny it, or recognise one that was admitted before under the same id."""
    state = draft.after
    if not usable(state, given.bot, given.key):
        return _deny(draft, given, _NO_KEY)
    bot_client_id = given.intent.client_id
    first = state.first_of(given.bot, bot_client_id) if bot_client_id else None
    if first is not None:
        return Repeated(first)
    policy, venue = state.policy, state.venue
    if (denial := _barred(state, given)) is not None or policy is None:
        return _deny(draft, given, denial or _not_armed("no policy is in force"))
    intent = replace(given.intent, client_id=next_client_id(state))
    context = LimitContext(
        account=account_view(state, policy, venue) if venue else None,
        rules=given.rules,
        quotes=given.quotes,
        admitted_at=state.admissions,
        standing=state.standing,
    )
    verdict = check(intent, context, policy, stage=state.position.stage, step=state.position.step, now=draft.now)
    if isinstance(verdict, Deny):
        return _deny(draft, given, replace(verdict, message=f"{verdict.message} (at {state.position})"))
    assert venue is not None, "the limits admit nothing where no venue is"
    draft.emit(_admission(state, given, verdict, intent.client_id))
    draft.do(Place(venue, intent))
    return Admitted(intent.client_id)


def _barred(state: State, given: OrderRequested) -> Deny | None:
    """What keeps every order out, whatever it is."""
    if state.drill is not None:
        return _DRILLED
    if state.policy is None or not state.armed:
        return _not_armed(state.not_armed_because or "no policy is in force")
    if state.venue is not None and state.venue is not given.venue:
        return Deny(
            MOVED,
            f"judged on {given.venue}",
            f"orders go to {state.venue}",
            f"the deployment moved to {state.position} while the order waited",
            "Look at the market again and send the order anew.",
        )
    return None


def _not_armed(because: str) -> Deny:
    return Deny(
        NOT_ARMED, "not armed", "armed", f"gatehouse is not armed: {because}", "Wait; `gatehouse status` says what is missing."
    )


def cancel_asked(draft: Draft, given: CancelAsked) -> None:
    """Cancel one of the bot's orders. One whose outcome is open is cancelled as soon as the venue is known to hold it."""
    order = draft.after.orders.get(given.client_id)
    if order is not None and order.bot == given.bot:
        moves.cancel(draft, order, by=given.bot)


def next_client_id(state: State) -> str:
    """The deterministic client order id of the next admission: 24 characters of ``[a-z0-9-]``, unique per controller for ever."""
    owner = hashlib.sha256(f"{state.controller_id} {state.environment}".encode()).hexdigest()[:10]
    return f"gh-{owner}-{state.order_number + 1:010d}"


def _admission(state: State, given: OrderRequested, verdict: Admit, client_id: str) -> e.OrderAdmitted:
    intent = given.intent
    assert state.venue is not None
    return e.OrderAdmitted(
        client_id=client_id,
        bot=given.bot,
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
    )


def _deny(draft: Draft, given: OrderRequested, denial: Deny) -> Deny:
    intent = given.intent
    draft.emit(
        e.OrderDenied(
            bot=given.bot,
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
        )
    )
    return denial
