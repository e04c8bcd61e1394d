"""Locks the journal's row in PostgreSQL for a moment, so that every append waits. Only the drill ``disk`` makes one.

It is a connection of its own. If this process ends meanwhile, the server frees the row at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psycopg

from controller.journal.port import JournalError
from controller.journal.postgres_link import Link, unusable

_TAKE = "SELECT epoch FROM gatehouse.controller FOR UPDATE"
_WAITING = "SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"


class PostgresHold:
    """One hold. Its calls wait for the server, so they belong on another thread than the event loop's."""

    def __init__(self, connect: Callable[[], Link]) -> None:
        """``connect`` opens another connection to the journal's database."""
        self._connect = connect
        self._link: Link | None = None

    def take(self) -> None:
        """Lock the row. Raises ``JournalError``."""
        try:
            self._link = self._connect()
            self._link.begin()
            self._link.rows(_TAKE)
        except psycopg.Error as error:
            self.release()
            raise unusable(error) from error

    def makes_wait(self) -> bool:
        """Whether the server shows an append that waits for the row. Raises ``JournalError``."""
        if self._link is None:
            raise JournalError("the journal is not held", code="journal-not-held", remedy="Take the hold first.")
        try:
            return bool(self._link.rows(_WAITING))
        except psycopg.Error as error:
            raise unusable(error) from error

    def release(self) -> None:
        """Free the row. Releasing twice is allowed."""
        link, self._link = self._link, None
        if link is not None:
            with suppress(psycopg.Error):
                link.rollback()
            link.end()
