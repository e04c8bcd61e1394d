"""Ends this process at once, when the event loop and what would clean up after it may never run again. ``bootstrap`` uses it."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import NoReturn

_STDERR = 2


def end_now(code: int, why: str) -> NoReturn:
    """End with ``code`` and say why on standard error, unless nobody reads that: a full pipe must not keep the process."""
    with suppress(OSError):
        if select.select((), (_STDERR,), (), 0)[1]:
            os.write(_STDERR, f"gatehouse: {why}\n".encode()[: select.PIPE_BUF])
    os._exit(code)
