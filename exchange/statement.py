"""What a testnet signs about itself: the challenge it answers, the statement, its bytes, and how they are read. Pure.

The testnet makes statements (``exchange.testnet.statements``), and the controller asks for them and judges them
(``controller.core.decisions.attestation``). A statement is RFC 8785 JSON, signed with Ed25519 over the DSSE pre-authentication
bytes of ``PAYLOAD_TYPE``, so no other signature of the same key can be taken for one (ADR 47).

``Books`` sums up what an account did: every order that the venue took and every trade of it. Both sides keep one, the testnet from
its engine and the controller from its journal, and a statement holds the digest of the testnet's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.model import DataSource, Millis, OrderType, Side

PAYLOAD_TYPE = "application/vnd.gatehouse.testnet-statement.v1+json"
MOST_BYTES = 65_536
"""The longest statement that is read."""

STREAM_GAP_MS = 10_000
"""A market without a record for longer than this has a gap."""

NAME = r"[A-Za-z0-9._@:-]{1,128}"
"""The form of a nonce, an account, a controller and a prefix in a challenge."""

_SSH_ED25519 = "ssh-ed25519 "
_SSH_PREFIX = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
_NAME = re.compile(NAME)
_SIGNATURE_BYTES, _KEY_BYTES = 64, 32
_ELEMENT_BYTES = 256
_MODULUS = 1 << (8 * _ELEMENT_BYTES)
_SAFE_INTEGER = 2**53 - 1


class Fault(StrEnum):
    """Why an answer is no statement. ``FORGED``: who answers has not the key that is signed for."""

    FORGED = "forged"
    MALFORMED = "malformed"
    REPLAYED = "replayed"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Books:
    """What an account did, in an order that does not matter: how many orders the venue took, how many trades, and their sum.

    The sum is of 2048-bit hashes, as in a multiset hash, so that it grows with each element and finding another set of elements
    with the same sum is out of reach. It is written as hex.
    """

    orders: int = 0
    fills: int = 0
    sum: str = ""

    def with_order(
        self,
        client_id: str,
        order_id: str,
        symbol: str,
        side: Side,
        type_: OrderType,
        price: Decimal | None,
        quantity: Decimal | None,
    ) -> Books:
        """Add an order that the venue took. What a MARKET order asks for is made by the venue, so it does not count."""
        wanted = ("", "") if type_ is OrderType.MARKET else (_plain(price), _plain(quantity))
        return Books(self.orders + 1, self.fills, self._plus("order", client_id, order_id, symbol, side, type_, *wanted))

    def with_fill(self, client_id: str, order_id: str, side: Side, price: Decimal, quantity: Decimal, quote: Decimal) -> Books:
        """Add a trade. Its id is left out: a venue's lists and its stream may number trades differently."""
        amounts = (_plain(price), _plain(quantity), _plain(quote))
        return Books(self.orders, self.fills + 1, self._plus("fill", client_id, order_id, side, *amounts))

    @property
    def count(self) -> int:
        """How many orders and trades these are."""
        return self.orders + self.fills

    @property
    def digest(self) -> str:
        """The numbers and the sum as one hash, which is what a statement holds."""
        return hashlib.sha256(f"{self.orders} {self.fills} {self.sum}".encode()).hexdigest()

    def _plus(self, *element: str) -> str:
        hashed = hashlib.shake_256("\0".join(element).encode()).digest(_ELEMENT_BYTES)
        return f"{((int(self.sum, 16) if self.sum else 0) + int.from_bytes(hashed, 'big')) % _MODULUS:0{2 * _ELEMENT_BYTES}x}"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the controller asks a testnet to sign. ``nonce`` is new for every question.

    ``account`` is the public API key. The statement is about the orders whose client ids begin with ``prefix`` and have a number
    above ``after``: those of one journal, since its present baseline.
    """

    nonce: str
    controller: str
    account: str
    prefix: str
    after: int = 0

    @property
    def usable(self) -> bool:
        """Whether every field has the form that a testnet signs."""
        names = (self.nonce, self.controller, self.account, self.prefix)
        return all(_NAME.fullmatch(name) for name in names) and 0 <= self.after <= _SAFE_INTEGER


@dataclass(frozen=True, slots=True)
class StreamCoverage:
    """The market data of one symbol since the testnet's present process began.

    ``gap_ms`` is the time in gaps, ``longest_gap_ms`` the longest of them, and ``last_at`` when the last record came.
    """

    covered_ms: int
    gap_ms: int
    longest_gap_ms: int
    last_at: Millis


@dataclass(frozen=True, slots=True)
class Statement:
    """What a testnet says of itself at ``at``, by its own clock.

    ``instance`` names its state, ``run`` counts its processes, and ``began`` is when this one did. ``books`` is the digest of what
    the account did, of ``orders`` orders and ``fills`` trades; ``last_order`` is the client id of the newest order.
    """

    challenge: Challenge
    instance: str
    run: int
    began: Millis
    software: str
    source: DataSource
    speed: str
    streams: Mapping[str, StreamCoverage]
    at: Millis
    orders: int
    fills: int
    last_order: str
    books: str

    def document(self) -> dict[str, object]:
        """The statement as strings, integers and objects."""
        asked = self.challenge
        return {
            "nonce": asked.nonce,
            "controller": asked.controller,
            "account": asked.account,
            "prefix": asked.prefix,
            "after": asked.after,
            "instance": self.instance,
            "run": self.run,
            "began": self.began,
            "software": self.software,
            "source": self.source.value,
            "speed": self.speed,
            "streams": {
                symbol: {
                    "coveredMs": one.covered_ms,
                    "gapMs": one.gap_ms,
                    "longestGapMs": one.longest_gap_ms,
                    "lastAt": one.last_at,
                }
                for symbol, one in self.streams.items()
            },
            "at": self.at,
            "orders": self.orders,
            "fills": self.fills,
            "lastOrder": self.last_order,
            "books": self.books,
        }

    def encode(self) -> bytes:
        """The bytes that are signed, without their frame."""
        return rfc8785.dumps(self.document())  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is no statement, and why. ``key`` is the public key that the answer names, for a person."""

    fault: Fault
    why: str
    key: str = ""


def signed_bytes(payload: bytes) -> bytes:
    """The DSSE pre-authentication encoding of a statement."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def answer(statement: Statement, key: Ed25519PrivateKey) -> dict[str, str]:
    """A testnet's reply to a challenge."""
    payload = statement.encode()
    return {
        "payload": base64.b64encode(payload).decode(),
        "signature": base64.b64encode(key.sign(signed_bytes(payload))).decode(),
        "key": public_line(key.public_key()),
    }


def read_answer(reply: bytes, challenge: Challenge, key: str) -> Statement | Refused:
    """The statement in a reply to ``challenge``, if the holder of ``key`` signed it.

    A reply that cannot be read is ``MALFORMED``; one that another key signed, or none, is ``FORGED``. A statement that was signed
    for an earlier question is ``REPLAYED``, and one for another controller, account or journal ``FOREIGN``.
    """
    try:
        envelope = _strings(json.loads(reply[: MOST_BYTES + 1]), {"payload", "signature", "key"})
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signature"], validate=True)
    except (ValueError, RecursionError) as error:
        return Refused(Fault.MALFORMED, f"the answer is no statement: {error}"[:200])
    named = envelope["key"][:128]
    if not _is_signed(payload, signature, key):
        why = "the signature is not that of the key it names" if named == key else "another key signed"
        return Refused(Fault.FORGED, why, named)
    try:
        found = _statement(payload)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Refused(Fault.MALFORMED, f"the statement cannot be read: {type(error).__name__}: {error}"[:200], named)
    return _answers(found, challenge, named)


def _answers(found: Statement, challenge: Challenge, named: str) -> Statement | Refused:
    asked = found.challenge
    if replace(asked, nonce=challenge.nonce) != challenge:
        whose = f"controller {asked.controller!r}, account {asked.account!r}, orders {asked.prefix}… above {asked.after}"
        return Refused(Fault.FOREIGN, f"the statement was signed for {whose}", named)
    if asked.nonce != challenge.nonce:
        return Refused(Fault.REPLAYED, "the statement answers an earlier question", named)
    return found


def public_line(key: Ed25519PublicKey) -> str:
    """A public key as one line of OpenSSH, the form in which a policy names it."""
    return _SSH_ED25519 + base64.b64encode(_SSH_PREFIX + key.public_bytes_raw()).decode()


def fingerprint(line: str) -> str:
    """The id of a public key, ``sha256:<hex>`` of the key material, as rosters and ``gatehouse keys show`` name keys."""
    material = _material(line)
    return "an unreadable key" if material is None else f"sha256:{hashlib.sha256(material).hexdigest()}"


def _material(line: str) -> bytes | None:
    try:
        blob = base64.b64decode(line.removeprefix(_SSH_ED25519), validate=True)
    except ValueError:
        return None
    fits = line.startswith(_SSH_ED25519) and blob.startswith(_SSH_PREFIX) and len(blob) == len(_SSH_PREFIX) + _KEY_BYTES
    return blob[-_KEY_BYTES:] if fits else None


def _is_signed(payload: bytes, signature: bytes, line: str) -> bool:
    material = _material(line)
    if material is None or len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(material).verify(signature, signed_bytes(payload))
    except (InvalidSignature, ValueError):
        return False
    return True


def _statement(payload: bytes) -> Statement:
    tree = json.loads(payload)
    if not isinstance(tree, dict) or not isinstance(tree["streams"], dict):
        raise TypeError("it is no object")
    found = Statement(
        challenge=Challenge(
            _text(tree, "nonce"), _text(tree, "controller"), _text(tree, "account"), _text(tree, "prefix"), _number(tree, "after")
        ),
        instance=_text(tree, "instance"),
        run=_number(tree, "run"),
        began=Millis(_number(tree, "began")),
        software=_text(tree, "software"),
        source=DataSource(_text(tree, "source")),
        speed=_text(tree, "speed"),
        streams={symbol: _stream(one) for symbol, one in tree["streams"].items()},
        at=Millis(_number(tree, "at")),
        orders=_number(tree, "orders"),
        fills=_number(tree, "fills"),
        last_order=_text(tree, "lastOrder"),
        books=_text(tree, "books"),
    )
    if found.encode() != payload:
        raise ValueError("the bytes are not in canonical form")
    return found


def _stream(one: Any) -> StreamCoverage:
    numbers = (_number(one, name) for name in ("coveredMs", "gapMs", "longestGapMs", "lastAt"))
    covered, gap, longest, last = numbers
    return StreamCoverage(covered, gap, longest, Millis(last))


def _text(tree: Mapping[str, Any], name: str) -> str:
    value = tree[name]
    if not isinstance(value, str) or len(value) > 256:
        raise TypeError(f"{name} is no text")
    return value


def _number(tree: Mapping[str, Any], name: str) -> int:
    value = tree[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _SAFE_INTEGER:
        raise TypeError(f"{name} is no number")
    return value


def _strings(tree: Any, names: set[str]) -> dict[str, str]:
    if not isinstance(tree, dict) or set(tree) != names or not all(isinstance(value, str) for value in tree.values()):
        raise ValueError("it has other fields")
    return tree


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"
