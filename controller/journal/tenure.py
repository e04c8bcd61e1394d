"""Proof that the last writer on this host is dead, so that a restart need not wait out its lease (ADR 19).

A controller holds a lock on a file for as long as it lives; the kernel lets it go when its process is gone and not before. The file
names an entry its holder wrote, with its epoch, in which boot of which kernel that was, and which file it is. Who gets the lock and
finds its own boot and this very file in it knows that the writer of that entry has ended; and, if the journal still holds the
entry, that nobody else was given its epoch since, as a server that lost the takeover could have done. A copied directory is another
file, a restart of the machine or another machine another boot, and on a network file system a lock can be lost by a process that
lives: none of them proves anything, and the lease is waited out.

A container is no different: lock, boot and file are the kernel's, and the containers of one host share their kernel, so a holder
that lives in another container keeps its lock. No process id is looked up, for another container's mean other processes here; no
machine id and no host name is read, for containers lack them or share them. Where the kernel tells no boot, nothing is proven.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

from controller.journal.chain import Head
from controller.journal.lease import Lease

FILE_NAME = "tenure"

_LOCAL = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x2FC12FC1, 0xF2F52010, 0x01021994, 0x794C7630})
"""ext2 to ext4, xfs, btrfs, zfs, f2fs, tmpfs and overlay, by the numbers of statfs(2)."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LIBC = ctypes.CDLL(None)
_STATFS = 256
"""More bytes than any ``struct statfs`` has. It begins with the file system's type."""

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
    return {"boot": boot, "device": status.st_dev, "inode": status.st_ino, "local": _is_local(handle)}


def _is_local(handle: int) -> bool:
    """Asked of the open file: the table of mounts does not show a chroot what it lies on."""
    found = ctypes.create_string_buffer(_STATFS)
    return _LIBC.fstatfs(handle, found) == 0 and ctypes.c_ulong.from_buffer(found).value in _LOCAL
