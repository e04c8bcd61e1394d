"""A few events of an ordinary week on a production deployment in a private world; `make ordinary` plays all of them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.ordinary import world

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.mark.skipif(bool(reason := world.why_not()), reason=reason or "private namespaces are allowed")
def test_a_few_events_of_a_week_have_the_expected_outcomes() -> None:
    played = subprocess.run(
        (sys.executable, "-m", "tests.support.ordinary.run", "--mode", "solo", "--short"),
        capture_output=True,
        text=True,
        timeout=840,
        env=os.environ | {"PYTHONPATH": str(world.ROOT)},
        check=False,
    )
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    assert "0 with another outcome, 0 false halts" in played.stdout
