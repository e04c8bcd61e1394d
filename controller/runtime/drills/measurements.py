"""``gatehouse drill stale`` and ``gatehouse drill clock``: a measurement is withheld or made wrong, and orders have to be refused.

What the decision about an order would answer is asked all the time, without an order (``controller.core.decisions.probe``).
"""

from __future__ import annotations

from decimal import Decimal

from controller.core.decisions.probe import refusing_rule
from controller.core.state import Drill
from controller.runtime.drills.practice import Bench, Measured, NotExercised
from exchange.model import Millis
from policies.limit_types import LimitRule

STALE_WITHIN_MS = 40_000
"""A policy that tolerates older data is not practised: the drill has to end within its deadline."""

_STALE_RULES = frozenset({LimitRule.QUOTE.value, LimitRule.GUARD.value})
_KEY = "Issue a gateway key with `gatehouse issue-bot-key NAME --key KEY --reason WHY`, then run the drill again."


class _Probe:
    """Asks for the rule that refuses orders now."""

    def __init__(self, bench: Bench, drill: Drill) -> None:
        self._bench = bench
        self._venue = drill.venue
        quotes = bench.markets.quotes(drill.venue)
        quote = quotes.get(bench.policy.symbols[0])
        if quote is None:
            raise NotExercised("there is no market data to withhold", "Wait until `gatehouse status` shows a market.")
        self._price: Decimal = quote.bid
        if self.rule() is None:
            raise NotExercised("no gateway key is in use, so no order can be asked about", _KEY)

    def rule(self) -> str | None:
        """The rule that would deny an order now; empty when it would be admitted."""
        bench = self._bench
        quotes, rules = bench.markets.quotes(self._venue), bench.markets.rules_of(self._venue)
        return refusing_rule(bench.state(), quotes, rules, bench.clock.now(), self._price)


async def withhold_market_data(bench: Bench, drill: Drill) -> Measured:
    """Show the writer the last quotes again and again, until orders are refused and the guard has stopped entries."""
    policy = bench.policy
    limit_ms = max(policy.limits.quote_max_age_ms, policy.guards.quote_stale.no_entry_ms)
    if limit_ms > STALE_WITHIN_MS:
        raise NotExercised(
            f"the policy tolerates data of {limit_ms} ms, which is too long for a drill", "Lower limits.quote_max_age_ms."
        )
    probe = _Probe(bench, drill)
    last_data = min(quote.received_at for quote in bench.markets.quotes(drill.venue).values())
    denied_at: list[Millis] = []

    def refused() -> bool:
        if not denied_at and probe.rule() in _STALE_RULES:
            denied_at.append(bench.clock.now())
        return bool(denied_at) and bench.drill(drill).seen_at is not None

    try:
        bench.markets.withhold(drill.venue)
        await bench.until(refused, "orders were not refused for stale data", limit_ms / 1000 + 10)
        guard_at = bench.drill(drill).seen_at or Millis(0)
    finally:
        bench.markets.release(drill.venue)
    released_ns = bench.clock.monotonic_ns()
    await bench.until(
        lambda: probe.rule() not in _STALE_RULES and not bench.state().guard_level, "orders were not accepted on fresh data", 10
    )
    return {
        "limit_ms": policy.limits.quote_max_age_ms,
        "last_data_to_denial_ms": denied_at[0] - last_data,
        "last_data_to_guard_ms": guard_at - last_data,
        "fresh_again_ms": bench.ms_since(released_ns),
    }


async def shift_clock(bench: Bench, drill: Drill) -> Measured:
    """Report an offset between the level that stops entries and the one that halts, until the guard has stopped entries."""
    rule = bench.policy.guards.clock_offset
    shift_ms = (rule.no_entry_ms + rule.halt_ms) // 2
    probe, began_ns = _Probe(bench, drill), bench.clock.monotonic_ns()
    try:
        bench.markets.shift_clock(drill.venue, shift_ms)
        await bench.until(
            lambda: bench.drill(drill).seen_at is not None and probe.rule() == LimitRule.GUARD,
            "orders were not refused for a wrong clock",
            10,
        )
        denied_ms = bench.ms_since(began_ns)
    finally:
        bench.markets.shift_clock(drill.venue, 0)
    released_ns = bench.clock.monotonic_ns()
    await bench.until(
        lambda: probe.rule() != LimitRule.GUARD and not bench.state().guard_level, "the clock was not measured as good again", 10
    )
    return {
        "offset_ms": shift_ms,
        "limit_ms": rule.no_entry_ms,
        "shift_to_denial_ms": denied_ms,
        "good_again_ms": bench.ms_since(released_ns),
    }
