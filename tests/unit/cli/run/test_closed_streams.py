"""A start without standard streams: the first sockets and pipes would get their numbers, unless they are opened."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.rig import ROOT

TEXT = """
import os, sys
from controller.__main__ import main
sys.argv[1:] = ["version"]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("more, to nowhere", file=sys.stderr)
os._exit(0 if min(os.pipe()) > 2 else 9)
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_lead_nowhere(closed: str) -> None:
    ended = subprocess.run(("sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, TEXT), cwd=ROOT, check=False)
    assert ended.returncode == 0
