"""The checks of ``gatehouse doctor`` that each venue answers, and that its clock is ours. ``doctor.checks`` calls them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from controller.cli.doctor.result import Absent, Warned
from controller.cli.setup.deployment import TESTNET_KEY, accounts_file
from controller.cli.shared.http import JsonClient
from controller.cli.shared.instance import instance
from controller.settings.deployment import Settings
from controller.settings.testnet import TestnetSettings, VenueSettings
from exchange.authorities import REMEDY
from exchange.errors import ConfigError, Unreachable
from exchange.ports import VenueName
from policies.stage import Environment

_SAMPLES = 3
_LOOPBACK = ("http://127.0.0.1:", "http://[::1]:", "http://localhost:")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far a venue's clock is ahead of ours, and how wrong that can be: half the time of the quickest of three questions."""

    offset_ms: int
    uncertainty_ms: int

    @property
    def text(self) -> str:
        """The reading in words."""
        return f"{self.offset_ms:+d} ms, give or take {self.uncertainty_ms} ms"


def reach(
    name: VenueName, venue: VenueSettings, directory: Path, settings: Settings, offsets: dict[VenueName, ClockReading]
) -> str | Absent:
    """Ask a venue for its time, and add what it says to ``offsets``.

    Raises:
        ConfigError: a rehearsal names a venue of another machine.
        GatehouseError: it does not answer, or answers something else.
    """
    if settings.environment is Environment.REHEARSAL and not venue.rest.startswith(_LOOPBACK):
        raise ConfigError(
            f"{venue.rest} is not an address of this machine",
            code="not-loopback",
            remedy=f"Use 127.0.0.1, [::1] or localhost in rest and ws of [{name}]: a rehearsal uses local venues only.",
        )
    client = JsonClient(
        f"the {name} venue",
        base=venue.rest,
        remedy=_not_there(name, venue, directory, settings),
        remedy_if_silent=_silent(venue),
        remedy_if_refused=REMEDY.format(host=urlsplit(venue.rest).hostname),
        answer_within_s=10,
    )
    try:
        offsets[name] = min((_read(client, name, venue) for _ in range(_SAMPLES)), key=lambda one: one.uncertainty_ms)
    except Unreachable as error:
        if error.code != "unreachable" or not (isinstance(venue, TestnetSettings) and venue.run is not None):
            raise
        return Absent("not running; `gatehouse run` starts it")
    finally:
        client.close()
    return f"{venue.rest} answers; its clock: {offsets[name].text}"


def check_clock(offsets: dict[VenueName, ClockReading], most_ms: int) -> str | Warned:
    """This machine's clock against every venue that answered.

    Raises:
        ConfigError: it is certainly further off than the guards allow.
    """
    off = {name: one for name, one in offsets.items() if abs(one.offset_ms) - one.uncertainty_ms > most_ms}
    if off:
        found = ", ".join(f"{name} {one.text}" for name, one in off.items())
        raise ConfigError(
            f"this machine's clock is not the venues': {found}; at most {most_ms} ms is allowed",
            code="clock-skew",
            remedy="Set this machine's clock with `timedatectl set-ntp true`, and look at `timedatectl timesync-status` or "
            f"`chronyc tracking` until the offset is below {most_ms} ms.",
        )
    found = ", ".join(f"{name} {one.text}" for name, one in offsets.items())
    if any(abs(one.offset_ms) + one.uncertainty_ms > most_ms for one in offsets.values()):
        return Warned(
            f"the answers are too slow to tell whether it is within {most_ms} ms: {found}",
            "Run `gatehouse doctor` again; if it stays so, look at the network's delay and at `chronyc tracking`.",
        )
    return f"within {most_ms} ms: {found}"


def _read(client: JsonClient, name: VenueName, venue: VenueSettings) -> ClockReading:
    began = time.monotonic_ns()
    answer = client.get("/api/v3/time")
    took = (time.monotonic_ns() - began) // 1_000_000
    now = time.time_ns() // 1_000_000
    try:
        return ClockReading(int(answer.body["serverTime"]) - (now - took // 2), took // 2 + 1)
    except (KeyError, TypeError, ValueError):
        raise Unreachable(
            f"{venue.rest} is no MEXC venue: its answer to /api/v3/time (HTTP {answer.status}) has no time",
            code="not-a-venue",
            remedy=f"Correct rest below [{name}] in gatehouse.toml; another program answers at that address.",
        ) from None


def _not_there(name: VenueName, venue: VenueSettings, directory: Path, settings: Settings) -> str:
    if not venue.rest.startswith(_LOOPBACK):
        return (
            f"Check this machine's network with `curl {venue.rest}/api/v3/time`. If that answers on another machine, look at DNS "
            "and the firewall here; if it answers nowhere, see MEXC's status page. `gatehouse run` starts without it below "
            "LIVE_€10; no step to real money is possible until it answers."
        )
    port = venue.rest.rpartition(":")[2].strip("/")
    if (unit := instance(directory, settings)) is not None:
        service = f"gatehouse-testnet@{unit}{'-live' if name is VenueName.LIVE else ''}"
        return f"Start it with `systemctl start {service}`. What it said is in `journalctl -u {service}`."
    accounts = accounts_file(directory, name)
    command = f"gatehouse testnet --port {port} --accounts {accounts if accounts.exists() else 'FILE'}"
    if name is VenueName.TESTNET and (identity := directory / TESTNET_KEY).exists():
        command += f" --identity {identity}"
    return f"Start it in a terminal of its own: `{command}`. The file lists the account with this key."


def _silent(venue: VenueSettings) -> str:
    if not venue.rest.startswith(_LOOPBACK):
        return f"See MEXC's status page, and measure the line with `curl {venue.rest}/api/v3/time`."
    port = venue.rest.rpartition(":")[2].strip("/")
    return f"Something has the port open and hangs. `ss -ltnp 'sport = :{port}'` names it: end that process and start it again."
