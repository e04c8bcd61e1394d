"""Gateway keys as the operator API answers them. Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View


class BotKeyView(View):
    """A gateway key. ``problem`` says why an issued key does not open the gateway, and what to do; empty when it does."""

    bot: str
    key: str
    since_ms: int
    revoked: bool
    problem: str
