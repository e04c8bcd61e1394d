"""Makes the files of a Debian with mmdebstrap, from where this machine has its packages. The image and the first hour use it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

RELEASES = {12: "bookworm", 13: "trixie"}


class NotBuilt(Exception):
    """Something that is needed is missing and cannot be installed, or a command failed; the message says which."""


def install_tools(tools: Mapping[str, str]) -> None:
    """Install the package of each command that is missing. Raises ``NotBuilt``."""
    missing = sorted({package for tool, package in tools.items() if shutil.which(tool) is None})
    if missing:
        must("apt-get", "update", "-qq")
        must("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


def bootstrap(root: Path, debian: int, packages: Sequence[str], *, variant: str = "minbase", epoch: int | None = None) -> None:
    """A Debian in ``root``; its sources and apt's settings for proxies are those of this machine. Raises ``NotBuilt``.

    With the same ``epoch`` and the same versions in the archive, the files are the same.
    """
    release, settings = RELEASES[debian], root.with_suffix(".conf")
    kept = [line for line in must("apt-config", "dump").splitlines() if line.startswith("Acquire::")]
    settings.write_text("".join(f"{line}\n" for line in kept if "::Proxy" in line or "Check-" in line), encoding="utf-8")
    command = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}", f"--aptopt={settings}"]
    # Nobody keeps these files through a crash, so dpkg need not wait for the disk after each one.
    command.append("--dpkgopt=force-unsafe-io")
    environment = {} if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)}
    must(*command, release, str(root), *_sources(root, release), environment=environment)
    # A later Debian has these links in a package that is not among those that are only unpacked.
    for name in ("bin", "sbin", "lib", "lib64"):
        if (root / "usr" / name).is_dir() and not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def _sources(root: Path, release: str) -> list[str]:
    form = ["--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages", "Origin: Debian"]
    lines = sorted({line for line in must("apt-get", "indextargets", *form).splitlines() if line.split()[2].startswith(release)})
    if not lines:
        return []
    file = root.with_suffix(".list")
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [str(file)]


def must(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises ``NotBuilt`` when it fails."""
    own = os.environ | (environment or {})
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=own)
    if done.returncode:
        raise NotBuilt(f"{command[0]} failed: {done.stderr.strip()[-600:]}")
    return done.stdout
