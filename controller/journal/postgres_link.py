"""One connection to PostgreSQL with bounded waits, on which every warning counts (reliability.md §2.C F55-F59).

``postgres`` uses it. Each transaction sets all its session parameters itself, so that a pooler in transaction mode changes nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict

from controller.journal.port import JournalError
from exchange.errors import ConfigError

PATIENCE_S = 5.0
"""How long one statement may take, also a COMMIT that waits for a standby; then the connection is closed."""

_CONNECT_S = 5
_NEAR = frozenset({"localhost", "127.0.0.1", "::1"})
_LOOK = "Check that the server runs, accepts our user, and has free disk space; then start again."
_REMEDIES = {
    "password authentication failed": "Correct the file that journal_secret_file names, or give the user a new password. "
    "PostgreSQL says the same when the password has ended: `SELECT rolvaliduntil FROM pg_roles` shows its end.",
    "certificate": "Renew the certificate that is named, or correct sslrootcert, sslcert or the host in the URL. "
    "`gatehouse doctor` shows each certificate and its end.",
}
"""What to do, by what the server or the driver says."""

_BEGIN = b"""
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '4s';
SET LOCAL idle_in_transaction_session_timeout = '5s'
"""


class _Bounded(psycopg.Connection[tuple[Any, ...]]):
    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, PATIENCE_S if timeout is None else timeout)
        except errors._WaitTimeout:  # noqa: SLF001 - psycopg raises it to callers of wait and exports no other name
            self.close()
            raise psycopg.OperationalError(f"the server gave no answer within {PATIENCE_S:g} s") from None


class Link:
    """A connection and the server's warnings on it. Raises ``psycopg.Error``, which its owner translates."""

    def __init__(self, url: str, password: str | None) -> None:
        self._url = url
        self._password = password
        self._warnings: list[str] = []
        self._ended = False
        self._connection = self._connect()

    @property
    def password_asked(self) -> bool:
        """Whether the server let us in with a password."""
        return self._connection.pgconn.used_password

    def another(self) -> Link:
        """Another connection to the same database."""
        return Link(self._url, self._password)

    def reconnect(self) -> None:
        """Replace a lost connection by a new one."""
        self.close()
        self._connection = self._connect()

    def ensure_open(self) -> None:
        """Open a new connection if this one was lost, unless the link was ended."""
        if self._connection.closed and not self._ended:
            self.reconnect()

    def begin(self) -> None:
        """Start a transaction whose commit waits until it is durable, on the standby too if one is required."""
        self._connection.execute(_BEGIN)

    def commit(self) -> None:
        """Commit. A warning counts as a failure, for example when the server stopped waiting for the standby.

        The statement has no timeout, because the server would then show others a commit that no standby has. The client stops
        waiting instead.
        """
        self._warnings.clear()
        self._connection.execute(b"SET LOCAL statement_timeout = 0")
        done = self._connection.execute("COMMIT").statusmessage
        if self._warnings or done != "COMMIT":
            raise psycopg.OperationalError(f"the commit was answered with {[done, *self._warnings]}")

    def rollback(self) -> None:
        """Roll the transaction back, or close the connection if that fails."""
        try:
            if not self._connection.closed:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._connection.execute(sql.encode(), values, binary=True).fetchall()

    def run(self, sql: str, values: tuple[Any, ...] | None = None) -> None:
        """Run a statement that returns no rows; several statements, if there are no values."""
        self._connection.execute(sql.encode(), values)

    def run_many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run one statement for many rows, in one round trip."""
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.encode(), rows)

    def close(self) -> None:
        """Close the connection. Closing twice is allowed."""
        with suppress(psycopg.Error):
            self._connection.close()

    def end(self) -> None:
        """Close the connection and open no other one."""
        self._ended = True
        self.close()

    def _connect(self) -> _Bounded:
        connection = _Bounded.connect(
            self._url,
            autocommit=True,
            password=self._password,
            connect_timeout=_CONNECT_S,
            tcp_user_timeout=int(PATIENCE_S * 1000),
            application_name="gatehouse",
            prepare_threshold=None,
        )
        connection.add_notice_handler(self._on_notice)
        return connection

    def _on_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "")


def checked_database_url(url: str) -> str:
    """A connection URL that contains no secret and does not send the journal unencrypted over a network.

    Raises:
        ConfigError: it is no such URL, contains a password, names several servers without selecting the writable one, or connects
            to another machine without checking its certificate.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        raise _bad("it is not a PostgreSQL connection URL", "Write postgresql://user@host/database.") from None
    if not url.startswith(("postgresql://", "postgres://")):
        raise _bad("it does not begin with postgresql://", "Write postgresql://user@host/database.")
    if "password" in parts or "passfile" in parts:
        raise _bad("it contains a password", "Remove the password from the URL and name its file as journal_secret_file.")
    hosts = str(parts.get("hostaddr") or parts.get("host") or "").split(",")
    if len(hosts) > 1 and parts.get("target_session_attrs") != "read-write":
        raise _bad("it names several servers and does not select one", "Add ?target_session_attrs=read-write to the URL.")
    far = [host for host in hosts if host and not host.startswith(("/", "@")) and host not in _NEAR]
    if far and parts.get("sslmode") != "verify-full":
        raise _bad(f"{far[0]} is another machine and its certificate is not checked", "Add ?sslmode=verify-full to the URL.")
    return url


def linked(url: str, password: str | None) -> Link:
    """A connection to the database at ``url``. Raises ``ConfigError`` as ``checked_database_url``, and ``JournalError``."""
    try:
        return Link(checked_database_url(url), password)
    except psycopg.Error as error:
        raise unusable(error) from error


def unusable(error: Exception) -> JournalError:
    """The ``JournalError`` for a server that cannot be used."""
    why = str(error).strip()
    remedy = next((text for words, text in _REMEDIES.items() if words in why), _LOOK)
    return JournalError(f"the journal in PostgreSQL cannot be used: {why}", code="journal-unusable", remedy=remedy)


def _bad(why: str, remedy: str) -> ConfigError:
    return ConfigError(f"the journal's URL is refused: {why}", code="bad-journal-url", remedy=remedy)
