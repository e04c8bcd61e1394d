"""A run as it is kept in ``ops/bench/last.json``: its rows, and what was measured on, without a name of the machine or a path."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import ssl
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import apsw

from ops.bench.showing import Row

LAST = Path(__file__).parent / "last.json"
"""The run that later ones are compared with."""

_PACKAGES = ("gatehouse", "ccxt", "httpx", "uvicorn", "httptools", "pydantic", "cryptography", "apsw", "opentelemetry-sdk")


def facts() -> dict[str, Any]:
    """The machine, as far as it decides about speed."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": ssl.OPENSSL_VERSION.split(",")[0],
        "sqlite": apsw.sqlite_lib_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def load() -> list[float]:
    """The load average of one, five and fifteen minutes."""
    return [round(one, 2) for one in os.getloadavg()]


def run_of(rows: Sequence[Row], *, rounds: int, size: float, before: Sequence[float]) -> dict[str, Any]:
    """What ``--json`` writes. ``before`` is the load average when the run began."""
    return {
        "on": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "machine": facts(),
        "load_before": list(before),
        "load_after": load(),
        "rounds": rounds,
        "size": size,
        "rows": list(rows),
    }


def write(run: Mapping[str, Any], path: Path) -> None:
    """Write a run as JSON."""
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A run that was written."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def described(run: Mapping[str, Any]) -> str:
    """One sentence: when and on what a run was measured, and how busy the machine was."""
    machine = run["machine"]
    before, after = (", ".join(f"{one:g}" for one in run[name]) for name in ("load_before", "load_after"))
    return (
        f"{run['on']}, {machine['python']}, {machine['cores']} cores, {machine['system']}, {run['rounds']} rounds, size "
        f"{run['size']:g}; load average {before} before and {after} after the run."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
