"""The gateway's keys as the journal has them now, each with the secret that proves to be the one that was issued."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.core.decisions.bot_keys import secret_digest
from controller.core.state import BotKeyState
from controller.gateway.port import BotKey
from exchange.errors import GatehouseError


class Keyring:
    """Implements ``BotKeys``.

    ``known`` are the journal's keys; ``secret_of`` finds a secret by bot and key, or raises. A secret that was proven is kept; one
    that is missing or another is looked for again whenever somebody asks, so that putting the file there is all it takes.
    """

    def __init__(self, known: Callable[[], Mapping[str, BotKeyState]], secret_of: Callable[[str, str], str]) -> None:
        self._known = known
        self._secret_of = secret_of
        self._proven: dict[str, tuple[BotKeyState, BotKey]] = {}

    def find(self, api_key: str) -> BotKey | None:
        """The bot behind a key that is issued, not revoked, and whose secret is at hand."""
        issued = self._known().get(api_key)
        if issued is None or issued.revoked:
            self._proven.pop(api_key, None)
            return None
        held = self._proven.get(api_key)
        if held is not None and held[0] is issued:
            return held[1]
        found = self._look(issued)
        if isinstance(found, str):
            self._proven.pop(api_key, None)
            return None
        self._proven[api_key] = (issued, found)
        return found

    def problem(self, api_key: str) -> str:
        """Why an issued key does not open the gateway, and what to do; empty when it does."""
        if self.find(api_key) is not None:
            return ""
        issued = self._known().get(api_key)
        if issued is None or issued.revoked:
            return "it was never issued, or it was revoked"
        found = self._look(issued)
        return found if isinstance(found, str) else ""

    def _look(self, issued: BotKeyState) -> BotKey | str:
        try:
            secret = self._secret_of(issued.bot, issued.key)
        except GatehouseError as error:
            return f"{error.message}. {error.remedy}"
        if secret_digest(issued.key, secret) != issued.secret_digest:
            return "the secret found here is not the one that was issued. Put that one back, or issue this one with issue-bot-key."
        return BotKey(issued.bot, issued.key, secret)
