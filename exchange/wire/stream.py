"""Reads and writes the stream's channel names and control frames (mexc-spot-v3.md §7.1, §7.2). Client and testnet call it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from exchange.model import SYMBOL
from exchange.wire.errors import ErrorCode, MalformedReply, load_json, refuse
from exchange.wire.fields import Fields
from exchange.wire.market import Interval

MAX_SUBSCRIPTIONS = 30
"""Per connection (§1.5)."""

MAX_CLIENT_FRAME = 1_024
"""Bytes of one client message (§1.5)."""

BAD_LISTEN_KEY = "Invalid listen key"
"""The text sent to a connection with a bad or expired listen key (§1.3)."""


_SYMBOL_PATTERN = re.compile(SYMBOL)
_ZONE_PATTERN = re.compile(r"24H|UTC[+-](?:[0-9]|1[0-4])(?::(?:30|45))?")


class Topic(StrEnum):
    """The supported channels, without their arguments."""

    AGGRE_DEPTH = "spot@public.aggre.depth.v3.api.pb"
    AGGRE_DEALS = "spot@public.aggre.deals.v3.api.pb"
    AGGRE_BOOK_TICKER = "spot@public.aggre.bookTicker.v3.api.pb"
    LIMIT_DEPTH = "spot@public.limit.depth.v3.api.pb"
    INCREASE_DEPTH_BATCH = "spot@public.increase.depth.batch.v3.api.pb"
    BOOK_TICKER_BATCH = "spot@public.bookTicker.batch.v3.api.pb"
    KLINE = "spot@public.kline.v3.api.pb"
    MINI_TICKER = "spot@public.miniTicker.v3.api.pb"
    MINI_TICKERS = "spot@public.miniTickers.v3.api.pb"
    PRIVATE_ORDERS = "spot@private.orders.v3.api.pb"
    PRIVATE_DEALS = "spot@private.deals.v3.api.pb"
    PRIVATE_ACCOUNT = "spot@private.account.v3.api.pb"

    @property
    def is_private(self) -> bool:
        """Whether it needs a listen key."""
        return self.value.startswith("spot@private.")


_TOPICS = {topic.value: topic for topic in Topic}


class Speed(StrEnum):
    """How often an aggregated channel pushes."""

    MS100 = "100ms"
    MS10 = "10ms"


@dataclass(frozen=True, slots=True)
class Channel:
    """One subscription. ``name`` is the exact text, because pushes repeat the subscribed spelling (§7.2).

    ``zone`` says when the day of a mini ticker begins: at midnight of a zone like ``UTC+8``, or 24 hours ago for ``24H``.
    """

    name: str
    topic: Topic
    symbol: str | None = None
    speed: Speed | None = None
    levels: int | None = None
    interval: Interval | None = None
    zone: str | None = None


ORDERS = Channel(Topic.PRIVATE_ORDERS.value, Topic.PRIVATE_ORDERS)
DEALS = Channel(Topic.PRIVATE_DEALS.value, Topic.PRIVATE_DEALS)
ACCOUNT = Channel(Topic.PRIVATE_ACCOUNT.value, Topic.PRIVATE_ACCOUNT)
PRIVATE_CHANNELS = (ORDERS, DEALS, ACCOUNT)


def depth_channel(symbol: str, speed: Speed = Speed.MS100) -> Channel:
    """Incremental depth of one symbol."""
    return Channel(f"{Topic.AGGRE_DEPTH}@{speed}@{symbol}", Topic.AGGRE_DEPTH, symbol, speed=speed)


def deals_channel(symbol: str, speed: Speed = Speed.MS100) -> Channel:
    """Public trades of one symbol."""
    return Channel(f"{Topic.AGGRE_DEALS}@{speed}@{symbol}", Topic.AGGRE_DEALS, symbol, speed=speed)


@lru_cache(maxsize=1_024)
def parse_channel(name: str) -> Channel | None:
    """Read a channel in any spelling clients use (§7.2: no speed, or the levels before the symbol); ``None`` if unsupported."""
    prefix, *arguments = name.replace("@", " ", 1).split("@")
    topic = _TOPICS.get(prefix.replace(" ", "@", 1))
    if topic is None:
        return None
    if topic.is_private:
        return Channel(name, topic) if not arguments else None
    return _READERS.get(topic, _aggregated)(name, topic, arguments)


class ControlMethod(StrEnum):
    """The requests of a client to a stream."""

    SUBSCRIPTION = "SUBSCRIPTION"
    UNSUBSCRIPTION = "UNSUBSCRIPTION"
    PING = "PING"


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One client frame. ``channels`` are as sent and may be invalid; ``id`` is 0 if none was sent, and is returned (§7.1)."""

    method: ControlMethod
    channels: tuple[str, ...] = ()
    id: int = 0


@dataclass(frozen=True, slots=True)
class ControlReply:
    """One server text frame. ``code`` is 0 even for a refusal (§1.3), so only ``accepted`` shows the subscribed channels."""

    id: int
    code: int
    msg: str

    def accepted(self, requested: Sequence[Channel]) -> tuple[Channel, ...]:
        """Those of the requested channels that the reply lists by name. Any other text accepts nothing."""
        listed = set(self.msg.split(","))
        return tuple(channel for channel in requested if channel.name in listed)


def subscribe_frames(channels: Sequence[Channel], first_id: int = 1) -> list[str]:
    """SUBSCRIPTION frames for the channels, each within MEXC's size limit, with ids counting up from ``first_id``.

    Raises:
        ValueError: more channels than one connection may have (§1.5).
    """
    if len(channels) > MAX_SUBSCRIPTIONS:
        raise ValueError(f"{len(channels)} channels; a connection takes {MAX_SUBSCRIPTIONS}")
    frames: list[str] = []
    batch: list[Channel] = []
    for channel in channels:
        if batch and len(_request([*batch, channel], first_id + len(frames))) > MAX_CLIENT_FRAME:
            frames.append(_request(batch, first_id + len(frames)))
            batch = []
        batch.append(channel)
    if batch:
        frames.append(_request(batch, first_id + len(frames)))
    return frames


def ping_frame() -> str:
    """A PING frame."""
    return '{"method":"PING"}'


def parse_request(text: str) -> ControlRequest:
    """Read a client frame; the method in upper or lower case (§7.1), a missing or invalid id as 0.

    Raises:
        WireRefusal: not a valid frame; reply with ``format_error_frame``.
    """
    try:
        fields = Fields("frame", load_json(text.encode("utf-8", errors="replace")))
        method = ControlMethod(fields.text("method").upper())
        items = fields.items("params") if method is not ControlMethod.PING else ()
        channels = tuple(item for item in items if isinstance(item, str))
    except (MalformedReply, ValueError) as error:
        raise refuse(ErrorCode.BAD_PARAMETER, "msg format invalid") from error
    if len(channels) != len(items) or (method is not ControlMethod.PING and not channels):
        raise refuse(ErrorCode.BAD_PARAMETER, "msg format invalid")
    identifier = fields.raw("id")
    usable = isinstance(identifier, int) and not isinstance(identifier, bool)
    return ControlRequest(method, channels, identifier if usable and isinstance(identifier, int) else 0)


def ack_frame(accepted: Sequence[str], request_id: int = 0) -> str:
    """The reply to a subscribe or unsubscribe: the accepted channels, comma-separated."""
    return _reply(request_id, ",".join(accepted))


def refused_frame(channels: Sequence[str], request_id: int = 0, reason: str = "Blocked! ") -> str:
    """The reply to a subscription that is not granted (§1.3), with MEXC's full-width colon, code 0 and reason."""
    return _reply(request_id, f"Not Subscribed successfully! [{','.join(channels)}].  Reason： {reason}")


def pong_frame() -> str:
    """The reply to a PING."""
    return _reply(0, "PONG")


def format_error_frame() -> str:
    """The reply to a frame MEXC does not understand."""
    return _reply(0, "msg format invalid")


def parse_reply(text: str) -> ControlReply:
    """Read a server text frame. Raises ``MalformedReply``, also for the text of a bad listen key."""
    fields = Fields("control reply", load_json(text.encode("utf-8", errors="replace")))
    identifier = fields.integer("id") if fields.has("id") else 0
    return ControlReply(identifier, fields.integer("code"), fields.text_or_empty("msg"))


def _aggregated(name: str, topic: Topic, arguments: list[str]) -> Channel | None:
    speed = Speed.MS100
    if len(arguments) == 2 and arguments[0] in {one.value for one in Speed}:
        speed = Speed(arguments.pop(0))
    if len(arguments) != 1 or _SYMBOL_PATTERN.fullmatch(arguments[0]) is None:
        return None
    return Channel(name, topic, arguments[0], speed=speed)


def _limit_depth(name: str, topic: Topic, arguments: list[str]) -> Channel | None:
    if len(arguments) != 2:
        return None
    symbol, levels = arguments if arguments[1] in {"5", "10", "20"} else reversed(arguments)
    if levels not in {"5", "10", "20"} or _SYMBOL_PATTERN.fullmatch(symbol) is None:
        return None
    return Channel(name, topic, symbol, levels=int(levels))


def _kline(name: str, topic: Topic, arguments: list[str]) -> Channel | None:
    if len(arguments) != 2 or _SYMBOL_PATTERN.fullmatch(arguments[0]) is None:
        return None
    interval = next((one for one in Interval if one.stream_name == arguments[1]), None)
    return Channel(name, topic, arguments[0], interval=interval) if interval is not None else None


def _batch(name: str, topic: Topic, arguments: list[str]) -> Channel | None:
    if len(arguments) != 1 or _SYMBOL_PATTERN.fullmatch(arguments[0]) is None:
        return None
    return Channel(name, topic, arguments[0])


def _mini_ticker(name: str, topic: Topic, arguments: list[str]) -> Channel | None:
    if topic is Topic.MINI_TICKER:
        if len(arguments) != 2 or _SYMBOL_PATTERN.fullmatch(arguments[0]) is None:
            return None
        symbol, zone = arguments
    elif len(arguments) == 1:
        symbol, zone = None, arguments[0]
    else:
        return None
    return Channel(name, topic, symbol, zone=zone) if _ZONE_PATTERN.fullmatch(zone) is not None else None


_READERS: Mapping[Topic, Callable[[str, Topic, list[str]], Channel | None]] = MappingProxyType(
    {
        Topic.LIMIT_DEPTH: _limit_depth,
        Topic.KLINE: _kline,
        Topic.BOOK_TICKER_BATCH: _batch,
        Topic.INCREASE_DEPTH_BATCH: _batch,
        Topic.MINI_TICKER: _mini_ticker,
        Topic.MINI_TICKERS: _mini_ticker,
    }
)
"""How the arguments of a channel are read; all other channels use ``_aggregated``."""


def _request(channels: Sequence[Channel], request_id: int) -> str:
    frame = {"method": ControlMethod.SUBSCRIPTION.value, "params": [channel.name for channel in channels], "id": request_id}
    return json.dumps(frame, separators=(",", ":"))


def _reply(request_id: int, msg: str) -> str:
    return json.dumps({"id": request_id, "code": 0, "msg": msg}, separators=(",", ":"), ensure_ascii=False)
