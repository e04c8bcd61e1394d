"""One journal for each account on this host: a controller claims its accounts for as long as its process lives (ADR 43).

A copied folder has the same settings, keys and journal as the first one, so a controller that is started in it would cancel the
first one's orders. What is not copied is the file of the journal itself: device and inode, or the database. So there is one
directory for each account in the user's state directory, and in it one file for each journal. A controller holds a shared lock on
the file of its own journal; the kernel releases it when the process ends. Before it writes its start it looks whether another
journal's file is locked.

Controllers of one journal do not keep each other out here: locks, leases and epochs of the journal do. Two journals that start at
the same time both see the other, and neither starts.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from controller.journal.location import DatabaseLocation, FileLocation, JournalLocation
from exchange.errors import Refused

_MOST = 8192
_log = logging.getLogger(__name__)


class AccountClaims:
    """The accounts that this process has claimed."""

    def __init__(self) -> None:
        self._held: list[tuple[Path, int]] = []

    def add(self, directory: Path, account: str, journal: str, holder: str) -> None:
        """Claim one account for the journal called ``journal``. ``holder`` is what others read who find it claimed.

        Raises:
            Refused: ``account-claimed``; a controller with another journal trades on it.
            OSError: the directory cannot be used.
        """
        place = directory / "accounts" / account.removeprefix("sha256:")[:32]
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = place / journal
        self._held.append((own, handle := _shared(own)))
        for other in sorted(place.iterdir()):
            if other != own and (found := _live_holder(other)) is not None:
                raise Refused(
                    f"another controller trades on this account with another journal: {found}. One of the two is a copy, or both "
                    "were given one account",
                    code="account-claimed",
                    remedy="Stop the other controller first, or give this one an account of its own. Nothing was cancelled.",
                )
        os.ftruncate(handle, 0)
        os.pwrite(handle, holder.encode()[:_MOST], 0)

    def close(self) -> None:
        """Release the claims. Call it only when no part of this controller can act any more."""
        while self._held:
            path, handle = self._held.pop()
            with suppress(OSError):
                # Another process of the same journal may hold it too; then the file stays.
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            os.close(handle)


def journal_name(place: JournalLocation) -> str:
    """A name of an open journal that a copy of it does not have: of its file, or of its database."""
    match place:
        case FileLocation(path):
            found = path.stat()
            return f"file-{found.st_dev:x}-{found.st_ino:x}"
        case DatabaseLocation(url):
            return f"database-{hashlib.sha256(url.encode()).hexdigest()[:32]}"
    raise TypeError(place)


def claim_accounts(
    directory: Path | None, accounts: Collection[str], place: JournalLocation, *, controller_id: str, folder: Path
) -> AccountClaims:
    """Claim every account for the journal at ``place``. Where this user can keep no state nothing is claimed, and the log says so.

    Raises:
        Refused: ``account-claimed``.
    """
    claims = AccountClaims()
    try:
        if directory is None:
            raise FileNotFoundError(0, "this user has no state directory")
        name = journal_name(place)
        for account in sorted(accounts):
            claims.add(directory, account, name, f"{controller_id} in {folder.resolve()}, process {os.getpid()}")
    except OSError as error:
        _log.warning("the accounts are not claimed on this host", extra={"fields": {"why": error.strerror}})
    except Refused:
        claims.close()
        raise
    return claims


def _shared(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            # Only somebody who looks holds it exclusively, and for no longer than that takes.
            fcntl.flock(handle, fcntl.LOCK_SH)
            if _is_there(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _live_holder(path: Path) -> str | None:
    """Who holds a claim; ``None`` when its process has ended. The file of such a claim is removed."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_there(path, handle):
            path.unlink()
    except BlockingIOError:
        return os.pread(handle, _MOST, 0).decode("utf-8", "replace") or "it is starting"
    finally:
        os.close(handle)
    return None


def _is_there(path: Path, handle: int) -> bool:
    """Whether the open file is still the one of that name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(handle))
    return False
