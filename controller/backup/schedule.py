"""The text of a systemd service and timer, and of a cron line, that make copies. ``gatehouse backup schedule`` calls it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from controller.journal.files import write_atomically
from exchange.errors import UsageError

_CRON: Mapping[str, str] = MappingProxyType({"hourly": "7 * * * *", "daily": "7 3 * * *"})
_CALENDAR: Mapping[str, str] = MappingProxyType({"hourly": "*-*-* *:07:00", "daily": "*-*-* 03:07:00"})
_BY_SYSTEMD = frozenset("%\\\"'$")
"""What systemd reads for itself in a unit; a path with one of these, or a space, is refused rather than quoted."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The texts by file name, the line for cron, and the files that were written."""

    units: Mapping[str, str]
    cron: str
    written: tuple[Path, ...] = ()


def schedule_of(
    program: Path, directory: Path, to: Path, *, controller_id: str, user: str, every: str, keep: int, verify: bool
) -> Schedule:
    """The units of one deployment. With ``verify`` each copy is opened and verified after it was made.

    Raises:
        UsageError: ``usage``; ``every`` is not a known word, or a path cannot be written into a unit.
    """
    if every not in _CALENDAR:
        raise UsageError(f"{every} is not hourly or daily", code="usage", remedy="Use --every hourly or --every daily.")
    for path in (program, directory, to):
        if any(sign in _BY_SYSTEMD or sign.isspace() for sign in str(path)):
            raise UsageError(
                f"{path} has a space or a sign that systemd reads for itself",
                code="usage",
                remedy="Use a path of letters, digits, dots, dashes and slashes.",
            )
    make = f"{program} backup create {to} --dir {directory} --keep {keep}"
    check = f"{program} backup verify {to} --dir {directory}"
    name = f"gatehouse-backup-{controller_id}"
    units = {
        f"{name}.service": _service(controller_id, user, directory, to, make, check if verify else ""),
        f"{name}.timer": _timer(every),
    }
    return Schedule(MappingProxyType(units), f"{_CRON[every]} {make}{f' && {check}' if verify else ''}")


def write_units(schedule: Schedule, folder: Path) -> Schedule:
    """Write the units into ``folder``. Raises ``UsageError`` (``units-not-written``)."""
    written = tuple(folder / name for name in schedule.units)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in written:
            write_atomically(path, schedule.units[path.name].encode())
    except OSError as error:
        raise UsageError(
            f"the units cannot be written into {folder}: {error.strerror}",
            code="units-not-written",
            remedy=f"Run the command as a user that may write there, for example with sudo, or write into another folder: "
            f"--write {shlex.quote(str(Path.cwd()))}.",
        ) from None
    return Schedule(schedule.units, schedule.cron, written)


def _service(controller_id: str, user: str, directory: Path, to: Path, make: str, check: str) -> str:
    return f"""[Unit]
Description=Make a copy of the gatehouse deployment {controller_id}
After=local-fs.target

[Service]
Type=oneshot
User={user}
ExecStart={make}
{f"ExecStart={check}" if check else "# Nothing verifies the copies here: no identity_file below [backup] in gatehouse.toml."}
Nice=10
IOSchedulingClass=idle
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={directory} {to}
"""


def _timer(every: str) -> str:
    return f"""[Unit]
Description=Make a copy of a gatehouse deployment, {every}

[Timer]
OnCalendar={_CALENDAR[every]}
RandomizedDelaySec=120
Persistent=yes

[Install]
WantedBy=timers.target
"""
