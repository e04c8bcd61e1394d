"""Citations of the repository's own documents, and what those documents can be cited for.

A citation is a page's name with sections, numbered items or labels behind it, like those in the docstrings of ``exchange/wire``. A
section without a page is one of the page that was named last in the same file. Sections of RFC, FIPS and WCAG are other people's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.tidiness import ROOT, Source

PAGES = ROOT / "ops" / "docs"
_NUMBER = r"\d+(?:\.[0-9A-Z]+)*"
_SECTION = re.compile(rf"§(?P<first>{_NUMBER})(?:[-–](?P<last>{_NUMBER}))?")
_PAGE = re.compile(r"\b(?P<page>[a-z][a-z0-9-]*\.md)\b`*")
_PART = re.compile(
    rf"(?:[\s,;(#*]|and\b)*(?:{_SECTION.pattern}"
    r"|\b(?P<label>[FIR]\d+)(?:[-–](?P<label_last>[FIR]\d+))?\b"
    r"|(?:point|requirement) (?P<item>\d+))"
)
_DECISION = re.compile(r"\bADRs? (?P<first>\d+)(?:(?: to |[-–])(?P<last>\d+))?")
_FOREIGN = re.compile(r"\b(?:RFC|FIPS|WCAG) [\d.-]+\s+$")
_HEADING = re.compile(rf"#+\s+({_NUMBER})\.?\s")
_ITEM = re.compile(r"(\d+)\.\s")
_ROW = re.compile(r"\|\s*([A-Z]\d+)\s*\|")


@dataclass(frozen=True, slots=True)
class Citation:
    """One thing cited. ``page`` is ``ADR`` for a decision, and empty for a section of which nobody said whose it is."""

    place: str
    page: str
    label: str

    def __str__(self) -> str:
        return f"{self.place}: {self.page or 'no page'} {self.label}"


def citations(source: Source) -> list[Citation]:
    """Everything one file cites, in the order in which it stands there."""
    found = [*_pages(source.text), *((at, "ADR", label) for at, label in _decisions(source.text))]
    found.sort(key=lambda one: one[0])
    return [Citation(f"{source.name}:{source.text.count(chr(10), 0, at) + 1}", page, label) for at, page, label in found]


def unresolved(found: Iterable[Citation], pages: Path = PAGES) -> list[Citation]:
    """The citations that name nothing."""
    return [one for one in found if one.label not in _citable(pages, one.page)]


def labels(text: str) -> frozenset[str]:
    """What a page can be cited for: numbered headings, the numbered items below them, and rows whose first cell is a label."""
    found: set[str] = set()
    section, fenced = "", False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if fenced:
            continue
        if heading := _HEADING.match(line):
            section = heading[1]
            found.add(section)
        elif item := _ITEM.match(line):
            found.add(f"{section}.{item[1]}")
        elif row := _ROW.match(line):
            found.add(row[1])
    return frozenset(found)


def written(*places: str) -> list[Source]:
    """Every file of ours under some folders, or by its own name, that is text."""
    roots = [ROOT / place for place in places]
    paths = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    ours = [path for path in paths if path.is_file() and not {"__pycache__", "vendor"} & set(path.parts)]
    return [Source(path.relative_to(ROOT).as_posix(), text) for path in ours if (text := _text(path)) is not None]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _pages(text: str) -> Iterator[tuple[int, str, str]]:
    reached, page = 0, ""
    for match in sorted((*_PAGE.finditer(text), *_SECTION.finditer(text)), key=lambda one: one.start()):
        if match.re is _PAGE:
            page = match["page"]
            parts, reached = _parts(text, match.end())
            yield from ((match.start(), page, label) for label in parts)
        elif match.start() >= reached and not _FOREIGN.search(text, max(0, match.start() - 40), match.start()):
            yield from ((match.start(), page, label) for label in _range(match["first"], match["last"]))


def _parts(text: str, at: int) -> tuple[list[str], int]:
    found: list[str] = []
    section = ""
    while match := _PART.match(text, at):
        at = match.end()
        if match["item"]:
            found.append(f"{section}.{match['item']}")
        elif match["label"]:
            found += _range(match["label"], match["label_last"])
        else:
            section = match["first"]
            found += _range(section, match["last"])
    return found, at


def _decisions(text: str) -> Iterator[tuple[int, str]]:
    for match in _DECISION.finditer(text):
        for label in _range(match["first"], match["last"]):
            yield match.start(), label


def _range(first: str, last: str | None) -> list[str]:
    if last is None:
        return [first]
    stem, low = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
    other, high = re.fullmatch(r"(.*?)(\d+)", last).groups()  # type: ignore[union-attr]
    return [f"{stem}{number}" for number in range(int(low), int(high) + 1)] if stem == other else [first, last]


@cache
def _citable(pages: Path, page: str) -> frozenset[str]:
    if page == "ADR":
        return frozenset(str(int(path.name[:4])) for path in (pages / "adr").glob("[0-9]*.md"))
    path = pages / page
    return labels(path.read_text(encoding="utf-8")) if page and path.is_file() else frozenset()
