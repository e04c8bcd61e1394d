"""Proof that the last writer on this host is dead, so that a restart need not wait out its lease (ADR 19).

A controller holds a lock on a file for as long as it lives; the kernel lets it go when its process is gone and not before. The file
names an entry its holder wrote, with its epoch, in which boot of which kernel that was, and which file it is. Who gets the lock and
finds its own boot and this very file in it knows that the writer of that entry has ended; and, if the journal still holds the
entry, that nobody else was given its epoch since, as a server that lost the takeover could have done. A copied directory is another
file, a restart of the machine or another machine another boot, and on a network file system a lock can be lost by a process that
lives: none of them proves anything, and the lease is waited out.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

from controller.journal.chain import Head
from controller.journal.lease import Lease

FILE_NAME = "tenure"

_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"})
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
_MOST = 1024


class Tenure:
    """One process's hold on a data directory. ``ended``: an entry of a writer that is proven dead, if one is."""

    def __init__(self, data: Path) -> None:
        self._handle = os.open(data / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._held = _locked(self._handle)
        self.ended = _ended(self._handle) if self._held else None

    def leads(self, head: Head) -> None:
        """This process wrote ``head``. Without the lock, or when it cannot be written down, the next start proves nothing."""
        if not self._held:
            return
        told = json.dumps({**_here(self._handle), "epoch": head.epoch, "seq": head.seq, "hash": head.hash}).encode()
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, told, 0)
        except OSError:
            return

    def proves(self, lease: Lease, hash_at: Callable[[int], str | None]) -> bool:
        """Whether the writer that holds ``lease`` in the journal of ``hash_at`` is dead."""
        ended = self.ended
        return ended is not None and ended.epoch == lease.epoch and hash_at(ended.seq) == ended.hash

    def close(self) -> None:
        """Let the lock go. Only when nothing of this writer can act any more."""
        os.close(self._handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _ended(handle: int) -> Head | None:
    try:
        told = json.loads(os.pread(handle, _MOST, 0))
        head = Head(int(told.pop("seq")), str(told.pop("hash")), int(told.pop("epoch")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    here = _here(handle)
    return head if told == here and here["boot"] and here["local"] else None


def _here(handle: int) -> dict[str, object]:
    status = os.fstat(handle)
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return {"boot": boot, "device": status.st_dev, "inode": status.st_ino, "local": _is_local(status.st_dev)}


def _is_local(device: int) -> bool:
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    for line in lines:
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0] in _LOCAL
    return False
