"""The checks of ``gatehouse doctor``, called by ``doctor.verb``. A check that cannot be made fails and says why."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.authority.keys import load_key
from controller.authority.roster import load_roster
from controller.cli.doctor.bot_keys import check_bot_keys
from controller.cli.journal.checkpoints import asked, public_key_of
from controller.cli.journal.files import place_in
from controller.cli.journal.verify import verify_deployment
from controller.cli.shared.client import OperatorClient, data_directory
from controller.cli.shared.http import JsonClient
from controller.runtime.followers.high_water import FILE_NAME as HIGH_WATER_FILE
from controller.runtime.followers.high_water import mark_elsewhere, read_mark
from controller.settings.artifact import artifact_digest
from controller.settings.deployment import (
    Listen,
    Settings,
    load_settings,
    read_secret,
    require_signer,
    secret_variable,
)
from controller.settings.outside import outside_targets
from controller.settings.state_directory import state_directory
from controller.settings.testnet import TestnetSettings, VenueSettings
from exchange.errors import ConfigError, GatehouseError, Unreachable
from exchange.ports import VenueName
from policies.document import digest, load_policy
from policies.eur import NO_RATES, band, sources
from policies.numbers import text
from policies.stage import Environment

_NO_END = "Set eur_rate in the policy to a current rate, or let it follow the ECB: a section [eur_rate.follow] makes it end never."
_ENDS_SOON_DAYS = 2
_MIN_FREE_MB = 200
_MAX_SKEW_MS = 500


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One row: ``fix`` is empty when there is nothing to do. ``warns``: the deployment can run, but should be fixed."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    warns: bool = False

    @property
    def verdict(self) -> str:
        """``PASS``, ``WARN`` or ``FAIL``."""
        return "FAIL" if not self.ok else "WARN" if self.warns else "PASS"


def run_checks(directory: Path) -> list[CheckResult]:
    """Every check for this directory, in the order in which a person fixes things."""
    first = _checked("settings", lambda: load_settings(directory).controller_id)
    if not first.ok:
        return [first]
    settings = load_settings(directory)
    checks: list[tuple[str, Callable[[], str | Warned]]] = [
        ("policy", lambda: _policy(directory, settings)),
        ("eur rate", lambda: _rate(directory, settings)),
        ("roster", lambda: _roster(directory, settings)),
        ("signer", lambda: _signer(settings)),
        *((f"secret {name}", _secret_check(directory, name)) for name in _secrets(settings)),
        *((f"key {path.name}", _key_check(path)) for path in sorted((directory / "keys").glob("*.key"))),
        ("disk", lambda: _disk(directory)),
        ("fsync", lambda: _fsync(directory)),
        ("journal", lambda: _journal(directory)),
        ("checkpoints", lambda: _checkpoints(directory, settings)),
        ("high water", lambda: _high_water(directory, settings)),
        ("bot keys", lambda: check_bot_keys(directory, settings)),
        ("controller", lambda: _controller(directory, settings)),
        ("proposals", lambda: _proposals(directory)),
        ("release", lambda: _release(directory, settings)),
        *(
            (f"venue {name}", _venue_check(venue, settings))
            for name, venue in (("testnet", settings.testnet), ("live", settings.live))
        ),
    ]
    return [first, *(_checked(name, look) for name, look in checks)]


@dataclass(frozen=True, slots=True)
class Warned:
    """What a check found that does not keep the deployment from running, and what helps."""

    found: str
    fix: str


def _checked(name: str, look: Callable[[], str | Warned]) -> CheckResult:
    try:
        found = look()
        if isinstance(found, Warned):
            return CheckResult(name, ok=True, found=found.found, fix=found.fix, warns=True)
        return CheckResult(name, ok=True, found=found)
    except GatehouseError as error:
        return CheckResult(name, ok=False, found=error.message, fix=error.remedy)


def _policy(directory: Path, settings: Settings) -> str:
    policy = load_policy(_read(directory / settings.policy))
    if policy.environment is not settings.environment:
        raise ConfigError(
            f"the policy is for {policy.environment}, the settings say {settings.environment}",
            code="other-environment",
            remedy="Use a policy whose `environment` is the one in gatehouse.toml.",
        )
    return f"{policy.name} {digest(policy)[:19]}…"


def _rate(directory: Path, settings: Settings) -> str | Warned:
    rate = load_policy(_read(directory / settings.policy)).eur_rate
    now = time.time_ns() // 1_000_000
    if rate.follow is not None:
        low, high = (text(bound) for bound in band(rate, NO_RATES))
        return f"follows {' and '.join(sources(rate.follow))} from {low} to {high} {rate.asset} per EUR, and does not end"
    if rate.valid_until is None or not rate.as_of <= now < rate.valid_until:
        raise ConfigError(
            "the EUR rate of the policy is not valid today: every order is denied",
            code="rate-stale",
            remedy=_NO_END,
        )
    days = (rate.valid_until - now) // 86_400_000
    if days <= _ENDS_SOON_DAYS:
        return Warned(f"the EUR rate of the policy ends in {days} days, and then every order is denied", _NO_END)
    return f"{rate.quote_per_eur} {rate.asset} per EUR, good for {days} more days"


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
        *(name for name in (settings.watchdog.secret_file, settings.watchdog.token_file) if name),
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
            remedy="Run `chown -R` on the directory for the user that runs gatehouse.",
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
        return Warned(
            "no target outside this folder can be read back: LIVE is refused",
            'The easiest is a directory that another machine mounts: witnesses = ["/mnt/nas/checkpoints"] in gatehouse.toml; '
            "ops/docs/checkpoints.md has the others.",
        )
    if not settings.witnesses and not settings.checkpoints:
        return "no target: entries cut off at the end of the journal would not be found"
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


def _controller(directory: Path, settings: Settings) -> str:
    if not (data_directory(directory) / "gatehouse.sock").exists():
        return _ports_free(settings.gateway, settings.console)
    try:
        with OperatorClient(directory) as client:
            status = client.status()
    except Unreachable:
        return _ports_free(settings.gateway, settings.console)
    if not status.armed:
        raise ConfigError(
            f"the controller runs but is not armed: {status.not_armed_because}", code="not-armed", remedy="Run `gatehouse status`."
        )
    return f"running at {status.position}, armed"


def _proposals(directory: Path) -> str | Warned:
    """The files that the running controller found changed. Without one nobody has compared them with what is in force."""
    try:
        with OperatorClient(directory) as client:
            proposals = client.status().proposals
    except GatehouseError:
        return "the next start compares the files with what is in force"
    if not proposals:
        return "the policy and the release in the files are in force"
    found = "; ".join(f"the {one.document} in the file is not in force: {', '.join(one.changes)}" for one in proposals)
    return Warned(found, "Sign `gatehouse set-policy FILE` or `gatehouse set-release`, or restore the file and restart.")


def _release(directory: Path, settings: Settings) -> str:
    release = settings.release
    if not release.path:
        return f"{release.artifact[:19]}… is compared with nothing: [release] names no path"
    found = artifact_digest(directory / release.path)
    if found != release.artifact:
        raise ConfigError(
            f"{directory / release.path} has the digest {found}, and [release] names {release.artifact}",
            code="release-differs",
            remedy="Restore the bot's files, or write the digest into gatehouse.toml and sign `gatehouse set-release`.",
        )
    return f"{release.name} {release.version}: {directory / release.path} has its digest {found[:19]}…"


def _ports_free(*listeners: Listen) -> str:
    for listen in listeners:
        with socket.socket(socket.AF_INET6 if ":" in listen.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((listen.host, listen.port))
            except OSError:
                raise ConfigError(
                    f"port {listen.port} is taken by another program",
                    code="port-taken",
                    remedy="Stop that program, or change the port in gatehouse.toml.",
                ) from None
    return "not running; its ports are free"


def _venue_check(venue: VenueSettings, settings: Settings) -> Callable[[], str]:
    def look() -> str:
        if settings.environment is Environment.REHEARSAL and not venue.rest.startswith(
            ("http://127.0.0.1:", "http://[::1]:", "http://localhost:")
        ):
            raise ConfigError(
                f"{venue.rest} is not an address of this machine",
                code="not-loopback",
                remedy="Use 127.0.0.1, [::1] or localhost: a rehearsal uses local venues only.",
            )
        client = JsonClient("the venue", base=venue.rest, remedy="Start the venue; for a local one see `gatehouse testnet --help`.")
        try:
            skew = int(client.get("/api/v3/time").body["serverTime"]) - time.time_ns() // 1_000_000
        except Unreachable:
            if not (isinstance(venue, TestnetSettings) and venue.run is not None):
                raise
            return "not running; `gatehouse run` starts it"
        except (KeyError, TypeError, ValueError):
            raise Unreachable(
                "its answer to /api/v3/time has no time",
                code="not-a-venue",
                remedy="Correct the venue's address in gatehouse.toml.",
            ) from None
        finally:
            client.close()
        if abs(skew) > _MAX_SKEW_MS:
            raise ConfigError(
                f"its clock is {skew} ms off ours",
                code="clock-skew",
                remedy=f"Synchronise this machine's clock to within {_MAX_SKEW_MS} ms.",
            )
        return f"answers, clock {skew} ms off ours"

    return look


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            code="file-unreadable",
            remedy="Create the file, or correct its path in gatehouse.toml.",
        ) from None
