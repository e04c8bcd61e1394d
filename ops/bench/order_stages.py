"""The controller of the order benches: ``gatehouse run`` that notes when each order passes each stage.

``python -m ops.bench.order_stages DIRECTORY`` runs the deployment there without the limits of rate (a bench sends more than MEXC
allows) and appends a line for each order to ``stages.jsonl`` once it is answered. Only one order at a time is measured.
``--authorities FILE`` is what certificates are checked against instead of the library's list; all checks are the product's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TextIO

import certifi

MARKS: Final = (
    "received", "asked", "begun", "decided", "encoded", "synced", "left", "answered", "answer decided", "answer synced", "replied",
)  # fmt: skip
"""What is noted of an order, in the order in which it happens."""

STAGES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "parse and authenticate": ("received", "asked"),
        "wait for the writer": ("asked", "begun"),
        "decide and fold": ("begun", "decided"),
        "encode and chain": ("decided", "encoded"),
        "sync": ("encoded", "synced"),
        "sign and send": ("synced", "left"),
        "venue, and parse its reply": ("left", "answered"),
        "decide and encode the answer": ("answered", "answer decided"),
        "sync of the answer": ("answer decided", "answer synced"),
        "reply": ("answer synced", "replied"),
    }
)
"""Each stage with the marks between which it lies. Together they are the whole time in the controller."""


class Marks:
    """When the present order passed each mark, and how much processor time the loop's thread had used, in nanoseconds."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._at: dict[str, tuple[int, int]] = {}

    def begin(self) -> None:
        """An order arrives."""
        self._at = {"received": (time.perf_counter_ns(), time.thread_time_ns())}

    def pass_(self, mark: str) -> None:
        """The order passes a mark, if it has passed the one before it and not this one."""
        at = self._at
        if at and mark not in at and MARKS[len(at)] == mark:
            at[mark] = time.perf_counter_ns(), time.thread_time_ns()

    def end(self) -> None:
        """The order is answered: write it down, unless it was refused on its way."""
        if len(self._at) == len(MARKS):
            self._file.write(json.dumps([self._at[mark] for mark in MARKS]) + "\n")
            self._file.flush()
        self._at = {}


def _around(owner: Any, name: str, before: Callable[..., None], after: Callable[[], None]) -> None:
    inner = getattr(owner, name)

    @wraps(inner)
    def called(*args: Any, **kwargs: Any) -> Any:
        before(*args)
        try:
            return inner(*args, **kwargs)
        finally:
            after()

    setattr(owner, name, called)


def watch(marks: Marks) -> None:
    """Have every stage noted in ``marks``."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from controller.core.inputs import OrderRequested
    from controller.journal.sqlite import SqliteJournal
    from controller.runtime.loop import writer
    from controller.runtime.loop.inbox import Inbox

    def arrived(_: object, data: bytes) -> None:
        if data.startswith(b"POST /api/v3/order"):
            marks.begin()

    def asked(_: object, input_: object, *__: object) -> None:
        if isinstance(input_, OrderRequested):
            marks.pass_("asked")

    def begun(_: object, input_: object, *__: object) -> None:
        if isinstance(input_, OrderRequested):
            marks.pass_("begun")

    def committing(*_: object) -> None:
        marks.pass_("encoded")
        marks.pass_("answer decided")

    def committed() -> None:
        marks.pass_("synced")
        marks.pass_("answer synced")

    _around(HttpToolsProtocol, "data_received", arrived, lambda: None)
    _around(Inbox, "request", asked, lambda: None)
    _around(writer, "decide", begun, lambda: marks.pass_("decided"))
    _around(SqliteJournal, "_commit", committing, committed)
    _watch_ends(marks)


def _watch_ends(marks: Marks) -> None:
    """Note what leaves for the venue, what it answers, and the reply."""
    from controller.gateway.app import Gateway
    from exchange.mexc.http import HttpTransport, Method

    send, answer = HttpTransport.send, Gateway.__call__

    async def sent(self: HttpTransport, method: Method, path: str, *args: Any, **kwargs: Any) -> Any:
        if method is not Method.POST or not path.endswith("/order"):
            return await send(self, method, path, *args, **kwargs)
        leave = kwargs.pop("leave")

        def leaves(write: Callable[[], None]) -> bool:
            marks.pass_("left")
            return bool(leave(write))

        try:
            return await send(self, method, path, *args, leave=leaves, **kwargs)
        finally:
            marks.pass_("answered")

    async def answered(self: Gateway, scope: Any, receive: Any, send_: Any) -> None:
        await answer(self, scope, receive, send_)
        if scope.get("method") == "POST":
            marks.pass_("replied")
            marks.end()

    HttpTransport.send = sent  # type: ignore[method-assign]
    Gateway.__call__ = answered  # type: ignore[method-assign]


def without_rates() -> None:
    """Lift the limits of rate: those of the gateway, and those with which the client keeps within MEXC's."""
    from controller.serving.throttle import Throttle
    from exchange.mexc.ratelimit import Limits

    Throttle.admit = lambda *_: 0  # type: ignore[method-assign]
    Limits.take = lambda *_: 0  # type: ignore[method-assign]


def main() -> None:
    """Run the deployment."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.order_stages")
    parser.add_argument("--authorities", default="")
    parser.add_argument("--unwatched", action="store_true", help="note no stages")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    directory = options.directory
    if options.authorities:
        certifi.where = lambda: options.authorities
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    without_rates()
    if not options.unwatched:
        watch(Marks((directory / "stages.jsonl").open("a", encoding="ascii")))
    sys.argv[1:] = ["run", "--dir", str(directory)]
    from controller.__main__ import main as gatehouse

    gatehouse()


if __name__ == "__main__":
    main()
