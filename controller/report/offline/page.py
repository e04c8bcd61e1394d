"""Compares a page with the report beside it: the page is drawn again, and has to have the same bytes."""

from __future__ import annotations

from pathlib import Path

from controller.report.offline.damage import first_difference
from controller.report.page import render
from controller.report.sealed import Sealed
from controller.version import VERSION
from exchange.errors import IntegrityError


def check_page(path: Path, report: Sealed) -> str:
    """Say that the page is the one of this report, or that there is none to compare.

    Raises:
        IntegrityError: ``page-differs``, naming the first line that is another one.
    """
    by = report.document["about"]["reported_by"]
    try:
        found = path.read_bytes()
    except OSError:
        return f"no page to compare: there is no {path.name} beside the report"
    if by != VERSION:
        return f"the page was not compared: gatehouse {by} drew it, and this is {VERSION}"
    expected = render(report).encode()
    if found == expected:
        return f"the page {path.name} shows this report and nothing else"
    number, was, wanted = _first_difference(found, expected)
    raise IntegrityError(
        f"the page {path.name} does not show this report: line {number} is {was!r}, expected {wanted!r}",
        code="page-differs",
        remedy="Do not trust the page. Draw it again with `gatehouse report`, and find out who changed it.",
    )


def _first_difference(found: bytes, expected: bytes) -> tuple[int, str, str]:
    """The number of the first line that differs, and the text of both from just before the difference."""
    at = first_difference(found, expected)
    start = max(at - 20, found.rfind(b"\n", 0, at) + 1)
    was, wanted = (data[start : at + 20].decode(errors="replace") for data in (found, expected))
    return found[:at].count(b"\n") + 1, was, wanted
