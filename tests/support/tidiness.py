"""Checkers of house rules. Each takes a parsed file and returns what breaks the rule, as ``line: what``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("controller", "exchange", "gates", "policies")
TEXT = {".py", ".pyi", ".toml", ".html", ".js", ".css", ".md", ".sh", ".json", ".service", ".yml", ".yaml", ".proto", ""}
FILE_LINES, FUNCTION_LINES = 400, 70

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One file of ours."""

    name: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


def sources(*folders: str) -> list[Source]:
    """The Python files under some folders that people wrote."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths if not path.stem.endswith("_pb2")]


def texts(*places: str) -> list[Source]:
    """Every text file under some folders, or by its own name."""
    paths: list[Path] = []
    for place in places:
        path = ROOT / place
        paths += [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    kept = [path for path in paths if path.suffix in TEXT and "__pycache__" not in path.parts and "vendor" not in path.parts]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in kept]


def long_file(source: Source) -> list[str]:
    count = code_lines(source)
    return [f"{count} lines of code; at most {FILE_LINES}"] if count > FILE_LINES else []


def code_lines(source: Source) -> int:
    """The lines that hold code: no blank lines, no comments, no docstrings."""
    documented = ast.Module | ast.ClassDef | Function
    docs = {
        number
        for node in ast.walk(source.tree)
        if isinstance(node, documented) and ast.get_docstring(node) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    lines = enumerate(source.text.splitlines(), 1)
    return sum(1 for number, line in lines if line.strip() and not line.lstrip().startswith("#") and number not in docs)


def long_functions(source: Source, exempt: frozenset[str] = frozenset()) -> list[str]:
    functions = [node for node in ast.walk(source.tree) if isinstance(node, Function)]
    found = [(node, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [
        f"{node.lineno}: {node.name} has {count} lines; at most {FUNCTION_LINES}"
        for node, count in found
        if count > FUNCTION_LINES and node.name not in exempt
    ]


def floats(source: Source) -> list[str]:
    """Calls of ``float``, annotations with it, and literals of it."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append((node.lineno, f"the literal {node.value}"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            found.append((node.lineno, "float(…)"))
        bad = [
            hint for hint in _annotations(node) if any(isinstance(part, ast.Name) and part.id == "float" for part in ast.walk(hint))
        ]
        found += [(hint.lineno, "annotated float") for hint in bad]
    return [f"{line}: {what}" for line, what in sorted(found)]


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.AnnAssign) or (isinstance(node, ast.arg) and node.annotation is not None):
        yield node.annotation
    elif isinstance(node, Function) and node.returns is not None:
        yield node.returns


def naive_datetimes(source: Source) -> list[str]:
    """Instants without a time zone."""
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [f"{call.lineno}: {ast.unparse(call)}" for call in calls if _naive(call)]


def _naive(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    name, owner = call.func.attr, ast.unparse(call.func.value)
    zoned = any(keyword.arg in {"tz", "tzinfo"} for keyword in call.keywords)
    match name:
        case "utcnow" | "utcfromtimestamp":
            return True
        case "today":
            return owner.endswith(("date", "datetime"))
        case "now":
            return owner.endswith("datetime") and not (call.args or zoned)
        case "fromtimestamp":
            return len(call.args) < 2 and not zoned
        case _:
            return False


def broad_excepts(source: Source) -> list[str]:
    """Handlers of everything. Cleaning up and raising the same thing again is no handling."""
    found = []
    for node in [node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler)]:
        parts = ast.walk(node.type) if node.type is not None else ()
        caught = {part.id for part in parts if isinstance(part, ast.Name)}
        last = node.body[-1]
        again = isinstance(last, ast.Raise) and last.exc is None
        if node.type is None or "Exception" in caught or ("BaseException" in caught and not again):
            found.append(f"{node.lineno}: except {', '.join(sorted(caught)) or 'everything'}")
    return found


def state_assignments(source: Source) -> list[str]:
    """Stores to an attribute called ``state``."""
    stores = [
        f"{node.lineno}: {ast.unparse(node)} = …"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr == "state" and isinstance(node.ctx, ast.Store)
    ]
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr"]
    return stores + [f"{call.lineno}: {ast.unparse(call)}" for call in calls if "'state'" in map(ast.unparse, call.args)]


def words(source: Source, pattern: str) -> list[str]:
    """Lines that hold a pattern, in any case."""
    wanted = re.compile(pattern, re.IGNORECASE)
    lines = enumerate(source.text.splitlines(), start=1)
    return [f"{number}: {line.strip()[:100]}" for number, line in lines if wanted.search(line)]


def missing_short_forms(source: Source) -> list[str]:
    """Tests that ``long_form`` names and the file does not have, or has as a long form only."""
    named = {
        node.keywords[0].value.value: node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _is_long_form(node) and isinstance(node.keywords[0].value, ast.Constant)
    }
    aliases = {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and _is_long_form(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    short = {
        node.name
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any(_is_long_form(one) or (isinstance(one, ast.Name) and one.id in aliases) for one in node.decorator_list)
    }
    return [f"{line}: {name}" for name, line in named.items() if name not in short]


def _is_long_form(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "long_form"


def undocumented_module(source: Source) -> list[str]:
    return [] if ast.get_docstring(source.tree) else ["no docstring"]


def undocumented(source: Source) -> list[str]:
    """Public classes, functions and methods without a docstring; what is inside something private is private too."""
    found: list[str] = []

    def look(body: list[ast.stmt], inside: str) -> None:
        for node in body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None:
                found.append(f"{node.lineno}: {inside}{node.name} has no docstring")
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{inside}{node.name}.")

    look(source.tree.body, "")
    return found


def make_targets(makefile: str) -> set[str]:
    """What ``make`` can be asked for, apart from its own help."""
    phony = [line.partition(":")[2].split() for line in makefile.splitlines() if line.startswith(".PHONY:")]
    return {target for line in phony for target in line} - {"help"}
