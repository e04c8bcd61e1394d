"""The tables of a journal in PostgreSQL, and the check that they are as gatehouse created them (architecture.md §7).

``postgres`` calls it. The schema keeps entries in order, linked and unchanged for every writer. The owner of the tables can change
the schema, so every opening compares it with the created one, and the hash chain and its witnesses show changes made in between.
The triggers fire also for a replication role.
"""

from __future__ import annotations

from controller.journal.port import JournalError
from controller.journal.postgres_link import Link

SCHEMA_VERSION = 1

_CREATION_LOCK = 0x67617465

_FUNCTIONS = {
    "entry_follows": """
DECLARE last record;
BEGIN
  SELECT seq, hash, epoch INTO last FROM gatehouse.entry ORDER BY seq DESC LIMIT 1;
  IF NEW.seq <> coalesce(last.seq, 0) + 1 THEN RAISE EXCEPTION 'an entry takes the next number'; END IF;
  IF last.seq IS NOT NULL AND (NEW.prev <> last.hash OR NEW.epoch < last.epoch) THEN
    RAISE EXCEPTION 'an entry follows the last one';
  END IF;
  IF NEW.epoch <> (SELECT epoch FROM gatehouse.controller) THEN RAISE EXCEPTION 'an entry is of the epoch in force'; END IF;
  RETURN NEW;
END
""",
    "entry_stays": """
BEGIN RAISE EXCEPTION 'the journal is append-only'; END
""",
    "controller_stays": """
BEGIN
  IF TG_OP <> 'UPDATE' THEN RAISE EXCEPTION 'the journal keeps its owner'; END IF;
  IF NEW.controller_id <> OLD.controller_id OR NEW.version <> OLD.version OR NEW.epoch < OLD.epoch THEN
    RAISE EXCEPTION 'the owner never changes and the epoch only rises';
  END IF;
  RETURN NEW;
END
""",
}

_TRIGGERS = {
    ("entry", "entry_follows"): ("BEFORE INSERT", "ROW"),
    ("entry", "entry_stays"): ("BEFORE UPDATE OR DELETE", "ROW"),
    ("entry", "entry_remains"): ("BEFORE TRUNCATE", "STATEMENT"),
    ("controller", "controller_stays"): ("BEFORE UPDATE OR DELETE", "ROW"),
    ("controller", "controller_remains"): ("BEFORE TRUNCATE", "STATEMENT"),
}
_RUNS = {
    "entry_follows": "entry_follows",
    "entry_stays": "entry_stays",
    "entry_remains": "entry_stays",
    "controller_stays": "controller_stays",
    "controller_remains": "controller_stays",
}

_TABLES = """
CREATE SCHEMA gatehouse;
CREATE TABLE gatehouse.controller (
  one smallint PRIMARY KEY CONSTRAINT controller_one CHECK (one = 1), version integer NOT NULL, controller_id text NOT NULL,
  epoch bigint NOT NULL CONSTRAINT controller_epoch CHECK (epoch >= 0), lease_until timestamptz NOT NULL
);
CREATE TABLE gatehouse.entry (
  seq bigint PRIMARY KEY CONSTRAINT entry_seq CHECK (seq > 0),
  epoch bigint NOT NULL CONSTRAINT entry_epoch CHECK (epoch > 0),
  at bigint NOT NULL CONSTRAINT entry_at CHECK (at >= 0),
  kind text NOT NULL CONSTRAINT entry_kind CHECK (length(kind) BETWEEN 1 AND 64),
  body bytea NOT NULL CONSTRAINT entry_body CHECK (length(body) BETWEEN 1 AND 1048576),
  prev bytea NOT NULL CONSTRAINT entry_prev UNIQUE CONSTRAINT entry_prev_size CHECK (length(prev) = 32),
  hash bytea NOT NULL CONSTRAINT entry_hash UNIQUE CONSTRAINT entry_hash_size CHECK (length(hash) = 32)
);
"""

_CONSTRAINTS = frozenset({
    "controller_pkey", "controller_one", "controller_epoch", "entry_pkey", "entry_seq", "entry_epoch", "entry_at", "entry_kind",
    "entry_body", "entry_prev", "entry_prev_size", "entry_hash", "entry_hash_size",
})  # fmt: skip


def create_once(link: Link, controller_id: str) -> None:
    """Create the tables if they are missing, inside the open transaction. A lock makes two creators run one after the other."""
    link.rows("SELECT pg_advisory_xact_lock(%s)::text", (_CREATION_LOCK,))
    if _exists(link):
        return
    link.run(_TABLES)
    for name, source in _FUNCTIONS.items():
        link.run(f"CREATE FUNCTION gatehouse.{name}() RETURNS trigger LANGUAGE plpgsql AS $gatehouse${source}$gatehouse$")
    for (table, name), (when, level) in _TRIGGERS.items():
        link.run(f"CREATE TRIGGER {name} {when} ON gatehouse.{table} FOR EACH {level} EXECUTE FUNCTION gatehouse.{_RUNS[name]}()")
        link.run(f"ALTER TABLE gatehouse.{table} ENABLE ALWAYS TRIGGER {name}")
    link.run(
        "INSERT INTO gatehouse.controller VALUES (1, %s, %s, 0, '-infinity')",
        (SCHEMA_VERSION, controller_id),
    )


def require_exists(link: Link) -> None:
    """Raises ``JournalError`` (``journal-missing``) when this database contains no journal."""
    if not _exists(link):
        raise JournalError(
            "there is no journal in this database",
            code="journal-missing",
            remedy="Pass the URL of a journal, or start the controller once.",
        )


def require_as_created(link: Link) -> None:
    """Raises ``JournalError`` (``journal-schema``) when a table lacks a trigger, a constraint or this version's form."""
    if link.rows("SELECT version FROM gatehouse.controller") != [(SCHEMA_VERSION,)]:
        raise JournalError(
            f"the database does not contain a version {SCHEMA_VERSION} journal",
            code="journal-schema",
            remedy="Pass the URL of a journal of this version of gatehouse; nothing was changed.",
        )
    wanted = {(table, name, "A", _FUNCTIONS[_RUNS[name]]) for table, name in _TRIGGERS}
    if set(link.rows(_FOUND_TRIGGERS)) != wanted or _CONSTRAINTS - {name for (name,) in link.rows(_FOUND_CONSTRAINTS)}:
        raise JournalError(
            "the tables or triggers of the journal in PostgreSQL are not those that gatehouse created",
            code="journal-schema",
            remedy="Find out who changed the schema; first compare it with a backup and the newest checkpoint.",
        )


def require_durable(link: Link, *, synchronous: bool) -> None:
    """Raises ``JournalError`` when a commit on this server would not be durable (reliability.md §2.C F56 F57)."""
    recovering, fsync, pages, standbys = link.rows(_DURABILITY)[0]
    if recovering:
        raise JournalError(
            "this PostgreSQL server is a standby",
            code="journal-standby",
            remedy="Use the address of the primary, or promote this server first.",
        )
    if (fsync, pages) != ("on", "on"):
        raise JournalError(
            f"this PostgreSQL server can lose committed data: fsync is {fsync}, full_page_writes is {pages}",
            code="journal-not-durable",
            remedy="Set fsync = on and full_page_writes = on in postgresql.conf, and restart the server.",
        )
    if synchronous and not standbys:
        raise not_synchronous()


def not_synchronous() -> JournalError:
    """The error for a server that commits without waiting for a required standby."""
    return JournalError(
        "this PostgreSQL server does not wait for a standby: synchronous_standby_names is empty",
        code="journal-not-synchronous",
        remedy="Set synchronous_standby_names and start a standby, or set journal_synchronous = false to do without one.",
    )


_DURABILITY = """
SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'),
  current_setting('synchronous_standby_names')
"""

_FOUND_TRIGGERS = """
SELECT c.relname::text, t.tgname::text, t.tgenabled::text, p.prosrc
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE c.relnamespace = 'gatehouse'::regnamespace AND NOT t.tgisinternal
"""
_FOUND_CONSTRAINTS = """
SELECT conname::text FROM pg_constraint
WHERE connamespace = 'gatehouse'::regnamespace AND convalidated AND contype IN ('p', 'u', 'c')
"""


def _exists(link: Link) -> bool:
    return link.rows("SELECT to_regclass('gatehouse.controller') IS NOT NULL") == [(True,)]
