"""How long a bot may say nothing before it counts as gone (ADR 55). ``controller.core.decisions.bot_liveness`` asks for each bot.

A bot that trades by candles sends a burst of requests once a minute and nothing in between, and it works. So each bot has an
allowed silence: the policy's ``[[bots]] silence_max_ms`` or, without one, a time that depends on whether an order of it is open.
A bot that was never heard is not live.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exchange.model import Millis
from policies.schema import Policy

SILENCE_WITH_ORDERS_MS = 10_000
"""The allowed silence of a bot with an open order, where the policy names none: an order that nobody minds is a risk."""

SILENCE_FLAT_MS = 120_000
"""The allowed silence of a bot without an open order, where the policy names none: two candles of one minute."""


class HeardBy(StrEnum):
    """What a bot was heard by."""

    REQUEST = "a signed request"
    HEARTBEAT = "a heartbeat"
    STREAM = "a stream"
    MARKET_DATA = "a market data request on its connection"


@dataclass(frozen=True, slots=True)
class Heard:
    """When a bot was last heard and by what. ``streams``: how many signed-in streams of it are open now."""

    at: Millis
    by: HeardBy
    streams: int = 0


@dataclass(frozen=True, slots=True)
class BotLiveness:
    """Whether a bot is live. ``why_not`` says why it is not and is empty when it is; ``allowed_ms`` is its allowed silence."""

    bot: str
    heard: Heard | None
    allowed_ms: int
    why_not: str

    @property
    def live(self) -> bool:
        """Whether it is live."""
        return not self.why_not


def allowed_silence_ms(policy: Policy, bot: str, *, has_open_orders: bool) -> int:
    """For how long this bot may say nothing now."""
    stated = next((one.silence_max_ms for one in policy.bots if one.name == bot), None)
    if stated is not None:
        return stated
    return SILENCE_WITH_ORDERS_MS if has_open_orders else SILENCE_FLAT_MS


def judge(policy: Policy, bot: str, heard: Heard | None, *, has_open_orders: bool, now: Millis) -> BotLiveness:
    """Whether a bot is live at ``now``. An open stream is live by itself; its server ends one that does not answer."""
    allowed = allowed_silence_ms(policy, bot, has_open_orders=has_open_orders)
    return BotLiveness(bot, heard, allowed, _why_not(bot, heard, allowed, now))


def _why_not(bot: str, heard: Heard | None, allowed_ms: int, now: Millis) -> str:
    if heard is None:
        return f"the bot {bot} was not heard since this process started"
    if heard.streams > 0:
        return ""
    if heard.at > now:
        return f"the bot {bot} was last heard at a time that the clock has not reached: the clock was set back"
    if now - heard.at > allowed_ms:
        return f"the bot {bot} is silent for longer than {allowed_ms} ms"
    return ""
