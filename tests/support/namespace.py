"""A network namespace with one cable to this one, for tests that cut the cable. It needs root and iproute2.

Run as a script it is what runs inside: ``namespace.py NAME COMMAND…`` enters the namespace and becomes the command.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and the two ends of its cable."""

    name: str
    cable: str
    here: str
    inside: str

    @property
    def script(self) -> tuple[str, ...]:
        """The arguments of a Python that run what follows inside."""
        return (str(ROOT / "tests" / "support" / "namespace.py"), self.name, sys.executable)

    def cut(self) -> None:
        """Nothing passes any more, in either direction; nobody is report."""
        _ip("link", "set", self.cable, "down")

    def repair(self) -> None:
        """The cable works again."""
        _ip("link", "set", self.cable, "up")


def why_not() -> str:
    """Why this machine cannot make a namespace; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    name = f"ghtry{secrets.token_hex(3)}"
    made = subprocess.run(("ip", "netns", "add", name), capture_output=True, text=True, check=False)
    if made.returncode == 0:
        _ip("netns", "del", name)
    return "" if made.returncode == 0 else f"no network namespace can be made: {made.stderr.strip()}"


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A new namespace with a loopback of its own."""
    tag = secrets.token_hex(3)
    net = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
    made = Namespace(f"gh{tag}", f"gha{tag}", f"{net}.1", f"{net}.2")
    _ip("netns", "add", made.name)
    try:
        _ip("link", "add", made.cable, "type", "veth", "peer", "name", f"ghb{tag}", "netns", made.name)
        _ip("addr", "add", f"{made.here}/24", "dev", made.cable)
        _ip("link", "set", made.cable, "up")
        _ip("-n", made.name, "addr", "add", f"{made.inside}/24", "dev", f"ghb{tag}")
        for device in (f"ghb{tag}", "lo"):
            _ip("-n", made.name, "link", "set", device, "up")
        yield made
    finally:
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", made.cable)
        _ip("netns", "del", made.name)


@asynccontextmanager
async def relayed(*routes: tuple[str, str]) -> AsyncIterator[None]:
    """Forward connections, each from the first address to the second one, in this process."""
    servers = [await _relay(*route) for route in routes]
    try:
        yield
    finally:
        for server in servers:
            server.close()


@asynccontextmanager
async def relayed_inside(space: Namespace, *routes: tuple[str, str]) -> AsyncIterator[None]:
    """The same, in a process inside the namespace."""
    flat = [address for route in routes for address in route]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *space.script,
        "-c",
        "from tests.support.namespace import forward; forward()",
        *flat,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        yield
    finally:
        process.kill()
        await process.wait()


def forward() -> None:
    """Forward between the addresses of the command line until killed."""

    async def run() -> None:
        flat = sys.argv[1:]
        async with relayed(*zip(flat[::2], flat[1::2], strict=True)):
            print("ready", flush=True)
            await asyncio.Event().wait()

    asyncio.run(run())


async def _relay(listen: str, target: str) -> asyncio.Server:
    host, _, port = listen.rpartition(":")
    to, _, to_port = target.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(to, int(to_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    return await asyncio.start_server(connected, host, int(port))


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)


def _enter(name: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"/var/run/netns/{name}", os.O_RDONLY)
    if libc.setns(handle, _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {name}")
    os.close(handle)


if __name__ == "__main__":
    _enter(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
