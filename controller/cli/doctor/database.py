"""The checks of ``gatehouse doctor`` on a journal in PostgreSQL: the server, the password's end, certificates. ``checks`` calls it.

A journal in a file has none of these rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.doctor.certificates import any_certificate, check_authorities, judge, read_file, require_key
from controller.cli.doctor.ends import DAY_MS, day, left
from controller.cli.doctor.result import Check, Warned
from controller.journal.location import without_driver
from controller.settings.deployment import Settings, read_secret
from exchange.errors import ConfigError, GatehouseError
from exchange.model import Millis

if TYPE_CHECKING:
    from controller.journal.postgres_facts import DatabaseTls, ServerFacts

SERVER = "journal database"
_SOON_MS = 5 * DAY_MS
_RENEW = (
    "Move its end as a superuser of the database, `ALTER ROLE {user} VALID UNTIL '2027-01-31'`, or to 'infinity'. With a new "
    "password, write that into {file} and restart the controller."
)


@dataclass(slots=True)
class Database:
    """The database that ``journal`` in the settings names, asked once."""

    directory: Path
    settings: Settings
    now: Millis
    _facts: ServerFacts | None = field(default=None, init=False)

    def checks(self) -> list[Check]:
        """Its rows; none for a journal in a file."""
        if not self.settings.journal:
            return []
        try:
            from controller.journal.postgres_facts import tls_of

            tls = tls_of(self.settings.journal)
        except ImportError:
            # The row of the server says which extra is missing.
            return [Check(SERVER, self._server)]
        except GatehouseError:
            return [Check(SERVER, self._server)]
        rows = self._certificates(tls)
        secret = self.settings.journal_secret_file
        needed = [f"secret {secret}"] if secret else []
        # Of several servers one is enough to be reached.
        needed += [row.name for row in rows if len(tls.servers) == 1]
        return [*rows, Check(SERVER, self._server, tuple(needed)), Check("journal password", self._password, (SERVER,))]

    def _certificates(self, tls: DatabaseTls) -> list[Check]:
        rows = [
            Check(f"journal certificate {host}:{port}", partial(self._served, tls, host, port))
            for host, port in tls.servers
            if tls.checked
        ]
        if tls.authorities is not None:
            rows.append(Check("journal authorities", partial(check_authorities, tls.authorities, self.now)))
        if tls.certificate is not None and tls.key is not None:
            rows.append(Check("journal client certificate", partial(self._own, tls.certificate, tls.key)))
        return rows

    def _served(self, tls: DatabaseTls, host: str, port: int) -> str | Warned:
        from controller.journal.postgres_facts import ask_for_tls

        return judge(
            any_certificate(host, port, ask_for_tls),
            self.now,
            what=f"the controller refuses the database (sslmode={tls.mode})",
            renew=f"Renew the certificate on {host}, and let PostgreSQL read it with `SELECT pg_reload_conf()`.",
        )

    def _own(self, certificate: Path, key: Path) -> str | Warned:
        own = read_file(certificate, "our certificate for the database")[0]
        require_key(key, own)
        return judge(
            own,
            self.now,
            what="the database refuses the controller",
            renew=f"Have a new one made for the same user, put it into {certificate} and its key into {key}, then restart the "
            "controller.",
        )

    def _server(self) -> str:
        try:
            from controller.journal.postgres_facts import ask_server
        except ImportError:
            raise without_driver() from None
        settings = self.settings
        password = read_secret(self.directory, settings.journal_secret_file) if settings.journal_secret_file else None
        facts = ask_server(settings.journal, password, synchronous=settings.journal_synchronous)
        self._facts = facts
        waits = f"commits wait for {facts.standbys}" if facts.standbys else "commits wait for no other server"
        return f"PostgreSQL {facts.version} answers; fsync on, synchronous_commit {facts.commits} in every append; {waits}"

    def _password(self) -> str | Warned:
        facts = self._facts
        if facts is None or not facts.password_asked:
            return "not asked for: the database knows this user without one"
        ends = facts.password_ends
        if ends is None:
            return "does not end"
        fix = _RENEW.format(user="USER", file=self.directory / (self.settings.journal_secret_file or "PASSWORD-FILE"))
        what = "no new connection to the journal is possible"
        if ends <= self.now:
            raise ConfigError(f"it ended on {day(ends)}: {what}", code="password-ended", remedy=fix)
        if ends - self.now < _SOON_MS:
            return Warned(f"it ends in {left(ends - self.now)}, on {day(ends)}, and then {what}", fix)
        return f"good for {left(ends - self.now)}, until {day(ends)}"
