"""The bill of materials of a release: CycloneDX 1.6, from the lock. ``__main__`` writes it and lets CycloneDX's schema judge it.

Own code, because the writers of the index read an environment, and the lock says what is installed on every machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ops.audit.licences import stated
from ops.audit.lock import Pinned, normal
from ops.release.wheel import stamp

_NAMED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_VIA = re.compile(r"^ +#(?: via)? +([A-Za-z0-9._-]+)")
_SPACE = uuid.UUID("6a1f3a4e-7d0c-4a54-9f0d-0f4b7a5f6d10")
_JUDGE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(0 if problem is None else f"not CycloneDX 1.6: {str(problem)[:400]}")
"""


def edges(lock: str) -> dict[str, set[str]]:
    """What each package needs, read from the lines below each package that name what wants it."""
    found: dict[str, set[str]] = {}
    current = ""
    for line in lock.splitlines():
        if named := _NAMED.match(line):
            current = normal(named[1])
        elif current and (via := _VIA.match(line)):
            found.setdefault(normal(via[1]), set()).add(current)
    return found


def sbom(version: str, lock: Sequence[Pinned], text: str, at: int) -> str:
    """The document as JSON, the same for the same lock and time."""
    root = f"pkg:pypi/gatehouse@{version}"
    refs: dict[str, list[str]] = {}
    for one in lock:
        refs.setdefault(one.name, []).append(_ref(one))
    needs = edges(text)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, f'{version} {at} {text}')}",
        "version": 1,
        "metadata": {
            "timestamp": stamp(at),
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "gatehouse",
                "version": version,
                "purl": root,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [_component(one) for one in sorted(lock, key=_ref)],
        "dependencies": [
            {"ref": root, "dependsOn": _all(refs, needs.get("gatehouse", set()))},
            *({"ref": _ref(one), "dependsOn": _all(refs, needs.get(one.name, set()))} for one in sorted(lock, key=_ref)),
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _ref(one: Pinned) -> str:
    return f"pkg:pypi/{one.name}@{one.version}"


def _all(refs: dict[str, list[str]], names: Iterable[str]) -> list[str]:
    return sorted(ref for name in names for ref in refs.get(name, ()))


def _component(one: Pinned) -> dict[str, Any]:
    properties = [{"name": "gatehouse:lock:sha256", "value": digest} for digest in sorted(one.hashes)]
    properties += [{"name": "gatehouse:lock:marker", "value": one.marker}] if one.marker else []
    known = {"type": "library", "bom-ref": _ref(one), "name": one.name, "version": one.version, "purl": _ref(one)}
    licence = _licence(one)
    return {**known, **({"licenses": [{"license": {"name": licence}}]} if licence else {}), "properties": properties}


def _licence(one: Pinned) -> str:
    try:
        package = metadata.distribution(one.name)
    except metadata.PackageNotFoundError:
        return ""
    return stated(package.metadata) if package.version == one.version else ""


def judge(document: str, python: Path) -> None:
    """Let CycloneDX's own library judge the document by its schema. Raises ``SystemExit`` where it does not pass."""
    done = subprocess.run([python, "-c", _JUDGE], input=document, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the bill of materials is not accepted: {done.stderr.strip()[-400:]}")
