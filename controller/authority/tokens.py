"""Keys that never leave where they are: in a PKCS#11 token or in a HashiCorp Vault, reached through securesystemslib.

The library finds the key and signs the envelope's bytes; what it returns is taken for a signature only after our own verifier
has accepted it. Whatever a driver or a client raises stops here. It is an extra (``hsm``, ``vault``), imported only for a key that
is named by URI.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from controller.authority.envelope import Envelope
from controller.authority.plain import verify_plain
from controller.authority.publickey import KeyAlgorithm, PublicKey, parse_public_blob
from controller.authority.roster import KeyType
from exchange.errors import ConfigError, Unauthorised, UsageError

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

PinSource = Callable[[], str]
"""Asks for a token's PIN. Called only when the token wants one."""

PKCS11_MODULE = "PYKCS11LIB"
"""The environment variable that names the token's PKCS#11 module; securesystemslib reads it."""

_MAX_KEY_ID = 2**31 - 1
_HSM_PARAMETERS = frozenset({"label"})
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class _Scheme:
    """One kind of place: securesystemslib's extra for it, and what its client raises as ``module.class``."""

    extra: str
    what: str
    raises: str


SCHEMES: Mapping[str, _Scheme] = MappingProxyType(
    {
        "hsm": _Scheme("hsm", "a PKCS#11 token", "pkcs11.exceptions.PKCS11Error"),
        "hv": _Scheme("vault", "a HashiCorp Vault", "hvac.exceptions.VaultError"),
    }
)
"""The URI schemes of keys that can be signed with. A key file is named by its path and has none."""

_TYPES: Mapping[str, tuple[KeyAlgorithm, KeyType]] = MappingProxyType(
    {
        "ecdsa-sha2-nistp256": (KeyAlgorithm.ECDSA_P256, KeyType.PLAIN_P256),
        "ecdsa-sha2-nistp384": (KeyAlgorithm.ECDSA_P384, KeyType.PLAIN_P384),
        "ed25519": (KeyAlgorithm.ED25519, KeyType.FILE),
    }
)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key in its place. ``type`` is what a roster lists it as; ``uri`` is complete, also where a shorter one was given."""

    uri: str
    public: PublicKey
    type: KeyType
    theirs: SSlibKey


def is_token_uri(text: str) -> bool:
    """Whether this names a key by URI, of whatever scheme, rather than a file by its path."""
    return _URI.match(text) is not None


def find_key(uri: str, pin: PinSource) -> TokenKey:
    """Ask the place for the public half.

    Raises:
        UsageError: ``bad-key-uri`` or ``extra-missing``.
        ConfigError: ``token-unusable``: the place cannot be reached, or has no such key.
        Unauthorised: ``unsupported-algorithm``, ``unusable-key``.
    """
    with _their_errors(uri):
        full, theirs = _import(uri, pin)
        known = _TYPES.get(theirs.scheme)
        if known is None:
            raise Unauthorised(
                f"{uri} is a key for {theirs.scheme[:60]}",
                code="unsupported-algorithm",
                remedy="Make a P-256 or P-384 key there (Ed25519 in a vault) and enrol that.",
            )
        algorithm, kind = known
        point = _point(theirs.keyval["public"], algorithm)
    return TokenKey(full, parse_public_blob(PublicKey(algorithm, point).blob), kind, theirs)


def sign_with_token(envelope: Envelope, key: TokenKey, pin: PinSource) -> Envelope:
    """Add the signature the key makes in its place, if it holds.

    Raises:
        ConfigError: ``token-unusable``.
        Unauthorised: the signature does not hold, or the key has already signed.
    """
    with _their_errors(key.uri):
        from securesystemslib.signer import Signer

        made = Signer.from_priv_key_uri(key.uri, key.theirs, lambda _: pin()).sign(envelope.pae)
        signature = bytes.fromhex(made.signature)
    verify_plain(signature, key=key.public, message=envelope.pae)
    return envelope.add_signature(key.public.fingerprint, signature)


def _import(uri: str, pin: PinSource) -> tuple[str, SSlibKey]:
    from securesystemslib import signer as library

    scheme, _, rest = uri.partition(":")
    if scheme == "hsm":
        number, label = _hsm_parts(uri)
        if not os.environ.get(PKCS11_MODULE):
            raise ConfigError(
                "no PKCS#11 module is named",
                code="token-unusable",
                remedy=f"Set {PKCS11_MODULE} to the token's module, such as /usr/lib/x86_64-linux-gnu/libykcs11.so.",
            )
        return library.HSMSigner.import_(number, label, lambda _: pin())
    found = library.VaultSigner.import_(rest.partition("/")[0])
    if found[0] != uri and not found[0].startswith(uri.rstrip("/") + "/"):
        raise ConfigError(
            f"the newest version of the key is {found[0]}",
            code="token-unusable",
            remedy="Sign with the newest version, and enrol that one.",
        )
    return found


def _hsm_parts(uri: str) -> tuple[int | None, str | None]:
    parts = urlsplit(uri)
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = dict(query)
    number = int(parts.path) if parts.path.isascii() and parts.path.isdecimal() and len(parts.path) < 11 else None
    known = len(named) == len(query) and named.keys() <= _HSM_PARAMETERS and not parts.netloc and not parts.fragment
    if not known or (parts.path and (number is None or number > _MAX_KEY_ID)):
        raise _bad_uri(uri, "Write hsm:, hsm:KEYID or hsm:KEYID?label=TOKEN; the PIN is asked for.")
    return number, named.get("label")


def _bad_uri(uri: str, remedy: str) -> UsageError:
    # Without its query: somebody may have written the PIN there.
    return UsageError(f"{uri.partition('?')[0][:200]!r} does not name a key", code="bad-key-uri", remedy=remedy)


def _point(text: str, algorithm: KeyAlgorithm) -> bytes:
    if algorithm.ed25519:
        return bytes.fromhex(text)
    key = load_pem_public_key(text.encode())
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != algorithm.curve.group.name:
        raise Unauthorised("the key is not on the curve it is said to be on", code="unusable-key", remedy="Make another key there.")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@contextmanager
def _their_errors(uri: str) -> Iterator[None]:
    scheme = SCHEMES.get(uri.partition(":")[0])
    if scheme is None:
        known = " and ".join(f"{name}: ({one.what})" for name, one in SCHEMES.items())
        raise _bad_uri(uri, f"Supported are {known}. Write ./ in front of a file whose name has a colon.")
    try:
        from securesystemslib.exceptions import Error, UnsupportedLibraryError
    except ImportError:
        raise _extra_missing(scheme) from None
    theirs: tuple[type[Exception], ...] = (Error, ValueError, LookupError, TypeError, OSError, *_raised_by(scheme))
    try:
        yield
    except UnsupportedLibraryError:
        raise _extra_missing(scheme) from None
    except theirs as error:
        why = str(error)[:200] or type(error).__name__
        raise ConfigError(
            f"{scheme.what} did not do it: {why}",
            code="token-unusable",
            remedy="See that the token is plugged in or the service reachable, that the key is there, and that the PIN is right.",
        ) from None


def _extra_missing(scheme: _Scheme) -> UsageError:
    return UsageError(
        f"signing with {scheme.what} needs a part of securesystemslib that is not installed",
        code="extra-missing",
        remedy=f"Install it: pip install 'securesystemslib[{scheme.extra}]'.",
    )


def _raised_by(scheme: _Scheme) -> tuple[type[Exception], ...]:
    module, _, kind = scheme.raises.rpartition(".")
    try:
        return (getattr(import_module(module), kind),)
    except ImportError:
        return ()
