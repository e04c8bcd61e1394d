"""PostgreSQL servers that replicate, for the failover tests; only ``ops/ha/pg-pair.sh`` sets them up and fails them over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.support.postgres_server import USER, binaries

SCRIPT = Path(__file__).parents[2] / "ops" / "ha" / "pg-pair.sh"
_UNPRIVILEGED = "nobody"
_DEBIAN = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """PostgreSQL's programs: those that pip installed, or Debian's newest."""
    found = [binaries(), *sorted(_DEBIAN.glob("*/bin"), reverse=True)]
    return next((one for one in found if one is not None and (one / "pg_basebackup").exists()), None)


class PostgresPair:
    """Two servers, ``a`` and ``b``, on Unix sockets; more can follow."""

    def __init__(self, bin_directory: Path) -> None:
        self._bin = bin_directory
        self.directory = Path(tempfile.mkdtemp(prefix="gatehouse-ha-"))
        self._identity = {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._identity:
            shutil.chown(self.directory, _UNPRIVILEGED)
        # A copy, because that user may have no access to this repository's folder.
        self._script = shutil.copy(SCRIPT, self.directory)

    def data(self, name: str) -> Path:
        return self.directory / name

    def sockets(self, name: str) -> Path:
        return self.directory / f"{name}.run"

    def primary_string(self, name: str) -> str:
        """How a standby reaches this server."""
        return f"host={self.sockets(name)} user={USER}"

    def url(self, *names: str) -> str:
        """How a controller reaches the one of these servers that accepts writes."""
        hosts = ",".join(str(self.sockets(name)) for name in names)
        return f"postgresql://{USER}@/journal?host={hosts}&target_session_attrs=read-write"

    def run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One call of the script."""
        return subprocess.run(
            ["/bin/bash", self._script, verb, *arguments],
            cwd=self.directory,
            env={"PATH": "/usr/bin:/bin", "PGBIN": str(self._bin), "AUTH": "trust"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self._identity,
        )

    def do(self, verb: str, *arguments: str) -> str:
        """One call of the script that must succeed."""
        found = self.run(verb, *arguments)
        assert found.returncode == 0, f"{verb}: {found.stdout}{found.stderr}"
        return found.stdout

    def both(self) -> None:
        """``a`` is the primary and waits for ``b``."""
        self.do("primary", str(self.data("a")), "b")
        self.do("standby", str(self.data("b")), "b", self.primary_string("a"))

    def crash(self, name: str) -> None:
        """kill -9 a server, all of it."""
        pid = int((self.data(name) / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            with suppress(ProcessLookupError):  # it ended with the postmaster
                os.kill(one, signal.SIGKILL)

    def control(self, name: str, *arguments: str) -> None:
        """``pg_ctl`` on one server, without the script."""
        command = [str(self._bin / "pg_ctl"), "-D", str(self.data(name)), "-w", *arguments]
        log = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, check=True, cwd=self.directory, env={"PATH": "/usr/bin:/bin"}, timeout=90, **log, **self._identity)

    def remove(self) -> None:
        """Stop whatever runs."""
        for pid_file in self.directory.glob("*/postmaster.pid"):
            self.run("fence", str(pid_file.parent))
        shutil.rmtree(self.directory)
