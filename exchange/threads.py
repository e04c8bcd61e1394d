"""Objects that belong to one thread. What is not safe between threads checks it on every call; feeds, inbox and permits use it."""

from __future__ import annotations

import threading

from exchange.errors import GatehouseError


class WrongThread(GatehouseError):
    """Code on another thread used an object of the event loop's thread. Nothing was read or changed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was used from thread {threading.current_thread().name}, which is not the event loop's",
            code="wrong-thread",
            remedy="Report this as a defect of gatehouse. Call it from a coroutine or with the loop's `call_soon_threadsafe`.",
        )


class OwnThread:
    """The thread that made it."""

    __slots__ = ("_ident", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._ident = threading.get_ident()

    def check(self) -> None:
        """Raise ``WrongThread`` on any other thread."""
        if threading.get_ident() != self._ident:
            raise WrongThread(self._what)
