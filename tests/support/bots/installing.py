"""Installs each client into an environment of its own, exactly as its lock file says. ``make bots`` and ``make lock`` call it.

What it needs beside pip is the Python that the client asks for, by its name (``python3.12``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from controller.cli.bots.clients import Client, load_clients
from tests.support.tidiness import ROOT

PLACE = ROOT / "var" / "bots"
RECIPES = ROOT / "ops" / "recipes"


def lock_file(client: Client) -> Path:
    """The client and all that it needs, with hashes."""
    return RECIPES / client.name / "requirements.lock"


def python_of(client: Client) -> Path:
    """The interpreter of the client's environment."""
    return PLACE / client.name / "venv" / "bin" / "python"


def install(client: Client) -> str:
    """Make the environment if it is not there or not of this lock file. Returns why that cannot be done, or nothing."""
    base = _base(client.python)
    if not base:
        return f"it needs Python {client.python}, and no python{client.python} on the PATH runs"
    lock, venv = lock_file(client), python_of(client).parents[1]
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    ready = venv / ".ready"
    if ready.is_file() and ready.read_text() == digest:
        return ""
    shutil.rmtree(venv, ignore_errors=True)
    for command in _commands(base, venv, lock):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"`{Path(command[0]).name} {' '.join(command[1:4])} …` ended with {done.returncode}: {_last(done.stderr)}"
    ready.write_text(digest)
    return ""


def _base(version: str) -> str:
    """A Python of this version that runs. One on the PATH may be a shim that only says where others are."""
    for folder in os.get_exec_path():
        place = Path(folder) / f"python{version}"
        if place.is_file() and subprocess.run([place, "--version"], capture_output=True, check=False).returncode == 0:
            return str(place)
    return ""


def _commands(base: str, venv: Path, lock: Path) -> list[list[str]]:
    """With uv where it is installed, else with pip: both take only what the hashes say."""
    python = str(venv / "bin" / "python")
    if (uv := shutil.which("uv")) is not None:
        cached = ["--cache-dir", str(PLACE / "cache")]
        return [
            [uv, "venv", "--quiet", "--python", base, str(venv)],
            [uv, "pip", "install", "--quiet", *cached, "--python", python, "--require-hashes", "-r", str(lock)],
        ]
    pip = [sys.executable, "-m", "pip"] if _has_pip(sys.executable) else [base, "-m", "pip"]
    return [
        [base, "-m", "venv", "--without-pip", str(venv)],
        [*pip, "--python", python, "install", "--quiet", "--cache-dir", str(PLACE / "cache"), "--require-hashes", "-r", str(lock)],
    ]


def _has_pip(python: str) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:400] or "it says nothing"


def lock() -> None:
    """Write every lock file anew from the versions of the data file."""
    for client in load_clients().values():
        print(f"{client.title}: {client.requirements.replace(chr(10), ' ')}, Python {client.python}", flush=True)
        target = lock_file(client)
        target.parent.mkdir(exist_ok=True)
        options = ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"]
        subprocess.run(
            ["uv", "pip", "compile", "-", "--python-version", client.python, *options, "-o", str(target)],
            input=client.requirements,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    lock()
