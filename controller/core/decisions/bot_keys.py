"""Decisions about gateway keys: issue, revoke, check. Called by ``governance``, ``orders``, ``boot`` and `gatehouse doctor`.

Keys are issued and revoked by signed commands. The journal holds a digest of each secret, never the secret. A key that is not
revoked may get a new secret. A revoked key is never accepted again, in no spelling and for no bot.
"""

from __future__ import annotations

from typing import Annotated, Never

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.authority.command import Command, Digest
from controller.core import events as e
from controller.core.decisions import moves
from controller.core.decisions.alerts import raise_once
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import Boot, BotKeyFound
from controller.core.state import BotKeyState, State
from exchange.errors import ConfigError, GatehouseError, Refused
from policies import canonical

BotName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
BotKeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{8,64}$")]

_SECRET_TAG = b"gatehouse-bot-secret-v1\0"


class BotKeyDocument(BaseModel):
    """The subject of an ``issue-bot-key``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bot: BotName
    key: BotKeyId
    secret_digest: Digest


def secret_digest(key: str, secret: str) -> str:
    """The digest of a secret for the journal. It includes the key, so that equal secrets of two keys have different digests."""
    return canonical.digest(_SECRET_TAG + key.encode() + b"\0" + secret.encode())


def key_document(bot: str, key: str, digest: str) -> str:
    """Return the subject of an ``issue-bot-key`` as canonical JSON."""
    return canonical.encode({"bot": bot, "key": key, "secret_digest": digest}).decode()


def check_issue(state: State, subject: str) -> None:
    """Check that this key may be issued now. Raises ``Refused`` when it may not."""
    wanted = _read(subject)
    existing = _spelled_like(state, wanted.key)
    if existing is None:
        return
    if existing.revoked:
        raise Refused(
            f"the key {existing.key} of {existing.bot} is revoked, and a revoked key is never issued again",
            code="bot-key-revoked",
            remedy="Make a new key with `gatehouse keys bot NAME` and issue the new key.",
        )
    if (existing.bot, existing.key) != (wanted.bot, wanted.key):
        raise Refused(
            f"the key {wanted.key} is {existing.bot}'s key {existing.key}",
            code="bot-key-taken",
            remedy="Make a separate key for every bot with `gatehouse keys bot NAME`.",
        )
    if existing.secret_digest == wanted.secret_digest:
        raise Refused(
            f"{existing.bot} already has the key {existing.key} with this secret",
            code="nothing-changes",
            remedy="Nothing is left to do; `gatehouse status` says whether the controller has found the secret.",
        )


def check_revoke(state: State, subject: str) -> None:
    """Check that there is such a key and that it is not revoked. Raises ``Refused`` otherwise."""
    existing = state.bot_keys.get(subject)
    if existing is None:
        raise Refused(
            f"no bot has the key {subject[:64]!r}",
            code="no-such-bot-key",
            remedy="Use a gateway key from the list of `gatehouse status`.",
        )
    if existing.revoked:
        raise Refused(
            f"{existing.bot}'s key {existing.key} is already revoked", code="already-revoked", remedy="Nothing is left to do."
        )


def issue(draft: Draft, command: Command) -> None:
    """Let the bot use the key from now on."""
    wanted = _read(command.subject)
    draft.emit(e.BotKeyIssued(bot=wanted.bot, key=wanted.key, secret_digest=wanted.secret_digest, command_id=command.command_id))
    draft.do(Alert(AlertKind.STAGE, f"{wanted.bot} has the gateway key {wanted.key}", command.reason))


def revoke(draft: Draft, command: Command) -> None:
    """Revoke the key, and cancel every open order of its bot."""
    revoked = draft.after.bot_keys[command.subject]
    draft.emit(e.BotKeyRevoked(bot=revoked.bot, key=revoked.key, command_id=command.command_id))
    for order in sorted(draft.after.open.values(), key=lambda order: order.number):
        if order.bot == revoked.bot:
            moves.cancel(draft, order, by="gatehouse")
    draft.do(Alert(AlertKind.STAGE, f"{revoked.bot}'s gateway key {revoked.key} is revoked", command.reason))


def usable(state: State, bot: str, key: str) -> bool:
    """Whether the bot may trade with this key."""
    issued = state.bot_keys.get(key)
    return issued is not None and issued.bot == bot and not issued.revoked


def found_at_start(draft: Draft, input_: Boot) -> None:
    """At the first start, adopt the keys of the settings. At later starts, raise an alert for each key that is not usable.

    Raises:
        ConfigError: a key is listed twice.
    """
    keys = [found.key.casefold() for found in input_.bots]
    if len(set(keys)) != len(keys):
        raise ConfigError(
            "a gateway key is listed twice in the settings",
            code="bot-key-unusable",
            remedy="Give every bot a separate key in [[bots]].",
        )
    if draft.after.bot_keys_since is None:
        adopted = tuple(e.AdoptedKey(bot=one.bot, key=one.key, secret_digest=one.secret_digest) for one in input_.bots)
        draft.emit(e.BotKeysAdopted(keys=adopted))
        return
    for found in input_.bots:
        if problem := mismatch(draft.after, found):
            raise_once(draft, AlertKind.BOT_KEY, f"{found.bot}'s gateway key {found.key} is not usable", problem)


def mismatch(state: State, found: BotKeyFound) -> str:
    """Why a key of the settings is not usable, and what to do. Empty when it is usable, or when it was revoked on purpose."""
    remedy = f"Issue it with `gatehouse issue-bot-key {found.bot} --api-key {found.key} --key KEY --reason WHY`, or remove "
    "it from [[bots]]."
    issued = _spelled_like(state, found.key)
    if issued is None:
        return f"it was added to the settings without a signature. {remedy}"
    if issued.revoked:
        return ""
    if (issued.bot, issued.key) != (found.bot, found.key):
        return f"it is {issued.bot}'s key {issued.key}. Make a separate key for {found.bot} with `gatehouse keys bot {found.bot}`."
    if issued.secret_digest != found.secret_digest:
        return f"its secret is not the one that was issued. {remedy}"
    return ""


def _spelled_like(state: State, key: str) -> BotKeyState | None:
    # Two keys that differ only in upper and lower case look the same to a person, so they count as the same key.
    folded = key.casefold()
    return state.bot_keys.get(key) or next((one for one in state.bot_keys.values() if one.key.casefold() == folded), None)


def _read(subject: str) -> BotKeyDocument:
    try:
        canonical.decode(subject.encode())
        return BotKeyDocument.model_validate_json(subject)
    except GatehouseError as error:
        _malformed(error.message, code=error.code)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        _malformed(f"{'.'.join(map(str, first['loc'])) or 'the subject'}: {first['msg']}")


def _malformed(message: str, code: str = "bot-key-malformed") -> Never:
    raise Refused(message, code=code, remedy="Propose it with `gatehouse issue-bot-key NAME --key KEY --reason WHY`.") from None
