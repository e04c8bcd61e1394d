"""Refusals that repeat: the first is journalled at once, the others are counted together, one entry a minute (ADR 56).

After a halt a bot may send an order twenty times a second, and each refusal was an entry and a sync of the disk. Every order is
still decided afresh, so nothing here can admit or refuse one. What changes is what is written about a refusal that says the same
again: the same bot, rule, symbol and limit, while the fact that causes it is the same one. ``held`` keeps the count and writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core import events as e
from controller.core.fold.flatten import FLATTEN_RULE
from controller.core.state import State
from exchange.model import Millis
from policies.limit_types import LimitRule
from policies.rules import GateName, MetricName
from policies.schema import Policy
from policies.values import replace

COUNT_MS = 60_000
"""How long repeated refusals are counted before they are journalled, and how long a refusal is known after it was."""

KINDS_MOST = 64
"""How many kinds are known at once. A refusal beyond that is journalled like a first one."""

ABOUT_THE_DEPLOYMENT = frozenset(
    {
        *(LimitRule.STAGE, LimitRule.SYMBOL, LimitRule.GUARD, LimitRule.QUOTE, LimitRule.HOLDINGS),
        *(LimitRule.EUR_RATE, LimitRule.EUR_RATE_BAND, LimitRule.ORDER_RATE, LimitRule.OPEN_ORDERS),
        *("not-armed", "bot-key", FLATTEN_RULE),
    }
)
"""The rules whose denial is not about what is in the order. Every denial by another rule is journalled with its order."""

Fact = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    bot: str
    rule: str
    symbol: str
    threshold: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class _Known:
    """One kind of refusal: when something of it was last journalled, and what has come since."""

    kind: _Kind
    written_at: Millis
    newest: e.OrderDenied
    count: int = 0
    since: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class Refusals:
    """The kinds that are known. It belongs to what is held back, and is no part of the state."""

    known: tuple[_Known, ...] = ()

    def __bool__(self) -> bool:
        """Whether something is counted and not journalled."""
        return any(one.count for one in self.known)

    def counted(self, event: e.OrderDenied, fact: Fact | None, now: Millis) -> Refusals | None:
        """This with one more refusal; ``None`` if it is the first of its kind, or may not be counted with others."""
        if fact is None or event.rule not in ABOUT_THE_DEPLOYMENT:
            return None
        kind = _kind_of(event, fact)
        before = next((one for one in self._fresh(now) if one.kind == kind), None)
        if before is None:
            return None
        after = replace(before, newest=event, count=before.count + 1, since=before.since if before.count else now)
        return Refusals(tuple(after if one.kind == kind else one for one in self._fresh(now)))

    @property
    def pending(self) -> int:
        """How many refusals are counted and not journalled yet."""
        return sum(one.count for one in self.known)

    def events(self) -> tuple[e.OrdersDeniedAgain, ...]:
        """What the journal gets of it."""
        return tuple(
            e.OrdersDeniedAgain(
                bot=one.kind.bot,
                rule=one.kind.rule,
                symbol=one.kind.symbol,
                threshold=one.kind.threshold,
                measured=one.newest.measured,
                message=one.newest.message,
                bot_client_id=one.newest.bot_client_id,
                since=one.since,
                count=one.count,
            )
            for one in self.known
            if one.count
        )

    def due(self, now: Millis) -> Refusals:
        """The part that is counted for long enough."""
        return Refusals(tuple(one for one in self.known if one.count and now - one.written_at >= COUNT_MS))

    def without(self, written: Refusals, now: Millis) -> Refusals:
        """What is known after a part of this was journalled now."""
        kinds = {one.kind for one in written.known}
        return Refusals(tuple(replace(one, count=0, written_at=now) if one.kind in kinds else one for one in self._fresh(now)))

    def first(self, event: e.OrderDenied, fact: Fact | None, now: Millis) -> Refusals:
        """This with the first refusal of a kind, which is journalled now."""
        if fact is None or event.rule not in ABOUT_THE_DEPLOYMENT:
            return self
        kind = _kind_of(event, fact)
        others = tuple(one for one in self._fresh(now) if one.kind != kind)
        if len(others) >= KINDS_MOST:
            return Refusals(others)
        return Refusals((*others, _Known(kind, now, event)))

    def _fresh(self, now: Millis) -> tuple[_Known, ...]:
        """Without what is so old that the next one is a first one again. What is counted is never forgotten."""
        return tuple(one for one in self.known if one.count or now - one.written_at < COUNT_MS)


def fact_of(state: State) -> Fact | None:
    """What identifies the facts that deny orders now: when it changes, the same words are about something else.

    ``None``: nothing is counted together, because a gate of the policy compares how many orders were denied. A process that is
    killed loses what it counted, and that must not make evidence better.
    """
    if state.policy is None or _judges_denials(state.policy):
        return None
    flatten = state.flatten.since if state.flatten is not None else None
    return (
        *(state.epoch, state.governance_seq, state.stage_since, state.position, state.policy_digest),
        *(state.guard_level, state.guard_since, state.armed, state.not_armed_because, flatten),
    )


def _judges_denials(policy: Policy) -> bool:
    return any(rule.metric is MetricName.DENIED_ORDERS for gate in GateName for rule in policy.gates.of(gate))


def _kind_of(event: e.OrderDenied, fact: Fact) -> _Kind:
    return _Kind(event.bot, event.rule, event.symbol, event.threshold, fact)
