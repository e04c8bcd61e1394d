"""What the code cites is in the repository: every section, item, label and decision that is named can be read here."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.citations import Citation, citations, labels, unresolved, written
from tests.support.tidiness import PRODUCT, Source

# The sign and the page stand apart, so that the samples of this file are not its own findings.
S = "\N{SECTION SIGN}"
P = "page.md"
WRITTEN = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", ".importlinter", ".ci", *PRODUCT, "ops", "tests")
OUTSIDE = re.compile(r"\bDES" + r"IGN\b")
PAGE = """
# Title

## 1. First

1. One thing.
2. Another.

### 1.2 Second

| number | fault |
|---|---|
| F7 | it breaks |
| F8 | it breaks again |
"""


def found() -> list[Citation]:
    return [one for source in written(*WRITTEN) for one in citations(source)]


def cited(text: str) -> list[tuple[str, str]]:
    return [(one.page, one.label) for one in citations(Source("sample.py", text))]


def outside(source: Source) -> list[int]:
    """The lines that cite a document which is not in the repository."""
    return [number for number, line in enumerate(source.text.splitlines(), start=1) if OUTSIDE.search(line)]


def test_every_citation_names_something_that_can_be_read_here() -> None:
    missing = unresolved(found())
    assert not missing, "cite what is in ops/docs, or put it there:\n" + "\n".join(map(str, missing))


def test_citations_of_every_page_are_looked_at() -> None:
    pages = Counter(one.page for one in found())
    print(dict(pages))
    assert pages.total() > 200
    assert {
        "ADR",
        "architecture.md",
        "execution-safety.md",
        "gates-authority-journal.md",
        "mexc-spot-v3.md",
        "reliability.md",
    } <= set(pages)


def test_nothing_cites_a_document_outside_the_repository() -> None:
    lines = [f"{source.name}:{number}" for source in written(*WRITTEN) for number in outside(source)]
    assert lines == []


# The checkers themselves


def test_a_page_can_be_cited_for_its_headings_items_and_labelled_rows() -> None:
    assert labels(PAGE) == {"1", "1.1", "1.2", "F7", "F8"}


def test_text_in_a_drawing_cannot_be_cited() -> None:
    assert labels("## 1. One\n```\n## 2. Two\n```\n") == {"1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"(page.md {S}1)", [("page.md", "1")]),
        (f"`page.md` {S}1.2, {S}3 and {S}4", [("page.md", "1.2"), ("page.md", "3"), ("page.md", "4")]),
        (f"page.md {S}4.2-4.4.", [("page.md", "4.2"), ("page.md", "4.3"), ("page.md", "4.4")]),
        (f"{P}\n    # {S}2.C F7-F9", [("page.md", "2.C"), ("page.md", "F7"), ("page.md", "F8"), ("page.md", "F9")]),
        (f"{P} F7, F9", [("page.md", "F7"), ("page.md", "F9")]),
        (f"page.md {S}5, point 3", [("page.md", "5"), ("page.md", "5.3")]),
        (f"page.md {S}1 says, and so ({S}2)", [("page.md", "1"), ("page.md", "2")]),
        (f"page.md {S}1, other.md {S}2, later {S}3", [("page.md", "1"), ("other.md", "2"), ("other.md", "3")]),
        (f"({S}2)", [("", "2")]),
        ("ADR 7, and ADRs 9-11", [("ADR", "7"), ("ADR", "9"), ("ADR", "10"), ("ADR", "11")]),
        (f"page.md {S}1, RFC 6962 {S}2.1.2 and WCAG 2.2 {S}1.4.3", [("page.md", "1")]),
        ("see page.md, and the F7 key", []),
    ],
)
def test_citations_are_read_as_people_write_them(text: str, expected: list[tuple[str, str]]) -> None:
    assert cited(text) == expected


@pytest.mark.parametrize(
    "text",
    [f"{P} {S}1.9", f"{P} {S}2", f"{P} F9", f"{P} {S}1, point 4", f"other.md {S}1", f"({S}1)", "ADR 2", f"{P} {S}1.1-1.4"],
)
def test_a_citation_of_nothing_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    (tmp_path / "adr").mkdir()
    (tmp_path / "adr" / "0001-one.md").write_text("# 1. One\n")
    assert unresolved(citations(Source("sample.py", text)), tmp_path)
    assert not unresolved(citations(Source("sample.py", f"page.md {S}1, point 1, {S}1.2 F7-F8; ADR 1")), tmp_path)


def test_a_citation_of_an_outside_document_is_found() -> None:
    assert outside(Source("sample.py", "one\n(DES" + f"IGN {S}4)")) == [2]


def test_a_finding_says_where_it_is() -> None:
    assert str(citations(Source("a/b.py", f"one\npage.md {S}9"))[0]) == "a/b.py:2: page.md 9"
