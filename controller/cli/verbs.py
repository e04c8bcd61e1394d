"""Where each verb is. ``controller.__main__`` loads the file of the verb that was typed and no other (ADR 79).

``cli.app`` has them all, for what lists or completes verbs; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PROCESSES: Mapping[str, str] = MappingProxyType(
    {
        "run": "controller.cli.run.processes",
        "testnet": "controller.cli.run.processes",
        "signer": "controller.cli.run.signer",
        "watchdog": "controller.cli.run.watchdog",
        "witness": "controller.cli.run.witness",
        "fleet": "controller.cli.run.fleet",
    }
)
"""The verbs that run a process, and the module that registers each."""

_SHOW, _SIGN = "controller.cli.show", "controller.cli.sign"
_STATUS, _SIGNING, _MOVES = f"{_SHOW}.status", f"{_SIGN}.signing", f"{_SIGN}.moves"
_GOVERNANCE, _BOT_KEYS = f"{_SIGN}.governance", f"{_SIGN}.bot_keys"

VERBS: Mapping[str, str] = MappingProxyType(
    {
        **PROCESSES,
        "init": "controller.cli.setup.init",
        "version": "controller.cli.version.verb",
        "doctor": "controller.cli.doctor.verb",
        "demo": "controller.cli.demo.verb",
        **dict.fromkeys(("status", "gates", "orders", "fills", "balances"), _STATUS),
        "explain": f"{_SHOW}.explain",
        "bot-config": "controller.cli.bots.verb",
        **dict.fromkeys(("propose", "sign", "inspect", "submit", "approve"), _SIGNING),
        **dict.fromkeys(("advance", "ramp", "demote", "resume", "reset", "halt"), _MOVES),
        **dict.fromkeys(("veto", "revoke", "set-roster", "set-policy", "set-release", "set-rate"), _GOVERNANCE),
        **dict.fromkeys(("issue-bot-key", "revoke-bot-key"), _BOT_KEYS),
        "ack-alert": f"{_SIGN}.alerts",
        "drill": f"{_SIGN}.drills",
        "flatten": f"{_SIGN}.flatten",
        "rebaseline": f"{_SIGN}.rebaseline",
        "archive": f"{_SIGN}.archive",
        "report": f"{_SHOW}.report",
        "verify": f"{_SHOW}.verify",
        "rehearse": "controller.cli.rehearse.verb",
        "schema": "controller.cli.schemas.verb",
    }
)
"""Every verb of one word, and the module that registers it."""

GROUPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "alerts": ("controller.cli.alerts.verbs", "app"),
        "access": ("controller.cli.access.verbs", "app"),
        "backup": ("controller.cli.backup.verbs", "app"),
        "journal": ("controller.cli.journal.verbs", "app"),
        "keys": (_BOT_KEYS, "group"),
        "roster": (f"{_SIGN}.keys", "roster"),
        "policy": (f"{_SHOW}.policy", "app"),
        "release": (f"{_SHOW}.release", "app"),
        "tape": ("controller.cli.tape.verbs", "app"),
        "update": ("controller.cli.update.verb", "app"),
    }
)
"""Every verb of two words by its first word: the module, and what its verbs are called there."""
