"""How events change what is known of the EUR rate (``policies.eur``). ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from immutables import Map

from controller.core import events as e
from controller.core.state import Ledger, State
from exchange.model import Millis
from gates.measure import Tally
from policies.eur import NO_RATES, RateReading, Rates, centre, lowest
from policies.exposure import EUR_STEP
from policies.numbers import WIDE
from policies.schema import Policy
from policies.values import replace


def rate_read(state: State, event: e.EurRateRead) -> State:
    """Keep the newest reading of a source."""
    reading = RateReading(event.source, event.low, event.high, Millis(event.as_of))
    return replace(state, rates=state.rates.with_reading(reading))


def rate_set(state: State, event: e.EurRateSet) -> State:
    """Move the centre. What was measured in EUR is measured anew with it, so that the step is neither a profit nor a loss."""
    policy = state.policy
    assert policy is not None
    rates = replace(state.rates, centre=event.quote_per_eur)
    state = _converted(state, WIDE.divide(centre(policy.eur_rate, state.rates), event.quote_per_eur))
    return replace(state, rates=rates)


def policy_adopted(state: State, before: Policy | None, after: Policy) -> State:
    """Begin with the policy's own centre. Rates of another asset are forgotten, and EUR amounts follow as in ``rate_set``."""
    if before is None or before.eur_rate.asset != after.eur_rate.asset:
        return replace(state, rates=NO_RATES)
    rates = Rates(last=tuple(one for one in state.rates.last if after.eur_rate.follow is not None))
    if before.eur_rate.follow is not None or after.eur_rate.follow is not None:
        state = _converted(state, WIDE.divide(lowest(before.eur_rate, state.rates), lowest(after.eur_rate, rates)))
    return replace(state, rates=rates)


def _converted(state: State, factor: Decimal) -> State:
    if factor == 1:
        return state
    ledgers = Map({name: _ledger(ledger, factor) for name, ledger in state.ledgers.items()})
    tally = state.tally
    return replace(state, ledgers=ledgers, tally=_tally(tally, factor) if tally is not None else None)


def _ledger(ledger: Ledger, factor: Decimal) -> Ledger:
    return replace(
        ledger,
        equity_eur=_times(ledger.equity_eur, factor),
        valued_eur=_times(ledger.valued_eur, factor),
        day_start_eur=_times(ledger.day_start_eur, factor),
        peak_eur=_times(ledger.peak_eur, factor),
    )


def _tally(tally: Tally, factor: Decimal) -> Tally:
    return replace(
        tally.with_unit(factor),
        equity_start=_times(tally.equity_start, factor),
        equity_peak=_times(tally.equity_peak, factor),
        equity_last=_times(tally.equity_last, factor),
    )


def _times(amount: Decimal | None, factor: Decimal) -> Decimal | None:
    if amount is None:
        return None
    return WIDE.multiply(amount, factor).quantize(EUR_STEP, rounding=ROUND_CEILING, context=WIDE)
