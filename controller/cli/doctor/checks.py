"""The checks of ``gatehouse doctor``, called by ``doctor.verb``. A check that cannot be made fails and says why."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from controller.authority.keys import load_key
from controller.authority.roster import load_roster
from controller.cli.doctor.bot_keys import check_bot_keys
from controller.cli.doctor.certificates import addresses_with_tls, check_remote_console, check_server
from controller.cli.doctor.database import SERVER, Database
from controller.cli.doctor.ends import check_key_end, check_rate
from controller.cli.doctor.owners import check_owners
from controller.cli.doctor.reaching import ClockReading, check_clock, reach
from controller.cli.doctor.result import Absent, Check, CheckResult, Follows, Warned, judged, not_checked
from controller.cli.doctor.roster import run_roster_checks
from controller.cli.doctor.running import Controller, check_release
from controller.cli.doctor.testnet import check_testnet_key
from controller.cli.doctor.vault import vault_checks
from controller.cli.doctor.venues import check_venue_account
from controller.cli.doctor.watchdog import check_watchdog
from controller.cli.journal.checkpoints import asked, public_key_of
from controller.cli.journal.files import place_in
from controller.cli.journal.verify import verify_deployment
from controller.cli.shared.client import data_directory
from controller.runtime.followers.high_water import FILE_NAME as HIGH_WATER_FILE
from controller.runtime.followers.high_water import mark_elsewhere, read_mark
from controller.settings.deployment import Settings, load_settings, read_secret, require_signer, secret_variable
from controller.settings.key_ends import keys_that_end
from controller.settings.outside import outside_targets
from controller.settings.policy_file import read_policy
from controller.settings.state_directory import state_directory
from controller.settings.testnet import VenueSettings
from exchange.errors import ConfigError, GatehouseError, Unreachable
from exchange.model import Millis
from exchange.ports import VenueName
from policies.document import Policy, digest
from policies.stage import Environment

_MIN_FREE_MB = 200
_MAX_SKEW_MS = 500


def run_checks(directory: Path) -> list[CheckResult]:
    """Every check for this directory, in the order in which a person fixes things."""
    try:
        settings = load_settings(directory)
    except GatehouseError as error:
        return [
            CheckResult("settings", ok=False, found=error.message, fix=error.remedy),
            not_checked("settings", ["everything else"]),
        ]
    return judged(
        [
            Check("settings", lambda: settings.controller_id),
            *_files(directory, settings),
            *_records(directory, settings),
            *_venues(directory, settings),
        ]
    )


def _files(directory: Path, settings: Settings) -> list[Check]:
    """What is written down: documents, secrets, keys, and when they end."""
    now = Millis(time.time_ns() // 1_000_000)
    return [
        Check("policy", lambda: _policy(directory, settings)),
        Check("eur rate", lambda: check_rate(_load(directory, settings), now), ("policy",)),
        Check("roster", lambda: _roster(directory, settings)),
        Check("owners", lambda: check_owners(directory, settings)),
        Check("signer", lambda: _signer(settings)),
        *(Check(f"secret {name}", _secret_check(directory, name)) for name in _secrets(settings)),
        *(Check(f"key {path.name}", _key_check(path)) for path in sorted((directory / "keys").glob("*.key"))),
        *(
            Check(f"exchange key {table}", partial(check_key_end, table, key, now))
            for table, key in keys_that_end(settings).items()
        ),
        Check("release", lambda: check_release(directory, settings)),
        *_remote_console(directory, settings, now),
        *vault_checks(),
    ]


def _remote_console(directory: Path, settings: Settings, now: Millis) -> list[Check]:
    remote = settings.console.remote
    if remote is None:
        return []
    return [Check("certificate of the remote console", partial(check_remote_console, directory, remote, now))]


def _records(directory: Path, settings: Settings) -> list[Check]:
    """The disk, the journal on it, and what was built from the journal."""
    now = Millis(time.time_ns() // 1_000_000)
    certificates = [
        Check(f"certificate of {target}", partial(check_server, url, now))
        for target, url in addresses_with_tls(settings.checkpoints).items()
    ]
    bots = tuple(f"secret {bot.secret_file}" for bot in settings.bots)
    return [
        Check("disk", lambda: _disk(directory)),
        Check("fsync", lambda: _fsync(directory)),
        *Database(directory, settings, now).checks(),
        Check("journal", lambda: _journal(directory), (SERVER,)),
        *certificates,
        Check("checkpoints", lambda: _checkpoints(directory, settings), tuple(one.name for one in certificates)),
        Check("high water", lambda: _high_water(directory, settings), ("journal",)),
        Check("bot keys", lambda: check_bot_keys(directory, settings), ("journal", *bots)),
        Check("roster in force", lambda: run_roster_checks(directory, settings, now), ("policy", "roster", "journal")),
        Check("watchdog", lambda: [check_watchdog(settings)]),
    ]


def _venues(directory: Path, settings: Settings) -> list[Check]:
    """The venues, the controller that trades on them, and the accounts there."""
    controller, offsets = Controller(directory, settings), dict[VenueName, ClockReading]()
    unreached: list[str] = []

    def most_ms() -> int:
        try:
            return _load(directory, settings).guards.clock_offset.no_entry_ms
        except GatehouseError:
            return _MAX_SKEW_MS

    def reached(name: VenueName, venue: VenueSettings) -> str | Absent:
        unreached.append(f"venue {name}")
        found = reach(name, venue, directory, settings, offsets)
        unreached.remove(f"venue {name}")
        return found

    venues: dict[VenueName, VenueSettings] = {VenueName.TESTNET: settings.testnet, VenueName.LIVE: settings.live}
    return [
        *(Check(f"venue {name}", partial(reached, name, venue)) for name, venue in venues.items()),
        Check("testnet key", lambda: check_testnet_key(directory), ("policy", f"venue {VenueName.TESTNET}")),
        Check("clock", lambda: check_clock(offsets, most_ms()) if offsets else Follows(f"venue {VenueName.LIVE}")),
        Check("controller", lambda: controller.check(lambda: unreached[0] if unreached else "")),
        Check("proposals", controller.proposals, ("controller", "policy")),
        *(
            Check(
                f"{name} account",
                partial(check_venue_account, directory, settings, name, controller),
                (f"venue {name}", "policy", *_secret_of(name, venue)),
            )
            for name, venue in venues.items()
        ),
    ]


def _secret_of(name: VenueName, venue: VenueSettings) -> tuple[str, ...]:
    return (f"secret {venue.secret_file}",) if secret_variable(name) not in os.environ else ()


def _load(directory: Path, settings: Settings) -> Policy:
    return read_policy(directory / settings.policy)


def _policy(directory: Path, settings: Settings) -> str:
    policy = _load(directory, settings)
    if policy.environment is not settings.environment:
        raise ConfigError(
            f"the policy is for {policy.environment}, the settings say {settings.environment}",
            code="other-environment",
            remedy="Use a policy whose `environment` is the one in gatehouse.toml.",
        )
    return f"{policy.name} {digest(policy)[:19]}…"


def _roster(directory: Path, settings: Settings) -> str:
    roster = load_roster(directory / settings.roster)
    return ", ".join(f"{person.name} ({person.role})" for person in roster.persons)


def _signer(settings: Settings) -> str:
    require_signer(settings)
    return "in the controller's own process" if settings.signer is None else "in a process of its own"


def _secrets(settings: Settings) -> list[str]:
    listed = (getattr(one, "secret_file", "") for one in settings.checkpoints)
    venues = ((VenueName.TESTNET, settings.testnet), (VenueName.LIVE, settings.live))
    return [
        *(venue.secret_file for name, venue in venues if secret_variable(name) not in os.environ),
        *(bot.secret_file for bot in settings.bots),
        *(name for name in listed if name),
        *(name for name in (settings.watchdog.secret_file, settings.watchdog.token_file, settings.journal_secret_file) if name),
    ]


def _secret_check(directory: Path, name: str) -> Callable[[], str]:
    def look() -> str:
        read_secret(directory, name)
        return "readable by its owner only"

    return look


def _key_check(path: Path) -> Callable[[], str]:
    def look() -> str:
        load_key(path)
        return "readable by its owner only"

    return look


def _disk(directory: Path) -> str:
    free = shutil.disk_usage(directory).free // 1_000_000
    if free < _MIN_FREE_MB:
        raise ConfigError(
            f"only {free} MB of disk are free", code="disk-full", remedy=f"Free at least {_MIN_FREE_MB} MB on the disk."
        )
    return f"{free} MB free"


def _fsync(directory: Path) -> str:
    began = time.monotonic_ns()
    try:
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"gatehouse")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(
            f"cannot write here: {error.strerror}",
            code="not-writable",
            remedy=f"Make the user that runs gatehouse its owner, `chown -R USER {directory}`. `df -h {directory}` shows a full "
            "disk, `findmnt -T` one that is mounted read-only.",
        ) from None
    return f"one synced write took {(time.monotonic_ns() - began) // 1000} µs"


def _journal(directory: Path) -> str | Warned:
    if not place_in(directory).exists():
        return "none yet"
    found = verify_deployment(directory, [], None)
    report = found.report
    if report.missing:
        ranges = ", ".join(one.title for one in report.missing)
        return Warned(
            f"{report.entries} entries after entry {report.after} verified; {ranges} are archived, and the file is not here",
            f"Put {report.missing[0].file} into {data_directory(directory) / 'archive'}. A new version of gatehouse needs it once.",
        )
    archived = f", {len(found.archives)} archives among them" if found.archives else ""
    return f"{report.entries} entries verified{archived}"


def _checkpoints(directory: Path, settings: Settings) -> str | Warned:
    if settings.environment is Environment.PRODUCTION and not outside_targets(directory, settings):
        raise ConfigError(
            "no target outside this folder can be read back: every step to real money is refused, and a start at LIVE halts",
            code="no-checkpoint-target",
            remedy="The easiest is a directory of another machine. Mount it, let the user that runs gatehouse write there, add the "
            'line witnesses = ["/mnt/nas/checkpoints"] above the first [table] of gatehouse.toml, restart the controller, then run '
            "`gatehouse journal checkpoint`. A git remote, a locked bucket and a witness prove more: ops/docs/checkpoints.md.",
        )
    if not settings.witnesses and not settings.checkpoints:
        return Warned(
            "no target: entries cut off at the end of the journal would not be found",
            'A rehearsal may do without. To have one, add witnesses = ["../checkpoints"] above the first [table] of gatehouse.toml '
            "and restart the controller.",
        )
    key = public_key_of(directory)
    if key is None:
        return "none published yet"
    answers = asked(directory, key)
    if away := [f"{one.target}: {one.problem}" for one in answers if one.problem]:
        raise Unreachable(
            "; ".join(away),
            code="target-unreachable",
            remedy="Start the target, or correct its [[checkpoints]] table in gatehouse.toml.",
        )
    return ", ".join(f"{one.target} has {one.held.size if one.held is not None else 0} entries" for one in answers)


def _high_water(directory: Path, settings: Settings) -> str | Warned:
    elsewhere = state_directory()
    reader = place_in(directory).read() if place_in(directory).exists() else None
    try:
        genesis = reader.hash_at(1) if reader is not None else None
    finally:
        if reader is not None:
            reader.close()
    if genesis is None:
        return "none yet"
    outside = mark_elsewhere(elsewhere, settings.controller_id, genesis) if elsewhere is not None else None
    places = [path for path in (directory / settings.data / HIGH_WATER_FILE, outside) if path is not None]
    marks = {path: mark for path in places if (mark := read_mark(path)) is not None}
    if outside is not None and outside in marks:
        return ", ".join(f"{path} names entry {mark.seq}" for path, mark in marks.items())
    return Warned(
        "the highest entry of the journal is not kept outside this folder",
        "Run the controller and this command as the same user, and set XDG_STATE_HOME to a directory that this user can write to.",
    )
