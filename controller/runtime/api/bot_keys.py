"""Gateway keys as the console shows them. ``controller.runtime.api.views`` calls it for the status."""

from __future__ import annotations

from collections.abc import Callable

from controller.console.bot_keys import BotKeyView
from controller.core.state import State


def bot_key_views(state: State, key_problem: Callable[[str], str]) -> tuple[BotKeyView, ...]:
    """Every gateway key ever issued. ``key_problem`` says why an issued key does not open the gateway."""
    return tuple(
        BotKeyView(
            bot=issued.bot,
            key=issued.key,
            since_ms=issued.since,
            revoked=issued.revoked,
            problem="" if issued.revoked else key_problem(issued.key),
        )
        for issued in sorted(state.bot_keys.values(), key=lambda issued: (issued.bot, issued.since, issued.key))
    )
