"""Signs with keys in a PKCS#11 token or in a HashiCorp Vault, through securesystemslib. The CLI calls it.

The library finds the key and signs the bytes of the envelope. Our own verifier checks the signature before it is used. Every
exception of a driver or a client becomes a typed error here. The library is an optional extra (``hsm``, ``vault``), imported only
for a key that is named by a URI.
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
"""Asks for a token's PIN. Called only when the token needs one."""

PKCS11_MODULE = "PYKCS11LIB"
"""The environment variable with the path of the token's PKCS#11 module; securesystemslib reads it."""

_MAX_KEY_ID = 2**31 - 1
_HSM_PARAMETERS = frozenset({"label"})
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class _Scheme:
    """One kind of key store: securesystemslib's extra for it, and the exception of its client as ``module.class``."""

    extra: str
    what: str
    raises: str


SCHEMES: Mapping[str, _Scheme] = MappingProxyType(
    {
        "hsm": _Scheme("hsm", "a PKCS#11 token", "pkcs11.exceptions.PKCS11Error"),
        "hv": _Scheme("vault", "a HashiCorp Vault", "hvac.exceptions.VaultError"),
    }
)
"""The URI schemes of key stores. A key file is named by its path and has no scheme."""

_TYPES: Mapping[str, tuple[KeyAlgorithm, KeyType]] = MappingProxyType(
    {
        "ecdsa-sha2-nistp256": (KeyAlgorithm.ECDSA_P256, KeyType.PLAIN_P256),
        "ecdsa-sha2-nistp384": (KeyAlgorithm.ECDSA_P384, KeyType.PLAIN_P384),
        "ed25519": (KeyAlgorithm.ED25519, KeyType.FILE),
    }
)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key in a key store. ``type`` is its type in a roster; ``uri`` is the complete URI, even if a shorter one was given."""

    uri: str
    public: PublicKey
    type: KeyType
    library_key: SSlibKey


def is_token_uri(text: str) -> bool:
    """Whether this is a URI of any scheme, and not the path of a file."""
    return _URI.match(text) is not None


def find_key(uri: str, pin: PinSource) -> TokenKey:
    """Ask the key store for the public key.

    Raises:
        UsageError: ``bad-key-uri`` or ``extra-missing``.
        ConfigError: ``token-unusable``: the key store cannot be reached, or has no such key.
        Unauthorised: ``unsupported-algorithm``, ``unusable-key``.
    """
    with _typed_errors(uri):
        full, library_key = _import(uri, pin)
        key_type = _TYPES.get(library_key.scheme)
        if key_type is None:
            raise Unauthorised(
                f"{uri} is a key for {library_key.scheme[:60]}",
                code="unsupported-algorithm",
                remedy="Make a P-256 or P-384 key there (Ed25519 in a vault) and enrol that.",
            )
        algorithm, kind = key_type
        point = _point(library_key.keyval["public"], algorithm)
    return TokenKey(full, parse_public_blob(PublicKey(algorithm, point).blob), kind, library_key)


def sign_with_token(envelope: Envelope, key: TokenKey, pin: PinSource) -> Envelope:
    """Let the key sign the envelope, verify the signature, and add it.

    Raises:
        ConfigError: ``token-unusable``.
        Unauthorised: the signature is not valid, or the key has already signed.
    """
    with _typed_errors(key.uri):
        from securesystemslib.signer import Signer

        made = Signer.from_priv_key_uri(key.uri, key.library_key, lambda _: pin()).sign(envelope.pae)
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
                "no PKCS#11 module is configured",
                code="token-unusable",
                remedy=f"Set {PKCS11_MODULE} to the path of the token's module, such as /usr/lib/x86_64-linux-gnu/libykcs11.so.",
            )
        return library.HSMSigner.import_(number, label, lambda _: pin())
    found = library.VaultSigner.import_(rest.partition("/")[0])
    if found[0] != uri and not found[0].startswith(uri.rstrip("/") + "/"):
        raise ConfigError(
            f"the newest version of the key is {found[0]}",
            code="token-unusable",
            remedy="Sign with the newest version of the key, and add that version to the roster.",
        )
    return found


def _hsm_parts(uri: str) -> tuple[int | None, str | None]:
    parts = urlsplit(uri)
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = dict(query)
    number = int(parts.path) if parts.path.isascii() and parts.path.isdecimal() and len(parts.path) < 11 else None
    valid = len(named) == len(query) and named.keys() <= _HSM_PARAMETERS and not parts.netloc and not parts.fragment
    if not valid or (parts.path and (number is None or number > _MAX_KEY_ID)):
        raise _bad_uri(uri, "Write hsm:, hsm:KEYID or hsm:KEYID?label=TOKEN; the PIN is asked for later.")
    return number, named.get("label")


def _bad_uri(uri: str, remedy: str) -> UsageError:
    # The query is left out because it may contain the PIN.
    return UsageError(f"{uri.partition('?')[0][:200]!r} does not name a key", code="bad-key-uri", remedy=remedy)


def _point(text: str, algorithm: KeyAlgorithm) -> bytes:
    if algorithm.ed25519:
        return bytes.fromhex(text)
    key = load_pem_public_key(text.encode())
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != algorithm.curve.group.name:
        raise Unauthorised(
            "the key is not on the curve of its type", code="unusable-key", remedy="Create another key in the key store."
        )
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@contextmanager
def _typed_errors(uri: str) -> Iterator[None]:
    scheme = SCHEMES.get(uri.partition(":")[0])
    if scheme is None:
        supported = " and ".join(f"{name}: ({one.what})" for name, one in SCHEMES.items())
        raise _bad_uri(uri, f"Use {supported}. For a file whose name has a colon, write ./ in front of the name.")
    try:
        from securesystemslib.exceptions import Error, UnsupportedLibraryError
    except ImportError:
        raise _extra_missing(scheme) from None
    library_errors: tuple[type[Exception], ...] = (Error, ValueError, LookupError, TypeError, OSError, *_raised_by(scheme))
    try:
        yield
    except UnsupportedLibraryError:
        raise _extra_missing(scheme) from None
    except library_errors as error:
        why = str(error)[:200] or type(error).__name__
        raise ConfigError(
            f"{scheme.what} failed: {why}",
            code="token-unusable",
            remedy="Check that the token or service is reachable, that the key exists, and that the PIN is correct.",
        ) from None


def _extra_missing(scheme: _Scheme) -> UsageError:
    return UsageError(
        f"signing with {scheme.what} needs an extra of securesystemslib that is not installed",
        code="extra-missing",
        remedy=f"Run `pip install 'securesystemslib[{scheme.extra}]'`.",
    )


def _raised_by(scheme: _Scheme) -> tuple[type[Exception], ...]:
    module, _, kind = scheme.raises.rpartition(".")
    try:
        return (getattr(import_module(module), kind),)
    except ImportError:
        return ()
