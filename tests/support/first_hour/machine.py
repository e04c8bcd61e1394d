"""A fresh Debian with a running systemd: built by mmdebstrap, booted by systemd-nspawn, without a network.

``run`` of this folder uses it. The machine ends when its script has ended, and its files are in a temporary folder.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.deb.bootstrap import NotBuilt, bootstrap, install_tools
from ops.deb.tree import TARGETS

PACKAGES = ("adduser", "dbus", "libstdc++6", "procps", "systemd", "systemd-sysv", "util-linux")
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "dpkg-deb": "dpkg", "unshare": "util-linux"}

UNIT = """[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash /root/script
TimeoutStartSec=infinity
"""
# A machine of the hybrid layout shows systemd a cgroup tree of its own only in a mount namespace that has it there.
BOOT = """
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
exec timeout --kill-after=10 "$2" systemd-nspawn --quiet --register=no --keep-unit --directory="$1" --boot --private-network \
  --console=pipe
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one command ended."""

    exit_code: int
    output: str


def build(root: Path, debian: int) -> None:
    """A minimal Debian with systemd and Python, in ``root``. Raises ``NotBuilt``."""
    install_tools(TOOLS)
    bootstrap(root, debian, [*PACKAGES, f"python{TARGETS[debian].python}"])


def run_in(root: Path, commands: Sequence[str], within_s: int) -> list[Ended]:
    """Boot, run the commands one after the other in one shell in /root, and power off. Fewer than asked: the time was over."""
    results = root / "root" / "results"
    results.mkdir()
    (root / "root" / "script").write_text(_script(commands), encoding="utf-8")
    (root / "etc/systemd/system/script.service").write_text(UNIT, encoding="ascii")
    wanted = root / "etc/systemd/system/graphical.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "script.service").symlink_to("/etc/systemd/system/script.service")
    command = ["unshare", "--mount", "--fork", "--kill-child", "bash", "-c", BOOT, "boot", str(root), str(within_s)]
    with (root.with_suffix(".console")).open("wb") as console:
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
    ended = [results / f"{number}.code" for number in range(len(commands))]
    if not (results / "0.out").exists():
        raise NotBuilt(f"the machine did not boot: {root.with_suffix('.console').read_text(errors='replace')[-1_000:]}")
    return [
        Ended(int(code.read_text()), code.with_suffix(".out").read_text(encoding="utf-8", errors="replace"))
        for code in ended
        if code.exists()
    ]


def _script(commands: Sequence[str]) -> str:
    lines = ["set -m", "export HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin COLUMNS=200", "cd /root"]
    for number, command in enumerate(commands):
        place = f"/root/results/{number}"
        lines += [f"eval {_quoted(command)} > {place}.out 2>&1 < /dev/null", f"echo $? > {place}.code"]
    return "\n".join([*lines, "journalctl --no-pager -u 'gatehouse*' > /root/results/journal 2>&1", ""])


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"
