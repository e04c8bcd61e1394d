"""DSSE envelopes: a payload and its signatures in one JSON text (architecture.md §5, gates-authority-journal.md §2.3).

The CLI writes them; ``controller.authority.verify`` reads them.

    {"payloadType": "application/vnd.gatehouse.command.v1+json",
     "payload": "<base64>", "signatures": [{"keyid": "sha256:…", "sig": "<base64>"}]}

Signatures are over ``pae(payloadType, payload)``. The envelope itself is never hashed, because its JSON can be written in more
than one way; the payload has only one form.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from controller.authority.command import PAYLOAD_TYPE
from controller.authority.refusal import Refusal, refused

MAX_ENVELOPE_BYTES = 64 * 1024
MAX_SIGNATURES = 16
_MAX_KEYID = 128


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the DSSE v1 pre-authentication encoding. Both lengths are in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature in an envelope. ``keyid`` is only a claim; the roster says which key it is and what form ``sig`` must have."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload of our type with its signatures. Nothing in it is verified."""

    payload: bytes
    signatures: tuple[EnvelopeSignature, ...] = ()

    @property
    def pae(self) -> bytes:
        """The bytes that every signature is over."""
        return pae(PAYLOAD_TYPE, self.payload)

    @property
    def text(self) -> str:
        """The envelope as one line of JSON with a final line break."""
        signatures = [{"keyid": entry.keyid, "sig": _encode(entry.sig)} for entry in self.signatures]
        return json.dumps({"payloadType": PAYLOAD_TYPE, "payload": _encode(self.payload), "signatures": signatures}) + "\n"

    def add_signature(self, keyid: str, sig: bytes) -> Envelope:
        """Return the envelope with one more signature. A key that already signed is refused (``duplicate-signature``)."""
        if any(entry.keyid == keyid for entry in self.signatures):
            raise refused(Refusal.DUPLICATE_SIGNATURE, f"key {keyid[:_MAX_KEYID]} has already signed this envelope")
        if len(self.signatures) >= MAX_SIGNATURES:
            raise refused(Refusal.TOO_MANY_SIGNATURES, f"an envelope holds at most {MAX_SIGNATURES} signatures")
        return replace(self, signatures=(*self.signatures, EnvelopeSignature(keyid, sig)))


def parse_envelope(text: str) -> Envelope:
    """Read an envelope's JSON text. An envelope without signatures is valid here: a proposal has none yet.

    Raises:
        Unauthorised: ``envelope-too-large``, ``malformed-envelope``, ``wrong-payload-type`` or ``too-many-signatures``.
    """
    value = _members(_parse(text), {"payloadType", "payload", "signatures"}, "the envelope")
    if value["payloadType"] != PAYLOAD_TYPE:
        raise refused(Refusal.WRONG_PAYLOAD_TYPE, f"the payload is {str(value['payloadType'])[:100]!r}, not {PAYLOAD_TYPE!r}")
    entries = value["signatures"]
    if not isinstance(entries, list):
        raise _malformed("signatures is not a list")
    if len(entries) > MAX_SIGNATURES:
        raise refused(
            Refusal.TOO_MANY_SIGNATURES, f"the envelope has {len(entries)} signatures; at most {MAX_SIGNATURES} are accepted"
        )
    return Envelope(_decode(value["payload"], "payload"), tuple(map(_signature, entries)))


def _signature(value: object) -> EnvelopeSignature:
    entry = _members(value, {"keyid", "sig"}, "a signature")
    keyid = entry["keyid"]
    if not isinstance(keyid, str) or not 0 < len(keyid) <= _MAX_KEYID:
        raise _malformed(f"a keyid is not a text of 1 to {_MAX_KEYID} characters")
    return EnvelopeSignature(keyid, _decode(entry["sig"], "sig"))


def _parse(text: str) -> object:
    try:
        size = len(text.encode())
        if size > MAX_ENVELOPE_BYTES:
            raise refused(Refusal.ENVELOPE_TOO_LARGE, f"the envelope has {size} bytes; at most {MAX_ENVELOPE_BYTES} are accepted")
        return json.loads(text, object_pairs_hook=_unique, parse_int=_no_number, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"the envelope is not valid JSON: {str(error)[:100]}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _no_number(_: str) -> NoReturn:
    raise ValueError("an envelope contains no number")


def _members(value: object, wanted: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != wanted:
        raise _malformed(f"{what} does not have exactly the members {', '.join(sorted(wanted))}")
    return value


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: object, what: str) -> bytes:
    if not isinstance(text, str):
        raise _malformed(f"{what} is not a text")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(f"{what} is not standard base64") from None
    if _encode(data) != text:
        raise _malformed(f"{what} is not canonical base64")
    return data


def _malformed(why: str) -> Exception:
    return refused(Refusal.MALFORMED_ENVELOPE, why)
