"""The codes of refused envelopes, each with its remedy. The other modules of ``controller.authority`` raise them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from exchange.errors import Unauthorised


class Refusal(StrEnum):
    """The code of an ``Unauthorised`` raised by this package."""

    ENVELOPE_TOO_LARGE = "envelope-too-large"
    MALFORMED_ENVELOPE = "malformed-envelope"
    WRONG_PAYLOAD_TYPE = "wrong-payload-type"
    NOT_CANONICAL = "not-canonical"
    MALFORMED_COMMAND = "malformed-command"
    UNREADABLE_TEXT = "unreadable-text"
    NO_SIGNATURES = "no-signatures"
    TOO_MANY_SIGNATURES = "too-many-signatures"
    DUPLICATE_SIGNATURE = "duplicate-signature"
    UNKNOWN_KEY = "unknown-key"
    REVOKED_KEY = "revoked-key"
    KEY_NOT_YET_VALID = "key-not-yet-valid"
    EXPIRED_KEY = "expired-key"
    WRONG_SIGNATURE_FORM = "wrong-signature-form"
    MALFORMED_SIGNATURE = "malformed-signature"
    UNSUPPORTED_ALGORITHM = "unsupported-algorithm"
    UNUSABLE_KEY = "unusable-key"
    KEY_MISMATCH = "key-mismatch"
    WRONG_NAMESPACE = "wrong-namespace"
    NO_USER_PRESENCE = "no-user-presence"
    NO_USER_VERIFICATION = "no-user-verification"
    BAD_SIGNATURE = "bad-signature"


_RESEND = "Send the envelope exactly as gatehouse wrote it."
_SIGN_AGAIN = (
    "Sign the proposal again with `gatehouse sign FILE --key KEY`, or with `ssh-keygen -Y sign` and the namespace of the proposal."
)
_ASK_ROSTER = (
    "`gatehouse roster show` lists the keys that may sign now: sign with one of those, or let those persons list this key in a new "
    "version of the roster and sign `gatehouse set-roster roster.toml --key KEY --reason WHY`."
)

_REMEDIES: Mapping[Refusal, str] = MappingProxyType(
    {
        Refusal.ENVELOPE_TOO_LARGE: _RESEND,
        Refusal.MALFORMED_ENVELOPE: _RESEND,
        Refusal.WRONG_PAYLOAD_TYPE: "Propose the command with this version of gatehouse, then sign the new proposal.",
        Refusal.NOT_CANONICAL: "Propose the command again, and sign it without any change.",
        Refusal.MALFORMED_COMMAND: "Propose the command again with `gatehouse propose VERB --reason WHY`.",
        Refusal.UNREADABLE_TEXT: "Write the reason in plain, visible characters.",
        Refusal.NO_SIGNATURES: "Sign the proposal first: `gatehouse sign FILE --key KEY`, then submit it again.",
        Refusal.TOO_MANY_SIGNATURES: "Send only the signatures that the quorum needs, at most 16.",
        Refusal.DUPLICATE_SIGNATURE: "Send the signature of each key once; a second person must sign with another key.",
        Refusal.UNKNOWN_KEY: _ASK_ROSTER,
        Refusal.REVOKED_KEY: _ASK_ROSTER,
        Refusal.KEY_NOT_YET_VALID: _ASK_ROSTER,
        Refusal.EXPIRED_KEY: _ASK_ROSTER,
        Refusal.WRONG_SIGNATURE_FORM: _SIGN_AGAIN,
        Refusal.MALFORMED_SIGNATURE: _SIGN_AGAIN,
        Refusal.UNSUPPORTED_ALGORITHM: "Use an Ed25519 or P-256 key and sha512, the default of ssh-keygen.",
        Refusal.UNUSABLE_KEY: "Use an Ed25519 or P-256 public key in the one-line OpenSSH format.",
        Refusal.KEY_MISMATCH: "Attach each signature under the id of the key that made it.",
        Refusal.WRONG_NAMESPACE: _SIGN_AGAIN,
        Refusal.NO_USER_PRESENCE: "Sign with a security key that asks for a touch.",
        Refusal.NO_USER_VERIFICATION: "Sign with a security key that asks for its PIN (ssh-keygen -O verify-required).",
        Refusal.BAD_SIGNATURE: _SIGN_AGAIN,
    }
)


def refused(why: Refusal, message: str) -> Unauthorised:
    """Make the error for a refusal."""
    return Unauthorised(message, code=why.value, remedy=_REMEDIES[why])
