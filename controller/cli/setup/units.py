"""Lays a new deployment out for the packaged systemd units (ADR 70). ``gatehouse init --systemd`` calls it.

The settings, policy and roster in DIR belong to root: no process of gatehouse can change what it obeys. The controller writes below
``var`` there. What only root reads is in ``/etc/gatehouse/NAME``; systemd passes each file to the units that need it.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from controller.authority.keys import generate_key, save_key
from controller.cli.setup.deployment import HOST, Ports, private_file
from controller.cli.shared.instance import SOCKETS
from controller.settings.deployment import FILE_NAME
from exchange.errors import UsageError

USER = "gatehouse"
DEPLOYMENTS = Path("/var/lib/gatehouse")
ETC = Path("/etc/gatehouse")
WATCHDOG_PORT = 8730
_CREDENTIALS = ("testnet.secret", "live.secret", "watchdog.secret", "testnet-accounts.toml", "control.token")

_OWN_TESTNET = re.compile(r"^# `gatehouse run` keeps this.*?\n(?=\n)", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def check_name(directory: Path) -> None:
    """Raises ``UsageError`` when the folder's name cannot be the instance of a unit."""
    if not _NAME.fullmatch(directory.resolve().name):
        raise UsageError(
            f"{directory.name!r} cannot be the NAME of gatehouse@NAME.service",
            code="wrong-unit-name",
            remedy="Name the folder with small letters, digits and hyphens, as in /var/lib/gatehouse/my-bot.",
        )


def lay_out(
    directory: Path, ports: Ports, testnet_key: str, written: list[tuple[str, str]], *, demo: bool
) -> list[tuple[str, str]]:
    """Rearrange what ``init`` has just ``written`` in ``directory``. Returns each file and what it is for."""
    name = directory.resolve().name
    credentials, stand_in = _folder(ETC / name), ETC / f"{name}-live"
    moved = {f"secrets/{one}": credentials / one for one in _CREDENTIALS if (directory / "secrets" / one).exists()}
    moved[testnet_key] = credentials / "testnet.key"
    if demo:
        moved["secrets/live-accounts.toml"] = _folder(stand_in) / "testnet-accounts.toml"
    for one, where in moved.items():
        shutil.move(directory / one, where)
    shutil.rmtree(directory / "var", ignore_errors=True)
    (directory / "var").mkdir(mode=0o700)
    files = [(str(moved.get(file, file)), purpose) for file, purpose in written]
    if demo:
        private_file(credentials / "watchdog.secret", (credentials / "live.secret").read_text(encoding="ascii"))
        files.append((str(credentials / "watchdog.secret"), "the watchdog's; in a rehearsal it has the live venue's key"))
    private_file(credentials / "watchdog.token", secrets.token_hex(32) + "\n")
    files.append((str(credentials / "watchdog.token"), "what the controller and its watchdog know of each other by"))
    settings = directory / FILE_NAME
    settings.write_text(settings_for_units(settings.read_text(encoding="utf-8"), name), encoding="utf-8")
    feed = "synthetic" if demo else "mexc-live"
    options = f"--host {HOST} --feed {feed} --symbol BTCUSDT --fill-model pessimistic"
    (credentials / "testnet.env").write_text(_options(f"{options} --port {ports.testnet}"), encoding="ascii")
    files.append((str(credentials / "testnet.env"), f"the options of gatehouse-testnet@{name}"))
    if demo:
        _stand_in(stand_in, f"{options} --port {ports.live}")
        files.append((str(stand_in), f"gatehouse-testnet@{stand_in.name}, the venue that stands in for MEXC"))
    hand_to_units(directory)
    return files


def _folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be made: {error.strerror}",
            code="no-credentials-folder",
            remedy=f"Run this as root. If {path} is left from another deployment, move it away: nothing is overwritten.",
        ) from None
    return path


def _options(options: str) -> str:
    return f"# `gatehouse testnet --help` explains each.\nTESTNET_OPTIONS={options}\n"


def _stand_in(live: Path, options: str) -> None:
    private_file(live / "control.token", secrets.token_hex(32) + "\n")
    save_key(generate_key(), live / "testnet.key")
    (live / "testnet.env").write_text(_options(options), encoding="ascii")


def settings_for_units(text: str, name: str) -> str:
    """The settings that ``init`` writes, with the places and processes of the units."""
    own = ETC / name
    text = re.sub(r'secret_file = "secrets/(testnet|live|watchdog)\.secret"', rf'secret_file = "{own}/\1.secret"', text)
    token = f'address = "{HOST}:{WATCHDOG_PORT}"\ntoken_file = "{own}/watchdog.token"\n'
    text = _once(r"^(lease_s = .*\n)", rf"\1{_own_key(text, own)}# gatehouse-watchdog@{name} listens there.\n{token}", text)
    signer = f'# gatehouse-signer@{name} listens there, as another user.\nsocket = "{SOCKETS / name / "signer.sock"}"\n'
    if "\n[signer]\n" not in text:
        text = _once(r"^(\[\[bots\]\]\n)", r"[signer]\n\n\1", text)
    text = _once(r"^(\[signer\]\n)", rf"\1{signer}", text)
    text = _OWN_TESTNET.sub(f"# gatehouse-testnet@{name} runs it.\n", text)
    return _once(r"^(\[\[bots\]\]\n)", rf'[drills]\ncontrol_token_file = "{own}/control.token"\n\n\1', text)


def _own_key(text: str, own: Path) -> str:
    """The watchdog's key where ``init`` names none, in a rehearsal: that of the live venue, as it would take by itself."""
    if f'secret_file = "{own}/watchdog.secret"' in text:
        return ""
    live = re.search(r'^\[live\]\n(?:.+\n)*?(api_key = ".*"\n)', text, re.MULTILINE)
    assert live is not None, "init writes [live]"
    return f'{live[1]}secret_file = "{own}/watchdog.secret"\n'


def _once(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert count == 1, f"init writes {pattern}"
    return changed


def hand_to_units(directory: Path) -> None:
    """Modes, and owners where this is root and the package has made its users. ``init`` and ``backup restore`` call it."""
    chown = _owners()
    directory.chmod(0o750)
    chown(directory, 0)
    for path in directory.iterdir():
        if path.is_file():
            path.chmod(0o640)
            chown(path, 0)
    user = _user()
    for folder in (directory / name for name in ("secrets", "bots", "var")):
        for path in (folder, *folder.rglob("*")) if folder.is_dir() else ():
            chown(path, user)


def _user() -> int:
    try:
        return pwd.getpwnam(USER).pw_uid
    except KeyError:
        return os.getuid()


def _owners() -> Callable[[Path, int], None]:
    try:
        group = grp.getgrnam(USER).gr_gid
    except KeyError:
        group = os.getgid()
    if os.getuid() != 0:
        return lambda _path, _uid: None
    return lambda path, uid: os.chown(path, uid, group, follow_symlinks=False)
