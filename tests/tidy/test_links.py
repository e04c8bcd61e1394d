"""Every relative link in a document leads to a file of the tree, and to a heading where it names one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.tidiness import ROOT

_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def documents() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return [ROOT / name for name in names]


def broken_links(page: Path, text: str) -> list[str]:
    """The links of ``text``, as part of ``page``, that lead nowhere."""
    found = []
    for link in _LINK.findall(_CODE.sub("", text)):
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that a code host gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_every_document_leads_somewhere() -> None:
    pages = documents()
    found = {page.name: links for page in pages if (links := broken_links(page, page.read_text(encoding="utf-8")))}
    assert (found, len(pages) > 30) == ({}, True)


def test_a_link_to_nowhere_is_found() -> None:
    page = ROOT / "README.md"
    assert broken_links(page, "[a](ops/docs/absent.md) [b](README.md#absent) [c](README.md#the-map)") == [
        "ops/docs/absent.md",
        "README.md#absent",
    ]
