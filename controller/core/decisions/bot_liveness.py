"""Which bots have to be connected for time to count as covered, and whether they are. Ticks, the status and the gateway ask.

The bots of the policy's ``[[bots]]`` count or, where it names none, every bot with a gateway key that is not revoked; and any bot
with an open order. What a bot may keep silent is in ``policies.silence``.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.core.fold.flatten import SELLER
from controller.core.state import State
from exchange.model import Millis
from policies.schema import Policy
from policies.silence import BotLiveness, Heard, judge


def counting(state: State, policy: Policy) -> frozenset[str]:
    """The bots without which no time is covered."""
    keyed = {one.bot for one in state.bot_keys.values() if not one.revoked}
    named = {one.name for one in policy.bots}
    return frozenset((named or keyed) | _with_orders(state))


def of_bot(state: State, policy: Policy, bot: str, heard: Mapping[str, Heard], now: Millis) -> BotLiveness:
    """Whether one bot is connected."""
    return judge(policy, bot, heard.get(bot), has_open_orders=bot in _with_orders(state), now=now)


def of_all(state: State, policy: Policy, heard: Mapping[str, Heard], now: Millis) -> tuple[BotLiveness, ...]:
    """Every bot with a key, every bot of the policy, and every bot with an open order, by name."""
    keyed = {one.bot for one in state.bot_keys.values() if not one.revoked}
    return tuple(of_bot(state, policy, bot, heard, now) for bot in sorted(keyed | counting(state, policy)))


def why_not_all(state: State, policy: Policy, heard: Mapping[str, Heard], now: Millis) -> str:
    """Why not every bot that counts is connected; empty when all are. Where there is no bot at all, none is."""
    bots = sorted(counting(state, policy))
    if not bots:
        return "no bot has a gateway key"
    return next((why for bot in bots if (why := of_bot(state, policy, bot, heard, now).why_not)), "")


def _with_orders(state: State) -> frozenset[str]:
    return frozenset(order.bot for order in state.open.values() if order.working and order.bot != SELLER)
