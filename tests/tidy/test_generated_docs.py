"""The generated pages say what the tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "ops" / "docs"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generator", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [*_generator().PAGES])
def test_a_generated_page_is_what_make_docs_writes(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == _generator().PAGES[name](), f"run `make docs`: {name} is out of date"
