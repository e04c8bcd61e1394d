"""Proof that the last writer on this host has ended, so that a restart does not wait for its lease to expire (ADR 19).

``bootstrap`` opens it before it takes the journal. A controller locks a file while it runs; the kernel releases the lock only when
the process has ended. The file names an entry that its holder wrote, with its epoch, the boot of the kernel, and the file itself. A
process that gets the lock and finds its own boot and this file in it knows that the writer of that entry has ended; and, if the
journal still contains the entry, that no other writer got its epoch, as could happen on a server that lost the takeover. A copied
directory is another file, a restarted or different machine has another boot, and on a network file system a running process can
lose its lock: these prove nothing, and the start waits for the lease to expire.

The same is true in a container: lock, boot and file belong to the kernel, and the containers of one host share their kernel, so a
holder in another container keeps its lock. No process id is read, because ids of another container mean other processes here; no
machine id and no host name is read, because containers lack or share them. If the kernel shows no boot id, nothing is proven.
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
"""More bytes than any ``struct statfs`` has; the first field is the file system's type."""

_MOST = 1024


def boot_name() -> str:
    """The kernel's name of this boot of this machine; empty where it has none."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Tenure:
    """One process's lock on a data directory. ``ended`` is an entry of a writer that has provably ended, if there is one."""

    def __init__(self, data: Path) -> None:
        self._handle = os.open(data / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._held = _locked(self._handle)
        self.ended = _ended(self._handle) if self._held else None

    def leads(self, head: Head) -> None:
        """Record that this process wrote ``head``. Without the lock, or if writing fails, the next start proves nothing."""
        if not self._held:
            return
        record = json.dumps({**_here(self._handle), "epoch": head.epoch, "seq": head.seq, "hash": head.hash}).encode()
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, record, 0)
        except OSError:
            return

    def proves(self, lease: Lease, hash_at: Callable[[int], str | None]) -> bool:
        """Whether the writer that holds ``lease`` in the journal of ``hash_at`` has ended."""
        ended = self.ended
        return ended is not None and ended.epoch == lease.epoch and hash_at(ended.seq) == ended.hash

    def close(self) -> None:
        """Release the lock. Call it only when no part of this writer can act any more."""
        os.close(self._handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _ended(handle: int) -> Head | None:
    try:
        record = json.loads(os.pread(handle, _MOST, 0))
        head = Head(int(record.pop("seq")), str(record.pop("hash")), int(record.pop("epoch")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    here = _here(handle)
    return head if record == here and here["boot"] and here["local"] else None


def _here(handle: int) -> dict[str, object]:
    status = os.fstat(handle)
    return {"boot": boot_name(), "device": status.st_dev, "inode": status.st_ino, "local": _is_local(handle)}


def _is_local(handle: int) -> bool:
    """Reads the open file, because a process in a chroot cannot find its file system in the mount table."""
    found = ctypes.create_string_buffer(_STATFS)
    return _LIBC.fstatfs(handle, found) == 0 and ctypes.c_ulong.from_buffer(found).value in _LOCAL
