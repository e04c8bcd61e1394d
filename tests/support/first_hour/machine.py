"""A fresh Debian with a running systemd: built by mmdebstrap, booted by systemd-nspawn, without a network.

``run`` of this folder uses it. The machine and its control group end with the last command; its files are in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops.deb.bootstrap import NotBuilt, bootstrap, must
from ops.deb.tree import TARGETS

PACKAGES = ("adduser", "dbus", "libstdc++6", "procps", "systemd", "systemd-sysv", "util-linux")
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "dpkg-deb": "dpkg", "unshare": "util-linux"}
RELEASED_S = 10

UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/script
TimeoutStartSec=infinity
"""
# A machine of the hybrid layout shows systemd a cgroup tree of its own only in a mount namespace that has it there.
BOOT = """
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
mkdir "/sys/fs/cgroup/$2" && echo 0 > "/sys/fs/cgroup/$2/cgroup.procs"
exec systemd-nspawn --quiet --register=no --keep-unit --directory="$1" --boot --private-network --console=pipe
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one command ended. ``exit_code`` is ``None`` when it took too long and was stopped."""

    exit_code: int | None
    output: str
    seconds: float


def build(root: Path, debian: int) -> None:
    """A minimal Debian with systemd and Python, in ``root``. Raises ``NotBuilt``."""
    bootstrap(root, debian, [*PACKAGES, f"python{TARGETS[debian].python}"])


def run_in(root: Path, commands: Sequence[str], within_s: float) -> Generator[Ended, None, None]:
    """Boot, and run the commands one after the other in one shell in /root. Yields each as it ends.

    A command that takes longer than ``within_s`` is stopped together with the machine, and is the last one. A caller that asks for
    no more ends the machine too. Raises ``NotBuilt`` when it does not boot.
    """
    results, group = root / "root" / "results", f"first-hour-{os.getpid()}"
    results.mkdir()
    (root / "var/log/journal").mkdir(parents=True, exist_ok=True)
    (root / "root" / "script").write_text(_script(commands), encoding="utf-8")
    (root / "etc/systemd/system/script.service").write_text(UNIT, encoding="ascii")
    wanted = root / "etc/systemd/system/graphical.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "script.service").symlink_to("/etc/systemd/system/script.service")
    # All processes of the namespace end with this one; a signal to systemd-nspawn alone would leave some.
    inside = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "bash", "-c", BOOT, "boot", str(root), group]
    with console(root).open("wb") as out, subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as machine:
        try:
            for number in range(len(commands)):
                ended = _ended(machine, results / str(number), within_s, root)
                yield ended
                if ended.exit_code is None:
                    return
        finally:
            machine.kill()
            machine.wait()
            _release(group)


def journal(root: Path) -> str:
    """What the units of gatehouse said in a machine that has ended."""
    command = ["journalctl", "--no-pager", "--quiet", f"--directory={root / 'var/log/journal'}", "--output=short-precise"]
    return must(*command, "--unit=gatehouse*", "--unit=maker*")


def console(root: Path) -> Path:
    """What the machine wrote to its console."""
    return root.with_suffix(".console")


def _ended(machine: subprocess.Popen[bytes], place: Path, within_s: float, root: Path) -> Ended:
    began = time.monotonic()
    code, out = place.with_suffix(".code"), place.with_suffix(".out")
    while not code.exists() and machine.poll() is None and time.monotonic() < began + within_s:
        time.sleep(0.1)
    if not out.exists():
        raise NotBuilt(f"the machine did not boot, or ended: {console(root).read_text(errors='replace')[-1_000:]}")
    exit_code = int(code.read_text()) if code.exists() else None
    return Ended(exit_code, out.read_text(encoding="utf-8", errors="replace"), time.monotonic() - began)


def _release(group: str) -> None:
    """Remove the machine's control group, which is empty as soon as the kernel has ended its last process."""
    mounted = Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup")
    until = time.monotonic() + RELEASED_S
    while (top := mounted / group).is_dir() and time.monotonic() < until:
        for folder in sorted((one for one in top.rglob("*") if one.is_dir()), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            top.rmdir()
        time.sleep(0.1)


def _script(commands: Sequence[str]) -> str:
    lines = ["set -m", "export HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin COLUMNS=200", "cd /root"]
    for number, command in enumerate(commands):
        place = f"/root/results/{number}"
        # Renamed, so that the code is never read half written.
        lines += [f"eval {_quoted(command)} > {place}.out 2>&1 < /dev/null", f"echo $? > {place}.now; mv {place}.now {place}.code"]
    return "\n".join([*lines, ""])


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"
