"""The checks of ``gatehouse doctor`` on TLS certificates: of servers that the settings name, and in files that they name.

``doctor.checks`` and ``doctor.database`` call this. Of the servers here only the remote console has TLS.
"""

from __future__ import annotations

import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from controller.cli.doctor.ends import day, left
from controller.cli.doctor.result import Warned
from controller.journal.targets.https import tls_context
from controller.settings.certificate_ends import begins_at, ends_at, ends_soon
from controller.settings.checkpoints import BucketSettings, CheckpointSettings, WebhookSettings, WitnessSettings
from controller.settings.console import RemoteConsoleSettings
from controller.settings.console_tls import open_tls
from exchange.errors import ConfigError, Unreachable
from exchange.model import Millis

_ANSWER_WITHIN_S = 5.0

Prepare = Callable[[socket.socket], None]
"""What is said on a new connection before TLS begins."""


def addresses_with_tls(checkpoints: tuple[CheckpointSettings, ...]) -> dict[str, str]:
    """The https addresses of the checkpoint targets, by the target's kind and name. git checks the server of its remote itself."""
    found: dict[str, str] = {}
    for one in checkpoints:
        if isinstance(one, WebhookSettings | WitnessSettings):
            found[f"{one.to} {one.name}"] = one.url
        elif isinstance(one, BucketSettings):
            found[f"{one.to} {one.name}"] = one.endpoint
    return {name: url for name, url in found.items() if url.startswith("https://")}


def check_server(url: str, now: Millis) -> str | Warned:
    """How long the certificate of a checkpoint target's server counts, judged as the target's client judges it.

    Raises:
        Unreachable: nobody answers there.
        ConfigError: the certificate is not accepted; the message says why.
    """
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 443
    refused = ""
    try:
        certificate = served(host, port, tls_context())
    except ssl.SSLCertVerificationError as error:
        refused = error.verify_message
        certificate = served(host, port, _any_certificate())
    if refused and begins_at(certificate) <= now < ends_at(certificate):
        raise ConfigError(
            f"the certificate of {host}:{port} is refused: {refused}; it is for {names(certificate)}, {until(certificate, now)}",
            code="certificate-refused",
            remedy=f"Use a certificate for {host} from an authority that this machine trusts (`update-ca-certificates` adds one of "
            "your own), or correct the address in gatehouse.toml.",
        )
    return judge(
        certificate, now, what="no checkpoint reaches the target", renew=f"Renew the certificate on {host}, and restart its server."
    )


def served(host: str, port: int, context: ssl.SSLContext, prepare: Prepare | None = None) -> x509.Certificate:
    """The certificate that a server shows. ``prepare`` asks the server for TLS where it begins without.

    Raises:
        ssl.SSLCertVerificationError: ``context`` does not accept it.
        Unreachable: nobody answers, or not with TLS.
    """
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_WITHIN_S) as plain:
            if prepare is not None:
                prepare(plain)
            with context.wrap_socket(plain, server_hostname=host) as secured:
                return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, ValueError) as error:
        raise Unreachable(
            f"{host}:{port} does not show a certificate: {error}",
            code="no-certificate",
            remedy=f"`openssl s_client -connect {host}:{port}` shows what answers there. Start the server, or correct the "
            "address in gatehouse.toml.",
        ) from None


def judge(certificate: x509.Certificate, now: Millis, *, what: str, renew: str) -> str | Warned:
    """How long it counts. It warns 10 days before the end, or in the last quarter of a certificate that lives shorter than 40 days.

    Args:
        what: what no longer works when it has ended.
        renew: what to do.

    Raises:
        ConfigError: it does not count now.
    """
    begins, ends = begins_at(certificate), ends_at(certificate)
    if now < begins:
        raise ConfigError(
            f"the certificate begins on {day(begins)}, in {left(begins - now)}: {what}",
            code="certificate-not-yet",
            remedy="If this machine's clock is right, use a certificate that counts now.",
        )
    if now >= ends:
        raise ConfigError(f"the certificate {until(certificate, now)}: {what}", code="certificate-ended", remedy=renew)
    if ends_soon(certificate, now):
        return Warned(f"the certificate {until(certificate, now)}, and then {what}", renew)
    return f"good for {left(ends - now)}, until {day(ends)}; for {names(certificate)}"


def until(certificate: x509.Certificate, now: Millis) -> str:
    """When it ends or ended."""
    ends = ends_at(certificate)
    return f"ended {left(now - ends)} ago, on {day(ends)}" if ends <= now else f"ends in {left(ends - now)}, on {day(ends)}"


def names(certificate: x509.Certificate) -> str:
    """The names and addresses that it is for, or its subject."""
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return certificate.subject.rfc4514_string() or "no name"
    return ", ".join(str(one.value) for one in listed) or "no name"


def read_file(path: Path, what: str) -> list[x509.Certificate]:
    """Every certificate of a PEM file.

    Raises:
        ConfigError: it cannot be read, or contains none.
    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it contains no certificate"
        raise ConfigError(
            f"{path}, {what}, cannot be read: {why}",
            code="certificate-unreadable",
            remedy=f"Put it there as a PEM file, readable by the user that runs gatehouse. `ls -l {path}` shows what is there.",
        ) from None


def require_key(path: Path, certificate: x509.Certificate) -> None:
    """Raises ``ConfigError`` when a private key is missing, can be read by others, or belongs to another certificate."""
    try:
        mode, owner = path.stat().st_mode, path.stat().st_uid
        if stat.S_IMODE(mode) & (0o037 if owner == 0 else 0o077):
            raise ConfigError(
                f"{path} can be read by others",
                code="secret-exposed",
                remedy=f"Run `chmod 600 {path}`; if others use this machine, replace the key and its certificate too.",
            )
        public = load_pem_private_key(path.read_bytes(), None).public_key()
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"the key {path} cannot be read: {error}",
            code="no-secret",
            remedy=f"Put the certificate's private key there without a password, as a PEM file, and run `chmod 600 {path}`.",
        ) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ConfigError(
            f"{path} is not the key of its certificate",
            code="other-key",
            remedy="Put the key there that the certificate was made for, or have a certificate made for this key.",
        )


def check_remote_console(directory: Path, settings: RemoteConsoleSettings, now: Millis) -> str | Warned:
    """How long the certificate of the remote console counts. Raises ``ConfigError`` when it does not, or a start refuses it."""
    open_tls(directory, settings)
    certificate, key = directory / settings.certificate, directory / settings.key
    own = read_file(certificate, "the certificate of the remote console")[0]
    return judge(own, now, what="browsers refuse the remote console", renew=f"Renew it in {certificate} and {key}.")


def check_authorities(path: Path, now: Millis) -> str | Warned:
    """How long the authorities in a file count. One that has ended beside others is left alone: a change leaves it there.

    Raises:
        ConfigError: the file cannot be read, or every authority in it has ended.
    """
    listed = sorted(read_file(path, "the authorities of the database's certificate"), key=ends_at)
    counting = [one for one in listed if ends_at(one) > now] or listed[-1:]
    return judge(
        counting[0],
        now,
        what="the controller refuses the database's certificate",
        renew=f"Ask who runs the database for the authority's new certificate, and add it to {path}.",
    )


def any_certificate(host: str, port: int, prepare: Prepare) -> x509.Certificate:
    """The certificate that a server shows, whether it is accepted or not. Raises ``Unreachable``."""
    return served(host, port, _any_certificate(), prepare)


def _any_certificate() -> ssl.SSLContext:
    # Nothing is sent on this connection: only the certificate's dates are read.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
