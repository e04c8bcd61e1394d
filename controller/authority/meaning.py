"""Describes in one sentence what a command with a subject does, from the signed bytes alone. The CLI and the console show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from exchange.errors import IntegrityError
from policies import canonical
from policies.authority import Verb
from policies.drills import DRILLS


def meaning(verb: Verb, subject: str) -> str:
    """Describe what the verb does with this subject, for the person who is about to sign; empty for a move.

    It never raises. A malformed subject shows as missing parts in the sentence, and the controller refuses it.
    """
    describe = _MEANINGS.get(verb)
    return describe(subject, _document(subject)) if describe is not None else ""


_MEANINGS: Mapping[Verb, Callable[[str, dict[str, Any]], str]] = MappingProxyType(
    {
        Verb.VETO: lambda subject, _: f"withdraws the command {subject} for ever",
        Verb.REVOKE: lambda subject, _: f"revokes the signing key {subject} for ever",
        Verb.SET_ROSTER: lambda _, roster: f"makes these persons the roster: {_persons(roster)}",
        Verb.SET_POLICY: lambda _, policy: f"puts the policy {policy.get('name')} in force; all evidence so far becomes void",
        Verb.SET_RELEASE: lambda _, release: (
            f"declares the bot to be {release.get('name')} {release.get('version')}; all evidence so far becomes void"
        ),
        Verb.ISSUE_BOT_KEY: lambda _, grant: (
            f"lets {grant.get('bot')} trade through the gateway with the key {grant.get('key')} "
            f"and the secret of {grant.get('secret_digest')}"
        ),
        Verb.REVOKE_BOT_KEY: lambda subject, _: (
            f"revokes the gateway key {subject} for ever and cancels every open order of its bot"
        ),
        Verb.ACK_ALERT: lambda subject, _: f"acknowledges the alert {subject}; nothing else changes",
        Verb.DRILL: lambda _, drill: f"runs a {drill.get('drill')} drill: {_drill(drill.get('drill'))}",
        Verb.SET_RATE: lambda _, rate: (
            f"makes {rate.get('quote_per_eur')} for one EUR the centre of the rates that count; stage and evidence stay"
        ),
        Verb.FLATTEN: lambda subject, _: (
            f"cancels every order, then sells {'everything' if subject == 'all' else f'the {subject}'} that gatehouse bought, "
            "at market prices"
        ),
        Verb.ARCHIVE: lambda _, entry: (
            f"lets the entries up to {entry.get('upto')} be moved from the journal to an archive, once the controller is stopped"
        ),
        Verb.REBASELINE: lambda _, reading: (
            f"takes the balances that {reading.get('venue')} shows as right, as neither gain nor loss: {_differences(reading)}"
        ),
    }
)


def _drill(name: object) -> str:
    return next((spec.does for kind, spec in DRILLS.items() if kind.value == name), "this version does not know it")


def _differences(reading: dict[str, Any]) -> str:
    listed = reading.get("differences")
    found = {asset: one for asset, one in listed.items() if isinstance(one, dict)} if isinstance(listed, dict) else {}
    lines = [f"{asset} {one.get('books')} → {one.get('venue')} ({one.get('by')})" for asset, one in sorted(found.items())]
    orders = reading.get("orders")
    if isinstance(orders, list) and orders:
        lines.append(f"and ends {len(orders)} orders that it does not know any more: {', '.join(map(str, orders))}")
    return ", ".join(lines) or "none"


def _persons(roster: dict[str, Any]) -> str:
    listed = roster.get("persons")
    persons = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return ", ".join(f"{one.get('name')} ({one.get('role')})" for one in persons) or "no one"


def _document(subject: str) -> dict[str, Any]:
    try:
        value = canonical.decode(subject.encode())
    except IntegrityError:
        return {}
    return value if isinstance(value, dict) else {}
