"""Certificates made for one test, the two sides' TLS contexts, and a server on loopback that shows one."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that signed itself, in a file, and its private key in another."""

    certificate: Path
    key: Path
    parsed: x509.Certificate


def issue(
    directory: Path, ends: dt.timedelta, *, began: dt.timedelta = 30 * DAY, host: str = "127.0.0.1", name: str = "own"
) -> Issued:
    """A certificate for ``host`` that began so long ago and ends so long from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - began)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    issued = Issued(directory / f"{name}.crt", directory / f"{name}.key", made)
    issued.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    issued.key.touch(0o600)
    unencrypted = serialization.NoEncryption()
    issued.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted))
    return issued


def self_signed(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and a client's that trusts it and nothing else. ``server.pem`` is the key and the certificate."""
    issued = issue(directory, DAY, began=DAY)
    (directory / "server.pem").write_bytes(issued.key.read_bytes() + issued.certificate.read_bytes())
    return server_side(issued), ssl.create_default_context(cafile=str(issued.certificate))


def server_side(issued: Issued) -> ssl.SSLContext:
    """The context of a server that shows the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


@contextmanager
def showing(issued: Issued | None, *, postgres: bool = False) -> Iterator[int]:
    """A server that shows the certificate and says nothing more; yields its port.

    ``postgres``: TLS begins after PostgreSQL's SSLRequest, which is answered with ``N`` where there is no certificate.
    """
    context = server_side(issued) if issued is not None else None
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as plain, suppress(OSError):
                        plain.settimeout(10)
                        if postgres:
                            plain.recv(8)
                            plain.sendall(b"S" if context is not None else b"N")
                        if context is not None:
                            with context.wrap_socket(plain, server_side=True) as secured:
                                secured.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
