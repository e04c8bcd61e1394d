"""The licence of every package in the lock, and whether it is allowed. ``make audit`` runs it on the installed packages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ops.audit.found import Finding, Outcome
from ops.audit.lock import Pinned, normal

CHECK = "licences"
HERE = Path(__file__).parent
LISTS = HERE / "licences.toml"


@dataclass(frozen=True, slots=True)
class Rules:
    """``denied`` maps a pattern to the reason, ``allowed`` lists patterns, ``known`` has what a package does not say itself."""

    denied: Mapping[str, str]
    allowed: tuple[str, ...]
    known: Mapping[str, str]


def rules() -> Rules:
    """The lists in ``licences.toml``."""
    lists = tomllib.loads(LISTS.read_text(encoding="utf-8"))
    return Rules(lists["denied"], tuple(lists["allowed"]), lists["known"])


def stated(package: metadata.PackageMetadata) -> str:
    """What a package says: its expression, else its classifiers, else the first line of its licence field."""
    classifiers = [one.rsplit("::", 1)[1].strip() for one in package.get_all("Classifier") or [] if one.startswith("License ::")]
    field = str(package.get("License") or "").strip().splitlines()
    return str(package.get("License-Expression") or "") or " / ".join(classifiers) or (field[0].strip() if field else "")


def judged_licence(name: str, licence: str, lists: Rules) -> tuple[str, str] | None:
    """The rule and the reason why a licence is not allowed; ``None`` when it is. A denied word wins over an allowed one."""
    licence = licence if licence and licence.upper() not in {"UNKNOWN", "ANY-OSI"} else lists.known.get(name, licence)
    for pattern, reason in lists.denied.items():
        if re.search(pattern, licence, re.IGNORECASE):
            return "denied-licence", f"{name} is under {licence}: {reason}"
    if not licence:
        return "unknown-licence", f"{name} states no licence; read its source and add it to [known] in ops/audit/licences.toml"
    if not any(re.search(pattern, licence, re.IGNORECASE) for pattern in lists.allowed):
        return "unlisted-licence", f"{name} is under {licence!r}, which no list in ops/audit/licences.toml has"
    return None


def check_licences(lock: Iterable[Pinned], path: str) -> tuple[Outcome, str]:
    """The outcome, and the list for people. A package that is not installed here is not checked, and is named."""
    lists, findings, absent, lines = rules(), list[Finding](), list[str](), list[str]()
    for one in lock:
        try:
            package = metadata.distribution(one.name)
        except metadata.PackageNotFoundError:
            absent.append(f"{one.name} {one.version}")
            continue
        if normal(package.metadata["Name"]) != one.name or package.version != one.version:
            absent.append(f"{one.name} {one.version}")
            continue
        licence = stated(package.metadata)
        lines.append(f"{one.name} {one.version}: {licence or lists.known.get(one.name, 'not stated')}")
        if (wrong := judged_licence(one.name, licence, lists)) is not None:
            findings.append(Finding(CHECK, wrong[0], wrong[1], path, one.line))
    missing = (f"not installed on this machine: {', '.join(absent)}",) if absent else ()
    return Outcome(CHECK, f"{len(lines)} packages", tuple(findings), missing), "\n".join(lines) + "\n"
