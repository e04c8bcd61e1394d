"""A fresh Debian with a running systemd: built by mmdebstrap, booted by systemd-nspawn, without a network.

``run`` of this folder uses it. The machine ends when its script has ended, and its files are in a temporary folder.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RELEASES = {12: ("bookworm", "python3.11"), 13: ("trixie", "python3.13")}
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


class NoMachine(Exception):
    """It could not be built or booted; the message says why."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one command ended."""

    exit_code: int
    output: str


def install_tools() -> None:
    """Install what builds and boots a machine, where it is missing. Raises ``NoMachine``."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        _must("apt-get", "update", "-qq")
        _must("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


def build(root: Path, debian: int) -> None:
    """A minimal Debian with systemd and Python, in ``root``. Packages come from where this machine has them from."""
    release, python = RELEASES[debian]
    settings = root.with_suffix(".conf")
    shown = _must("apt-config", "dump").splitlines()
    kept = [line for line in shown if line.startswith("Acquire::") and ("::Proxy" in line or "Check-" in line)]
    settings.write_text("\n".join([*kept, ""]), encoding="utf-8")
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join((*PACKAGES, python))}", f"--aptopt={settings}"]
    _must(*command, release, str(root), *_sources(root, release))


def _sources(root: Path, release: str) -> list[str]:
    form = ["--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages", "Origin: Debian"]
    lines = sorted({line for line in _must("apt-get", "indextargets", *form).splitlines() if line.split()[2].startswith(release)})
    if not lines:
        return []
    file = root.with_suffix(".list")
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [str(file)]


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
        raise NoMachine(f"the machine did not boot: {root.with_suffix('.console').read_text(errors='replace')[-1_000:]}")
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


def _must(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NoMachine(f"{command[0]} failed: {done.stderr.strip()[-600:]}")
    return done.stdout
