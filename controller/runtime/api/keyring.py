"""The gateway's issued keys, each with its secret if it matches the issued digest. The gateway asks it on every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.core.decisions.bot_keys import secret_digest
from controller.core.state import BotKeyState
from controller.gateway.port import BotKey
from exchange.errors import GatehouseError


class Keyring:
    """Implements ``BotKeys``.

    ``issued_keys`` returns the journal's keys; ``secret_of`` finds a secret by bot and key, or raises. A secret that matches its
    digest is kept; a missing or wrong secret is searched again on every request, so that a key works as soon as its file is there.
    """

    def __init__(self, issued_keys: Callable[[], Mapping[str, BotKeyState]], secret_of: Callable[[str, str], str]) -> None:
        self._issued_keys = issued_keys
        self._secret_of = secret_of
        self._proven: dict[str, tuple[BotKeyState, BotKey]] = {}

    def find(self, api_key: str) -> BotKey | None:
        """The credentials of a key that is issued, not revoked, and whose secret is found."""
        issued = self._issued_keys().get(api_key)
        if issued is None or issued.revoked:
            self._proven.pop(api_key, None)
            return None
        cached = self._proven.get(api_key)
        if cached is not None and cached[0] is issued:
            return cached[1]
        found = self._load(issued)
        if isinstance(found, str):
            self._proven.pop(api_key, None)
            return None
        self._proven[api_key] = (issued, found)
        return found

    def problem(self, api_key: str) -> str:
        """Why an issued key does not open the gateway, and what to do; empty when it does."""
        if self.find(api_key) is not None:
            return ""
        issued = self._issued_keys().get(api_key)
        if issued is None or issued.revoked:
            return "it was never issued, or it was revoked"
        found = self._load(issued)
        return found if isinstance(found, str) else ""

    def _load(self, issued: BotKeyState) -> BotKey | str:
        try:
            secret = self._secret_of(issued.bot, issued.key)
        except GatehouseError as error:
            return f"{error.message}. {error.remedy}"
        if secret_digest(issued.key, secret) != issued.secret_digest:
            return "the secret found here is not the one that was issued. Restore that one, or issue this one with issue-bot-key."
        return BotKey(issued.bot, issued.key, secret)
