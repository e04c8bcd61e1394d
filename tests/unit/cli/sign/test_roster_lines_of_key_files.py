"""``gatehouse keys new`` and ``show`` print the line that is pasted into the roster, as they say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from controller.authority.keys import load_key, public_key
from tests.support.cli_kit import Run


@pytest.mark.parametrize("again", [False, True], ids=["new", "show"])
def test_the_line_that_is_printed_fits_the_roster(run: Run, tmp_path: Path, again: bool) -> None:
    path = tmp_path / "carol.key"
    result = run("keys", "new", path)
    if again:
        result = run("keys", "show", path)
    line = next(one for one in result.output.splitlines() if one.startswith("{ id"))
    key = public_key(load_key(path))
    assert tomllib.loads(f"keys = [{line}]")["keys"] == [{"id": key.fingerprint, "type": "ed25519", "public": key.line}]
    assert f"# {path}: add this line" in result.output
