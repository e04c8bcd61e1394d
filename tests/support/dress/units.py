"""Starts the units of ``ops/systemd`` without systemd: user, credentials, folders, readiness and restarts are as the file says.

What confines a unit is left out, but for the signer's private network: `make first-hour` starts them under a real systemd.
"""

from __future__ import annotations

import asyncio
import pwd
import re
import shlex
import shutil
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ordinary.load import level
from tests.support.ordinary.world import ROOT

UNITS = ROOT / "ops" / "systemd"
PARTS = ("signer", "watchdog", "testnet")
"""What the controller's unit wants, in the order in which they are started."""

WITHIN_S = 120


@dataclass
class Unit:
    """One unit of an instance. ``status`` is what it last said of itself, ``starts`` how often it was started."""

    name: str
    instance: str
    program: Path
    log: Path
    status: str = ""
    starts: int = 0
    exits: list[int] = field(default_factory=list)
    _settings: list[tuple[str, str]] = field(default_factory=list)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = None
    _restarts: asyncio.Task[None] | None = None
    _socket: socket.socket | None = None

    def __post_init__(self) -> None:
        text = (UNITS / f"{self.name}@.service").read_text()
        self._settings = re.findall(r"^(\w+)=(.*)$", text.replace("%i", self.instance), re.MULTILINE)

    async def start(self) -> None:
        """Start it; it has said that it is ready when this returns."""
        self._listen()
        self._restarts = asyncio.create_task(self._keep())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait((self._restarts, ready), timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        assert self._ready.is_set(), f"{self.name} did not get ready: {self.status}\n{self.tail()}"

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when its time is over."""
        if self._restarts is not None:
            self._restarts.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), float(self.setting("TimeoutStopSec") or 90))
            except TimeoutError:
                self._process.kill()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.returncode is None

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:]

    async def _keep(self) -> None:
        """Start it again as ``Restart=`` says."""
        while True:
            self._process = await self._started()
            code = await self._process.wait()
            self.exits.append(code)
            wanted = self.setting("Restart") == "always" or code not in {0, -signal.SIGTERM}
            if not wanted or str(code) == self.setting("RestartPreventExitStatus"):
                return
            await asyncio.sleep(_seconds(self.setting("RestartSec")))

    async def _started(self) -> asyncio.subprocess.Process:
        self.starts += 1
        user, group = self.setting("User"), self.setting("Group")
        owner = pwd.getpwnam(user)
        self._folders(user, group)
        credentials = self._credentials(user)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": owner.pw_dir, "USER": user}
        environment |= {"CREDENTIALS_DIRECTORY": str(credentials), "NOTIFY_SOCKET": str(self._address)}
        environment |= {"WATCHDOG_USEC": f"{int(_seconds(self.setting('WatchdogSec')) * 1_000_000)}"}
        environment |= dict(one.split("=", 1) for one in self._all("Environment"))
        environment |= self._environment_files()
        words = [
            word
            for part in self.setting("ExecStart").replace("%d", str(credentials)).split()
            for word in (shlex.split(environment.get(part[1:], "")) if part.startswith("$") else [part])
        ]
        assert words[0] == "/usr/bin/gatehouse"
        network = ("unshare", "--net", "--") if self.setting("PrivateNetwork") == "yes" else ()
        person = ("setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--no-new-privs", "--")
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(*network, *person, str(self.program), *words[1:]),
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                umask=0o077,
                start_new_session=True,
            )
        level(process.pid)
        return process

    def _folders(self, user: str, group: str) -> None:
        for kind, base in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
            for name in self.setting(kind).split():
                folder = Path(base, name)
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(int(self.setting(f"{kind}Mode"), 8))
                shutil.chown(folder, user, group)

    def _environment_files(self) -> dict[str, str]:
        texts = [Path(file).read_text() for file in self._all("EnvironmentFile")]
        return dict(re.findall(r"^(\w+)=(.*)$", "\n".join(texts), re.MULTILINE))

    def _credentials(self, user: str) -> Path:
        folder = Path("/run/credentials", f"{self.name}@{self.instance}.service")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for one in self._all("SetCredential"):
            (folder / one.partition(":")[0]).write_text(one.partition(":")[2].replace("\\x20", " "))
        for one in self._all("LoadCredential"):
            name, _, source = one.partition(":")
            if Path(source).exists():
                shutil.copyfile(source, folder / name)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
            path.chmod(0o500 if path.is_dir() else 0o400)
        return folder

    @property
    def _address(self) -> Path:
        return Path("/run", f"notify-{self.name}-{self.instance}")

    def _listen(self) -> None:
        """What the process says to its service manager."""
        self._address.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._address))
        self._address.chmod(0o666)
        asyncio.get_running_loop().add_reader(self._socket, self._heard, self._socket)

    def _heard(self, listening: socket.socket) -> None:
        with suppress(BlockingIOError):
            while text := listening.recv(65_536).decode(errors="replace"):
                for line in text.splitlines():
                    self.status = line.removeprefix("STATUS=") if line.startswith("STATUS=") else self.status
                    if line == "READY=1":
                        self._ready.set()

    def _all(self, name: str) -> list[str]:
        return [value for key, value in self._settings if key == name]

    def setting(self, name: str) -> str:
        """The last value of a setting; empty where the file has none."""
        return (self._all(name) or [""])[-1]


def units(instance: str, program: Path, logs: Path) -> dict[str, Unit]:
    """The four units of a deployment by what they are, in the order in which systemd starts them."""
    return {
        part or "controller": Unit(
            f"gatehouse-{part}" if part else "gatehouse", instance, program, logs / f"{instance}-{part or 'controller'}.log"
        )
        for part in (*PARTS, "")
    }


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|min|)", text or "0")
    assert found is not None, f"{text} is no time that this reads"
    return int(found[1]) * {"ms": 0.001, "min": 60, "": 1}[found[2]]


def users() -> list[tuple[str, str, str]]:
    """What the package's script makes: each user, its group and its home."""
    script = (ROOT / "ops/deb/scripts/postinst").read_text()
    made = re.findall(r"adduser .*?(?:--ingroup (\S+) )?--home (\S+) --no-create-home (\S+)$", script, re.MULTILINE)
    return [(name, group or name, home) for group, home, name in made]
