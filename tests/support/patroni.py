"""Three PostgreSQL servers under Patroni and one etcd, from Debian's packages, as ``ops/ha/patroni.yml`` sets them up."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.rig import free_port

TEMPLATE = Path(__file__).parents[2] / "ops" / "ha" / "patroni.yml"
PROGRAMS = ("etcd", "patroni", "patronictl")
NAMES = ("a", "b", "c")
_BIN = Path("/usr/lib/postgresql")

# Only for tests: no password and no TLS on loopback, and shorter times.
_HERE = (
    ("local all all peer", "local all all trust"),
    ("hostssl", "host"),
    ("scram-sha-256", "trust"),
    ("0.0.0.0/0", "127.0.0.1/32"),
    ("ttl: 30", "ttl: 20"),
    ("loop_wait: 10", "loop_wait: 1"),
    ("retry_timeout: 10", "retry_timeout: 5"),
)


def missing() -> list[str]:
    """What Debian has and this machine has not."""
    found = [one for one in PROGRAMS if shutil.which(one) is None]
    return found if list(_BIN.glob("*/bin/postgres")) else [*found, "postgresql"]


class Patroni:
    """A cluster in a folder of its own; its processes run as ``nobody`` where the test is root."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gatehouse-patroni-"))
        self._identity = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._identity:
            shutil.chown(self.directory, "nobody")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {name: free_port() for name in NAMES}
        client, peer = free_port(), free_port()
        (binaries,) = sorted(_BIN.glob("*/bin"))[-1:]
        for name in NAMES:
            values = {
                "NAME": name, "HOST": "127.0.0.1", "RESTPORT": free_port(), "ETCD": f"127.0.0.1:{client}",
                "PORT": self.ports[name], "DATA": self.directory / name, "BIN": binaries, "SOCKETS": self.directory,
                "SUPERUSER": "x", "REPLICATOR": "y",
            }  # fmt: skip
            text = re.sub(r"@([A-Z]+)@", lambda found, values=values: str(values[found[1]]), TEMPLATE.read_text())  # type: ignore[misc]
            for word, here in _HERE:
                assert word in text, word
                text = text.replace(word, here)
            self._file(name).write_text(text)
        clients, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        self._run(
            "etcd", "etcd", "--data-dir", str(self.directory / "etcd"), "--listen-client-urls", clients,
            "--advertise-client-urls", clients, "--listen-peer-urls", peers,
        )  # fmt: skip

    @property
    def url(self) -> str:
        """How a controller reaches the one of the servers that accepts writes."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        return f"postgresql://gatehouse@{hosts}/journal?target_session_attrs=read-write"

    def start(self, *names: str) -> None:
        for name in names:
            self._run(name, "patroni", str(self._file(name)))

    def members(self) -> dict[str, str]:
        """The role of each server that runs, by name: ``Leader``, ``Sync Standby`` or ``Replica``."""
        command = ["patronictl", "-c", str(self._file("a")), "list", "-f", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **self._surroundings())
        try:
            found: list[dict[str, Any]] = json.loads(done.stdout)
        except ValueError:
            return {}
        return {one["Member"]: one["Role"] for one in found if one["State"] in {"running", "streaming"}}

    def until(self, *roles: str, but: str = "", within_s: float = 200) -> dict[str, str]:
        """Wait until each of these roles is somebody's, and not that of ``but``."""
        deadline = time.monotonic() + within_s
        while True:
            found = {name: role for name, role in self.members().items() if name != but}
            if all(role in found.values() for role in roles):
                return found
            assert time.monotonic() < deadline, f"{found}\n{self.log()}"
            time.sleep(0.5)

    def log(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}" for path in self.directory.glob("*.log"))

    def crash(self, name: str) -> None:
        """kill -9 one host: Patroni, its server and all processes of it."""
        self._running[name].kill()
        self._running[name].wait()
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self.directory / name / "postmaster.pid").read_text().splitlines()[0])
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for one in (pid, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)

    def remove(self) -> None:
        """Stop whatever runs."""
        for name in NAMES:
            if name in self._running:
                self.crash(name)
        self._running["etcd"].kill()
        self._running["etcd"].wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.directory / f"{name}.yml"

    def _run(self, name: str, *command: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._surroundings()
            )

    def _surroundings(self) -> dict[str, Any]:
        return {"cwd": self.directory, "env": {"PATH": "/usr/bin:/bin", "HOME": str(self.directory)}, **self._identity}
