"""The table of cases: every case has its body, and everything served has a case."""

from __future__ import annotations

import re
from pathlib import Path

from ops.docs.testnet_page import unproven
from tests.conformance.cases import CASES


def test_every_served_endpoint_and_channel_has_a_case() -> None:
    assert unproven() == []


def test_every_case_has_exactly_one_body() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    bodies = [int(number) for text in texts for number in re.findall(r"^@case\((\d+)\)$", text, flags=re.MULTILINE)]
    assert sorted(bodies) == [case.number for case in CASES] == sorted({case.number for case in CASES})
