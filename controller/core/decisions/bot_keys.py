"""Who may use the gateway: keys are issued and revoked by signature, and the journal knows each by a digest of its secret.

A key that was never revoked may get a new secret; a revoked one never comes back, in no spelling and for no bot.
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
    """What the journal holds of a secret. The key goes into it, so that one secret under two keys cannot be recognised."""
    return canonical.digest(_SECRET_TAG + key.encode() + b"\0" + secret.encode())


def key_document(bot: str, key: str, digest: str) -> str:
    """The subject of an ``issue-bot-key``."""
    return canonical.encode({"bot": bot, "key": key, "secret_digest": digest}).decode()


def check_issue(state: State, subject: str) -> None:
    """Whether this key may be issued here and now. Raises ``Refused`` when not."""
    wanted = _read(subject)
    known = _spelled_like(state, wanted.key)
    if known is None:
        return
    if known.revoked:
        raise Refused(
            f"the key {known.key} of {known.bot} was revoked, and a revoked key never comes back",
            code="bot-key-revoked",
            remedy="Make a new key with `gatehouse keys bot NAME` and issue that.",
        )
    if (known.bot, known.key) != (wanted.bot, wanted.key):
        raise Refused(
            f"the key {wanted.key} is {known.bot}'s key {known.key}",
            code="bot-key-taken",
            remedy="Make a key of its own for every bot with `gatehouse keys bot NAME`.",
        )
    if known.secret_digest == wanted.secret_digest:
        raise Refused(
            f"{known.bot} has the key {known.key} with this secret already",
            code="nothing-changes",
            remedy="Nothing is left to do; `gatehouse status` says whether the controller has found the secret.",
        )


def check_revoke(state: State, subject: str) -> None:
    """Whether there is such a key to revoke. Raises ``Refused`` when not."""
    known = state.bot_keys.get(subject)
    if known is None:
        raise Refused(
            f"no bot has the key {subject[:64]!r}",
            code="no-such-bot-key",
            remedy="Give a gateway key as `gatehouse status` lists it.",
        )
    if known.revoked:
        raise Refused(f"{known.bot}'s key {known.key} is revoked already", code="already-revoked", remedy="Nothing is left to do.")


def issue(draft: Draft, command: Command) -> None:
    """The bot may use the key from now on."""
    wanted = _read(command.subject)
    draft.emit(e.BotKeyIssued(bot=wanted.bot, key=wanted.key, secret_digest=wanted.secret_digest, command_id=command.command_id))
    draft.do(Alert(AlertKind.STAGE, f"{wanted.bot} has the gateway key {wanted.key}", command.reason))


def revoke(draft: Draft, command: Command) -> None:
    """The key is dead, and what its bot has open is cancelled."""
    known = draft.after.bot_keys[command.subject]
    draft.emit(e.BotKeyRevoked(bot=known.bot, key=known.key, command_id=command.command_id))
    for order in sorted(draft.after.open.values(), key=lambda order: order.number):
        if order.bot == known.bot:
            moves.cancel(draft, order, by="gatehouse")
    draft.do(Alert(AlertKind.STAGE, f"{known.bot}'s gateway key {known.key} is revoked", command.reason))


def usable(state: State, bot: str, key: str) -> bool:
    """Whether the bot may trade with this key."""
    known = state.bot_keys.get(key)
    return known is not None and known.bot == bot and not known.revoked


def found_at_start(draft: Draft, given: Boot) -> None:
    """Adopt the settings' keys if the journal has never heard of any; afterwards only say what is wrong with them.

    Raises:
        ConfigError: a key is listed twice.
    """
    keys = [found.key.casefold() for found in given.bots]
    if len(set(keys)) != len(keys):
        raise ConfigError(
            "a gateway key is listed twice in the settings",
            code="bot-key-unusable",
            remedy="Give every bot a key of its own in [[bots]].",
        )
    if draft.after.bot_keys_since is None:
        adopted = tuple(e.AdoptedKey(bot=one.bot, key=one.key, secret_digest=one.secret_digest) for one in given.bots)
        draft.emit(e.BotKeysAdopted(keys=adopted))
        return
    for found in given.bots:
        if problem := mismatch(draft.after, found):
            raise_once(draft, AlertKind.BOT_KEY, f"{found.bot}'s gateway key {found.key} is not usable", problem)


def mismatch(state: State, found: BotKeyFound) -> str:
    """Why a key of the settings is not usable, and what to do; empty when it is, or when it was revoked for good."""
    remedy = f"Issue it with `gatehouse issue-bot-key {found.bot} --api-key {found.key}`, or take it out of [[bots]]."
    known = _spelled_like(state, found.key)
    if known is None:
        return f"it was added to the settings without a signature. {remedy}"
    if known.revoked:
        return ""
    if (known.bot, known.key) != (found.bot, found.key):
        return f"it is {known.bot}'s key {known.key}. Make a key of its own for {found.bot} with `gatehouse keys bot {found.bot}`."
    if known.secret_digest != found.secret_digest:
        return f"its secret is not the one that was issued. {remedy}"
    return ""


def _spelled_like(state: State, key: str) -> BotKeyState | None:
    # People read keys aloud: two that differ in case alone would be taken for one.
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
    raise Refused(message, code=code, remedy="Propose it with `gatehouse issue-bot-key`.") from None
