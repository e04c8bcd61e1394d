"""How the events about bot keys change the state. ``controller.core.fold.apply`` and `gatehouse doctor` call it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.state import BotKeyState, State
from policies.values import replace


def keys_adopted(state: State, event: e.BotKeysAdopted) -> State:
    """Take over the keys that the settings listed before keys were journalled."""
    adopted = {one.key: BotKeyState(one.bot, one.key, one.secret_digest, state.at) for one in event.keys}
    return replace(state, bot_keys=state.bot_keys.update(adopted), bot_keys_since=state.at)


def key_issued(state: State, event: e.BotKeyIssued) -> State:
    """Add a key, or replace the secret of a key."""
    issued = BotKeyState(event.bot, event.key, event.secret_digest, state.at)
    return replace(state, bot_keys=state.bot_keys.set(event.key, issued))


def key_revoked(state: State, event: e.BotKeyRevoked) -> State:
    """Mark a key as revoked; it stays in the state so that it is never accepted again."""
    revoked = replace(state.bot_keys[event.key], revoked=True, since=state.at)
    return replace(state, bot_keys=state.bot_keys.set(event.key, revoked))
