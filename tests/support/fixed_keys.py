"""Gateway keys that neither come nor go unless a test says so."""

from __future__ import annotations

from controller.gateway.port import BotKey


class FixedKeys:
    """Implements ``BotKeys``."""

    def __init__(self, *keys: BotKey) -> None:
        self.known = {one.key: one for one in keys}

    def find(self, api_key: str) -> BotKey | None:
        return self.known.get(api_key)
