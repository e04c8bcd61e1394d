"""A copy of the tree in which every function has its mutants beside it, and one of them can be chosen at run time.

mutmut writes them: each call goes through a wrapper that asks which mutant is active, so no module is ever loaded twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from mutmut.configuration import config
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name, mangled_name_from_mutant_name, orig_function_and_class_names_from_key

from ops.mutation import operators
from ops.mutation.judging import Mutant

TREES = ("controller", "exchange", "gates", "policies", "tests")


def files() -> list[str]:
    """The files whose functions are changed, by the patterns in pyproject.toml."""
    found = {str(path) for pattern in config().only_mutate for path in Path().glob(pattern)}
    return sorted(name for name in found if not name.endswith("__init__.py"))


def write(names: Iterable[str], target: Path, workers: int) -> dict[str, Mutant]:
    """Copy the tree to ``target``, with the mutants of the files ``names``. Returns what each of them changes."""
    shutil.rmtree(target, ignore_errors=True)
    for tree in TREES:
        shutil.copytree(tree, target / tree, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", target)
    with ProcessPoolExecutor(workers, initializer=operators.install) as pool:
        return {name: mutant for found in pool.map(partial(_write_file, target=target), names) for name, mutant in found.items()}


def _write_file(name: str, *, target: Path) -> dict[str, Mutant]:
    written = mutate_file_contents(name, Path(name).read_text())
    (target / name).write_text(written.code)
    lines = written.code.splitlines()
    by_function = {
        function: [line.strip() for line in lines[span.start - 1 : span.end]]
        for function, span in written.line_span_by_function_name.items()
    }
    return {get_mutant_name(Path(name), mutant): _described(name, mutant, by_function) for mutant in written.mutant_names}


def _described(file: str, name: str, lines: dict[str, list[str]]) -> Mutant:
    """What a mutant changes: the lines of its function that differ from the original's."""
    function, of_class = orig_function_and_class_names_from_key(f"{file}.{name}")
    of_original = mangled_name_from_mutant_name(name) + "__mutmut_orig"
    original, changed = ([line.replace(of, function) for line in lines[of]] for of in (of_original, name))
    shorter = min(len(original), len(changed))
    same = next((at for at in range(shorter) if original[at] != changed[at]), shorter)
    alike = next((at for at in range(shorter - same) if original[-1 - at] != changed[-1 - at]), shorter - same)
    was, becomes = original[same : len(original) - alike], changed[same : len(changed) - alike]
    return Mutant(file, f"{of_class}.{function}" if of_class else function, "\n".join(was), "\n".join(becomes))
