"""The table of ``ops/docs/incidents.md`` and the tests of this tree, for the check that each row names tests that exist."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.tidiness import ROOT

TESTS = ROOT / "tests"
NOT_SHOWN = "not shown: "
_ROW = re.compile(r"^\| ([IF]\d+) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@dataclass(frozen=True, slots=True)
class Row:
    """One incident or hole, with the tests it names as (file, name)."""

    number: str
    happened: str
    does: str
    tests: tuple[tuple[str, str], ...]
    not_shown: bool


def rows(text: str) -> list[Row]:
    """Every row of the page."""
    return [
        Row(number, happened.strip(), does.strip(), tuple(_NAMED.findall(shown)), shown.strip().startswith(NOT_SHOWN))
        for number, happened, does, shown in _ROW.findall(text)
    ]


def absent(named: tuple[str, str], tests: Path = TESTS) -> bool:
    """Whether no test of that name is in that file."""
    file, name = named
    return f"test_{name}" not in _tests_in(tests / file)


@cache
def _tests_in(path: Path) -> frozenset[str]:
    if not path.name.startswith("test_") or not path.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
