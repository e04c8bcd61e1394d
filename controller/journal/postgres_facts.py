"""What ``gatehouse doctor`` asks a PostgreSQL server and its connection URL: what is durable, the password's end, TLS."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from controller.journal.port import JournalError
from controller.journal.postgres_link import Link, checked_database_url, unusable
from controller.journal.postgres_schema import require_durable
from exchange.model import Millis

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""What a client sends to begin TLS; the server answers ``S`` or ``N`` (PostgreSQL's manual, "Message Formats", SSLRequest)."""

_WAITS = frozenset({"on", "remote_apply"})
_FACTS = """
SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
  (SELECT CASE WHEN isfinite(rolvaliduntil) THEN (extract(epoch FROM rolvaliduntil) * 1000)::bigint END
   FROM pg_roles WHERE rolname = session_user)
"""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server that can hold a journal. ``password_ends`` is ``None`` for one that does not end."""

    version: str
    commits: str
    standbys: str
    password_asked: bool
    password_ends: Millis | None


@dataclass(frozen=True, slots=True)
class DatabaseTls:
    """How a URL uses TLS. ``servers`` is empty without it; a file is ``None`` when none is used. ``checked``: the server's
    certificate has to be accepted."""

    mode: str
    servers: tuple[tuple[str, int], ...] = ()
    checked: bool = False
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def ask_server(url: str, password: str | None, *, synchronous: bool) -> ServerFacts:
    """Connect and ask. ``commits`` is ``synchronous_commit`` as an append has it: each one sets it, whatever the server's own is.

    Raises:
        JournalError: the server cannot be used, or can lose what was committed.
        ConfigError: ``bad-journal-url``.
    """
    checked_database_url(url)
    try:
        link = Link(url, password)
        try:
            require_durable(link, synchronous=synchronous)
            link.begin()
            ((version, commits, standbys, ends),) = link.rows(_FACTS)
            link.rollback()
            asked = link.password_asked
        finally:
            link.close()
    except psycopg.Error as error:
        raise unusable(error) from error
    if commits not in _WAITS:
        raise JournalError(
            f"this PostgreSQL server can lose committed data: synchronous_commit stays {commits} in an append",
            code="journal-not-durable",
            remedy="Connect to PostgreSQL itself, or to a pooler that passes SET LOCAL on.",
        )
    return ServerFacts(str(version), str(commits), str(standbys), asked, None if ends is None else Millis(ends))


def tls_of(url: str) -> DatabaseTls:
    """How a URL, the environment (``PGSSL…``) and the files in ``~/.postgresql`` use TLS, as the driver reads them.

    Raises:
        ConfigError: ``bad-journal-url``.
    """
    checked_database_url(url)
    standing = {one.keyword.decode(): one.val.decode() for one in psycopg.pq.Conninfo.get_defaults() if one.val is not None}
    parts = standing | {name: str(value) for name, value in conninfo_to_dict(url).items()}
    mode, servers = parts["sslmode"], _servers(parts)
    if mode in {"disable", "allow"} or not servers:
        return DatabaseTls(mode)
    root = _file(parts, "sslrootcert", "root.crt")
    verifies = mode in {"verify-ca", "verify-full"}
    certificate = _file(parts, "sslcert", "postgresql.crt")
    return DatabaseTls(
        mode,
        servers,
        checked=verifies or (mode == "require" and root is not None),
        authorities=root if verifies or mode == "require" else None,
        certificate=certificate,
        key=_file(parts, "sslkey", "postgresql.key", always=True) if certificate is not None else None,
    )


def ask_for_tls(plain: socket.socket) -> None:
    """Begin TLS on a new connection to a server. Raises ``OSError`` when it has none."""
    plain.sendall(_SSL_REQUEST)
    if plain.recv(1) != b"S":
        raise OSError("this server has no TLS: ssl is off in its postgresql.conf")


def _servers(parts: dict[str, str]) -> tuple[tuple[str, int], ...]:
    hosts = (parts.get("hostaddr") or parts.get("host") or "").split(",")
    ports = parts.get("port", "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    named = zip(hosts, ports, strict=False)
    return tuple((host, int(port or 5432)) for host, port in named if host and not host.startswith(("/", "@")))


def _file(parts: dict[str, str], keyword: str, usual: str, *, always: bool = False) -> Path | None:
    if parts.get(keyword) == "system":
        return None
    path = Path(parts[keyword]) if parts.get(keyword) else Path("~/.postgresql").expanduser() / usual
    return path if parts.get(keyword) or always or path.exists() else None
