"""What reached MEXC's stand-in, read at its own TLS door and in its own books; nothing here comes from gatehouse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

REQUEST = re.compile(rb"^(GET|POST|PUT|DELETE) (\S+) HTTP/1\.1\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HOST = re.compile(rb"\r\nhost: *(\S+)", re.IGNORECASE)
UPGRADE = re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE)
ORDER, TEST = "POST /api/v3/order", "POST /api/v3/order/test"
CANCELS = ("DELETE /api/v3/order", "DELETE /api/v3/openOrders")


@dataclass
class Record:
    """Requests by phase, host and path. ``phase`` is what the rehearsal is doing; it changes while nothing is under way."""

    phase: str = "before"
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    hosts: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    unread: int = 0

    def count(self, *names: str, phase: str | None = None) -> int:
        """How many requests of these methods and paths came, in one phase or in all."""
        chosen = [self.counts.get(phase, Counter())] if phase is not None else self.counts.values()
        return sum(counter[name] for counter in chosen for name in names)

    def listener(self) -> Callable[[bytes], None]:
        """What gets the bytes of one client's connection."""
        waiting, streaming = bytearray(), False

        def hear(data: bytes) -> None:
            nonlocal streaming
            if streaming:
                return
            waiting.extend(data)
            while (end := waiting.find(b"\r\n\r\n")) >= 0:
                head = bytes(waiting[: end + 2])
                length = LENGTH.search(head)
                if len(waiting) < (whole := end + 4 + (int(length[1]) if length else 0)):
                    return
                del waiting[:whole]
                if streaming := self._request(head):
                    return

        return hear

    def _request(self, head: bytes) -> bool:
        """Count one request. Returns whether a websocket begins with it."""
        line, host = REQUEST.match(head), HOST.search(head)
        if line is None or host is None:
            self.unread += 1
            return False
        name = host[1].decode().partition(":")[0]
        if UPGRADE.search(head):
            self.streams[name] += 1
            return True
        self.hosts[name] += 1
        path = line[2].decode().partition("?")[0]
        self.counts.setdefault(self.phase, Counter())[f"{line[1].decode()} {path}"] += 1
        return False

    def table(self) -> str:
        """Orders, test orders, cancels and everything else, phase by phase."""
        rows = []
        for phase, counter in self.counts.items():
            orders, tests = counter[ORDER], counter[TEST]
            cancels = sum(counter[name] for name in CANCELS)
            rows.append(f"| {phase} | {orders} | {tests} | {cancels} | {counter.total() - orders - tests - cancels} |")
        asked = [f"{host}: {number} requests" for host, number in self.hosts.items()]
        asked += [f"{host}: {number} streams" for host, number in self.streams.items()]
        door = "MEXC's stand-in, at its TLS door: " + (", ".join(asked) or "nothing")
        return "\n".join([door, "", "| phase | orders | test orders | cancels | other requests |", "|---|---|---|---|---|", *rows])
