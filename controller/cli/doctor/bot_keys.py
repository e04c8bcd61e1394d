"""Checks that every issued gateway key has its secret and every key of the settings was issued. ``doctor.checks`` calls this."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from controller.bootstrap.bot_secrets import bot_secret
from controller.bootstrap.journal import kept_snapshot
from controller.cli.journal.files import opened, place_in
from controller.cli.shared.client import data_directory
from controller.core import event_codec
from controller.core import events as e
from controller.core.decisions.bot_keys import mismatch, secret_digest
from controller.core.fold import bot_keys
from controller.core.inputs import BotKeyFound
from controller.core.state import State
from controller.runtime.api.keyring import Keyring
from controller.settings.deployment import Settings, read_secret
from exchange.errors import ConfigError, GatehouseError

_KINDS = {
    e.BotKeysAdopted.kind: bot_keys.keys_adopted,
    e.BotKeyIssued.kind: bot_keys.key_issued,
    e.BotKeyRevoked.kind: bot_keys.key_revoked,
}


def check_bot_keys(directory: Path, settings: Settings) -> str:
    """How many keys there are.

    Raises:
        ConfigError: a key cannot be used; the message says why.
    """
    if not place_in(directory).exists():
        return "none yet; the first start adopts the keys of [[bots]]"
    state = _keys(directory)
    ring = Keyring(lambda: state.bot_keys, partial(bot_secret, directory, settings))
    issued = [one for one in state.bot_keys.values() if not one.revoked]
    problems = [f"{one.bot}'s key {one.key}: {problem}" for one in issued if (problem := ring.problem(one.key))]
    if state.bot_keys_since is not None:
        problems += [f"{found.bot}'s key {found.key}: {problem}" for found in _listed(directory, settings)
                     if (problem := mismatch(state, found)) and found.key not in state.bot_keys]  # fmt: skip
    if problems:
        raise ConfigError(
            "; ".join(problems), code="bot-key-unusable", remedy="Fix each key as its message says. The other keys work."
        )
    return f"{len(issued)} in use, {len(state.bot_keys) - len(issued)} revoked"


def _keys(directory: Path) -> State:
    state, after = State(), 0
    with opened(directory) as reader:
        signed = reader.signed_base
        if reader.readable_after and signed is not None:
            kept = kept_snapshot(data_directory(directory), signed.base, reader)
            state, after = (kept.state, kept.seq) if kept is not None else (state, after)
        for entry in reader.read(after):
            if (apply := _KINDS.get(entry.kind)) is not None:
                state = apply(state, event_codec.decode(entry.kind, entry.body))  # type: ignore[operator]
    return state


def _listed(directory: Path, settings: Settings) -> list[BotKeyFound]:
    found = []
    for bot in settings.bots:
        try:
            digest = secret_digest(bot.key, read_secret(directory, bot.secret_file))
        except GatehouseError:
            digest = ""
        found.append(BotKeyFound(bot.name, bot.key, digest))
    return found
