"""The check of ``gatehouse doctor`` that the controller's user can read what root wrote for it. ``doctor.checks`` calls it.

Root reads everything, so no other check sees a policy that root put there and that nobody else may read (ADR 73).
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from controller.bootstrap.bot_secrets import DIRECTORY as BOT_KEYS
from controller.cli.doctor.result import CheckResult
from controller.settings.deployment import FILE_NAME, Settings

_SHOWN = 5


def check_owners(directory: Path, settings: Settings) -> list[CheckResult]:
    """One row where root asks about a deployment whose data folder is another user's; none elsewhere."""
    data = directory / settings.data
    if os.geteuid() != 0 or not data.is_dir() or (owner := data.stat().st_uid) == 0:
        return []
    try:
        user = pwd.getpwuid(owner)
    except KeyError:
        return [CheckResult("owners", ok=False, found=f"{data} belongs to user {owner}, who does not exist", fix=_MAKE_USER)]
    groups = set(os.getgrouplist(user.pw_name, user.pw_gid))
    documents = [directory / name for name in (FILE_NAME, settings.policy, settings.roster)]
    unread = [path for path in (directory, *documents) if path.exists() and not _readable(path, owner, groups)]
    secrets = [directory / bot.secret_file for bot in settings.bots]
    kept = [*secrets, *_below(directory / BOT_KEYS), *_below(data)]
    foreign = [path for path in kept if path.exists() and path.lstat().st_uid != owner]
    if not unread and not foreign:
        return [CheckResult("owners", ok=True, found=f"{user.pw_name} can read what it needs")]
    fixes = [f"chgrp {user.pw_gid} {_words(unread)} && chmod g+rX {_words(unread)}"] if unread else []
    fixes += [f"chown -h {owner}:{user.pw_gid} {_words(foreign)}"] if foreign else []
    named = ", ".join(str(path) for path in (*unread, *foreign)[:_SHOWN])
    found = f"{user.pw_name}, as whom the controller runs, cannot read or replace {len(unread) + len(foreign)}: {named}"
    return [CheckResult("owners", ok=False, found=found, fix=" && ".join(f"`{fix}`" for fix in fixes))]


_MAKE_USER = "Install the package again, which makes its users, or give the folder to the user that runs the controller."


def _readable(path: Path, owner: int, groups: set[int]) -> bool:
    found = path.stat()
    wanted = stat.S_IRUSR | stat.S_IXUSR if stat.S_ISDIR(found.st_mode) else stat.S_IRUSR
    shift = 0 if found.st_uid == owner else 3 if found.st_gid in groups else 6
    return (found.st_mode << shift) & wanted == wanted


def _below(folder: Path) -> Iterable[Path]:
    return (folder, *sorted(folder.rglob("*"))) if folder.is_dir() else ()


def _words(paths: Iterable[Path]) -> str:
    return " ".join(shlex.quote(str(path)) for path in paths)
