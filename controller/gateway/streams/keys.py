"""The gateway's listen keys: ``userDataStream``, and whose stream a listen key opens (mexc-spot-v3.md §7.7).

They are in memory. After a restart a bot makes a new one, as it does after an hour without a renewal.
"""

from __future__ import annotations

from random import SystemRandom

from controller.gateway.port import BotKeys, GatewayPort
from controller.gateway.requests import Call
from controller.gateway.streams.session import Owner
from exchange.push.listenkeys import ListenKeys
from exchange.wire.account import listen_key_json, listen_keys_json
from exchange.wire.errors import ErrorCode, WireRefusal, missing, refuse


class StreamKeys:
    """The listen keys of all bots, and the endpoints that make, renew, list and end them. ``gateway.app`` routes to it."""

    def __init__(self, port: GatewayPort, bots: BotKeys) -> None:
        self._port = port
        self._bots = bots
        self._keys = ListenKeys(SystemRandom())
        self._made_with: dict[str, str] = {}

    async def create(self, call: Call) -> object:
        """``POST userDataStream``: a new listen key, or the newest of a bot that has sixty."""
        self._end_revoked(call.bot)
        key = self._keys.create(call.bot, self._port.now())
        self._made_with.setdefault(key, call.key)
        self._forget_ended()
        return listen_key_json(key)

    async def list(self, call: Call) -> object:
        """``GET userDataStream``: the bot's valid listen keys."""
        return listen_keys_json(self._keys.of(call.bot, self._port.now()))

    async def renew(self, call: Call) -> object:
        """``PUT userDataStream``: an hour more from now on."""
        key = _named(call)
        if not self._keys.renew(key, call.bot, self._port.now()):
            raise _unknown()
        return listen_key_json(key)

    async def close(self, call: Call) -> object:
        """``DELETE userDataStream``: the key and its streams end."""
        key = _named(call)
        if not self._keys.delete(key, call.bot, self._port.now()):
            raise _unknown()
        return listen_key_json(key)

    def owner(self, listen_key: str) -> Owner | None:
        """Whose stream it opens; ``None`` when it, or the key that it was made with, is not valid any more."""
        bot = self._keys.owner(listen_key, self._port.now())
        signer = self._bots.find(self._made_with.get(listen_key, "")) if bot is not None else None
        return Owner(signer.name, listen_key) if signer is not None and signer.name == bot else None

    def connect(self, listen_key: str) -> bool:
        """Count one more stream of a listen key; ``False`` when it has five."""
        return self._keys.connect(listen_key)

    def disconnect(self, listen_key: str) -> None:
        """Count one stream less."""
        self._keys.disconnect(listen_key)

    def problem(self, owner: Owner) -> str:
        """Why a private stream may not go on; empty while it may."""
        if self._keys.remaining_ms(owner.listen_key, self._port.now()) <= 0:
            return "gatehouse: the listen key expired or was closed. Make one with POST /api/v3/userDataStream."
        if self._bots.find(self._made_with.get(owner.listen_key, "")) is None:
            return "gatehouse: the bot's key was revoked."
        return ""

    def _end_revoked(self, bot: str) -> None:
        """End the listen keys that a revoked key made: they open no stream, and would count among the sixty."""
        for key in self._keys.of(bot, self._port.now()):
            if self._bots.find(self._made_with.get(key, "")) is None:
                self._keys.delete(key, bot, self._port.now())

    def _forget_ended(self) -> None:
        valid = {key for key, _, _ in self._keys.state()}
        self._made_with = {key: signer for key, signer in self._made_with.items() if key in valid}


def _named(call: Call) -> str:
    key = call.params.get("listenKey", "")
    if not key:
        raise missing("listenKey")
    return key


def _unknown() -> WireRefusal:
    return refuse(ErrorCode.BAD_PARAMETER, "Invalid listen key. gatehouse: it expired, or it is not of this bot.")
