"""gatehouse as a person installs it: the wheel of this tree in an environment of its own, outside of the checkout.

``run`` of this folder makes it before the world begins.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from ops.deb.locked import runtime_lock
from ops.deb.tree import ROOT, own_wheel, pip
from tests.support.ordinary.world import Product

SYSTEMS = Path("/usr/bin/python3")
"""Debian's Python. Users of their own can run it, which is not so of one below somebody's home."""


def python() -> Path:
    """The interpreter of the installation: the system's, where it is of the version of this one."""
    own = ".".join(map(str, sys.version_info[:2]))
    if SYSTEMS.exists():
        shown = subprocess.run(
            (SYSTEMS, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"), capture_output=True, text=True, check=False
        )
        if shown.stdout.strip() == own:
            return SYSTEMS
    return Path(sys.executable).resolve()


def install(directory: Path, *, from_index: bool) -> Product:
    """Install the wheel below ``directory``. Its libraries come from the package index, by the hashes of the lock, or are linked.

    Linked ones are those of the checkout's environment; its own gatehouse is not among what they bring.
    """
    place, work = directory / "installed", directory / "wheel"
    work.mkdir()
    subprocess.run((python(), "-m", "venv", "--without-pip", place), check=True)
    interpreter = place / "bin" / "python"
    site = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    if from_index:
        lock = work / "runtime.lock"
        lock.write_text(runtime_lock(ROOT), encoding="utf-8")
        pip("--python", interpreter, "install", "--require-hashes", "--no-deps", "-r", lock)
    pip("--python", interpreter, "install", "--no-deps", "--no-index", own_wheel(work))
    if not from_index:
        # A line of a .pth file is a folder to import from; the .pth files in that folder are not read.
        (directory / "libraries").mkdir()
        (site / "libraries.pth").write_text(f"{directory / 'libraries'}\n")
    libraries = site if from_index else directory / "libraries"
    return Product(str(interpreter), site, libraries / "certifi" / "cacert.pem")


def linked_libraries(directory: Path) -> list[str]:
    """The line of shell that puts the checkout's libraries where ``install`` expects them, open to every user."""
    there = directory / "libraries"
    return [f"mount --bind '{sysconfig.get_paths()['purelib']}' '{there}'"] if there.exists() else []
