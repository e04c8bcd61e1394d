"""Checkers of names and words, for tests/tidy. Each takes a parsed file and returns what breaks the rule, as ``line: what``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.tidiness import Source

TEST_NAME = 70
"""Characters of a test's name, `test_` included."""

# Spelled in halves, so that this file is not its own finding.
RETIRED = frozenset(
    {"lett" + "er", "lett" + "ers", "car" + "ried", "to" + "ld", "gi" + "ven", "sh" + "elf", "sh" + "elves", "sh" + "elved"}
    | {"do" + "ors", "emp" + "tied", "read" + "ings", "l" + "ed", "kee" + "per", "epi" + "sode", "ow" + "ed"}
)
"""Identifiers that say too little. The field has a word for each: queued input, batch, alert, server, measurement."""

_GAP = r"[\s#_]+"
_BANNED = (
    "who" + "ever",
    "men" + "d(?:s|ed|ing)?",
    "nob" + "ody's",
    f"la(?:y|id){_GAP}do" + "wn",
    f"lies{_GAP}the" + "re",
    f"what{_GAP}sta" + "nds",
    "ru" + "ngs?",
)
_PROSE = re.compile(rf"(?<![a-z])(?:{'|'.join(_BANNED)})(?![a-z])", re.IGNORECASE)


def long_test_names(source: Source) -> list[str]:
    functions = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    tests = [node for node in functions if node.name.startswith("test_") and len(node.name) > TEST_NAME]
    return [f"{node.lineno}: {node.name} has {len(node.name)} characters; at most {TEST_NAME}" for node in tests]


def retired_names(source: Source) -> list[str]:
    """Identifiers that are retired. A name imported from hypothesis is that library's word."""
    tree = source.tree
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "hypothesis"]
    foreign = {alias.name for node in imports for alias in node.names}
    found = [
        (line, name)
        for node in ast.walk(tree)
        for line, name in _identifiers(node)
        if name.strip("_") in RETIRED and not (name in foreign and isinstance(node, ast.Name | ast.alias))
    ]
    return [f"{line}: the name {name} is retired" for line, name in sorted(found)]


def _identifiers(node: ast.AST) -> Iterator[tuple[int, str]]:
    """What one node names."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield node.lineno, name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield node.lineno, name
        case ast.alias(name=name, asname=other):
            yield node.lineno, other or name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield node.lineno, name
        case ast.ExceptHandler(name=str(name)):
            yield node.lineno, name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from ((node.lineno, name) for name in names)


def banned_words(source: Source) -> list[str]:
    """Words and phrases that a newcomer does not understand at first sight, also across the end of a line."""
    lines = source.text.splitlines()
    found = [(source.text.count("\n", 0, match.start()) + 1, match.group()) for match in _PROSE.finditer(source.text)]
    return [f"{number}: {' '.join(word.split())!r} in: {lines[number - 1].strip()[:100]}" for number, word in found]
