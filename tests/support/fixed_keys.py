"""A fixed set of gateway keys for tests of the gateway."""

from __future__ import annotations

from controller.gateway.port import BotKey


class FixedKeys:
    """Implements ``BotKeys``."""

    def __init__(self, *keys: BotKey) -> None:
        self.by_key = {one.key: one for one in keys}

    def find(self, api_key: str) -> BotKey | None:
        return self.by_key.get(api_key)
