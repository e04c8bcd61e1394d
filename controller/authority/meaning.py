"""What a command's subject means, in a sentence, told from the very bytes that are signed and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from exchange.errors import IntegrityError
from policies import canonical
from policies.authority import Verb


def meaning(verb: Verb, subject: str) -> str:
    """What the verb would do with this subject, for whoever is about to sign; empty for a move.

    Never raises: that a subject is wrong is for the controller to say, and a signer sees here that something is missing.
    """
    tell = _MEANINGS.get(verb)
    return tell(subject, _document(subject)) if tell is not None else ""


_MEANINGS: Mapping[Verb, Callable[[str, dict[str, Any]], str]] = MappingProxyType(
    {
        Verb.VETO: lambda subject, _: f"withdraws the command {subject}, which never comes back",
        Verb.REVOKE: lambda subject, _: f"takes the signing key {subject} away for ever",
        Verb.SET_ROSTER: lambda _, roster: f"from now on these persons sign: {_persons(roster)}",
        Verb.SET_POLICY: lambda _, policy: f"puts the policy {policy.get('name')} in force; everything proven so far is void",
        Verb.SET_RELEASE: lambda _, release: (
            f"says that the bot is {release.get('name')} {release.get('version')}; everything proven so far is void"
        ),
        Verb.ISSUE_BOT_KEY: lambda _, grant: (
            f"lets {grant.get('bot')} trade through the gateway with the key {grant.get('key')} "
            f"and the secret of {grant.get('secret_digest')}"
        ),
        Verb.REVOKE_BOT_KEY: lambda subject, _: f"takes the gateway key {subject} away for ever and cancels what its bot has open",
        Verb.ACK_ALERT: lambda subject, _: f"says that the alert {subject} was seen; nothing else changes",
        Verb.DRILL: lambda _, drill: f"practises a {drill.get('drill')}: every order is cancelled, none placed until it is over",
    }
)


def _persons(roster: dict[str, Any]) -> str:
    listed = roster.get("persons")
    persons = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return ", ".join(f"{one.get('name')} ({one.get('role')})" for one in persons) or "nobody"


def _document(subject: str) -> dict[str, Any]:
    try:
        value = canonical.decode(subject.encode())
    except IntegrityError:
        return {}
    return value if isinstance(value, dict) else {}
