"""Builds ``/usr/lib/gatehouse``: a virtual environment with gatehouse and what it needs. ``ops.deb`` and ``ops.image`` use it.

Two builds of the same commit give the same bytes: versions and hashes come from the lock, compiled files hold no time, and every
file gets the time of the commit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from ops.deb.bootstrap import NotBuilt, bootstrap, install_tools
from ops.deb.locked import runtime_lock

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "usr/lib/gatehouse"
SOURCES = ("controller", "exchange", "gates", "policies", "ops/demo", "pyproject.toml", "README.md", "LICENSE")

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = (*range(28, 16, -1), 12, 5)
"""The wheels' names say the oldest C library that they run with; Debian 12 has 2.36."""
_WITHOUT_TESTS = ("numpy", "scipy", "pandas", "statsmodels", "arch", "patsy")
"""Their own tests are 60 MB that nothing here imports."""


class Target(NamedTuple):
    """A Debian release, and the Python that it has."""

    debian: int
    python: str

    @property
    def interpreter(self) -> str:
        """The interpreter on the target."""
        return f"/usr/bin/python{self.python}"


TARGETS = {12: Target(12, "3.11"), 13: Target(13, "3.13")}


def epoch() -> int:
    """The time of every file: ``SOURCE_DATE_EPOCH``, or that of the commit."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if said.isdecimal():
        return int(said)
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(shown.stdout)


def build_tree(root: Path, target: Target, architecture: str, work: Path) -> None:
    """Write the environment below ``root``. ``work`` is for what is left over."""
    prefix = root / PREFIX
    site = prefix / "lib" / f"python{target.python}" / "site-packages"
    site.mkdir(parents=True)
    lock = work / "runtime.lock"
    lock.write_text(runtime_lock(ROOT), encoding="utf-8")
    pip("install", "--require-hashes", "--no-deps", "--no-compile", *_wheels_of(target, architecture), "-t", site, "-r", lock)
    shutil.rmtree(site / "bin", ignore_errors=True)
    pip("install", "--no-deps", "--no-compile", "--no-index", "-t", site, own_wheel(work))
    shutil.rmtree(site / "bin", ignore_errors=True)
    # pip notes where it took the wheel from: a folder of the machine that built it.
    for note in site.glob("gatehouse-*.dist-info/direct_url.json"):
        note.unlink()
    for name in _WITHOUT_TESTS:
        for tests in sorted(site.glob(f"{name}/**/tests")):
            shutil.rmtree(tests, ignore_errors=True)
    _correct_records(site)
    _write_commands(prefix, target)
    _compile(root, site, target, work)


def _wheels_of(target: Target, architecture: str) -> list[str]:
    machine = _MACHINES[architecture]
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC]
    python = ["--implementation=cp", f"--python-version={target.python}", "--only-binary=:all:"]
    return [*python, *platforms, f"--platform=manylinux2014_{machine}", f"--platform=linux_{machine}"]


def own_wheel(work: Path) -> Path:
    """The wheel of this tree, built in a copy, because setuptools writes beside what it reads."""
    copy = work / "source"
    for name in SOURCES:
        source, there = ROOT / name, copy / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(source, there)
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch())}
    pip("--python", sys.executable, "wheel", "--no-deps", "--no-build-isolation", "-w", work, copy, environment=environment)
    return next(work.glob("gatehouse-*.whl"))


def _correct_records(site: Path) -> None:
    """Leave out of each RECORD what was removed, and sort what pip wrote in an order of its own."""
    for record in sorted(site.glob("*.dist-info/RECORD")):
        lines = [line for line in record.read_text(encoding="utf-8").splitlines() if (site / line.partition(",")[0]).is_file()]
        record.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


def _write_commands(prefix: Path, target: Target) -> None:
    commands = prefix / "bin"
    commands.mkdir()
    (commands / "python").symlink_to(target.interpreter)
    (prefix / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}\n")
    program = commands / "gatehouse"
    # Isolated: no variable and no folder of the user changes what is imported.
    program.write_text(f"#!/{PREFIX}/bin/python -I\nfrom controller.__main__ import main\n\nmain()\n", encoding="ascii")
    program.chmod(0o755)


def _compile(root: Path, site: Path, target: Target, work: Path) -> None:
    """Compile for the target's Python. The files are owned by root and no process of gatehouse may write there (ADR 59)."""
    if found := _interpreter(target):
        _run_compiler([found], root, site)
    else:
        _compile_in_debian(root, site, target, work)
    if not any((site / "controller" / "__pycache__").glob("*.pyc")):
        raise SystemExit(f"Python {target.python} compiled nothing")


def _compile_in_debian(root: Path, site: Path, target: Target, work: Path) -> None:
    """Compile in that Debian's own files, because its Python does not run with this machine's libraries."""
    debian = work / "python"
    try:
        install_tools({"mmdebstrap": "mmdebstrap"})
        bootstrap(debian, target.debian, [f"python{target.python}"], variant="extract")
    except NotBuilt as error:
        raise SystemExit(
            f"python{target.python}, which compiles for Debian {target.debian}, is not here, and a Debian that has it could not be "
            f"unpacked: {error}. Install it, or build as root or on a Debian {target.debian}."
        ) from None
    inside = debian / "tree"
    root.rename(inside)
    try:
        _run_compiler(["chroot", str(debian), target.interpreter], Path("/tree"), Path("/tree") / site.relative_to(root))
    finally:
        inside.rename(root)


def _run_compiler(python: list[str], root: Path, site: Path) -> None:
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/", site]
    # Nothing of this shell but the path: its variables change what Python does. With -I the seed would not count.
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    command = [*python, "-s", "-P", "-W", "ignore", "-m", "compileall", *options]
    # A few files of packages are templates and no Python; they stay as they are, and the command ends with 1 because of them.
    subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL)


def _interpreter(target: Target) -> str | None:
    """A Python of the target's version that runs here, if there is one."""
    for candidate in (target.interpreter, f"python{target.python}"):
        if found := shutil.which(candidate):
            shown = subprocess.run(
                [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=False, capture_output=True, text=True
            )
            if shown.stdout.strip() == target.python:
                return found
    return None


def settle(root: Path) -> None:
    """Give every file the commit's time, and modes that do not come from this shell's umask."""
    when = epoch()
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (when, when), follow_symlinks=False)
    root.chmod(0o755)
    os.utime(root, (when, when))


PYTHON_WITH_PIP = Path(sys.base_prefix) / "bin" / "python3"
"""The environment of this checkout has no pip, so a search of `PATH` may find a Python without it."""


def pip(*arguments: object, environment: dict[str, str] | None = None) -> None:
    """Run this machine's pip with its own settings: where packages come from is the machine's affair."""
    command = [str(PYTHON_WITH_PIP), "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    environment = {**(environment or os.environ), "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run(command, check=False, env=environment, cwd=ROOT).returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
