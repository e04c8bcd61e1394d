"""Builds the Debian package into ``dist``, for the Debian that this machine has or for those named. ``make deb`` runs it."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from ops.deb.tree import ROOT, TARGETS, Target, build_tree, epoch, settle
from ops.deb.version import VERSION

SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
UNITS = ROOT / "ops" / "systemd"
_DESCRIPTION = """takes a trading bot from mock money to real money, one proven stage at a time
 A state machine decides where a bot's orders go and how much they may risk on
 the MEXC spot exchange. Gates measure evidence before each step up, operators
 sign it, and a rule that is broken takes the bot off the market."""


def main() -> None:
    """Build for each Debian that was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debian", type=int, choices=sorted(TARGETS), action="append", help="Debian 12, 13 or both")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    chosen = parser.parse_args()
    for debian in chosen.debian or [_this_debian()]:
        print(build(TARGETS[debian], chosen.out))


def build(target: Target, out: Path) -> Path:
    """Build the package for one Debian, and return its file."""
    architecture = _output("dpkg", "--print-architecture")
    with tempfile.TemporaryDirectory(prefix="gatehouse-deb-") as scratch:
        work, root = Path(scratch), Path(scratch) / "root"
        (root / "DEBIAN").mkdir(parents=True)
        build_tree(root, target, architecture, work)
        _add_system_files(root)
        settle(root)
        _write_control(root, target, architecture)
        settle(root / "DEBIAN")
        return _pack(root, out, f"gatehouse_{_version(target)}_{architecture}.deb")


def _version(target: Target) -> str:
    return f"{VERSION}+deb{target.debian}"


def _add_system_files(root: Path) -> None:
    (root / "usr/bin").mkdir()
    (root / "usr/bin/gatehouse").symlink_to("../lib/gatehouse/bin/gatehouse")
    units, shared, documents = root / "usr/lib/systemd/system", root / "usr/share/gatehouse", root / "usr/share/doc/gatehouse"
    for folder in (units, shared / "examples", documents):
        folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "ops/demo/bot.py", shared / "examples" / "bot.py")
    for unit in sorted(UNITS.glob("*.service")):
        shutil.copyfile(unit, units / unit.name)
    shutil.copyfile(UNITS / "reach-mexc.conf", shared / "reach-mexc.conf")
    for page in sorted((ROOT / "ops/docs").glob("*.md")):
        shutil.copyfile(page, documents / page.name)
    shutil.copytree(ROOT / "ops/docs/runbooks", documents / "runbooks")
    shutil.copyfile(ROOT / "LICENSE", documents / "copyright")
    (documents / "changelog.gz").write_bytes(gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0))


def _write_control(root: Path, target: Target, architecture: str) -> None:
    control = root / "DEBIAN"
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink() and control not in path.parents]
    kibibytes = sum(-(-path.stat().st_size // 1024) for path in files)
    (control / "control").write_text(
        f"Package: gatehouse\nVersion: {_version(target)}\nArchitecture: {architecture}\n"
        f"Maintainer: the gatehouse developers <gatehouse@localhost>\nInstalled-Size: {kibibytes}\n"
        f"Depends: python{target.python}, adduser, libc6 (>= 2.28), libstdc++6, libgcc-s1, zlib1g\n"
        f"Suggests: systemd, openssh-client, softhsm2\nSection: net\nPriority: optional\n"
        f"Description: {_DESCRIPTION}\n",
        encoding="utf-8",
    )
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files)
    (control / "md5sums").write_text(sums, encoding="utf-8")
    for name in SCRIPTS:
        shutil.copyfile(ROOT / "ops/deb/scripts" / name, control / name)
        (control / name).chmod(0o755)


def _pack(root: Path, out: Path, name: str) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch())}
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z6", "--build", str(root), str(out / name)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return out / name


def _this_debian() -> int:
    said = platform.freedesktop_os_release()
    release = said.get("VERSION_ID", "")
    if said.get("ID") != "debian" or not release.isdecimal() or int(release) not in TARGETS:
        raise SystemExit("this machine is neither Debian 12 nor 13: name one with --debian")
    return int(release)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
