"""The run that is kept: the page and the charts show it, it names no machine, and every bench is explained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ops.bench import kept, page
from ops.bench.__main__ import CONTESTS

RUN = kept.read(kept.LAST)
TEXT = page.PAGE.read_text(encoding="utf-8")


def test_the_page_shows_the_kept_run() -> None:
    assert page.page(TEXT, RUN) == TEXT, "run `make bench ARGS=--keep`, or write the page of the kept run again"


@pytest.mark.parametrize("name", page.charts(RUN))
def test_a_chart_shows_the_kept_run(name: str) -> None:
    assert (page.DOCS / name).read_text(encoding="utf-8") == page.charts(RUN)[name]
    assert f"]({name})" in TEXT


def test_every_bench_is_explained_in_two_lines() -> None:
    assert [name for name in CONTESTS if not re.search(rf"^- \*\*`{name}`\*\*: .+\n  \S", TEXT, flags=re.MULTILINE)] == []


def test_the_kept_run_says_what_it_was_measured_on_and_names_no_machine() -> None:
    assert {"cores", "python", "packages"} <= RUN["machine"].keys()
    assert len(RUN["load_before"]) == len(RUN["load_after"]) == 3
    assert "/" not in json.dumps([RUN["machine"], RUN["on"]])
    assert RUN["machine"].keys() == kept.facts().keys()


def test_a_run_that_is_kept_replaces_file_page_and_charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LAST", tmp_path / "last.json")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "bench.md")
    (tmp_path / "bench.md").write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.keep(RUN)
    written = (tmp_path / "bench.md").read_text()
    assert written.startswith(f"before\n{page.BEGIN}\n{kept.described(RUN)}\n")
    assert written.endswith(f"|\n{page.END}\nafter\n")
    assert "old" not in written
    assert kept.read(tmp_path / "last.json") == RUN
    assert sorted(one.name for one in tmp_path.glob("*.svg")) == sorted(page.charts(RUN))
