"""Verifies a report's JSON: by its own seal, and against an export, from which it is computed again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.report.document import FORMAT
from controller.report.offline.bundle import check_command
from controller.report.offline.damage import field_at, flipped_bit, require_canonical, require_fields
from controller.report.sealed import MOST_BYTES, Sealed, digest_of
from exchange.errors import IntegrityError
from policies import canonical

PARTS: Mapping[str, type] = {
    **dict.fromkeys(("about", "verdict", "run", "performance", "statistics", "curves", "coverage", "orders"), dict),
    **dict.fromkeys(("latency", "slippage", "notes", "sources"), dict),
    **dict.fromkeys(("gates", "history", "stages", "signatures", "digests"), list),
    "format": str,
}
_EITHER = ("halt", "command")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REMEDY = "Write the report again with `gatehouse report`, and find out what changed the file."


@dataclass(frozen=True, slots=True)
class Opened:
    """A report whose seal is intact."""

    sealed: Sealed

    @property
    def about(self) -> Mapping[str, Any]:
        """What it is a report of."""
        about: Mapping[str, Any] = self.sealed.document["about"]
        return about


def open_report(data: bytes) -> Opened:
    """Check a report by its seal, and the signatures and the verdict of the command in it, if there is one.

    Raises:
        IntegrityError: ``report-damaged``, naming the part that changed and the digest that was expected.
    """
    value = require_canonical("the report", data, MOST_BYTES, broken, {**PARTS, **dict.fromkeys(_EITHER, object), "seal": dict})
    seal = value.pop("seal")
    require_fields("the report", seal, {"digest": str, "parts": dict}, broken, "seal.")
    if value["format"] != FORMAT:
        raise broken(f"field format is {value['format']!r}, expected {FORMAT!r}")
    for name in _EITHER:
        if value[name] is not None and not isinstance(value[name], dict):
            raise broken(f"field {name} is {str(value[name])[:60]!r}, expected an object or null")
    document: dict[str, Any] = value
    sealed = _unbroken(document, seal)
    if document["command"] is not None:
        check_command(document["command"])
    return Opened(sealed)


def _unbroken(document: Mapping[str, Any], seal: Any) -> Sealed:
    parts = {name: canonical.digest(canonical.encode(one)) for name, one in document.items()}
    listed = seal["parts"]
    whole = digest_of(listed) == seal["digest"]
    wrong = sorted(name for name in parts.keys() | listed.keys() if parts.get(name) != listed.get(name))
    if not whole and digest_of(parts) == seal["digest"]:
        raise broken(f"field seal.parts.{wrong[0]} is {listed.get(wrong[0])}, expected {parts.get(wrong[0])}")
    if wrong:
        raise broken(f"part {wrong[0]} changed: {_changed(document, wrong[0], parts.get(wrong[0]), str(listed.get(wrong[0])))}")
    if not whole:
        raise broken(f"field seal.digest is {seal['digest']}, expected {digest_of(parts)}")
    return Sealed(document, parts, seal["digest"])


def _changed(document: Mapping[str, Any], name: str, found: str | None, expected: str) -> str:
    """The bit that changed in a part, or else its two digests."""
    data = canonical.encode(document.get(name))
    flipped = flipped_bit(data, bytes.fromhex(expected[7:])) if _DIGEST.fullmatch(expected) else None
    if flipped is None:
        return f"its digest is {found}, expected {expected}"
    place, right = flipped
    field = ".".join(one for one in (name, field_at(data[:place].decode(errors="replace"))) if one)
    return f"field {field} has {chr(data[place])!r}, expected {right!r}"


def compare(report: Sealed, computed: Sealed) -> None:
    """Compare a report with the one that the entries give.

    Raises:
        IntegrityError: ``report-differs``, naming the first field that is another one.
    """
    for name in sorted(computed.document.keys() | report.document.keys()):
        if (path := _differing(report.document.get(name), computed.document.get(name), name)) is not None:
            where, found, expected = path
            raise IntegrityError(
                f"field {where} of the report is {_short(found)}, expected {_short(expected)}, which the entries give",
                code="report-differs",
                remedy="Do not trust this report. Write it again with `gatehouse report`, and find out who changed it.",
            )


def _differing(found: Any, expected: Any, path: str) -> tuple[str, Any, Any] | None:
    if type(found) is not type(expected):
        return path, found, expected
    if isinstance(found, dict):
        names = sorted(found.keys() | expected.keys())
        pairs = ((_differing(found.get(name), expected.get(name), f"{path}.{name}")) for name in names)
    elif isinstance(found, list):
        if len(found) != len(expected):
            return f"{path} (its length)", len(found), len(expected)
        pairs = (_differing(one, other, f"{path}.{place}") for place, (one, other) in enumerate(zip(found, expected, strict=True)))
    else:
        return None if found == expected else (path, found, expected)
    return next((one for one in pairs if one is not None), None)


def _short(value: Any) -> str:
    return repr(value)[:120]


def broken(why: str) -> IntegrityError:
    """The error of a damaged report."""
    return IntegrityError(f"the report is not valid: {why}", code="report-damaged", remedy=_REMEDY)
