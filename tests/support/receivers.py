"""Real local servers that receive alerts: HTTP, which may hang, fail or redirect, and mail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event
from time import monotonic


@dataclass
class Post:
    """One request: its path, its headers in lower case, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What was received, and how it answers: ``status`` at once, or nothing until ``hang`` is set."""

    port: int = 0
    status: int = 200
    location: str = ""
    hang: Event | None = None
    asked: int = 0
    posts: list[Post] = field(default_factory=list)


def until(holds: Callable[[], object], within_s: float = 20) -> None:
    """Wait until something holds. Raises ``AssertionError`` when it does not within a time that no load should eat."""
    pause, end = Event(), monotonic() + within_s
    while not holds():
        assert monotonic() < end, "it did not happen in time"
        pause.wait(0.005)


@contextmanager
def receiving(status: int = 200, *, location: str = "", hang: Event | None = None) -> Iterator[Receiver]:
    """An HTTP server on loopback."""
    receiver = Receiver(status=status, location=location, hang=hang)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.asked += 1
            body = self.rfile.read(int(self.headers["content-length"]))
            if receiver.hang is not None:
                receiver.hang.wait(30)
            receiver.posts.append(Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("location", receiver.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with _served(server):
        receiver.port = server.server_port
        yield receiver
        if hang is not None:
            hang.set()


@contextmanager
def dripping() -> Iterator[int]:
    """A server whose answer never ends: a byte of a header every 20 ms."""
    gone = Event()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not gone.wait(0.02):
                    self.wfile.write(b"x")
            except OSError:
                return

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    with _served(server):
        yield server.server_address[1]
        gone.set()


@dataclass
class Mailbox:
    """A mail server's messages as they were sent."""

    port: int = 0
    messages: list[str] = field(default_factory=list)


@contextmanager
def mailing() -> Iterator[Mailbox]:
    """An SMTP server on loopback that takes every message and needs no login."""
    mailbox = Mailbox()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mail.test")
            while line := self.rfile.readline().decode("utf-8", "replace").strip().upper():
                if line.startswith("DATA"):
                    self._say("354 go on")
                    mailbox.messages.append(self._message())
                self._say("221 bye" if line.startswith("QUIT") else "250 ok")
                if line.startswith("QUIT"):
                    return

        def _message(self) -> str:
            lines: list[str] = []
            while (line := self.rfile.readline().decode("utf-8", "replace").rstrip("\r\n")) != ".":
                lines.append(line)
            return "\n".join(lines)

        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    with _served(server):
        mailbox.port = server.server_address[1]
        yield mailbox


@contextmanager
def _served(server: ThreadingTCPServer) -> Iterator[None]:
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
