"""How long a thread has waited for a processor, as Linux counts it (``/proc/PID/task/TID/schedstat``, the second number).

``controller.runtime.halt_threads`` makes one for the event loop's thread. A thread that could run and was not let is slow and not
stuck. Where the kernel does not count it, nothing was waited.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Starvation:
    """Reads one thread's waiting time, through a file that it keeps open. Any thread may call it."""

    def __init__(self, thread_id: int) -> None:
        """``thread_id`` is the kernel's (``threading.get_native_id``), of a thread of this process."""
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.open(Path("/proc/self/task") / str(thread_id) / "schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def waited_ns(self) -> int:
        """The nanoseconds that the thread has waited since it began; 0 where nobody counts them."""
        if self._file is None:
            return 0
        try:
            return int(os.pread(self._file, 128, 0).split()[1])
        except (OSError, IndexError, ValueError):
            return 0

    def close(self) -> None:
        """Read no more."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
