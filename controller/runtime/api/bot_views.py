"""Which bots are connected, for ``status_view``."""

from __future__ import annotations

from controller.console.bot_view import BotView
from controller.core.decisions import bot_liveness
from controller.core.inputs import Tick
from controller.core.state import State
from exchange.model import Millis
from policies.schema import Policy


def bot_views(state: State, policy: Policy, seen: Tick, now: Millis) -> tuple[BotView, ...]:
    """Every bot that counts or has a key."""
    counting = bot_liveness.counting(state, policy)
    return tuple(
        BotView(
            bot=one.bot,
            live=one.live,
            counts=one.bot in counting,
            silent_ms=None if one.heard is None else max(0, now - one.heard.at),
            heard_by="" if one.heard is None else one.heard.by.value,
            streams=0 if one.heard is None else one.heard.streams,
            silence_max_ms=one.allowed_ms,
            why_not=one.why_not,
        )
        for one in bot_liveness.of_all(state, policy, seen.bots, now)
    )
