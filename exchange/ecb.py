"""Reads the ECB's file of daily reference rates: the day, and what one euro costs in US dollars. ``controller.bootstrap`` uses it.

The file (``eurofxref-daily.xml``) appears around 16:00 CET on working days of TARGET. It holds one dated ``Cube`` with one
``Cube`` for each currency:

    <Cube><Cube time='2026-11-27'><Cube currency='USD' rate='1.1592'/>…</Cube></Cube>

It is small and has no document type. One with a document type is refused before anything of it is read, so that no entity is
ever declared, let alone expanded. A longer file, one with two dates or two rates of the dollar, and a number that is not plain are
refused too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from xml.parsers import expat

from exchange.errors import VenueError
from exchange.model import Millis

ADDRESS = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
MOST_BYTES = 65_536
"""The real file has about 1,600 bytes."""

_CURRENCY = "USD"
_NAMESPACE = "http://www.ecb.int/vocabulary/2002-08-01/eurofxref"
_CUBE = f"{_NAMESPACE} Cube"
_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class ReferenceRate:
    """How many US dollars one euro cost on a day. ``at`` is the beginning of that day in UTC, before the rate was set."""

    dollars: Decimal
    at: Millis


def parse_reference_rate(data: bytes) -> ReferenceRate:
    """Read the file. Raises ``VenueError`` (``rate-file-unreadable``) for anything but one date and one rate of the dollar."""
    if len(data) > MOST_BYTES:
        raise _unreadable(f"it is longer than {MOST_BYTES} bytes")
    found, whole = _Found(), True
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = found.refuse
    parser.EntityDeclHandler = found.refuse
    parser.StartElementHandler = found.element
    try:
        parser.Parse(data, whole)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _unreadable(str(error)) from None
    return found.rate()


class _Found:
    """The attributes of the elements that matter."""

    def __init__(self) -> None:
        self._days: list[str] = []
        self._rates: list[str] = []

    def refuse(self, *_: object) -> None:
        raise _unreadable("it has a document type, which the ECB's file does not have")

    def element(self, name: str, attributes: Mapping[str, str]) -> None:
        if name != _CUBE:
            return
        if "time" in attributes:
            self._days.append(attributes["time"])
        if attributes.get("currency") == _CURRENCY:
            self._rates.append(attributes.get("rate", ""))

    def rate(self) -> ReferenceRate:
        if len(self._days) != 1 or len(self._rates) != 1:
            raise _unreadable(f"it has {len(self._days)} dates and {len(self._rates)} rates of the {_CURRENCY}")
        day, written = self._days[0], self._rates[0]
        if not _DAY.fullmatch(day) or not _RATE.fullmatch(written) or not Decimal(written):
            raise _unreadable(f"{written[:20]!r} on {day[:20]!r} is not a rate on a day")
        try:
            at = datetime.fromisoformat(day).replace(tzinfo=UTC)
        except ValueError:
            raise _unreadable(f"{day!r} is not a day") from None
        return ReferenceRate(Decimal(written), Millis(int(at.timestamp()) * 1000))


def _unreadable(why: str) -> VenueError:
    return VenueError(
        f"the ECB's file of reference rates cannot be read: {why}",
        code="rate-file-unreadable",
        remedy="Check that `[rates] ecb` in gatehouse.toml is the address of the ECB's daily file.",
    )
