"""Compares a lock with a snapshot of published advisories (OSV files), for a machine that reaches no vulnerability service.

The snapshot is a folder of OSV documents in JSON or YAML, as the Python Packaging Advisory Database and OSV publish them. Set
``ADVISORIES`` to it. A snapshot older than ``OLDEST_DAYS`` shows what it knows and leaves the check not checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from ops.audit.found import Finding, Outcome
from ops.audit.lock import Pinned, normal

OLDEST_DAYS = 30


def check_snapshot(check: str, lock: Sequence[Pinned], path: str, folder: Path, now: datetime) -> Outcome:
    """The outcome for the snapshot in ``folder``."""
    documents = list(_documents(folder))
    if not documents:
        return Outcome(check, "no advisories", unchecked=(f"{folder} holds no OSV document",))
    findings = tuple(found for document in documents for found in affected(check, document, lock, path))
    newest = max(_modified(document) for document in documents)
    age = (now.astimezone(UTC) - newest).days
    old = (f"the newest advisory of the snapshot is {age} days old, more than {OLDEST_DAYS}",) if age > OLDEST_DAYS else ()
    return Outcome(check, f"{len(lock)} packages against {len(documents)} advisories up to {newest:%Y-%m-%d}", findings, old)


def affected(check: str, document: Mapping[str, Any], lock: Sequence[Pinned], path: str) -> Iterator[Finding]:
    """What one advisory says of the packages of a lock. A withdrawn one says nothing."""
    if document.get("withdrawn"):
        return
    for part in document.get("affected", ()):
        package = part.get("package", {})
        if package.get("ecosystem") != "PyPI":
            continue
        for one in lock:
            if one.name == normal(package.get("name", "")) and _holds(one.version, part):
                names = ", ".join([document["id"], *document.get("aliases", ())])
                said = str(document.get("summary") or document.get("details") or "").strip().splitlines()[:1] or [""]
                yield Finding(check, document["id"], f"{one.name} {one.version}: {names}: {said[0][:160]}", path, one.line)


def _holds(version: str, part: Mapping[str, Any]) -> bool:
    if version in {str(one) for one in part.get("versions", ())}:
        return True
    return any(_within(version, one.get("events", ())) for one in part.get("ranges", ()) if one.get("type") == "ECOSYSTEM")


def _within(version: str, events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a version is in a range of OSV events. A version that cannot be compared is taken as affected."""
    inside = False
    try:
        mine = Version(version)
        for event in events:
            if "introduced" in event and (str(event["introduced"]) == "0" or mine >= Version(str(event["introduced"]))):
                inside = True
            if "fixed" in event and mine >= Version(str(event["fixed"])):
                inside = False
            if "last_affected" in event and mine > Version(str(event["last_affected"])):
                inside = False
    except InvalidVersion:
        return True
    return inside


def _documents(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            document = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in {".yaml", ".yml"}:
            document = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        else:
            continue
        if isinstance(document, dict) and "id" in document:
            yield document


def _modified(document: Mapping[str, Any]) -> datetime:
    found = document.get("modified", "")
    at = found if isinstance(found, datetime) else datetime.fromisoformat(str(found))
    return at if at.tzinfo else at.replace(tzinfo=UTC)
