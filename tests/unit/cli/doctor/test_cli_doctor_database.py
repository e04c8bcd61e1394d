"""``gatehouse doctor`` on a journal in PostgreSQL: a real server on its socket, and certificates from a stand-in.

The server of the tests has no TLS of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.journal.postgres_facts import ask_server, tls_of
from exchange.errors import GatehouseError
from tests.support.certificates import DAY, issue, showing
from tests.support.cli_kit import Run, printed
from tests.support.postgres_server import USER, PostgresServer, a_server

HOUR = dt.timedelta(hours=1)
Rows = dict[str, dict[str, Any]]
Doctor = Callable[..., Rows]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from a_server()


@pytest.fixture
def doctor(run: Run, deployment: Path) -> Doctor:
    """The rows of a deployment whose journal is at ``url``, by their names."""
    settings = deployment / "gatehouse.toml"
    # A journal that two hosts can lead needs a watchdog that both reach; here is one host.
    text = settings.read_text().replace("[watchdog]\nenabled = true", "[watchdog]\nenabled = false")

    def ask(url: str, *lines: str) -> Rows:
        settings.write_text("\n".join((f'journal = "{url}"', *lines, text)))
        return {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}

    return ask


@pytest.fixture
def with_password(server: PostgresServer, deployment: Path) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Makes a user with a password that ends at a time; yields the journal's URL, and the line that names the password's file."""
    rules = server.directory / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all guarded scram-sha-256\n{before}")
    secret = deployment / "secrets" / "journal.secret"
    secret.touch(0o600)
    secret.write_text("a long password")

    def make(ends: str) -> tuple[str, str]:
        valid = f"VALID UNTIL '{ends}'" if ends else ""
        server.execute("postgres", f"CREATE ROLE guarded LOGIN PASSWORD 'a long password' {valid}", "SELECT pg_reload_conf()")
        return server.url("postgres").replace(f"{USER}@", "guarded@"), 'journal_secret_file = "secrets/journal.secret"'

    yield make
    rules.write_text(before)
    server.execute("postgres", "DROP ROLE IF EXISTS guarded", "SELECT pg_reload_conf()")


def test_a_server_that_answers_shows_version_and_durability(doctor: Doctor, server: PostgresServer) -> None:
    rows = doctor(server.url("postgres"))
    assert rows["journal database"]["verdict"] == "PASS"
    assert rows["journal database"]["found"].startswith("PostgreSQL 18")
    assert "fsync on, synchronous_commit on in every append" in rows["journal database"]["found"]
    assert rows["journal password"]["found"] == "not asked for: the database knows this user without one"
    assert rows["journal"]["found"] == "none yet"


def test_a_journal_in_a_file_has_no_rows_of_a_database(run: Run, deployment: Path) -> None:
    rows = printed(run("doctor", "--dir", deployment, "-o", "json"))
    assert not [row["check"] for row in rows if row["check"].startswith("journal ")]


def test_a_server_that_does_not_answer_is_one_failure(doctor: Doctor, tmp_path: Path) -> None:
    rows = doctor(f"postgresql://{USER}@/postgres?host={tmp_path}")
    assert rows["journal database"]["verdict"] == "FAIL"
    assert "Check that the server runs" in rows["journal database"]["fix"]
    assert "journal" not in rows
    assert rows["after journal database"]["found"].startswith("not checked: journal password, journal")


def test_fsync_off_fails(doctor: Doctor, server: PostgresServer) -> None:
    server.execute("postgres", "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    try:
        row = doctor(server.url("postgres"))["journal database"]
    finally:
        server.execute("postgres", "ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")
    assert row["verdict"] == "FAIL"
    assert "can lose committed data: fsync is off" in row["found"]


def test_synchronous_commit_off_at_the_server_does_not_reach_an_append(server: PostgresServer) -> None:
    server.execute("postgres", f"ALTER ROLE {USER} SET synchronous_commit = off")
    try:
        assert ask_server(server.url("postgres"), None, synchronous=False).commits == "on"
    finally:
        server.execute("postgres", f"ALTER ROLE {USER} RESET synchronous_commit")


def test_a_required_standby_that_no_commit_waits_for_fails(doctor: Doctor, server: PostgresServer) -> None:
    row = doctor(server.url("postgres"), "journal_synchronous = true")["journal database"]
    assert (row["verdict"], "synchronous_standby_names is empty" in row["found"]) == ("FAIL", True)


@pytest.mark.parametrize(("left", "verdict", "said"), [(20.5 * HOUR, "WARN", "20 hours"), (60 * DAY + HOUR, "PASS", "60 days")])
def test_the_end_of_the_password_is_shown(
    doctor: Doctor, with_password: Callable[[str], tuple[str, str]], left: dt.timedelta, verdict: str, said: str
) -> None:
    row = doctor(*with_password(f"{dt.datetime.now(dt.UTC) + left:%Y-%m-%d %H:%M:%S}+00"))["journal password"]
    assert (row["verdict"], said in row["found"]) == (verdict, True)
    assert (verdict == "PASS") or "ALTER ROLE" in row["fix"]


@pytest.mark.parametrize("ends", ["infinity", ""])
def test_a_password_without_an_end_passes(doctor: Doctor, with_password: Callable[[str], tuple[str, str]], ends: str) -> None:
    row = doctor(*with_password(ends))["journal password"]
    assert (row["verdict"], row["found"]) == ("PASS", "does not end")


def test_a_password_that_has_ended_fails_and_says_where_to_look(
    doctor: Doctor, with_password: Callable[[str], tuple[str, str]]
) -> None:
    row = doctor(*with_password("2026-01-01"))["journal database"]
    assert row["verdict"] == "FAIL"
    assert "rolvaliduntil" in row["fix"]


def test_a_password_file_that_is_missing_is_one_failure(doctor: Doctor, server: PostgresServer) -> None:
    rows = doctor(server.url("postgres"), 'journal_secret_file = "secrets/journal.secret"')
    assert rows["secret secrets/journal.secret"]["verdict"] == "FAIL"
    assert "journal database" in rows["after secret secrets/journal.secret"]["found"]


def url_to(port: int, **parameters: object) -> str:
    listed = "&".join(f"{name}={value}" for name, value in {"sslmode": "verify-full", **parameters}.items())
    return f"postgresql://{USER}@127.0.0.1:{port}/postgres?{listed}"


@pytest.mark.parametrize(
    ("left", "verdict", "said"),
    [
        (60 * DAY + HOUR, "PASS", "good for 60 days"),
        (2 * DAY + HOUR, "WARN", "ends in 2 days"),
        (-3 * DAY - HOUR, "FAIL", "ended 3 days ago"),
    ],
)
def test_the_end_of_the_servers_certificate_is_shown(
    doctor: Doctor, tmp_path: Path, left: dt.timedelta, verdict: str, said: str
) -> None:
    issued = issue(tmp_path, left)
    with showing(issued, postgres=True) as port:
        rows = doctor(url_to(port, sslrootcert=issue(tmp_path, 60 * DAY, name="root").certificate))
    row = rows[f"journal certificate 127.0.0.1:{port}"]
    assert (row["verdict"], said in row["found"]) == (verdict, True)
    assert (verdict == "PASS") or "pg_reload_conf" in row["fix"]


def test_a_server_without_tls_that_has_to_have_it_fails(doctor: Doctor, tmp_path: Path) -> None:
    with showing(None, postgres=True) as port:
        rows = doctor(url_to(port, sslrootcert=issue(tmp_path, 60 * DAY).certificate))
    row = rows[f"journal certificate 127.0.0.1:{port}"]
    assert (row["verdict"], "this server has no TLS" in row["found"]) == ("FAIL", True)


def test_the_files_that_the_url_names_are_read(doctor: Doctor, tmp_path: Path) -> None:
    root, own = issue(tmp_path, 20 * HOUR, name="root"), issue(tmp_path, 60 * DAY, name="own")
    own.key.chmod(0o644)
    with showing(issue(tmp_path, 60 * DAY, name="server"), postgres=True) as port:
        rows = doctor(url_to(port, sslrootcert=root.certificate, sslcert=own.certificate, sslkey=own.key))
    assert rows["journal authorities"]["verdict"] == "WARN"
    assert rows["journal client certificate"]["verdict"] == "FAIL"
    assert rows["journal client certificate"]["fix"].startswith(f"Run `chmod 600 {own.key}`")


def test_an_authority_file_that_is_missing_fails(doctor: Doctor, tmp_path: Path) -> None:
    with showing(issue(tmp_path, 60 * DAY), postgres=True) as port:
        row = doctor(url_to(port, sslrootcert=tmp_path / "none.crt"))["journal authorities"]
    assert (row["verdict"], "none.crt" in row["found"]) == ("FAIL", True)


@pytest.mark.parametrize(
    ("url", "servers", "checked"),
    [
        ("postgresql://u@/j?host=/run/pg", (), False),
        ("postgresql://u@localhost/j?sslmode=disable", (), False),
        ("postgresql://u@localhost/j", (("localhost", 5432),), False),
        ("postgresql://u@db.example:6000/j?sslmode=verify-full", (("db.example", 6000),), True),
        (
            "postgresql://u@a.example,b.example:5433/j?sslmode=verify-full&target_session_attrs=read-write",
            (("a.example", 5432), ("b.example", 5433)),
            True,
        ),
    ],
)
def test_which_servers_show_a_certificate_is_read_from_the_url(
    url: str, servers: tuple[tuple[str, int], ...], checked: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = tls_of(url)
    assert (found.servers, found.checked) == (servers, checked)


def test_a_url_that_would_send_the_journal_unprotected_is_one_failure(doctor: Doctor) -> None:
    rows = doctor("postgresql://u@db.example/journal")
    assert rows["journal database"]["verdict"] == "FAIL"
    assert "sslmode=verify-full" in rows["journal database"]["fix"]


def test_every_refusal_of_a_server_is_an_error_of_gatehouse(tmp_path: Path) -> None:
    with pytest.raises(GatehouseError, match="cannot be used"):
        ask_server(f"postgresql://u@/j?host={tmp_path}", None, synchronous=False)
